"""The Earth as a unit sphere: vectors, distances, evenly spread points, cells of equal area. Opens no file.

Points are unit vectors (…, 3): x towards 0° N 0° E, y towards 90° E, z towards the north pole. So the date line and the
poles are places like any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM = 6371.0088
EARTH_AREA_KM2 = 4.0 * math.pi * EARTH_RADIUS_KM**2

Points = NDArray[np.float64]
Values = NDArray[np.float64]


def unit_vectors(lat: ArrayLike, lon: ArrayLike) -> Points:
    """Degrees → (…, 3) float64 unit vectors."""
    phi, lam = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lon, np.float64))
    phi, lam = np.broadcast_arrays(phi, lam)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def lat_lon(points: NDArray[np.floating]) -> tuple[Values, Values]:
    """(…, 3) vectors of any length but zero → latitude and longitude (−180…180) in degrees."""
    x, y, z = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))


def angle_between(p: NDArray[np.floating], q: NDArray[np.floating]) -> NDArray[np.floating]:
    """Radians between (…, 3) vectors, F3: atan2(‖p × q‖, p · q), exact for near and for opposite points."""
    return np.arctan2(np.linalg.norm(np.cross(p, q), axis=-1), np.sum(p * q, axis=-1))


def distance_km(p: NDArray[np.floating], q: NDArray[np.floating]) -> NDArray[np.floating]:
    """Great-circle kilometres between (…, 3) vectors, which broadcast."""
    return EARTH_RADIUS_KM * angle_between(p, q)


def dot_minus_one(p: NDArray[np.floating], q: NDArray[np.floating]) -> NDArray[np.floating]:
    """p·q − 1 of unit vectors as −½‖p − q‖², which stays right in float32 when they are close (F1)."""
    return -0.5 * np.sum((p - q) ** 2, axis=-1)


def fibonacci_points(count: int) -> Points:
    """(count, 3): points of a Fibonacci lattice, each standing for the same area (González 2010)."""
    at = np.arange(count) + 0.5
    z = 1.0 - 2.0 * at / count
    turn = at * (math.pi * (3.0 - math.sqrt(5.0)))
    ring = np.sqrt(1.0 - z * z)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=-1)


def random_points(count: int, random: np.random.Generator) -> Points:
    """(count, 3): places drawn evenly over the sphere."""
    z = random.uniform(-1.0, 1.0, count)
    turn = random.uniform(-math.pi, math.pi, count)
    ring = np.sqrt(1.0 - z * z)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=-1)


def destination(lat: ArrayLike, lon: ArrayLike, east_km: ArrayLike, north_km: ArrayLike) -> tuple[Values, Values]:
    """Places (degrees) at these offsets from a centre, by the azimuthal equidistant projection: whole over the poles."""
    phi, lam = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lon, np.float64))
    x, y = np.asarray(east_km, np.float64) / EARTH_RADIUS_KM, np.asarray(north_km, np.float64) / EARTH_RADIUS_KM
    rho = np.hypot(x, y)
    sinc = np.sinc(rho / math.pi)
    cosine = np.cos(rho)
    phi_to = np.arcsin(np.clip(cosine * np.sin(phi) + y * sinc * np.cos(phi), -1.0, 1.0))
    lam_to = lam + np.arctan2(x * sinc, np.cos(phi) * cosine - y * sinc * np.sin(phi))
    return np.degrees(phi_to), (np.degrees(lam_to) + 180.0) % 360.0 - 180.0


@dataclass(frozen=True)
class EqualAreaGrid:
    """The globe in cells of exactly equal area: latitude bands, each cut into equal cells that are nearly square.

    ``counts`` are the cells of each band from south to north, ``edges`` (bands + 1) the sines of the bands' latitudes.
    Cells are numbered band by band, from 180° W eastward.
    """

    counts: NDArray[np.int64]
    edges: Values
    _starts: NDArray[np.int64] = field(repr=False)

    @classmethod
    def with_spacing(cls, spacing_km: float) -> EqualAreaGrid:
        """Cells about this wide."""
        bands = max(2, round(math.pi * EARTH_RADIUS_KM / spacing_km))
        middle = (np.arange(bands) + 0.5) / bands * math.pi - math.pi / 2
        counts = np.maximum(3, np.round(2 * math.pi * EARTH_RADIUS_KM * np.cos(middle) / spacing_km)).astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)])
        edges = -1.0 + 2.0 * starts / starts[-1]
        return cls(counts, edges, starts)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def cell_area_km2(self) -> float:
        return EARTH_AREA_KM2 / len(self)

    @property
    def cell_area_sr(self) -> float:
        return 4.0 * math.pi / len(self)

    def centres_lat_lon(self) -> tuple[Values, Values]:
        """(n,) latitudes and longitudes of the cells' centres; half of a cell's area lies south of its centre."""
        lat = np.degrees(np.arcsin(0.5 * (self.edges[:-1] + self.edges[1:])))
        lon = np.concatenate([(np.arange(count) + 0.5) / count * 360.0 - 180.0 for count in self.counts])
        return np.repeat(lat, self.counts), lon

    def centres(self) -> Points:
        """(n, 3) unit vectors of the cells' centres."""
        return unit_vectors(*self.centres_lat_lon())

    def cell_of(self, lat: ArrayLike, lon: ArrayLike) -> NDArray[np.int64]:
        """The number of the cell that holds each place."""
        sine = np.sin(np.radians(np.asarray(lat, np.float64)))
        band = np.clip(np.searchsorted(self.edges, sine, side="right") - 1, 0, len(self.counts) - 1)
        turn = (np.asarray(lon, np.float64) + 180.0) % 360.0 / 360.0
        place = np.minimum((turn * self.counts[band]).astype(np.int64), self.counts[band] - 1)
        return np.asarray(self._starts[band] + place, dtype=np.int64)

    def bounds(self) -> NDArray[np.float64]:
        """(n, 4): west, south, east, north of every cell in degrees; no cell reaches over the date line."""
        lat = np.degrees(np.arcsin(np.clip(self.edges, -1.0, 1.0)))
        south, north = np.repeat(lat[:-1], self.counts), np.repeat(lat[1:], self.counts)
        width = 360.0 / np.repeat(self.counts, self.counts)
        west = np.concatenate([np.arange(count) / count * 360.0 - 180.0 for count in self.counts])
        return np.stack([west, south, west + width, north], axis=1)
