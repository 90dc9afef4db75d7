"""The shipped captions are consistent, and a faulty file is refused with a reason."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from geomm_engine.errors import WordsError
from geomm_engine.training.captions import CAPTIONS_FILE, SHOWS, SHOWS_NOT, UNSURE, read_captions
from geomm_engine.training.vocabulary import build_tokenizer

GOOD = """
templates = ["{}"]
[classes]
"s/a" = "a"
"s/b" = "b"
[[concept]]
id = "a"
is = ["s/a"]
unsure = ["s/b"]
words = ["apple"]
[[concept]]
id = "b"
is = ["s/b"]
words = ["banana"]
sentences = ["it is yellow"]
"""


def test_every_shipped_class_has_dozens_of_wordings() -> None:
    captions = read_captions()
    for name in captions.classes:
        wordings = {word for item in captions.concept if name in item.shows for word in (*item.words, *item.sentences)}
        is_measured = name.startswith(("eurosat/", "ucmerced/"))
        assert len(wordings) >= (60 if is_measured else 30), name


def test_no_picture_shows_what_is_absent() -> None:
    captions = read_captions()
    words = {word for item in captions.concept for word in item.words}
    assert len(captions.absent) >= 50
    assert words.isdisjoint(captions.absent)


def test_class_names_are_among_the_words() -> None:
    captions = read_captions()
    for name, typed in captions.classes.items():
        assert any(typed in item.words for item in captions.concept if name in item.shows), name


EARTH_FORESTS = ("months/Rainforest", "tiles/Rainforest", "months/Taiga", "tiles/Taiga")
STILL_AND_FLOWING = ("squares/Lake", "squares/River", "far/Lake")
FARMED = ("squares/Fields", "near/Fields", "far/RectangularFarmland", "far/CircularFarmland")
OPEN_GRASS = {"eurosat/Pasture", "eurosat/HerbaceousVegetation", "far/Pasture", "world/Savanna", "squares/Savanna"}
OTHER_FORESTS = ("squares/Forest", "near/Forest", "far/Forest")


def test_coarse_words_cover_their_fine_classes() -> None:
    captions = read_captions()
    for word, covered in {
        "water": {"eurosat/River", "eurosat/SeaLake", "ucmerced/river", "world/Sea", "months/Sea", *STILL_AND_FLOWING},
        "crops": {"eurosat/AnnualCrop", "eurosat/PermanentCrop", "ucmerced/agricultural", "world/Fields", *FARMED},
        "forest": {"eurosat/Forest", "ucmerced/forest", *EARTH_FORESTS, *OTHER_FORESTS},
        "grassland": OPEN_GRASS,
        "rangeland": OPEN_GRASS | {"ucmerced/chaparral", "world/Scrub", "squares/Scrub"},
    }.items():
        shows = {name for item in captions.concept if word in item.words for name in item.shows}
        assert shows == covered, word


def test_relation_and_wording(tmp_path: Path) -> None:
    path = tmp_path / "captions.toml"
    path.write_text(GOOD, encoding="utf-8")
    captions = read_captions(path)
    assert captions.relation(["s/b", "s/a"]).tolist() == [[UNSURE, SHOWS], [SHOWS, SHOWS_NOT]]
    random = np.random.default_rng(0)
    assert {captions.caption(1, random) for _ in range(40)} == {"banana", "it is yellow"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('is = ["s/b"]', 'is = ["s/c"]', "unknown classes"),
        ('unsure = ["s/b"]', 'unsure = ["s/a"]', "both shown and unsure"),
        ('words = ["banana"]', "words = []", "nothing to learn"),
        ('templates = ["{}"]', 'templates = ["no place"]', "template"),
        ('is = ["s/b"]', 'is = ["s/a"]', "no caption for"),
        ('id = "b"', "", "missing"),
        ("[classes]", "[classes", "cannot be used"),
    ],
)
def test_faulty_file_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    path = tmp_path / "captions.toml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(WordsError, match=reason):
        read_captions(path)


def test_every_wording_fits_the_context() -> None:
    captions = read_captions()
    longest = max(
        (text for item in captions.concept for text in (*item.words, *item.sentences)),
        key=lambda text: len(text.split()),
    )
    assert len(longest.split()) + 8 <= 30
    assert build_tokenizer([], 200).encode(longest).ids


def test_no_caption_says_a_wording_that_was_written_blind() -> None:
    blind = tomllib.loads((CAPTIONS_FILE.with_name("blind_wordings.toml")).read_text(encoding="utf-8"))
    captions = read_captions()
    said = {text.lower() for item in captions.concept for text in (*item.words, *item.sentences)}
    assert sum(map(len, blind.values())) > 100
    assert not said & {text for texts in blind.values() for text in texts}
    folders = {name.split("/")[1] for name in captions.classes}
    assert set(blind) <= folders
