"""Which ground a training may see: the Earth in blocks of 10°, some held out for ever, some kept for validation.

The blocks with (7·i + 3·j) mod 5 = 0 are for the test alone; i = ⌊(lat + 90)/10⌋, j = ⌊(lon + 180)/10⌋. Of the others, those
with (7·i + 3·j) mod 5 = 2 and (i + 2·j) mod 3 = 0, one in twelve, are for validation.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geomm_engine.sphere import destination

NEAR_POLE_DEG = 87.0
LATTICE = 33


class Part(enum.IntEnum):
    """What a block is for."""

    TRAINING = 0
    VALIDATION = 1
    HELD_OUT = 2


def part_of(lat: ArrayLike, lon: ArrayLike) -> NDArray[np.int64]:
    """The :class:`Part` of the block round each place (degrees)."""
    i = np.minimum(np.floor((np.asarray(lat, np.float64) + 90.0) / 10.0), 17).astype(np.int64)
    j = np.floor((np.asarray(lon, np.float64) + 180.0) / 10.0).astype(np.int64) % 36
    residue = (7 * i + 3 * j) % 5
    is_validation = (residue == 2) & ((i + 2 * j) % 3 == 0)
    return np.where(residue == 0, Part.HELD_OUT, np.where(is_validation, Part.VALIDATION, Part.TRAINING))


def block_of(lat: ArrayLike, lon: ArrayLike) -> NDArray[np.int64]:
    """A number for the block round each place, 0…647."""
    i = np.minimum(np.floor((np.asarray(lat, np.float64) + 90.0) / 10.0), 17).astype(np.int64)
    j = np.floor((np.asarray(lon, np.float64) + 180.0) / 10.0).astype(np.int64) % 36
    return i * 36 + j


def footprints(
    lat: NDArray[np.float64], lon: NDArray[np.float64], width_km: NDArray[np.float64], *, margin: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 33, 33) latitudes and longitudes of lattices over square crops, edges and corners included.

    ``margin`` widens the squares by this share on every side.
    """
    at = np.linspace(-0.5 - margin, 0.5 + margin, LATTICE)
    east, north = width_km[:, None, None] * at, width_km[:, None, None] * -at[:, None]
    return destination(lat[:, None, None], lon[:, None, None], east, north)


def is_free(
    lat: NDArray[np.float64], lon: NDArray[np.float64], width_km: NDArray[np.float64], allowed: Part = Part.TRAINING
) -> NDArray[np.bool_]:
    """(n,): whether a square crop shows ground of ``allowed`` blocks alone.

    The lattice reaches a twelfth of the width beyond the crop, which is more than the diagonal of its meshes, so that no
    corner of a block slips between its points. Crops near a pole, where blocks are slivers, are never free.
    """
    lats, lons = footprints(lat, lon, width_km, margin=1.0 / 12.0)
    inside = (part_of(lats, lons) == allowed) & (np.abs(lats) < NEAR_POLE_DEG)
    return np.asarray(inside.all(axis=(1, 2)))
