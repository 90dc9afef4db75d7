"""Phrases of everyday and map language with the vectors that a published sentence encoder gave them, and learning from them.

A text tower that only ever reads captions knows nothing of other words. Placing phrases as a larger encoder does
(distillation) tells it which words are near to which, so that a name that no picture taught has a place among those that
pictures did (zero-shot learning from word vectors: Frome et al. 2013, Romera-Paredes & Torr 2015).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import WordsError
from geomm_engine.networks.text_tower import TextTower
from geomm_engine.training.vocabulary import BYTES


@dataclass(frozen=True)
class Phrases:
    """``vectors`` (n, dim) of unit length; ``chance`` (n,) how often each is drawn, sums to 1. ``merges`` are the byte pairs
    that these phrases are spelled with best, where their file says so; ``counts``, how often each of the 256 bytes and of the
    merges is used, where words are to fall into the fewest of them.
    """

    texts: tuple[str, ...]
    vectors: NDArray[np.float32]
    chance: NDArray[np.float64]
    merges: tuple[tuple[str, str], ...] = ()
    counts: tuple[int, ...] = ()

    def draw(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Rows, each by its chance; one may come twice."""
        below_the_end = 1.0 - 1e-6  # the sum of so many chances may fall short of 1
        return np.searchsorted(np.cumsum(self.chance), random.random(count) * below_the_end)


@dataclass(frozen=True)
class PhraseBatch:
    """Tokens (n, t) and the unit vectors (n, dim) that their phrases should have."""

    tokens: Tensor
    vectors: Tensor


def read_phrases(paths: Sequence[Path], *, has_captions: bool = True) -> Phrases:
    """The phrases of these files together: ``texts`` (UTF-8, one a line), ``vectors`` (n, dim) int8 of any length, how often
    each is drawn as ``weights`` (n,) or, without what only captions say, as ``general`` (n,); ``merges`` (UTF-8, a pair a
    line) where there are any, ``counts`` (256 + merges,) where they are counted.

    Raises:
        WordsError: a file is absent or damaged, or they do not belong together.
    """
    parts = [_read_one(path, "weights" if has_captions else "general") for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.vectors.shape[1] != parts[0].vectors.shape[1]:
            raise _unreadable(path, f"its vectors are of another kind than those of {paths[0].name}")
    spelled = [part for part in parts if part.merges]
    if len(spelled) > 1:
        raise _unreadable(paths[-1], "another file holds merges too")
    weights = np.concatenate([part.chance for part in parts])
    if not weights.any():
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID,
            f"Without what only captions say, nothing is left of the phrases in {', '.join(path.name for path in paths)}.",
            "Name a file with phrases of everyday language too.",
        )
    vectors = np.concatenate([part.vectors for part in parts])
    return Phrases(
        tuple(text for part in parts for text in part.texts),
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        weights / weights.sum(),
        spelled[0].merges if spelled else (),
        spelled[0].counts if spelled else (),
    )


def _read_one(path: Path, drawn_by: str) -> Phrases:
    """A file as it is stored: vectors of any length, weights that sum to anything."""
    try:
        with np.load(path) as stored:
            texts = tuple(stored["texts"].tobytes().decode("utf-8").split("\n"))
            vectors = stored["vectors"].astype(np.float32)
            weights = stored[drawn_by].astype(np.float64)
            merges = _pairs(stored["merges"].tobytes().decode("utf-8")) if "merges" in stored else ()
            counts = tuple(int(count) for count in stored["counts"]) if "counts" in stored else ()
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as problem:
        raise _unreadable(path, str(problem)) from problem
    is_counted = not counts or len(counts) == BYTES + len(merges)
    if not len(texts) == len(vectors) == len(weights) or not vectors.any(axis=1).all() or not is_counted:
        raise _unreadable(path, "its parts do not belong together")
    return Phrases(texts, vectors, weights, merges, counts)


def _unreadable(path: Path, problem: str) -> WordsError:
    text = f"The phrases of {path} cannot be read: {problem}."
    return WordsError(ErrorCode.CLASS_LIST_INVALID, text, "Install the engine again.", path=str(path))


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Raises ValueError where a line is no pair."""
    return tuple((first, second) for first, second in (line.split(" ") for line in text.split("\n")))


def phrase_loss(tower: TextTower, head: nn.Linear, phrases: PhraseBatch) -> Tensor:
    """One less the mean cosine between where the tower places these phrases and where they belong; 0–2."""
    device = head.weight.device
    said = functional.normalize(head(tower.meaning(phrases.tokens.to(device))).float(), dim=1)
    return 1.0 - (said * phrases.vectors.to(device)).sum(dim=1).mean()
