"""The sheet that places are drawn on: shapes have their size, shadows fall beside, grounds fill it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geomm_engine.training.drawing.paper import Grounds, Paper, corners

GREY = np.full((3, 20, 20, 3), 120, np.uint8)


def paper(seed: int = 0, side_px: int = 60, gsd_m: float = 2.0) -> Paper:
    return Paper(side_px, gsd_m, Grounds({"grass": GREY}, {"grass": 1.5}), np.random.default_rng(seed))


def area_m2(sheet: Paper, mask: np.ndarray) -> float:
    return float(mask.mean()) * sheet.side_m**2


def test_shapes_have_their_size_on_the_ground() -> None:
    sheet = paper()
    assert area_m2(sheet, sheet.rectangle((60, 60), 40, 20, 0.7)) == pytest.approx(800, rel=0.08)
    assert area_m2(sheet, sheet.disc((60, 60), 20)) == pytest.approx(math.pi * 400, rel=0.08)
    assert area_m2(sheet, sheet.oval((60, 60), 60, 20, 1.2)) == pytest.approx(40 * 20 + math.pi * 100, rel=0.08)
    assert area_m2(sheet, sheet.line([(-10, 60), (60, 60), (130, 60)], 10)) == pytest.approx(1200, rel=0.12)


def test_corners_lie_around_the_middle() -> None:
    assert np.mean(corners((5, 7), 4, 2, 0.3), axis=0) == pytest.approx([5, 7])


def test_ground_fills_the_sheet() -> None:
    sheet = paper()
    sheet.pixels = sheet.ground("grass")
    assert sheet.finished().shape == (60, 60, 3)
    assert np.all(sheet.finished() == 120)


def test_shadow_falls_beside_and_not_on_what_throws_it() -> None:
    sheet = paper()
    sheet.pixels = sheet.ground("grass")
    roof = sheet.rectangle((60, 60), 30, 30, 0.0)
    sheet.shade(roof, 12.0)
    grey = sheet.pixels[:, :, 0]
    assert np.all(grey[roof > 0.99] == 120)
    assert 0 < np.mean(grey < 119) < 0.2
    assert grey.min() >= 120 * 0.5


def test_nothing_drawn_outside_changes_nothing() -> None:
    sheet = paper()
    sheet.pixels = sheet.ground("grass")
    outside = sheet.disc((-500, -500), 20)
    sheet.shade(outside, 10.0)
    sheet.fill(outside, (255, 0, 0))
    assert np.all(sheet.finished() == 120)


def test_noise_is_plain_and_depends_on_the_seed_alone() -> None:
    field = paper(3).noise(20)
    assert (float(field.mean()), float(field.std())) == pytest.approx((0, 1), abs=1e-4)
    assert np.array_equal(field, paper(3).noise(20))
    assert not np.array_equal(field, paper(4).noise(20))
