"""How a town, an industrial estate and roads look from above at ten metres. Values are display units 0–255."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geomm_engine.landscape import noise
from geomm_engine.landscape.noise import Floats

_SUBPIXELS = ((0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5))

_ROOFS = np.array(
    [(150, 112, 108), (168, 124, 116), (132, 128, 134), (116, 116, 126), (196, 194, 196), (142, 122, 120)], np.float32
)
_GARDEN = np.array((62, 78, 78), np.float32)
_TREES = np.array((44, 64, 68), np.float32)
_STREET = np.array((112, 114, 124), np.float32)

_HALLS = np.array([
    (238, 240, 240), (214, 218, 222), (250, 250, 250), (176, 180, 188), (140, 144, 154), (122, 136, 164), (166, 122, 116),
], np.float32)  # fmt: skip
_YARD = np.array((112, 112, 118), np.float32)
_LAWN = np.array((56, 82, 76), np.float32)
_SHADE = np.array((52, 58, 70), np.float32)

_AIR = np.array((0.97, 0.99, 1.06), np.float32)
"""The blue of the air, which grey roofs and streets show more than leaves do."""

_ASPHALT = np.array((122, 120, 126), np.float32)
_VERGE = np.array((66, 84, 78), np.float32)


def paint_town(pixels: NDArray[np.bool_], random: np.random.Generator) -> Floats:
    """(n, 3): districts of streets at one angle, houses in rows, gardens and trees between, a few parks and big roofs."""
    y, x = (axis.astype(np.float32) for axis in np.nonzero(pixels))
    seed = int(random.integers(1 << 30))
    bend = 6 * noise.smooth(pixels.shape, 60, random)[pixels]
    row, col, border = noise.parcels(y + bend, x - bend, 52, seed)
    angle = np.pi * noise.hashed(seed + 2, row, col)
    y = (y + bend / 2).astype(np.float32)
    x = (x - bend / 2).astype(np.float32)
    scale = 0.75 + 0.40 * noise.hashed(seed + 3, row, col)
    density = 0.62 + 0.32 * noise.hashed(seed + 4, row, col)
    tone = 0.90 + 0.20 * noise.hashed(seed + 5, row, col)
    total = np.zeros((len(y), 3), np.float32)
    for step_y, step_x in _SUBPIXELS:
        along = ((y + step_y) * np.cos(angle) + (x + step_x) * np.sin(angle)) * scale
        across = ((x + step_x) * np.cos(angle) - (y + step_y) * np.sin(angle)) * scale
        total += _town_colors(along, across, row, col, density, seed)
    color = total / len(_SUBPIXELS) * tone[:, None] * _AIR
    color[border < 0.7] = 0.5 * color[border < 0.7] + 0.5 * _STREET
    park = np.clip(2.0 * (noise.fractal(pixels.shape, 20, 3, random)[pixels] - 1.7), 0, 1)[:, None]
    grain = noise.smooth(pixels.shape, 1.5, random)[pixels][:, None]
    shade = 5 * noise.fractal(pixels.shape, 30, 2, random)[pixels][:, None]
    return np.asarray(color * (1 - park) + park * (_LAWN + 6 * grain) + 4 * grain + shade, dtype=np.float32)


def _town_colors(
    along: Floats, across: Floats, row: NDArray[np.int64], col: NDArray[np.int64], density: Floats, seed: int
) -> Floats:
    block, to_street = noise.cuts(across, 8.0, seed + 6, row, col)
    section, to_lane = noise.cuts(along, 19.0, seed + 7, row, col, block)
    plot, to_side = noise.cuts(along, 2.3, seed + 8, row, col, block)
    side, to_back = noise.cuts(across, 2.7, seed + 9, row, col, section)
    keys = (row, col, block, plot, side)
    roof = _ROOFS[(noise.hashed(seed + 10, *keys) * len(_ROOFS)).astype(np.int64)]
    roof = roof * (0.78 + 0.40 * noise.hashed(seed + 11, *keys))[:, None]
    is_house = (noise.hashed(seed + 12, *keys) < density) & (np.minimum(to_side, to_back) > 0.22) & (to_street > 0.8)
    green = noise.hashed(seed + 13, *keys)[:, None]
    color = _TREES * green + _GARDEN * (1 - green)
    color = np.where(is_house[:, None], roof, color)
    use = noise.hashed(seed + 14, row, col, block, section)
    is_big = (use > 0.93) & (to_street > 1.4) & (to_lane > 3.5)
    color = np.where((is_big & (use > 0.955))[:, None], _HALLS[3] * (0.7 + 0.4 * green), color)
    color = np.where((is_big & (use <= 0.955))[:, None], _LAWN, color)
    return np.where((np.minimum(to_street, to_lane) < 0.45)[:, None], _STREET, color).astype(np.float32)


def paint_industry(pixels: NDArray[np.bool_], random: np.random.Generator) -> Floats:
    """(n, 3): bright halls of all sizes with shaded sides on grey yards, roads between, lawns and small sheds."""
    y, x = (axis.astype(np.float32) for axis in np.nonzero(pixels))
    seed = int(random.integers(1 << 30))
    row, col, border = noise.parcels(y, x, 58, seed)
    main, turn = float(random.random()), noise.hashed(seed + 2, row, col)
    angle = np.pi / 2 * np.where(turn < 0.6, main, turn)
    scale = 0.65 + 0.9 * noise.hashed(seed + 3, row, col)
    total = np.zeros((len(y), 3), np.float32)
    for step_y, step_x in _SUBPIXELS:
        along = ((y + step_y) * np.cos(angle) + (x + step_x) * np.sin(angle)) * scale
        across = ((x + step_x) * np.cos(angle) - (y + step_y) * np.sin(angle)) * scale
        total += _estate_colors(along, across, row, col, seed)
    color = total / len(_SUBPIXELS) * _AIR
    color[border < 1.0] = 0.3 * color[border < 1.0] + 0.7 * _ASPHALT
    green = np.clip(1.6 * (noise.fractal(pixels.shape, 16, 3, random)[pixels] - 1.5), 0, 1)[:, None]
    grain = noise.smooth(pixels.shape, 1.5, random)[pixels][:, None]
    return np.asarray(color * (1 - green) + green * (_LAWN + 5 * grain) + 3 * grain, dtype=np.float32)


def _estate_colors(along: Floats, across: Floats, row: NDArray[np.int64], col: NDArray[np.int64], seed: int) -> Floats:
    strip, to_road = noise.cuts(across, 16.0, seed + 4, row, col)
    plot, to_fence = noise.cuts(along, 15.0, seed + 5, row, col, strip)
    keys = (row, col, strip, plot)
    use = noise.hashed(seed + 6, *keys)
    hall = _HALLS[(noise.hashed(seed + 7, *keys) ** 1.5 * len(_HALLS)).astype(np.int64)]
    hall = hall * (0.86 + 0.2 * noise.hashed(seed + 8, *keys))[:, None]
    bay, _ = noise.cuts(along, 5.0, seed + 9, *keys)
    hall = hall * (0.93 + 0.12 * noise.hashed(seed + 10, *keys, bay))[:, None]
    margin_y = 0.6 + 3.6 * noise.hashed(seed + 11, *keys)
    margin_x = 1.0 + 4.0 * noise.hashed(seed + 12, *keys)
    depth = np.minimum(to_fence - margin_y, to_road - margin_x)
    is_open = (noise.hashed(seed + 13, *keys, bay) > 0.72) & (to_fence < margin_y + 2.5)
    is_hall = (depth > 0) & (use < 0.68) & ~is_open
    is_shade = (depth > -0.9) & (use < 0.68) & ~is_hall
    shed, to_side = noise.cuts(along, 2.8, seed + 14, row, col, strip)
    row_of_sheds, to_back = noise.cuts(across, 3.2, seed + 15, row, col)
    is_shed = (use > 0.68) & (use < 0.84) & (noise.hashed(seed + 16, *keys, shed, row_of_sheds) > 0.5)
    is_shed &= np.minimum(to_side, to_back) > 0.35
    yard = _YARD * (0.78 + 0.5 * noise.hashed(seed + 17, *keys))[:, None]
    color = np.where((use > 0.90)[:, None], _LAWN, yard)
    color = np.where(is_shade[:, None], _SHADE, color)
    color = np.where((is_hall | is_shed)[:, None], hall, color)
    return np.where((to_road < 0.6)[:, None], _ASPHALT, color).astype(np.float32)


def draw_highways(picture: Floats, to_highway: Floats) -> None:
    """Draw two carriageways with verges over a picture (h, w, 3), in place."""
    near = to_highway < 3.5
    away = to_highway[near][:, None]
    verge = np.clip(3.0 - away, 0, 1) * 0.6
    lanes = np.clip(1.7 - away, 0, 1) * 0.85
    color = picture[near] * (1 - verge) + _VERGE * verge
    picture[near] = color * (1 - lanes) + _ASPHALT * lanes
