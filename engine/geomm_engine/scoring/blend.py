"""From one value a cell to a smooth map: Hann blending of overlapping tiles (methods F9). Pure arithmetic.

A tile is twice as wide as its cell, so every map pixel lies under two tiles along each axis. The weights
sin²(π(u + ½)/n) of those two sum to one; where a neighbour has no value, the rest is divided by its own sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def blend(values: NDArray[np.float32], present: NDArray[np.bool_], detail_yx: tuple[int, int]) -> NDArray[np.float32]:
    """Spread cell values over the map pixels of the inner cells.

    Args:
        values: (rows + 2, cols + 2, channel), one ring of neighbours around the cells to draw.
        present: (rows + 2, cols + 2), which cells have a value.
        detail_yx: map pixels a cell.

    Returns:
        (rows × detail_y, cols × detail_x, channel) float32; NaN where no tile reaches.
    """
    weight = present.astype(np.float32)
    held = np.where(present[..., None], values, np.float32(0))
    across_rows, rows_weight = _spread(held, weight, detail_yx[0], axis=0)
    total, total_weight = _spread(across_rows, rows_weight, detail_yx[1], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total_weight[..., None] > 0, total / total_weight[..., None], np.float32(np.nan))


def _spread(
    values: NDArray[np.float32], weight: NDArray[np.float32], detail: int, axis: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Along one axis: each pixel is w(own tile)·own + w(neighbour's tile)·neighbour, for value sums and weight sums.

    ``values`` are already weighted sums along the other axis, so both are spread by the same separable window. The tile
    begins half a cell before its cell, also where that is half a pixel.
    """
    pixel = np.arange(detail)
    own = np.asarray(np.sin(np.pi * (pixel + 0.5 + detail / 2) / (2 * detail)) ** 2, dtype=np.float32)
    before = np.where(pixel + 0.5 < detail / 2, 1 - own, np.float32(0))
    after = np.where(pixel + 0.5 > detail / 2, 1 - own, np.float32(0))
    weighted = values if axis == 1 else values * weight[..., None]
    middle = np.moveaxis(weighted, axis, 0)
    middle_weight = np.moveaxis(weight, axis, 0)

    def mixed(array: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = (detail, *([1] * (array.ndim - 1)))
        parts = own.reshape(shape) * array[1:-1, None]
        parts = parts + before.reshape(shape) * array[:-2, None] + after.reshape(shape) * array[2:, None]
        return parts.reshape((-1, *array.shape[1:]))

    return np.moveaxis(mixed(middle), 0, axis), np.moveaxis(mixed(middle_weight), 0, axis)
