"""From what single tiles say to one answer: pooling, priors, credible regions, places. Reads no file.

The answer lives on cells of equal area. A cell's density is what the imagery says, relative to the mean of what the prior
allows; its mass is density × area × prior share. Credible regions take the cells of highest density first, so that a
coast is no less credible for being half sea.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geomm_engine.geography import atlas
from geomm_engine.sphere import (
    EARTH_RADIUS_KM,
    EqualAreaGrid,
    Points,
    Values,
    destination,
    distance_km,
    lat_lon,
    unit_vectors,
)

SPACING_KM = 75.0
FLOOR = 1e-3
"""How much of a tile's word is kept for "anywhere": one tile can then outvote no other by more than a thousandfold."""
NEAR_KM = 250.0
"""Mass within this distance of a place is called the probability of the place."""
_HILLS = 24
_SHOWN = 0.01
_CELLS_NEAR = 1.2 * (NEAR_KM + SPACING_KM) ** 2 * math.pi / SPACING_KM**2
_TRIED = 128
_STEPS = 12
_NOTHING = 1e-6
_SHARPER = 1.4


@lru_cache(maxsize=1)
def world_grid() -> EqualAreaGrid:
    return EqualAreaGrid.with_spacing(SPACING_KM)


@lru_cache(maxsize=1)
def world_points() -> Points:
    """(cell, 3) unit vectors of the cells' centres."""
    return world_grid().centres()


@lru_cache(maxsize=1)
def world_lat_lon() -> tuple[Values, Values]:
    """(cell,) latitudes and longitudes of the cells' centres in degrees."""
    return world_grid().centres_lat_lon()


def cell_prior(share: NDArray[np.float32]) -> Values:
    """(720, 1440) share allowed of each quarter degree → (cell,) share allowed of each cell."""
    weight = np.broadcast_to(atlas.row_area_km2()[:, None], share.shape)
    cells, count = _pixel_cells(), len(world_grid())
    allowed = np.bincount(cells, weights=(weight * share).ravel(), minlength=count)
    area = np.bincount(cells, weights=weight.ravel(), minlength=count)
    return np.asarray(np.divide(allowed, area, out=np.zeros(count), where=area > 0))


@lru_cache(maxsize=1)
def _pixel_cells() -> NDArray[np.int64]:
    lat, lon = atlas.pixel_centres()
    return world_grid().cell_of(np.repeat(lat, len(lon)), np.tile(lon, len(lat)))


def interpolate(values: Values, lat: ArrayLike, lon: ArrayLike) -> Values:
    """(cell,) values at any places (degrees), linear along and between the bands of cells, whole over the date line."""
    grid = world_grid()
    latitude, longitude = np.broadcast_arrays(np.asarray(lat, np.float64), np.asarray(lon, np.float64))
    middles = np.degrees(np.arcsin(0.5 * (grid.edges[:-1] + grid.edges[1:])))
    starts = np.concatenate([[0], np.cumsum(grid.counts)[:-1]])
    band = np.clip(np.searchsorted(middles, latitude, side="right") - 1, 0, len(middles) - 2)
    share = np.clip((latitude - middles[band]) / (middles[band + 1] - middles[band]), 0.0, 1.0)
    turn = (longitude + 180.0) % 360.0 / 360.0
    sides = []
    for at in (band, band + 1):
        place = turn * grid.counts[at] - 0.5
        left = np.floor(place).astype(np.int64)
        part = place - left
        first, second = values[starts[at] + left % grid.counts[at]], values[starts[at] + (left + 1) % grid.counts[at]]
        sides.append(first + part * (second - first))
    return np.asarray(sides[0] + share * (sides[1] - sides[0]))


def independent_looks(count: float, correlation: float) -> float:
    """How many independent witnesses ``count`` tiles of one picture are: n / (1 + (n − 1) ρ), at most 1 / ρ (Kish 1965)."""
    return count / (1.0 + max(count - 1.0, 0.0) * correlation)


def pool(
    log_density: Values, confidence: Values, offsets_km: Values, *, correlation: float, floor: float = FLOOR
) -> Values:
    """(cell,) log density of the picture's centre, from what its tiles say (a log-linear pool; Genest and Zidek 1986).

    Each tile's density, moved by the tile's own offset in the picture, is mixed with ``floor`` of the uniform one, and
    the logs are averaged with ``confidence``; the mean counts as often as there are independent looks.

    Args:
        log_density: (tile, cell), per steradian.
        confidence: (tile,) 0–1; 0 leaves a tile out.
        offsets_km: (tile, 2) of each tile's centre from the picture's, east and north.
    """
    total = float(confidence.sum())
    if total <= 0:
        return np.zeros(log_density.shape[1])
    uniform = math.log(floor / (4.0 * math.pi))
    pooled = np.zeros(log_density.shape[1])
    for said, trust, (east, north) in zip(log_density, confidence, offsets_km, strict=True):
        if trust <= 0:
            continue
        pooled += trust * moved(np.logaddexp(said + math.log1p(-floor), uniform), east, north)
    return pooled / total * independent_looks(total, correlation)


def moved(values: Values, east_km: float, north_km: float) -> Values:
    """(cell,) values of a picture's middle from those of a tile that lies at this offset in it."""
    if math.hypot(east_km, north_km) <= SPACING_KM / 4:
        return values
    return interpolate(values, *destination(*world_lat_lon(), east_km, north_km))


@dataclass(frozen=True)
class Posterior:
    """Where it may be. ``log_density`` (cell,) up to a constant, ``prior`` (cell,) 0–1, ``mass`` (cell,) sums to one."""

    log_density: Values
    prior: Values
    mass: Values

    @classmethod
    def of(cls, log_density: Values, prior: Values) -> Posterior:
        largest = log_density[prior > 0].max()
        mass = np.exp(np.minimum(log_density - largest, 0.0)) * prior
        return cls(log_density, prior, mass / mass.sum())

    @classmethod
    def mean(cls, parts: list[Posterior]) -> Posterior:
        """Every part as probable as the others: the answer when it is not known which of them is right."""
        if len(parts) == 1:
            return parts[0]
        mass = np.mean([part.mass for part in parts], axis=0)
        tiny = np.finfo(np.float64).tiny
        density = np.mean([np.exp(part.log_density - _log_scale(part)) for part in parts], axis=0)
        return cls(np.log(np.maximum(density, tiny)), parts[0].prior, mass)

    # --- credible regions

    def level_at(self, lat: float, lon: float) -> float:
        """The smallest credible region (0–1) that holds a place; 1 where the prior allows nothing near it."""
        near = distance_km(world_points(), unit_vectors(lat, lon)) <= SPACING_KM
        near[world_grid().cell_of(lat, lon)] = True
        near &= self.prior > 0
        if not near.any():
            return 1.0
        own = float(self.log_density[near].max())
        return float(min(1.0, self.mass[self.log_density > own].sum()))

    def region(self, level: float) -> NDArray[np.bool_]:
        """(cell,) bool: the smallest set of cells that holds this share of the mass."""
        order = np.argsort(-np.where(self.prior > 0, self.log_density, -np.inf), kind="stable")
        before = np.concatenate([[0.0], np.cumsum(self.mass[order])[:-1]])
        chosen = np.zeros(len(order), dtype=bool)
        chosen[order[before < level]] = True
        return chosen & (self.prior > 0)

    def area_km2(self, level: float) -> float:
        """The area that the prior allows in the credible region."""
        return float(self.prior[self.region(level)].sum() * world_grid().cell_area_km2)

    # --- places

    def mass_near(self, points: Points, radius_km: float = NEAR_KM) -> Values:
        """(n,) mass within a radius of (n, 3) points."""
        cosine = math.cos(radius_km / EARTH_RADIUS_KM)
        return np.array([float(self.mass[world_points() @ point >= cosine].sum()) for point in np.atleast_2d(points)])

    def best(self) -> tuple[float, float]:
        """Latitude and longitude of the allowed cell with about the least expected distance to the truth.

        The tallest hill may be thin; the median of the sphere lies where the mass is. It is searched from the best of
        some hundred cells by the steps of Weiszfeld (1937). A cautious posterior has a little mass everywhere, which would
        pull the guess between the hills; so the mass counts to the power of ``_SHARPER`` (better on validation blocks).
        """
        held = np.flatnonzero(self.mass > _NOTHING * self.mass.max())
        mass, points = self.mass[held] ** _SHARPER, world_points()[held]
        tried = points[np.argsort(-mass, kind="stable")[:: max(1, len(held) // _TRIED)]]
        expected = mass @ np.arccos(np.clip(points @ tried.T, -1.0, 1.0))
        place = tried[int(np.argmin(expected))]
        for _ in range(_STEPS):
            moved = (mass / np.maximum(distance_km(points, place), SPACING_KM)) @ points
            place = moved / max(float(np.linalg.norm(moved)), 1e-12)
        lat, lon = lat_lon(points[int(np.argmax(points @ place))])
        return float(lat), float(lon)

    def peaks(self, count: int) -> list[tuple[float, float, float]]:
        """Up to ``count`` hilltops, the one with most mass near it first: latitude, longitude, and that mass.

        A hilltop is a cell that nothing within twice ``NEAR_KM`` overtops; its place is the mean of the mass near it.
        """
        points, found = world_points(), list[tuple[float, Points]]()
        is_open = self.mass > 0
        wide = math.cos(2 * NEAR_KM / EARTH_RADIUS_KM)
        order = np.argsort(-np.where(is_open, self.log_density, -np.inf), kind="stable")[: int(is_open.sum())]
        for at in order:
            if not is_open[at]:
                continue
            if found and self.mass[at] / self.prior[at] * _CELLS_NEAR < _SHOWN:
                break
            around = points @ points[at] >= wide
            if self.log_density[around & (self.prior > 0)].max() <= self.log_density[at]:
                place = self._middle(points[at])
                share = float(self.mass_near(place)[0])
                found.append((share, place))
                if len(found) >= _HILLS:
                    break
            is_open &= ~around
        found.sort(key=lambda item: -item[0])
        shown = [item for at, item in enumerate(found[:count]) if at == 0 or item[0] >= _SHOWN]
        places = [(lat_lon(place), share) for share, place in shown]
        return [(float(lat), float(lon), share) for (lat, lon), share in places]

    def _middle(self, place: Points) -> Points:
        points, cosine = world_points(), math.cos(NEAR_KM / EARTH_RADIUS_KM)
        near = points @ place >= cosine
        moved = self.mass[near] @ points[near]
        length = float(np.linalg.norm(moved))
        return moved / length if length > 0 else place

    def radius_km(self, lat: float, lon: float, share: float) -> float:
        """The distance from a place that holds this share of the mass, at least half a cell."""
        distance = np.asarray(distance_km(world_points(), unit_vectors(lat, lon)))
        order = np.argsort(distance, kind="stable")
        total = np.cumsum(self.mass[order])
        at = min(int(np.searchsorted(total, share)), len(order) - 1)
        return max(float(distance[order[at]]), SPACING_KM / 2)


def _log_scale(part: Posterior) -> float:
    """So that the density's mean over the prior is one."""
    largest = float(part.log_density[part.prior > 0].max())
    weight = np.exp(np.minimum(part.log_density - largest, 0.0)) * part.prior
    return largest + math.log(float(weight.sum() / part.prior.sum()))
