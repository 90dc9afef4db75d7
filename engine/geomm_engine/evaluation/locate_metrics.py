"""How good guesses of place, climate and season are: distances, calibrated regions, bootstrap by block. Pure arithmetic.

A posterior is the log mass (n, m) of n pictures over the m cells of a grid of equal area.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geomm_engine.sphere import EARTH_RADIUS_KM

Values = NDArray[np.float64]
WITHIN_KM = (25.0, 200.0, 750.0, 2000.0, 2500.0)
REGIONS = (0.5, 0.9)
_CHUNK = 256


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


def best_points(log_mass: Values, points: Values) -> Values:
    """(n, 3): of the cells' centres (m, 3), the one with the least expected great-circle distance to the truth.

    The mode of a posterior of several hills lies on the tallest, however thin; the median of the sphere lies where the mass
    is. It is searched among the cells themselves, so it is a place that the posterior knows.
    """
    distance = EARTH_RADIUS_KM * np.arccos(np.clip(points @ points.T, -1.0, 1.0)).astype(np.float32)
    found = np.empty((len(log_mass), 3))
    for at in range(0, len(log_mass), _CHUNK):
        mass = np.exp(log_mass[at : at + _CHUNK]).astype(np.float32)
        found[at : at + _CHUNK] = points[np.argmin(mass @ distance, axis=1)]
    return found


def recall_by_area(area_share: Values, shares: Values) -> Values:
    """The Recall-vs-Area curve: how many truths lie within the likeliest ``shares`` of the area."""
    return np.asarray((area_share[None, :] <= np.asarray(shares)[:, None]).mean(axis=1))


def bootstrap_by_block(
    blocks: NDArray[np.int64], statistic: Callable[[NDArray[np.int64]], float], *, rounds: int = 400, seed: int = 0
) -> Estimate:
    """A statistic of rows, with an interval from drawing whole blocks: neighbours are not independent."""
    names = np.unique(blocks)
    rows = [np.flatnonzero(blocks == name) for name in names]
    random = np.random.default_rng(seed)
    found = [
        statistic(np.concatenate([rows[pick] for pick in random.integers(0, len(rows), len(rows))]))
        for _ in range(rounds if len(rows) > 1 else 0)
    ]
    value = statistic(np.arange(len(blocks)))
    low, high = np.nanquantile(found, [0.025, 0.975]) if found else (math.nan, math.nan)
    return Estimate(float(value), float(low), float(high))


def place_scores(distance_km: Values, blocks: NDArray[np.int64], above: Values | None = None) -> dict[str, Estimate]:
    """Median error, shares within distances, and hit rates of the regions, by name."""
    found: dict[str, Estimate] = {
        "median error (km)": bootstrap_by_block(blocks, lambda rows: float(np.median(distance_km[rows])))
    }
    for limit in WITHIN_KM:
        near = distance_km <= limit
        found[f"within {limit:.0f} km"] = bootstrap_by_block(blocks, _share_of(near))
    if above is not None:
        for share in REGIONS:
            held = np.asarray(above < share)
            found[f"in the {share:.0%} region"] = bootstrap_by_block(blocks, _share_of(held))
    return found


def climate_scores(truth: NDArray[np.int64], guess: NDArray[np.int64], blocks: NDArray[np.int64]) -> Estimate:
    """Share of right classes, fine or coarse."""
    return bootstrap_by_block(blocks, _share_of(truth == guess))


def season_scores(days: Values, blocks: NDArray[np.int64]) -> Estimate:
    """Median error in days."""
    return bootstrap_by_block(blocks, lambda rows: float(np.median(days[rows])))


def _share_of(is_so: NDArray[np.bool_]) -> Callable[[NDArray[np.int64]], float]:
    return lambda rows: float(is_so[rows].mean())
