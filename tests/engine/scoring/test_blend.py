"""Hann blending: a partition of unity, true to constants, at peace with missing neighbours, centred on the cells."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.scoring.blend import blend

DETAILS = [1, 2, 3, 4, 5, 7, 8]


def all_present(rows: int, cols: int) -> np.ndarray:
    return np.ones((rows + 2, cols + 2), dtype=bool)


@pytest.mark.parametrize("detail", DETAILS)
def test_constant_in_constant_out(detail: int) -> None:
    values = np.full((7, 6, 2), 0.3, np.float32)
    drawn = blend(values, all_present(5, 4), (detail, detail))
    assert drawn.shape == (5 * detail, 4 * detail, 2)
    np.testing.assert_allclose(drawn, 0.3, rtol=1e-6)


@pytest.mark.parametrize("detail", DETAILS)
def test_the_weights_of_all_cells_sum_to_one_everywhere(detail: int) -> None:
    total = np.zeros((4 * detail, 4 * detail))
    for row in range(6):
        for col in range(6):
            one = np.zeros((6, 6, 1), np.float32)
            one[row, col] = 1
            total += blend(one, all_present(4, 4), (detail, detail))[..., 0]
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("detail", DETAILS)
def test_a_cell_weighs_the_same_on_both_sides(detail: int) -> None:
    """A map drawn from mirrored cells is the mirrored map: nothing is shifted by half a pixel."""
    values = np.random.default_rng(0).random((7, 8, 1), dtype=np.float32)
    drawn = blend(values, all_present(5, 6), (detail, detail))
    np.testing.assert_allclose(blend(values[::-1], all_present(5, 6), (detail, detail)), drawn[::-1], atol=1e-6)
    np.testing.assert_allclose(blend(values[:, ::-1], all_present(5, 6), (detail, detail)), drawn[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("detail", [4, 8])
def test_each_pixel_is_weighed_by_the_distance_to_its_two_tiles(detail: int) -> None:
    """Against the formula, written out for one axis."""
    values = np.random.default_rng(1).random(6).astype(np.float32)
    drawn = blend(np.tile(values[None, :, None], (3, 1, 1)), all_present(1, 4), (1, detail))[0, :, 0]
    window = np.sin(np.pi * (np.arange(2 * detail) + 0.5) / (2 * detail)) ** 2
    for cell in range(4):
        for pixel in range(detail):
            own = window[pixel + detail // 2]
            other = values[cell] if pixel < detail / 2 else values[cell + 2]
            expected = own * values[cell + 1] + (1 - own) * other
            assert drawn[cell * detail + pixel] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("detail", [3, 8])
def test_missing_neighbours_leave_the_rest_at_full_weight(detail: int) -> None:
    present = np.zeros((5, 5), dtype=bool)
    present[2, 2] = True
    values = np.full((5, 5, 1), np.nan, np.float32)
    values[2, 2] = 0.7
    drawn = blend(values, present, (detail, detail))[..., 0]
    reached = np.isfinite(drawn)
    np.testing.assert_allclose(drawn[reached], 0.7, rtol=1e-5)
    assert reached[detail : 2 * detail, detail : 2 * detail].all()
    assert not reached[: detail // 2].any()
    assert reached.sum() == (detail + 2 * (detail // 2)) ** 2


def test_nothing_present_is_no_number() -> None:
    drawn = blend(np.ones((4, 4, 3), np.float32), np.zeros((4, 4), dtype=bool), (8, 8))
    assert np.isnan(drawn).all()


def test_a_line_of_values_has_no_seam() -> None:
    """Across the cells' edges the map is as smooth as inside them."""
    values = np.tile(np.arange(12, dtype=np.float32)[None, :, None], (3, 1, 1))
    drawn = blend(values, all_present(1, 10), (8, 8))[0, :, 0]
    steps = np.diff(drawn)
    bends = np.abs(np.diff(steps))
    is_at_edge = np.isin(np.arange(len(bends)) % 8, (6, 7))
    assert bends[is_at_edge].max() <= bends[~is_at_edge].max()
    assert steps.max() < 0.2
    assert (steps >= -1e-6).all()
