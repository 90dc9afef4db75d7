"""The arithmetic of accuracy: agreement, its parts by class, calibration, ranking, intervals. Pure NumPy, knows no model.

Labels are class numbers from 0; rows of a confusion matrix are the truth, columns what was said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class ByClass:
    """(class,) each, in 0–1; 0 where a class was never said (precision) or never there (recall)."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.int64]


def confusion_matrix(truth: Labels, said: Labels, classes: int) -> NDArray[np.int64]:
    """(class, class) counts.

    Raises:
        ValueError: the labels differ in number, or one lies outside 0 … classes − 1.
    """
    if truth.shape != said.shape:
        raise ValueError(f"{truth.size} true labels but {said.size} predicted")
    if truth.size and (min(truth.min(), said.min()) < 0 or max(truth.max(), said.max()) >= classes):
        raise ValueError(f"a label lies outside 0 … {classes - 1}")
    return np.bincount(truth * classes + said, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def top_1(truth: Labels, said: Labels) -> float:
    """Share of right answers; NaN without any."""
    return float(np.mean(truth == said)) if truth.size else math.nan


def top_k(truth: Labels, scores: NDArray[np.float32], k: int) -> float:
    """Share of rows whose true class is among the k best; equal scores count in favour of the lower class number."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(np.mean((best == truth[:, None]).any(axis=1))) if truth.size else math.nan


def by_class(matrix: NDArray[np.int64]) -> ByClass:
    """Precision, recall and F1 of every class of a confusion matrix."""
    right = np.diag(matrix).astype(np.float64)
    said, there = matrix.sum(axis=0), matrix.sum(axis=1)
    precision = np.divide(right, said, out=np.zeros_like(right), where=said > 0)
    recall = np.divide(right, there, out=np.zeros_like(right), where=there > 0)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(right), where=total > 0)
    return ByClass(precision, recall, f1, there.astype(np.int64))


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that are there or were said; every class counts the same."""
    occurs = (matrix.sum(axis=0) + matrix.sum(axis=1)) > 0
    return float(by_class(matrix).f1[occurs].mean()) if occurs.any() else math.nan


def kappa(matrix: NDArray[np.int64]) -> float:
    """Cohen's kappa: agreement beyond what the class shares alone would give; NaN where that is everything."""
    total = float(matrix.sum())
    if total == 0:
        return math.nan
    agreed = float(np.trace(matrix)) / total
    expected = float(matrix.sum(axis=0) @ matrix.sum(axis=1)) / total**2
    return (agreed - expected) / (1 - expected) if expected < 1 else math.nan


def calibration_error(confidence: NDArray[np.float64], is_right: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error (Naeini et al. 2015): |accuracy − confidence| over equal bins, weighted by their rows."""
    if confidence.size == 0:
        return math.nan
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    confident = np.bincount(place, weights=confidence, minlength=bins)
    right = np.bincount(place, weights=is_right.astype(np.float64), minlength=bins)
    return float(np.abs(right - confident).sum() / count.sum())


def auroc(score: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative, ties counted half; NaN when one of them is absent."""
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if positives == 0 or negatives == 0:
        return math.nan
    _, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2.0
    rank_sum = float(mean_rank[inverse.reshape(-1)][is_positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def wilson_interval(right: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927); (0, 1) when nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = right / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    # At the ends the formula gives 0 and 1 but for rounding.
    return (0.0 if right == 0 else centre - half), (1.0 if right == total else centre + half)


def bootstrap_interval(
    truth: Labels,
    said: Labels,
    metric: Callable[[Labels, Labels], float],
    *,
    rounds: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a metric over rows drawn again with replacement."""
    random = np.random.default_rng(seed)
    values = np.empty(rounds)
    for turn in range(rounds):
        rows = random.integers(0, len(truth), len(truth))
        values[turn] = metric(truth[rows], said[rows])
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def shares_by_block(
    count: NDArray[np.float64], of: NDArray[np.float64], *, rounds: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """(round,): sum(``count``) / sum(``of``) of whole blocks drawn again, as rows of one block are not independent.

    Args:
        count: (block,) how many rows of each block count; a difference of two such counts will do.
        of: (block,) how many rows it has, at least 1.
        seed: as many blocks and the same seed draw the same blocks.
    """
    drawn = np.random.default_rng(seed).integers(0, len(of), (rounds, len(of)))
    return np.asarray(count[drawn].sum(axis=1) / of[drawn].sum(axis=1))


def percentiles(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float]:
    """The middle ``confidence`` of drawn values."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def drawn_again(matrix: NDArray[np.int64], *, rounds: int = 1000, seed: int = 0) -> NDArray[np.int64]:
    """(round, class, class): confusion matrices of as many rows drawn with replacement.

    Equal in distribution to a bootstrap of the rows, as everything that a confusion matrix knows of them is their cell.
    """
    total = int(matrix.sum())
    random = np.random.default_rng(seed)
    cells = np.flatnonzero(matrix)
    drawn = np.zeros((rounds, matrix.size), dtype=np.int64)
    drawn[:, cells] = random.multinomial(total, matrix.reshape(-1)[cells] / max(total, 1), size=rounds)
    return drawn.reshape(rounds, *matrix.shape)


def mean_interval(values: NDArray[np.float64], *, rounds: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Bootstrap percentile interval of a mean."""
    random = np.random.default_rng(seed)
    block = max(1, 4_000_000 // max(len(values), 1))
    means = [
        values[random.integers(0, len(values), (min(block, rounds - start), len(values)))].mean(axis=1)
        for start in range(0, rounds, block)
    ]
    return percentiles(np.concatenate(means))
