"""How forest, water, fields and meadows look from above at ten metres. Values are display units 0–255, red, green, blue.

Colours and contrasts follow what Sentinel-2 shows of Europe; every number was set by eye and by mean, deviation and
gradient against real pictures of 640 m.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geomm_engine.landscape import noise
from geomm_engine.landscape.noise import Floats, Integers

_FIELDS = np.array([
    (176, 141, 127), (196, 165, 147), (158, 124, 112), (184, 152, 132), (120, 96, 91), (142, 118, 106),
    (46, 86, 68), (42, 74, 68), (64, 100, 72), (52, 82, 74), (90, 98, 94), (100, 112, 86), (130, 122, 108), (56, 80, 76),
], np.float32)  # fmt: skip
_MEADOWS = np.array([
    (48, 84, 78), (54, 92, 80), (62, 96, 86), (50, 88, 70), (72, 102, 88), (58, 88, 88), (84, 98, 90), (106, 104, 98),
], np.float32)  # fmt: skip

_HEDGE = np.array((38, 60, 66), np.float32)
_TRACK = np.array((164, 150, 140), np.float32)


def paint_forest(pixels: NDArray[np.bool_], random: np.random.Generator) -> Floats:
    """(n, 3): stands of slightly different green, fine crowns, soft relief."""
    shape = pixels.shape
    y, x = (axis.astype(np.float32) for axis in np.nonzero(pixels))
    bend = 26 * noise.fractal(shape, 70, 4, random)[pixels]
    row, col, border = noise.parcels(y + bend, x - bend, 62, int(random.integers(1 << 30)))
    color = np.array((37, 61, 71), np.float32) + 7 * (noise.hashed(11, row, col) - 0.5)[:, None] * np.array(
        (0.8, 1.3, 0.5), np.float32
    )
    tint = noise.smooth(shape, 130, random)[pixels][:, None] * np.array((1.6, 3.0, 0.8), np.float32)
    height = noise.fractal(shape, 70, 3, random)
    relief = (38 * (np.gradient(height, axis=0) + np.gradient(height, axis=1)))[pixels].clip(-6, 7)
    crowns = 1.9 * noise.smooth(shape, 1.6, random)[pixels] + 1.5 * noise.smooth(shape, 3.2, random)[pixels]
    color = color + tint + relief[:, None] + crowns[:, None] * np.array((0.8, 1.0, 0.7), np.float32)
    is_track = (border < 0.5) & (noise.hashed(12, row, col) > 0.86)
    color[is_track] += np.array((30, 26, 18), np.float32)
    return color


def paint_water(pixels: NDArray[np.bool_], to_shore: Floats, random: np.random.Generator) -> Floats:
    """(n, 3): dark and smooth, a little brighter near the shore (``to_shore`` (n,) in pixels)."""
    shape = pixels.shape
    drift = noise.fractal(shape, 170, 2, random)[pixels]
    shallow = np.exp(-to_shore / 7)[:, None]
    base = np.array((25, 43, 73), np.float32) + drift[:, None] * np.array((1.2, 2.2, 2.0), np.float32)
    ripple = 0.5 * noise.smooth(shape, 2.5, random)[pixels]
    return np.asarray(base + shallow * np.array((8, 16, 10), np.float32) + ripple[:, None], dtype=np.float32)


def paint_crops(pixels: NDArray[np.bool_], random: np.random.Generator) -> Floats:
    """(n, 3): farms of straight fields, each field with a colour, a grain and rows of its own."""
    shape = pixels.shape
    y, x = (axis.astype(np.float32) for axis in np.nonzero(pixels))
    seed = int(random.integers(1 << 30))
    row, col, border = noise.parcels(y, x, 118, seed)
    mottle = noise.fractal(shape, 17, 3, random)[pixels]
    grain = noise.smooth(shape, 1.7, random)[pixels]
    total = np.zeros((len(y), 3), np.float32)
    for step_y, step_x in ((0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5)):
        total += _field_colors(y + step_y, x + step_x, row, col, mottle, seed)
    color = total / 4 + 1.6 * grain[:, None]
    is_lane = border < 0.8
    color[is_lane] = 0.4 * color[is_lane] + 0.6 * _TRACK
    return color


def _field_colors(y: Floats, x: Floats, row: Integers, col: Integers, mottle: Floats, seed: int) -> Floats:
    angle = np.pi * noise.hashed(seed + 2, row, col)
    along, across = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    strip, to_end = noise.cuts(along, 64, seed + 3, row, col)
    piece, to_side = noise.cuts(across, 25, seed + 4, row, col, strip)
    keys = (row, col, strip, piece)
    kind = (noise.hashed(seed + 5, *keys) * len(_FIELDS)).astype(np.int64)
    color = _FIELDS[kind] * (0.93 + 0.14 * noise.hashed(seed + 6, *keys))[:, None]
    rows = np.sin(2 * np.pi * across / (2.6 + 1.5 * noise.hashed(seed + 7, *keys)))
    strength = 1 + 4 * noise.hashed(seed + 8, *keys) ** 2
    color = color * (1 + (0.028 * mottle * strength / 2 + 0.007 * rows * strength))[:, None]
    edge = np.minimum(to_end, to_side)
    is_hedge = (edge < 0.45) & (noise.hashed(seed + 9, *keys) > 0.55)
    return np.where(is_hedge[:, None], 0.5 * color + 0.5 * _HEDGE, color).astype(np.float32)


def paint_grassland(pixels: NDArray[np.bool_], random: np.random.Generator) -> Floats:
    """(n, 3): meadows of like greens, some browned, between hedges that come and go, with single trees and clumps."""
    shape = pixels.shape
    y, x = (axis.astype(np.float32) for axis in np.nonzero(pixels))
    bend = 5 * noise.fractal(shape, 42, 3, random)[pixels]
    seed = int(random.integers(1 << 30))
    row, col, border = noise.parcels(y + bend, x - bend, 88, seed)
    angle = np.pi * noise.hashed(seed + 2, row, col)
    along = (y + bend) * np.cos(angle) + (x - bend) * np.sin(angle)
    across = (x - bend) * np.cos(angle) - (y + bend) * np.sin(angle)
    strip, to_end = noise.cuts(along, 31, seed + 3, row, col)
    piece, to_side = noise.cuts(across, 21, seed + 4, row, col, strip)
    keys = (row, col, strip, piece)
    kind = (noise.hashed(seed + 5, *keys) ** 1.15 * len(_MEADOWS)).astype(np.int64)
    color = _MEADOWS[kind] * (0.94 + 0.12 * noise.hashed(seed + 6, *keys))[:, None]
    mottle = 3.0 * noise.fractal(shape, 13, 3, random)[pixels] + 1.6 * noise.smooth(shape, 1.6, random)[pixels]
    color = color + mottle[:, None] * np.array((1.25, 0.9, 0.7), np.float32)
    color = color + noise.smooth(shape, 80, random)[pixels][:, None] * np.array((5.0, 2.5, 1.5), np.float32)
    gap = np.clip(0.9 + 0.9 * noise.smooth(shape, 5.0, random)[pixels], 0.1, 1)
    hedge = np.clip(1.5 - np.minimum(np.minimum(to_end, to_side), border), 0, 1) * gap
    hedge = hedge * (0.35 + 0.65 * (noise.hashed(seed + 7, *keys) > 0.35))
    clumps = noise.smooth(shape, 3.2, random)[pixels] + 0.6 * noise.smooth(shape, 26, random)[pixels]
    cover = np.maximum(0.85 * hedge, np.clip(1.5 * (clumps - 1.9), 0, 1))[:, None]
    return np.asarray(color * (1 - cover) + _HEDGE * cover, dtype=np.float32)
