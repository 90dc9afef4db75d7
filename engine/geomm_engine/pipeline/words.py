"""Remarks on typed words that a model has not learned, where its folder says what it has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from geomm_engine.contract import ClassEntry, Note
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.scoring.coverage import Coverage, read_vocabulary


@lru_cache(maxsize=4)
def coverage_of(folder: ModelFolder) -> Coverage | None:
    """The learned words of a model; None where it does not list them.

    Raises:
        ModelError: its word list is damaged.
    """
    if not folder.has_file("words"):
        return None
    vocabulary = read_vocabulary(folder.file("words"))
    return Coverage(vocabulary, OnnxTextEncoder(folder).embed_texts, folder.card.text.templates)


def word_remarks(folder: ModelFolder, phrases: Sequence[str]) -> tuple[Note, ...]:
    """One warning a phrase that was not learned, or from drawings alone; each phrase once."""
    coverage = coverage_of(folder)
    if coverage is None:
        return ()
    return coverage.remarks([(phrase,) for phrase in dict.fromkeys(phrases)], folder.card.name)


def class_remarks(folder: ModelFolder, classes: Sequence[ClassEntry]) -> tuple[Note, ...]:
    """Classes of which neither the name nor a synonym was learned, or from drawings alone. Negatives may be anything."""
    coverage = coverage_of(folder)
    if coverage is None:
        return ()
    wordings = [(entry.name, *entry.synonyms) for entry in classes if not entry.is_negative]
    return coverage.remarks(wordings, folder.card.name)
