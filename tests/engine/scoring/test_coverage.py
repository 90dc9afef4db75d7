"""Which typed words count as learned, which neighbours are offered, and what a damaged word list does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from geomm_engine.errors import ModelError
from geomm_engine.scoring.coverage import Coverage, Vocabulary, plain, read_vocabulary

PLACES = {
    "forest": 0.0,
    "woods": 0.1,
    "water": 1.5,
    "lake": 1.6,
    "copse": 0.2,
    "opera": 3.1,
    "stadium": 3.0,
    "pool": 2.4,
}


def embed(texts: Sequence[str], /) -> NDArray[np.float32]:
    """Words on a circle; templates change nothing."""
    angle = np.array([PLACES[text.removeprefix("a photo of ")] for text in texts])
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


@pytest.fixture
def coverage() -> Coverage:
    vocabulary = Vocabulary((("forest", "woods"), ("water", "lake")), ("stadium",), 0.3)
    return Coverage(vocabulary, embed, ("{}", "a photo of {}"))


def test_known_word_is_learned_wherever_it_lies(coverage: Coverage) -> None:
    assert coverage.of("forest").is_learned
    assert coverage.of("forest").is_learned


def test_new_wording_near_a_known_word_is_learned(coverage: Coverage) -> None:
    found = coverage.of("copse")
    assert found.is_learned
    assert found.nearest == ("woods", "water")
    assert found.reach == pytest.approx(np.cos(0.1) - np.cos(2.8), abs=1e-5)


@pytest.mark.parametrize("word", ["opera", "stadium", "pool"])
def test_strange_word_is_said_with_its_neighbours(coverage: Coverage, word: str) -> None:
    notes = coverage.remarks([(word,), ("lake",)], "Nano")
    assert [note.code for note in notes] == ["word_unknown"]
    assert f"Nano has not learned “{word}”" in notes[0].text
    assert "lake, woods" in notes[0].text


def test_word_known_from_drawings_is_said_to_be() -> None:
    vocabulary = Vocabulary((("forest", "woods"), ("water", "lake")), ("stadium",), 0.3, drawn=(1,))
    coverage = Coverage(vocabulary, embed, ("{}", "a photo of {}"))
    assert [note.code for note in coverage.remarks([("lake",), ("forest",)], "Nano")] == ["word_drawn"]
    assert not coverage.of("copse").is_drawn
    assert not coverage.of("opera").is_drawn


def test_one_learned_wording_of_a_thing_is_enough(coverage: Coverage) -> None:
    assert coverage.remarks([("opera", "lake"), ("woods",)], "Nano") == ()
    assert [note.facts["word"] for note in coverage.remarks([("opera", "stadium")], "Nano")] == ["opera"]


def test_plain_forms() -> None:
    assert plain("  The  Parking   Lots") == plain("parking lot")
    assert plain("grass") == "grass"


def test_damaged_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(json.dumps({"known": [["forest"]], "absent": []}), encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be used"):
        read_vocabulary(path)
