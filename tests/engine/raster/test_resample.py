"""Cutting tiles: exact area means, straight lines between pixels, and nodata that never bleeds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from geomm_engine.grid import Window
from geomm_engine.raster.resample import axis_weights, cut

ALL = np.ones((96, 96), dtype=bool)
WINDOWS = [Window(16, 16, 32, 32), Window(10, 20, 64, 48), Window(10.3, 20.7, 33.3, 41.9), Window(30, 30, 8, 5.5)]


def scene(seed: int = 0, bands: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((bands, 96, 96), dtype=np.float32)


@pytest.mark.parametrize(("window", "tile_px"), list(itertools.product(WINDOWS, (32, 7, 64))))
def test_constant_in_constant_out(window: Window, tile_px: int) -> None:
    values = np.full((2, 96, 96), 0.37, np.float32)
    tile, share = cut(values, ALL, window, tile_px)
    assert tile.shape == (2, tile_px, tile_px)
    assert tile.dtype == np.float32
    np.testing.assert_allclose(tile, 0.37, rtol=1e-6)
    assert share == 1.0


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_whole_reduction_is_the_area_mean(factor: int) -> None:
    values = scene()
    tile, _ = cut(values, ALL, Window(8, 4, 24 * factor, 24 * factor), 24)
    part = values[:, 8 : 8 + 24 * factor, 4 : 4 + 24 * factor].astype(np.float64)
    expected = part.reshape(3, 24, factor, 24, factor).mean(axis=(2, 4))
    np.testing.assert_allclose(tile, expected, atol=1e-6)


def test_a_broken_reduction_weighs_pixels_by_their_area() -> None:
    values = scene(bands=1)
    tile, _ = cut(values, ALL, Window(10.25, 20.5, 20, 30), 8)
    fine = values[0].astype(np.float64).repeat(20, axis=0).repeat(20, axis=1)  # a twentieth of a pixel
    part = fine[205:605, 410:1010]
    np.testing.assert_allclose(tile[0], part.reshape(8, 50, 8, 75).mean(axis=(1, 3)), atol=1e-6)


def test_enlarging_is_linear_between_pixel_centres() -> None:
    x = np.arange(96, dtype=np.float32)
    values = np.broadcast_to(3 * x[None, None, :] - x[None, :, None], (1, 96, 96))
    tile, _ = cut(values, ALL, Window(20.3, 40.1, 16, 8), 64)
    centres_y, centres_x = 20.3 + (np.arange(64) + 0.5) / 4 - 0.5, 40.1 + (np.arange(64) + 0.5) / 8 - 0.5
    np.testing.assert_allclose(tile[0], 3 * centres_x[None, :] - centres_y[:, None], atol=1e-3)


def test_a_tile_does_not_depend_on_the_block_around_it() -> None:
    values = scene()
    for window in WINDOWS:
        moved = Window(window.y - 5, window.x - 7, window.height, window.width)
        first, _ = cut(values, ALL, window, 32)
        second, _ = cut(values[:, 5:, 7:], ALL[5:, 7:], moved, 32)
        np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.parametrize(("window", "tile_px"), list(itertools.product(WINDOWS, (32, 16))))
def test_nodata_never_bleeds(window: Window, tile_px: int) -> None:
    """Whatever stands at invalid pixels, the tile is the same, and holds no value that no valid pixel has."""
    values, valid = scene() * 0.2 + 0.4, np.random.default_rng(1).random((96, 96)) > 0.3
    tile, share = cut(values, valid, window, tile_px)
    poisoned = np.where(valid, values, np.float32(1e6))
    again, _ = cut(poisoned, valid, window, tile_px)
    np.testing.assert_array_equal(tile, again)
    assert 0.39 < tile.min() <= tile.max() < 0.61
    assert 0 < share < 1


def test_the_valid_share_is_the_share_of_the_tiles_area() -> None:
    valid = ALL.copy()
    valid[:, 40:] = False
    assert cut(scene(), valid, Window(20, 24, 32, 32), 32)[1] == pytest.approx(0.5)
    assert cut(scene(), valid, Window(20.5, 30, 20, 40), 32)[1] == pytest.approx(0.25, abs=1e-3)


def test_a_gap_is_filled_with_the_tiles_own_mean() -> None:
    valid = ALL.copy()
    valid[:, 40:] = False
    values = scene()
    tile, _ = cut(values, valid, Window(16, 24, 32, 32), 32)
    seen = values[:, 16:48, 24:40]
    np.testing.assert_array_equal(tile[:, :, :16], seen)
    np.testing.assert_allclose(
        tile[:, :, 16:], np.broadcast_to(seen.mean(axis=(1, 2))[:, None, None], (3, 32, 16)), rtol=1e-5
    )


def test_a_tile_without_data_is_zero_and_says_so() -> None:
    tile, share = cut(scene(), ~ALL, Window(16.5, 16, 32, 32), 32)
    assert share == 0
    assert not tile.any()


@pytest.mark.parametrize(
    ("start", "length", "count"), [(0, 96, 32), (3.7, 50.1, 32), (10, 4, 32), (-2, 20, 8), (90, 20, 8)]
)
def test_weights_sum_to_one_also_where_the_window_leaves_the_block(start: float, length: float, count: int) -> None:
    weights = axis_weights(start, length, count, 96)
    sums = weights.sum(axis=1)
    step = length / count
    centre = start + (np.arange(count) + 0.5) * step
    reached = (centre + max(step, 1) / 2 > 0) & (centre - max(step, 1) / 2 < 96)
    np.testing.assert_allclose(sums[reached], 1, atol=1e-6)
    assert (sums[~reached] == 0).all()
