"""Photographs of nothing in particular, for places to be drawn on without any data."""

from __future__ import annotations

import numpy as np

from geomm_engine.training.drawing.paper import Grounds
from geomm_engine.training.drawing.places import grounds_of
from geomm_engine.training.pictures import PictureSet


def photographs(name: str, gsd_m: float, size_px: int, folders: tuple[str, ...]) -> PictureSet:
    random = np.random.default_rng(len(name))
    pixels = random.integers(60, 160, (2 * len(folders), size_px, size_px, 3), dtype=np.uint8)
    classes = tuple(f"{name}/{folder}" for folder in folders)
    return PictureSet(name, gsd_m, classes, pixels, np.arange(len(pixels)) % len(folders))


AERIAL = (
    "agricultural",
    "buildings",
    "chaparral",
    "denseresidential",
    "forest",
    "golfcourse",
    "mediumresidential",
    "parkinglot",
)
SATELLITE = ("AnnualCrop", "Forest", "HerbaceousVegetation", "Pasture", "PermanentCrop", "Residential")


def plain_grounds() -> Grounds:
    sets = (
        photographs("ucmerced", 0.3, 64, AERIAL),
        photographs("eurosat", 10.0, 32, SATELLITE),
        photographs("world", 10.0, 32, ("Desert",)),
    )
    return grounds_of(sets)
