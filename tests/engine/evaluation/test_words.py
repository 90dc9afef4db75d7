"""Tables of captions and wordings: read as people write them, refused with the reason when they are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geomm_engine.errors import EngineError, WordsError
from geomm_engine.evaluation.pictures import LabelledPictures
from geomm_engine.evaluation.words import cleaned, pictures_beside, read_captions, read_wordings

PICTURES = LabelledPictures("set", Path("set"), ("a", "b"), ("a/1.png", "a/2.png", "b/1.png", "b/été.png"), np.zeros(4))


def test_captions_find_their_pictures_by_path_or_by_a_name_of_its_own(folder: Path) -> None:
    path = folder / "c.csv"
    path.write_text(
        'image,class,caption\na/1.png,a,"Trees , and a road ."\nété.png,b,Water.\n1.png,a,either\nz/9.png,z,absent\n',
        encoding="utf-8-sig",
    )
    captions = read_captions(path, PICTURES)
    assert captions.pairs == ((0, "Trees, and a road."), (3, "Water."))
    assert captions.absent == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("picture,caption\na/1.png,x\n", "no column image"),
        ("image,class,caption\na/1.png,a,\n", "line 2"),
        ("image,class,caption\nz/1.png,z,x\n", "none of a picture"),
        ("", "no column caption and no column image"),
    ],
)
def test_faulty_captions_are_refused(folder: Path, text: str, reason: str) -> None:
    path = folder / "c.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match=reason):
        read_captions(path, PICTURES)
    with pytest.raises(EngineError, match="cannot be read"):
        read_captions(folder / "absent.csv", PICTURES)
    path.write_bytes(b"image,caption\n\xff\xfe,\xff\n")
    with pytest.raises(EngineError, match="cannot be read"):
        read_captions(path, PICTURES)


def test_pictures_lie_beside_their_captions(folder: Path) -> None:
    with pytest.raises(EngineError, match="--images"):
        pictures_beside(folder / "set_captions.csv")
    (folder / "set.zip").touch()
    assert pictures_beside(folder / "set_captions.csv") == folder / "set.zip"


def test_wordings_of_the_classes_that_are_there(folder: Path) -> None:
    path = folder / "w.toml"
    path.write_text('Dense_Forest = ["woodland", " trees "]\nharbour = ["port"]\n', encoding="utf-8")
    assert read_wordings(path, ("denseForest", "Lake")) == {"denseForest": ("woodland", "trees")}
    with pytest.raises(WordsError, match="no class of the set"):
        read_wordings(path, ("Lake",))
    path.write_text('Lake = "pond"', encoding="utf-8")
    with pytest.raises(WordsError, match="no list"):
        read_wordings(path, ("Lake",))
    path.write_text("Lake = [", encoding="utf-8")
    with pytest.raises(WordsError, match="cannot be read"):
        read_wordings(path, ("Lake",))


def test_captions_lose_the_space_before_a_mark() -> None:
    assert cleaned("  A road ,  and trees . ") == "A road, and trees."
