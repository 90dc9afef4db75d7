"""Search in both directions: words that find pictures, pictures that find their words. Ties count by expectation.

R@k is the chance that a right answer is among the first k; mR the mean of R@1, 5 and 10 both ways; AP@k is divided by
min(k, right answers), and precision at 20 looks at min(20, right answers). Beside every number stands what a random
order would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geomm_engine.evaluation import metrics
from geomm_engine.evaluation.ranking import Ranked, rank, rank_all
from geomm_engine.evaluation.words import Captions

Vectors = NDArray[np.float32]
Interval = tuple[float, float]

KS = (1, 5, 10, 20, 100)
_AT_20, _AT_100 = KS.index(20), KS.index(100)


@dataclass(frozen=True)
class Share:
    """A mean over queries, its bootstrap interval over them, and the same number for a random order."""

    value: float
    interval_95: Interval
    chance: float


@dataclass(frozen=True)
class Direction:
    """One way of searching. ``recall`` are R@1, R@5, R@10."""

    name: str
    queries: int
    candidates: int
    recall: tuple[Share, Share, Share]
    map_20: Share
    map_100: Share
    precision_20: Share


@dataclass(frozen=True)
class ClassRetrieval:
    """A class name typed as a search, over all pictures."""

    name: str
    words: str
    pictures: int
    precision_20: float
    ap_20: float
    ap_100: float
    chance: float


@dataclass(frozen=True)
class WordingRow:
    """A wording of a class beside the class's own name; shares of right pictures among the first 20."""

    name: str
    wording: str
    precision_20: float
    precision_20_of_name: float
    chance: float


@dataclass(frozen=True)
class CaptionRetrieval:
    """``protocol`` says what counts as one item. ``mean_recall`` is mR in 0–1."""

    protocol: str
    text_to_picture: Direction
    picture_to_text: Direction
    mean_recall: float
    mean_recall_chance: float


@dataclass(frozen=True)
class RetrievalReport:
    """``too_long`` counts captions that the model cannot read, and were left out."""

    text_to_picture: Direction
    picture_to_text: Direction
    by_class: tuple[ClassRetrieval, ...]
    captions: tuple[CaptionRetrieval, ...]
    wordings: tuple[WordingRow, ...]
    captions_too_long: int
    captions_absent: int


def by_class_name(
    vectors: Vectors, labels: NDArray[np.int64], prototypes: Vectors, classes: Sequence[str], words: Sequence[str]
) -> tuple[Direction, Direction, tuple[ClassRetrieval, ...]]:
    """Class names as searches over the pictures, and pictures as searches over the class names.

    Args:
        vectors: (n, dim), ``prototypes`` (class, dim), of length 1.
    """
    there = np.unique(labels)
    relevant = labels[None, :] == there[:, None]
    scores = prototypes[there] @ vectors.T
    found = rank_all(scores, relevant, KS)
    rows = tuple(
        ClassRetrieval(
            classes[label],
            words[label],
            int(relevant[at].sum()),
            float(found.precision[at, _AT_20]),
            float(found.average_precision[at, _AT_20]),
            float(found.average_precision[at, _AT_100]),
            float(relevant[at].mean()),
        )
        for at, label in enumerate(there)
    )
    texts = _direction("class name → pictures", found, _by_chance(relevant), len(labels))
    own = labels[:, None] == np.arange(len(prototypes))[None]
    back = rank_all(vectors @ prototypes.T, own, KS)
    pictures = _direction("picture → class names", back, _by_chance(own[:1]), len(prototypes))
    return texts, pictures, rows


def by_wording(
    vectors: Vectors,
    labels: NDArray[np.int64],
    prototypes: Vectors,
    classes: Sequence[str],
    wordings: Mapping[str, Sequence[str]],
    wording_vectors: Mapping[str, Vectors],
) -> tuple[WordingRow, ...]:
    """Precision in the first 20 of each wording, beside its class's own name.

    Args:
        wording_vectors: class → (wording, dim) of length 1.
    """
    rows = []
    for name, texts in wordings.items():
        label = classes.index(name)
        relevant = labels == label
        if not relevant.any():
            continue
        own = float(rank(vectors @ prototypes[label], relevant, (20,)).precision[0])
        for text, vector in zip(texts, wording_vectors[name], strict=True):
            share = float(rank(vectors @ vector, relevant, (20,)).precision[0])
            rows.append(WordingRow(name, text, share, own, float(relevant.mean())))
    return tuple(rows)


def by_caption(
    vectors: Vectors, captions: Captions, caption_vectors: Mapping[str, Vectors]
) -> tuple[CaptionRetrieval, ...]:
    """Captions as searches and as answers, under two protocols.

    Under the first a text is one item however many pictures carry it, and every picture that carries it is right. Under
    the second, that of the captioning literature (RSICD), every line of the file is an item of its own and right is only
    its own picture; equal texts then tie. Pictures without a readable caption are left out.

    Args:
        vectors: (n, dim) of all pictures; the pairs of ``captions`` number their rows.
        caption_vectors: text → (dim,) of length 1; texts that are absent are left out.
    """
    pairs = [(row, text) for row, text in captions.pairs if text in caption_vectors]
    if not pairs:
        return ()
    texts = sorted({text for _, text in pairs})
    text_number = {text: at for at, text in enumerate(texts)}
    rows = sorted({row for row, _ in pairs})
    row_number = {row: at for at, row in enumerate(rows)}
    scores = np.stack([caption_vectors[text] for text in texts]) @ vectors[rows].T
    carries = np.zeros(scores.shape, dtype=bool)
    for row, text in pairs:
        carries[text_number[text], row_number[row]] = True
    of_line = np.array([text_number[text] for _, text in pairs])
    picture_of_line = np.array([row_number[row] for row, _ in pairs])
    own = picture_of_line[:, None] == np.arange(len(rows))[None]
    return (
        _captioned("same text, one item; every picture that carries it is right", scores, carries),
        _captioned("every line of the file an item; only its own picture is right", scores[of_line], own),
    )


def _captioned(protocol: str, scores: NDArray[np.float32], carries: NDArray[np.bool_]) -> CaptionRetrieval:
    there = _direction("caption → pictures", rank_all(scores, carries, KS), _by_chance(carries), scores.shape[1])
    back = _direction(
        "picture → captions",
        rank_all(np.ascontiguousarray(scores.T), np.ascontiguousarray(carries.T), KS),
        _by_chance(carries.T),
        scores.shape[0],
    )
    shares = [*there.recall, *back.recall]
    return CaptionRetrieval(
        protocol,
        there,
        back,
        float(np.mean([item.value for item in shares])),
        float(np.mean([item.chance for item in shares])),
    )


def _by_chance(relevant: NDArray[np.bool_]) -> Ranked:
    """What a random order gives: all candidates tie. Queries with equally many right answers share one computation."""
    counts = relevant.sum(axis=1)
    kinds, inverse = np.unique(counts[counts > 0], return_inverse=True)
    flat = np.zeros(relevant.shape[1], dtype=np.float32)
    found = [rank(flat, np.arange(len(flat)) < count, KS) for count in kinds]
    return Ranked(
        np.stack([item.hit for item in found])[inverse],
        np.stack([item.precision for item in found])[inverse],
        np.stack([item.average_precision for item in found])[inverse],
    )


def _direction(name: str, found: Ranked, chance: Ranked, candidates: int) -> Direction:
    return Direction(
        name,
        len(found.hit),
        candidates,
        (
            _share(found.hit[:, 0], chance.hit[:, 0]),
            _share(found.hit[:, 1], chance.hit[:, 1]),
            _share(found.hit[:, 2], chance.hit[:, 2]),
        ),
        _share(found.average_precision[:, _AT_20], chance.average_precision[:, _AT_20]),
        _share(found.average_precision[:, _AT_100], chance.average_precision[:, _AT_100]),
        _share(found.precision[:, _AT_20], chance.precision[:, _AT_20]),
    )


def _share(values: NDArray[np.float64], chance: NDArray[np.float64]) -> Share:
    return Share(float(values.mean()), metrics.mean_interval(values), float(chance.mean()))
