"""Which typed words a model has learned, and which learned words are near to one that it has not. Knows no tile.

A model's folder may list the words that its pictures were named with (``known``) and words of things that none of them
shows (``absent``). A phrase is learned when it is one of the known words, or lies nearer to them than the model's
threshold says; otherwise a map of it would be confident and wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ContractError, ErrorCode, Level, Note, decode
from geomm_engine.errors import ModelError
from geomm_engine.scoring.prompts import EmbedTexts

_NEAREST = 3


@dataclass(frozen=True)
class Vocabulary:
    """``known`` has a list of words for each thing that was learned. ``threshold``: the least reach of a learned phrase.

    ``drawn`` numbers the things of ``known`` that were learned from drawings alone, never from a photograph.
    """

    known: tuple[tuple[str, ...], ...]
    absent: tuple[str, ...]
    threshold: float
    drawn: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reach:
    """How far the learned words reach to a phrase: ``reach`` is the cosine with the nearest known word less that with the
    nearest absent one. ``nearest`` are the nearest words of the nearest things that were learned, one each. ``is_drawn``:
    learned, but from drawings alone.
    """

    phrase: str
    reach: float
    is_learned: bool
    nearest: tuple[str, ...]
    is_drawn: bool = False


def read_vocabulary(path: Path) -> Vocabulary:
    """The words file of a model.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        return decode(Vocabulary, json.loads(path.read_text(encoding="utf-8")), "words")
    except (OSError, ValueError, ContractError) as problem:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The word list {path} of the model cannot be used: {problem}.",
            "Install the model again.",
            path=str(path),
        ) from problem


class Coverage:
    """The learned words of one model as vectors; embeds them once."""

    def __init__(self, vocabulary: Vocabulary, embed: EmbedTexts, templates: Sequence[str]) -> None:
        self._vocabulary = vocabulary
        self._embed = embed
        self._templates = templates
        self._words = [word for words in vocabulary.known for word in words]
        self._thing = np.repeat(np.arange(len(vocabulary.known)), [len(words) for words in vocabulary.known])
        self._plain = {plain(word): int(thing) for word, thing in zip(self._words, self._thing, strict=True)}
        self._known = embed(self._words)
        self._absent = embed(list(vocabulary.absent)) if vocabulary.absent else self._known[:0]

    def of(self, phrase: str) -> Reach:
        """How well this phrase is covered."""
        vector = self._vector(phrase)
        similarity = self._known @ vector
        best = np.full(len(self._vocabulary.known), -1.0)
        np.maximum.at(best, self._thing, similarity)
        nearest = np.argsort(-best)[:_NEAREST]
        reach = float(similarity.max()) - (float((self._absent @ vector).max()) if len(self._absent) else 0.0)
        said = self._plain.get(plain(phrase))
        is_learned = said is not None or reach >= self._vocabulary.threshold
        thing = int(nearest[0]) if said is None else said
        names = tuple(self._words[self._nearest_word(item, similarity)] for item in nearest)
        return Reach(phrase, reach, is_learned, names, is_learned and thing in self._vocabulary.drawn)

    def _nearest_word(self, thing: np.intp, similarity: NDArray[np.float32]) -> int:
        """Place of the word of a thing that is nearest; people know it sooner than the thing's first name."""
        return int(np.where(self._thing == thing, similarity, -np.inf).argmax())

    def _vector(self, phrase: str) -> NDArray[np.float32]:
        mean = self._embed([template.format(phrase) for template in self._templates]).mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)

    def remarks(self, wordings: Sequence[Sequence[str]], model: str) -> tuple[Note, ...]:
        """A warning for each thing, given by its wordings, of which the model has learned none, or none from photographs."""
        notes = []
        for phrases in wordings:
            found = [self.of(phrase) for phrase in phrases]
            learned = [item for item in found if item.is_learned]
            if not learned:
                notes.append(_unknown(found[0], model))
            elif all(item.is_drawn for item in learned):
                notes.append(_drawn(found[0], model))
        return tuple(notes)


def _unknown(found: Reach, model: str) -> Note:
    nearest = ", ".join(found.nearest)
    text = (
        f"{model} has not learned “{found.phrase}”. The nearest words that it knows: {nearest}. "
        "Use one of them, leave the word out, or choose a larger model."
    )
    return Note("word_unknown", Level.AMBER, text, {"word": found.phrase, "nearest": nearest, "reach": found.reach})


def _drawn(found: Reach, model: str) -> Note:
    text = (
        f"{model} knows “{found.phrase}” from drawings alone, not from photographs. "
        "Look at what it finds before you rely on it, or choose a larger model."
    )
    return Note("word_drawn", Level.AMBER, text, {"word": found.phrase})


def plain(phrase: str) -> str:
    """Lower case, one space between words, no article, no plural of the last word."""
    words = re.sub(r"\s+", " ", phrase.strip().lower())
    words = re.sub(r"^(a|an|the) ", "", words)
    return words[:-1] if words.endswith("s") and not words.endswith("ss") else words
