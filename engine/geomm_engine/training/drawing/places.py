"""Drawn pictures of places that no training set shows, or not at this scale: a solar farm, a stadium, an island. No training.

A model that never met such a place calls it by whatever it resembles. What they are drawn on is cut from the training
pictures, so that the drawing, not its ground, is what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError
from geomm_engine.training.drawing.paper import Grounds, Paper
from geomm_engine.training.drawing.strokes import Painter
from geomm_engine.training.pictures import PictureSet

_GROUNDS: dict[str, dict[str, tuple[str, ...]]] = {
    "ucmerced": {
        "grass": ("golfcourse",),
        "field": ("agricultural",),
        "scrub": ("chaparral",),
        "trees": ("forest",),
        "houses": ("denseresidential", "mediumresidential"),
        "buildings": ("buildings",),
        "cars": ("parkinglot",),
    },
    "eurosat": {
        "pasture": ("Pasture",),
        "forest": ("Forest",),
        "crops": ("AnnualCrop", "PermanentCrop"),
        "herbs": ("HerbaceousVegetation",),
        "houses_far": ("Residential",),
    },
    "world": {"desert": ("Desert", "Scrub")},
}


def draw_places(
    name: str, gsd_m: float, size_px: int, count: int, seed: int, grounds: Grounds, painters: Mapping[str, Painter]
) -> PictureSet:
    """``count`` pictures of each class of ``painters``: (n, size, size, 3) uint8."""
    pixels, labels = [], []
    for label, paint in enumerate(painters.values()):
        random = np.random.default_rng([seed, label])
        for _ in range(count):
            paper = Paper(size_px, gsd_m, grounds, random)
            paint(paper, random)
            pixels.append(paper.finished())
            labels.append(label)
    classes = tuple(f"{name}/{item}" for item in painters)
    return PictureSet(name, gsd_m, classes, np.stack(pixels), np.array(labels, dtype=np.int64))


def grounds_of(sets: Sequence[PictureSet]) -> Grounds:
    """Every kind of ground that is drawn on, out of these sets.

    Raises:
        EngineError: a set or a class is absent.
    """
    by_name = {item.name: item for item in sets}
    pictures: dict[str, NDArray[np.uint8]] = {}
    gsd_m: dict[str, float] = {}
    for name, kinds in _GROUNDS.items():
        for kind, classes in kinds.items():
            source = by_name.get(name)
            wanted = {f"{name}/{item}" for item in classes}
            numbers = [at for at, item in enumerate(source.classes) if item in wanted] if source else []
            if source is None or not np.isin(source.labels, numbers).any():
                raise EngineError(
                    ErrorCode.FOLDER_INVALID,
                    f"Places cannot be drawn: the set “{name}” with {', '.join(classes)} does not come before them.",
                    'Put it first in the configuration, or leave the drawn places out (without = ["near", "far"]).',
                )
            pictures[kind], gsd_m[kind] = source.pixels[np.isin(source.labels, numbers)], source.gsd_m
    return Grounds(pictures, gsd_m)
