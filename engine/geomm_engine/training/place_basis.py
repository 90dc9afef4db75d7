"""What places have in common: smooth functions on the sphere, and what maps of the whole Earth say of every place.

The logits of the expert's places are sums of these, so that a picture of steppe at 500 m above the sea speaks for every such
ground, also for ground that no training picture showed. The maps (climate, land and sea, heights) hold no imagery.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geomm_engine import sphere
from geomm_engine.geography.koppen import GROUP_OF
from geomm_engine.training.blocks import footprints
from geomm_engine.training.places import World, climate_shares

RADII_KM = (2500.0, 1200.0, 600.0)
SQUARES_KM = (250.0, 700.0)
MAP_WEIGHT = 4.0
_LARGEST = 4.0


def place_basis(world: World, centres: NDArray[np.float64]) -> NDArray[np.float32]:
    """(b, k): for each centre, kernels of three radii round all centres, and what maps say of its surroundings."""
    kernels = _kernels(centres)
    known = surroundings(world, centres)
    rows = known.T * (MAP_WEIGHT / np.sqrt(known.shape[1]))
    return np.concatenate([kernels, rows]).astype(np.float32)


def _kernels(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, k): exp(κ (cos θ − 1)) with κ = (R / radius)², summed over the radii, each of unit length on average."""
    short = np.clip(centres @ centres.T, -1.0, 1.0) - 1.0
    parts = [np.exp((sphere.EARTH_RADIUS_KM / radius) ** 2 * short) for radius in RADII_KM]
    total = sum(part / np.sqrt(np.square(part).sum(axis=0)).mean() for part in parts)
    return np.asarray(total / np.sqrt(len(parts)))


def surroundings(world: World, centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, f) standardised: climates, their groups, land, height and roughness in squares of 250 and 700 km; latitude."""
    lat, lon = sphere.lat_lon(centres)
    columns = [np.abs(lat)[:, None], lat[:, None]]
    groups = np.eye(6)[GROUP_OF]
    for width_km in SQUARES_KM:
        lats, lons = footprints(lat, lon, np.full(len(lat), width_km))
        climates = climate_shares(world.koppen, lats, lons)
        height_m = np.maximum(world.heights.at(lats, lons).astype(np.float64), 0.0).reshape(len(lat), -1)
        land = world.land.at(lats, lons).reshape(len(lat), -1).astype(np.float64)
        columns += [np.sqrt(climates), np.sqrt(climates @ groups), land.mean(axis=1, keepdims=True)]
        columns += [np.log1p(height_m.mean(axis=1, keepdims=True) / 300.0)]
        columns += [np.log1p(height_m.std(axis=1, keepdims=True) / 200.0)]
    values = np.concatenate(columns, axis=1)
    values = values[:, values.std(axis=0) > 1e-6]
    return np.asarray(np.clip((values - values.mean(axis=0)) / values.std(axis=0), -_LARGEST, _LARGEST))
