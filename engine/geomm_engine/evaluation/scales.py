"""The same places seen with coarser pixels: do their vectors, and their classes, stay what they were?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from geomm_engine.evaluation import metrics

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class ScaleRow:
    """One ground pixel. ``told_m`` and ``fed_px`` are what the model was given; ``other_cosine`` is the mean cosine of
    two different places at this pixel, to read the cosines of one place by."""

    gsd_m: float
    told_m: float
    fed_px: int
    top1: float
    top1_interval_95: tuple[float, float]
    other_cosine: float


@dataclass(frozen=True)
class ScalePair:
    """The same place at two pixels: mean cosine, the cosine that 5 % fall short of, and how often the class agrees.

    ``place_found`` is the share of places whose vector at the coarser pixel is nearer to their own at the finer pixel
    than to any other place's.
    """

    finer_m: float
    coarser_m: float
    cosine: float
    cosine_interval_95: tuple[float, float]
    cosine_p5: float
    agreement: float
    agreement_interval_95: tuple[float, float]
    place_found: float


@dataclass(frozen=True)
class ScalesReport:
    places: int
    rows: tuple[ScaleRow, ...]
    pairs: tuple[ScalePair, ...]


def default_scales(gsd_m: float, coarsest_m: float, side_px: int) -> tuple[float, ...]:
    """The files' own pixel and its octaves, up to twice the coarsest that the model was made for, 16 px at least."""
    octaves = [gsd_m * 2**step for step in range(6)]
    fitting = [scale_m for scale_m in octaves if scale_m <= 2 * coarsest_m and side_px * gsd_m / scale_m >= 16]
    return tuple(fitting[:4])


def across_scales(
    at_scales: Mapping[float, Vectors],
    fed: Mapping[float, tuple[float, int]],
    labels: NDArray[np.int64],
    prototypes: Vectors,
    *,
    seed: int,
) -> ScalesReport:
    """Compare every two ground pixels.

    Args:
        at_scales: ground pixel in metres → (n, dim) of length 1, rows in the same order.
        fed: ground pixel in metres → what the tower was told, and the side in pixels it was given.
        prototypes: (class, dim) of length 1.
    """
    random = np.random.default_rng(seed)
    pixels = sorted(at_scales)
    said = {gsd_m: (at_scales[gsd_m] @ prototypes.T).argmax(axis=1) for gsd_m in pixels}
    shift = int(random.integers(1, len(labels))) if len(labels) > 1 else 0
    shuffled = random.permutation(len(labels))
    partner = np.empty_like(shuffled)
    partner[shuffled] = np.roll(shuffled, shift)
    rows = []
    for gsd_m in pixels:
        right = int((said[gsd_m] == labels).sum())
        other = (at_scales[gsd_m] * at_scales[gsd_m][partner]).sum(axis=1)
        rows.append(
            ScaleRow(
                gsd_m,
                *fed[gsd_m],
                right / len(labels),
                metrics.wilson_interval(right, len(labels)),
                float(other.mean()),
            )
        )
    pairs = [
        _pair(finer, coarser, at_scales[finer], at_scales[coarser], said[finer] == said[coarser])
        for finer, coarser in combinations(pixels, 2)
    ]
    return ScalesReport(len(labels), tuple(rows), tuple(pairs))


def _pair(finer_m: float, coarser_m: float, finer: Vectors, coarser: Vectors, same: NDArray[np.bool_]) -> ScalePair:
    cosine = (finer * coarser).sum(axis=1).astype(np.float64)
    agreed = int(same.sum())
    nearest = np.concatenate(
        [(coarser[at : at + 2048] @ finer.T).argmax(axis=1) for at in range(0, len(coarser), 2048)]
    )
    return ScalePair(
        finer_m,
        coarser_m,
        float(cosine.mean()),
        metrics.mean_interval(cosine),
        float(np.quantile(cosine, 0.05)),
        agreed / len(same),
        metrics.wilson_interval(agreed, len(same)),
        float((nearest == np.arange(len(finer))).mean()),
    )
