"""Which land cover lies where: a map of regions with natural borders, a river, a lake and two highways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geomm_engine.landscape import noise
from geomm_engine.landscape.noise import Floats

RIVER_PX = 5.0
"""Half the river's width: 100 m across, so that a tile which it crosses is still of the other class."""


@dataclass(frozen=True)
class LandCover:
    """A class of the truth: ``value`` in the raster, the name a person would type, other words for it, its colour."""

    value: int
    name: str
    synonyms: tuple[str, ...]
    color: str


LAND_COVERS = (
    LandCover(1, "forest", ("woodland", "dense trees"), "#1b7837"),
    LandCover(2, "water", ("lake", "river"), "#2b7bba"),
    LandCover(3, "crops", ("cropland", "annual crop", "farm fields"), "#e6b93c"),
    LandCover(4, "town", ("residential area", "houses"), "#c0392b"),
    LandCover(5, "industry", ("industrial area", "factories and warehouses"), "#8e6bb0"),
    LandCover(6, "grassland", ("pasture", "meadow"), "#a6d96a"),
)
FOREST, WATER, CROPS, TOWN, INDUSTRY, GRASSLAND = (cover.value for cover in LAND_COVERS)

_REGIONS = (
    (0.10, 0.12, 0.00, FOREST), (0.08, 0.36, 0.01, FOREST), (0.34, 0.07, 0.00, FOREST), (0.06, 0.93, 0.02, FOREST),
    (0.93, 0.10, 0.01, FOREST), (0.97, 0.30, -0.01, FOREST),
    (0.30, 0.30, 0.00, GRASSLAND), (0.12, 0.62, 0.01, GRASSLAND), (0.56, 0.09, 0.00, GRASSLAND), (0.33, 0.95, -0.01, GRASSLAND),
    (0.52, 0.32, 0.00, CROPS), (0.72, 0.14, 0.01, CROPS), (0.74, 0.38, 0.01, CROPS), (0.32, 0.72, 0.00, CROPS),
    (0.95, 0.52, 0.00, CROPS),
    (0.40, 0.52, 0.012, TOWN), (0.55, 0.57, 0.004, TOWN),
    (0.60, 0.80, 0.008, INDUSTRY), (0.47, 0.88, -0.005, INDUSTRY),
    (0.86, 0.74, 0.02, WATER), (0.80, 0.92, 0.02, WATER), (0.95, 0.92, 0.01, WATER),
)  # fmt: skip
"""Regions: y and x of the centre (0–1 of the picture), how much they push their border outward, land cover."""

_WOODLOT = 2.75
"""Where a field of noise exceeds this, a small wood stands among fields and meadows."""

_RIVER = np.array([(-0.03, 0.46), (0.14, 0.47), (0.27, 0.42), (0.44, 0.41), (0.60, 0.45), (0.68, 0.56), (0.80, 0.70)])
_HIGHWAYS = (
    np.array([(0.66, -0.03), (0.62, 0.20), (0.66, 0.45), (0.70, 0.66), (0.68, 0.85), (0.64, 1.03)]),
    np.array([(-0.03, 0.78), (0.20, 0.83), (0.45, 0.76), (0.60, 0.70), (0.69, 0.66)]),
)


@dataclass(frozen=True)
class Layout:
    """The truth and what is drawn over it: distances in pixels, infinite where far."""

    classes: NDArray[np.uint8]
    to_river: Floats
    to_highway: Floats


def lay_out(shape_yx: tuple[int, int], random: np.random.Generator) -> Layout:
    """A layout of this size; the plan is always the same, its borders differ."""
    classes = _regions(shape_yx, random)
    river = noise.curve(_RIVER, shape_yx, random, 0.010)
    width = 1 + 0.18 * noise.smooth(shape_yx, 40, random)
    to_river = noise.distance_to(river, shape_yx, 3 * RIVER_PX) * width
    to_highway = np.full(shape_yx, np.inf, np.float32)
    for knots in _HIGHWAYS:
        line = noise.curve(knots, shape_yx, random, 0.004)
        to_highway = np.minimum(to_highway, noise.distance_to(line, shape_yx, 12.0))
    is_open = (classes == CROPS) | (classes == GRASSLAND)
    classes[is_open & (noise.fractal(shape_yx, 30, 3, random) > _WOODLOT)] = FOREST
    classes[to_river <= RIVER_PX] = WATER
    return Layout(classes, to_river, to_highway)


def _regions(shape_yx: tuple[int, int], random: np.random.Generator) -> NDArray[np.uint8]:
    """Nearest centre in warped space: large bends, and small ones that make edges ragged."""
    size = float(max(shape_yx))
    bend_y, bend_x = (
        0.022 * noise.smooth(shape_yx, 0.11 * size, random) + 0.006 * noise.fractal(shape_yx, 0.03 * size, 4, random)
        for _ in range(2)
    )
    y = ((np.arange(shape_yx[0], dtype=np.float32) + 0.5) / shape_yx[0])[:, None] + bend_y
    x = ((np.arange(shape_yx[1], dtype=np.float32) + 0.5) / shape_yx[1])[None, :] + bend_x
    nearest = np.full(shape_yx, np.inf, np.float32)
    classes = np.zeros(shape_yx, np.uint8)
    for center_y, center_x, push, cover in _REGIONS:
        away = np.hypot(y - np.float32(center_y), x - np.float32(center_x)) - np.float32(push)
        classes[away < nearest] = cover
        np.minimum(nearest, away, out=nearest)
    return classes
