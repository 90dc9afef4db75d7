"""Cutting tiles out of a block of pixels with exact area weights. Pure arithmetic; no file, no projection.

An output pixel is the mean of the source area under it; where pixels are enlarged, a box one source pixel wide is used,
which is linear interpolation. Weighted by validity, so that nodata never bleeds into a tile.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geomm_engine.grid import Window


@lru_cache(maxsize=4096)
def axis_weights(start: float, length: float, count: int, size: int) -> NDArray[np.float32]:
    """(count, size) float32: share of each of ``size`` source pixels in ``count`` outputs over [start, start + length)."""
    step = length / count
    width = max(step, 1.0)
    centre = start + (np.arange(count) + 0.5) * step
    low = (centre - width / 2)[:, None]
    edge = np.arange(size)[None, :]
    overlap = np.clip(np.minimum(low + width, edge + 1) - np.maximum(low, edge), 0.0, None)
    weights = (overlap / np.maximum(overlap.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)
    weights.setflags(write=False)
    return weights


def cut(
    values: NDArray[np.float32], valid: NDArray[np.bool_], window: Window, tile_px: int
) -> tuple[NDArray[np.float32], float]:
    """One tile from a block.

    Args:
        values: (band, h, w) float32; what stands at invalid pixels does not matter, but it must be finite.
        valid: (h, w) bool.
        window: in pixels of this block.

    Returns:
        (band, tile_px, tile_px) float32, invalid pixels filled with the tile's mean per band, and the valid share.
    """
    top, left = int(np.floor(window.y)) - 1, int(np.floor(window.x)) - 1
    bottom, right = int(np.ceil(window.y + window.height)) + 1, int(np.ceil(window.x + window.width)) + 1
    top, left = max(top, 0), max(left, 0)
    block = values[:, top:bottom, left:right]
    mask = valid[top:bottom, left:right]
    if _is_pixel_aligned(window, tile_px):
        y, x = int(window.y) - top, int(window.x) - left
        tile, seen = block[:, y : y + tile_px, x : x + tile_px], mask[y : y + tile_px, x : x + tile_px]
        return _filled(tile, seen.astype(np.float32))
    rows = axis_weights(_key(window.y - top), _key(window.height), tile_px, block.shape[1])
    cols = axis_weights(_key(window.x - left), _key(window.width), tile_px, block.shape[2])
    if mask.all():
        return np.matmul(np.matmul(rows, block), cols.T), 1.0
    share = rows @ mask.astype(np.float32) @ cols.T
    total = np.matmul(np.matmul(rows, np.where(mask, block, np.float32(0))), cols.T)
    return _filled(total / np.maximum(share, 1e-6), share)


def _is_pixel_aligned(window: Window, tile_px: int) -> bool:
    is_whole = window.y == int(window.y) and window.x == int(window.x)
    return is_whole and window.height == tile_px and window.width == tile_px


def _key(value: float) -> float:
    """Rounded so that windows which differ by float noise share one cached weight matrix."""
    return round(value, 6)


def _filled(tile: NDArray[np.float32], share: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    valid_share = float(share.mean())
    seen = share >= 0.5
    if seen.all():
        return np.ascontiguousarray(tile, dtype=np.float32), valid_share
    if not seen.any():
        return np.zeros(tile.shape, dtype=np.float32), valid_share
    mean = tile[:, seen].mean(axis=1)
    return np.where(seen[None], tile, mean[:, None, None]).astype(np.float32), valid_share
