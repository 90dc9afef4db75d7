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
    """One warning a phrase that was not learned, each phrase once."""
    coverage = coverage_of(folder)
    if coverage is None:
        return ()
    return coverage.remarks(list(dict.fromkeys(phrases)), folder.card.name)


def class_remarks(folder: ModelFolder, classes: Sequence[ClassEntry]) -> tuple[Note, ...]:
    """Classes of which neither the name nor a synonym was learned. Negatives may be anything."""
    coverage = coverage_of(folder)
    if coverage is None:
        return ()
    strange = [
        entry.name
        for entry in classes
        if not entry.is_negative and not any(coverage.of(words).is_learned for words in (entry.name, *entry.synonyms))
    ]
    return coverage.remarks(strange, folder.card.name)
