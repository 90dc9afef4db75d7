"""Where on Earth a picture's own map fits: its land, water and climates held against maps of the whole Earth.

No two coasts are alike, so where a picture shows one, its outline says more than its colours. The comparison is that of
terrain contour matching (Golden 1980): what is seen in each square of the picture against the map, at every place. The
maps hold no imagery, so ground that no training picture showed is known as well as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geomm_engine.geography import atlas
from geomm_engine.geography.koppen import CLIMATES, SEA, GlobalRaster
from geomm_engine.geography.posterior import SPACING_KM, world_grid, world_lat_lon
from geomm_engine.sphere import Values, destination

FLOOR = 1e-5
"""No place is less than this part as likely as the one that fits best: clouds, ice and lakes are taken for what they are not."""
_LEAST = 0.01
_FINEST = 4000
_SHIFTS_KM = (-SPACING_KM / 3, 0.0, SPACING_KM / 3)
_CHUNK = 4096


@dataclass(frozen=True)
class Weights:
    """How much the maps' word counts: per square of land that differs, and for the mean log share of the climates."""

    land: float
    climate: float

    @property
    def are_any(self) -> bool:
        return self.land > 0 or self.climate > 0


@dataclass(frozen=True)
class WorldMaps:
    """(720, 1440) quarter degrees: ``land`` float32, 0–1; ``climate`` uint8, numbers of :data:`koppen.CLIMATES`."""

    land: NDArray[np.float32]
    climate: NDArray[np.uint8]

    def log_likelihood(self, land: Values, climates: Values, width_km: float, weights: Weights) -> Values:
        """(cell,) of :func:`posterior.world_grid` for the middle of a picture, up to a constant.

        Args:
            land: (s, s) share of land 0–1 in each square of a picture that is square on the ground, north up; s is even.
            climates: (31, c, c) probabilities of each square's climate.
            width_km: the picture's ground width.
        """
        gap = self.misfit(land, width_km)
        fits = np.logaddexp(-weights.land * (gap - gap.min()), np.log(FLOOR))
        return np.asarray(fits + weights.climate * self.agreement(climates, width_km))

    def climate_where(self, log_density: Values) -> Values:
        """(31,) which climates the land has where a picture seems to lie; the sea has none."""
        number = GlobalRaster(self.climate).at(*world_lat_lon()).astype(np.int64)
        mass = np.where(number != SEA, np.exp(log_density - log_density[number != SEA].max()), 0.0)
        return np.asarray(np.bincount(number, weights=mass, minlength=len(CLIMATES)) / mass.sum())

    def misfit(self, land: Values, width_km: float) -> Values:
        """(cell,) sum over the squares of the squared difference between the shares of land seen (s, s) and on the map.

        Everywhere in squares twice as wide; where that fits best, at nine places of each cell in the squares as they are.
        """
        side = len(land) // 2
        half = land.reshape(side, 2, side, 2).mean(axis=(1, 3))
        shares = self.land.ravel()
        grid = _Bands.of_world()
        everywhere = np.arange(len(grid.lon))
        found = 4.0 * _squared(shares, half, _Footprint(grid.lat, width_km, side), grid, grid.lon, everywhere)
        best = np.argpartition(found, _FINEST)[:_FINEST]
        finest = np.full(_FINEST, np.inf)
        for north in _SHIFTS_KM:
            lat, _ = destination(grid.lat, 0.0, 0.0, north)
            footprint = _Footprint(lat, width_km, 2 * side)
            for east in _SHIFTS_KM:
                _, turn = destination(lat, 0.0, east, 0.0)
                lon = grid.lon + turn[grid.band]
                finest = np.minimum(finest, _squared(shares, land, footprint, grid, lon, best))
        found = np.maximum(found, finest.max())
        found[best] = finest
        return found

    def agreement(self, climates: Values, width_km: float) -> Values:
        """(cell,) mean over the squares of the log probability (31, c, c) of the climate that the map has there."""
        log_p = np.log(climates + _LEAST).reshape(len(climates), -1).astype(np.float32)
        numbers = self.climate.ravel()
        grid = _Bands.of_world()
        footprint = _Footprint(grid.lat, width_km, climates.shape[1])
        square = np.arange(log_p.shape[1])
        found = np.empty(len(grid.lon))
        for at in range(0, len(found), _CHUNK):
            cells = np.arange(at, min(at + _CHUNK, len(found)))
            number = numbers[footprint.pixels(grid.band[cells], grid.lon[cells])].reshape(len(cells), -1)
            found[cells] = log_p[number, square].mean(axis=1)
        return found


@dataclass(frozen=True)
class _Bands:
    """The world's cells by their bands: ``lat`` (band,), and ``band`` and ``lon`` (cell,)."""

    lat: Values
    band: NDArray[np.int64]
    lon: Values

    @staticmethod
    @lru_cache(maxsize=1)
    def of_world() -> _Bands:
        grid = world_grid()
        lat, lon = world_lat_lon()
        band = np.repeat(np.arange(len(grid.counts)), grid.counts)
        return _Bands(lat[np.searchsorted(band, np.arange(len(grid.counts)))], band, lon)


class _Footprint:
    """Which quarter degrees the squares of a picture lie on, for middles on given latitudes."""

    def __init__(self, lat: Values, width_km: float, side: int) -> None:
        at = width_km * ((np.arange(side) + 0.5) / side - 0.5)
        east, north = np.broadcast_to(at, (side, side)), np.broadcast_to(-at[:, None], (side, side))
        lats, lons = destination(lat[:, None, None], 0.0, east, north)
        height, self._columns = atlas.SHAPE_YX
        self._rows = np.clip(((90.0 - lats) / atlas.STEP_DEG).astype(np.int32), 0, height - 1) * self._columns
        self._east = lons / atlas.STEP_DEG

    def pixels(self, band: NDArray[np.int64], lon: Values) -> NDArray[np.int32]:
        """(c, side, side) numbers of quarter degrees for middles in these bands at these longitudes."""
        column = ((lon + 180.0) / atlas.STEP_DEG)[:, None, None] + self._east[band]
        return self._rows[band] + np.floor(column).astype(np.int32) % self._columns


def _squared(
    shares: NDArray[np.float32], land: Values, footprint: _Footprint, grid: _Bands, lon: Values,
    cells: NDArray[np.int64],
) -> Values:  # fmt: skip
    seen = land.astype(np.float32)
    found = np.empty(len(cells))
    for at in range(0, len(cells), _CHUNK):
        part = cells[at : at + _CHUNK]
        gap = shares[footprint.pixels(grid.band[part], lon[part])] - seen
        found[at : at + len(part)] = np.einsum("cyx,cyx->c", gap, gap)
    return found
