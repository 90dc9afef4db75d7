"""Whether a confidence of 0.8 is right in eight of ten cases: bins of a reliability plot, the error, the best temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geomm_engine.evaluation import metrics

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Pictures whose confidence lies in one of the equal bins; ``confidence`` is their mean, both shares are 0 in an
    empty bin."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """``error``: expected calibration error over 15 equal bins; ``best_scale`` is the inverse temperature that would fit
    these very pictures best, and ``error_at_best_scale`` what would be left: a bound, not a measurement."""

    logit_scale: float
    error: float
    error_interval_95: tuple[float, float]
    best_scale: float
    error_at_best_scale: float
    bins: tuple[Bin, ...]


def reliability_bins(confidence: NDArray[np.float64], is_right: NDArray[np.bool_], bins: int = BINS) -> tuple[Bin, ...]:
    """The bins of a reliability plot."""
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    divisor = np.maximum(count, 1)
    mean = np.bincount(place, weights=confidence, minlength=bins) / divisor
    right = np.bincount(place, weights=is_right.astype(np.float64), minlength=bins) / divisor
    return tuple(
        Bin(at / bins, (at + 1) / bins, int(count[at]), float(mean[at]), float(right[at])) for at in range(bins)
    )


def fit_scale(logits: Sequence[tuple[NDArray[np.floating], NDArray[np.int64]]]) -> float:
    """The inverse temperature in 1–100 under which the true classes are most likely, every set counting the same.

    Args:
        logits: for each set (n, class) cosines, and (n,) true classes.
    """
    scales = np.geomspace(1.0, 100.0, 200)
    return float(max(scales, key=lambda scale: sum(_log_likelihood(cosine, truth, scale) for cosine, truth in logits)))


def _log_likelihood(cosine: NDArray[np.floating], truth: NDArray[np.int64], scale: float) -> float:
    log_p = _log_softmax(scale * cosine)
    return float(log_p[np.arange(len(truth)), truth].mean())


def _log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float32)


def calibration(
    confidence: NDArray[np.float64],
    is_right: NDArray[np.bool_],
    cosine: NDArray[np.float32],
    truth: NDArray[np.int64],
    logit_scale: float,
    *,
    seed: int = 0,
    rounds: int = 300,
) -> Calibration:
    """Everything that a reliability plot shows.

    Args:
        confidence: (n,) the share of the class that was said, at ``logit_scale``.
        cosine: (n, class) of picture and prototype.
    """
    random = np.random.default_rng(seed)
    errors = np.empty(rounds)
    for turn in range(rounds):
        rows = random.integers(0, len(confidence), len(confidence))
        errors[turn] = metrics.calibration_error(confidence[rows], is_right[rows], BINS)
    best = fit_scale([(cosine, truth)])
    shares = np.exp(_log_softmax(best * cosine).max(axis=1)).astype(np.float64)
    return Calibration(
        logit_scale,
        metrics.calibration_error(confidence, is_right, BINS),
        metrics.percentiles(errors),
        best,
        metrics.calibration_error(shares, cosine.argmax(axis=1) == truth, BINS),
        reliability_bins(confidence, is_right),
    )
