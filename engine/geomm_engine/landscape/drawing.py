"""Putting the parts together: layout, paint, optics, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from geomm_engine.landscape import built_up, layout, noise, open_land
from geomm_engine.landscape.noise import Floats

PIXEL_M = 10.0
SHAPE_YX = (1536, 1536)
FULL_SCALE = 0.275
"""Reflectance at the top of the atmosphere that a display shows as white (255)."""

_BLUR_PX = 0.55
_NOISE = 0.8


@dataclass(frozen=True)
class Landscape:
    """``reflectance`` (h, w, 4) float32, top of atmosphere, red, green, blue, near infrared; ``classes`` (h, w) uint8."""

    reflectance: Floats
    classes: NDArray[np.uint8]

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(h, w, 3), as a display shows it."""
        return np.clip(self.reflectance[..., :3] * (255 / FULL_SCALE), 0, 255).round().astype(np.uint8)


def draw_landscape(seed: int = 7, shape_yx: tuple[int, int] = SHAPE_YX) -> Landscape:
    """A landscape at ten metres a pixel; the same seed and shape give the same landscape."""
    random = np.random.default_rng(seed)
    plan = layout.lay_out(shape_yx, random)
    picture = _painted(plan, random)
    infrared = _infrared(picture, plan.classes)
    bands = np.concatenate([picture, infrared[..., None]], axis=2)
    for band in range(bands.shape[2]):
        bands[..., band] = gaussian_filter(bands[..., band], _BLUR_PX)
    bands += random.normal(0, _NOISE, bands.shape).astype(np.float32)
    return Landscape(np.clip(bands, 3, 400) * np.float32(FULL_SCALE / 255), plan.classes)


def _painted(plan: layout.Layout, random: np.random.Generator) -> Floats:
    """(h, w, 3) float32 in display units."""
    picture = np.zeros((*plan.classes.shape, 3), np.float32)
    paint = {
        layout.FOREST: open_land.paint_forest,
        layout.CROPS: open_land.paint_crops,
        layout.GRASSLAND: open_land.paint_grassland,
        layout.TOWN: built_up.paint_town,
        layout.INDUSTRY: built_up.paint_industry,
    }
    for cover, painter in paint.items():
        pixels = plan.classes == cover
        picture[pixels] = painter(pixels, random)
    _draw_banks(picture, plan)
    built_up.draw_highways(picture, plan.to_highway)
    pixels = plan.classes == layout.WATER
    to_shore = distance_transform_edt(pixels)[pixels].astype(np.float32)
    picture[pixels] = open_land.paint_water(pixels, to_shore, random)
    haze = 1 + 0.02 * noise.smooth(plan.classes.shape, 0.4 * max(plan.classes.shape), random)
    return picture * haze[..., None]


def _draw_banks(picture: Floats, plan: layout.Layout) -> None:
    """Trees along the river, in place."""
    bank = np.clip((layout.RIVER_PX + 3 - plan.to_river) / 2, 0, 1)[..., None] * np.float32(0.6)
    picture *= 1 - bank
    picture += bank * np.array((42, 64, 68), np.float32)


def _infrared(picture: Floats, classes: NDArray[np.uint8]) -> Floats:
    """(h, w) in display units: leaves shine, water is black, the rest is a little brighter than red."""
    red, green = picture[..., 0], picture[..., 1]
    leaves = np.clip(6 * (green - red) / (green + red + 1) - 0.1, 0, 1)
    land = 0.75 * red + 55 + 190 * leaves
    return np.where(classes == layout.WATER, 22.0, land).astype(np.float32)
