"""Distances where formulas break, cells of equal area, evenly spread points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geomm_engine import sphere
from geomm_engine.sphere import EqualAreaGrid, distance_km, unit_vectors


def test_there_and_back() -> None:
    random = np.random.default_rng(1)
    lat, lon = random.uniform(-89.9, 89.9, 500), random.uniform(-180, 180, 500)
    again = sphere.lat_lon(unit_vectors(lat, lon))
    assert np.abs(again[0] - lat).max() < 1e-6
    assert np.abs(again[1] - lon).max() < 1e-6


def test_known_distances() -> None:
    def between(one: tuple[float, float], two: tuple[float, float]) -> float:
        return float(distance_km(unit_vectors(*one), unit_vectors(*two)))

    assert between((0, 179.9), (0, -179.9)) == pytest.approx(22.239, abs=1e-3)
    assert between((90, 0), (90, 123)) == pytest.approx(0, abs=1e-9)
    assert between((90, 0), (-90, 55)) == pytest.approx(math.pi * sphere.EARTH_RADIUS_KM)
    assert between((48.8566, 2.3522), (35.6762, 139.6503)) == pytest.approx(9712, abs=5)
    assert between((10, 20), (10, 20 + 1e-9)) == pytest.approx(1.095e-7, rel=1e-3)


def test_distance_keeps_its_digits_in_float32() -> None:
    p, q = unit_vectors(45.0, 7.0).astype(np.float32), unit_vectors(45.001, 7.0).astype(np.float32)
    assert float(distance_km(p, q)) == pytest.approx(0.1112, abs=0.002)
    exact = np.cos(sphere.angle_between(p.astype(np.float64), q.astype(np.float64))) - 1
    assert float(sphere.dot_minus_one(p, q)) == pytest.approx(float(exact), rel=1e-3)


def test_fibonacci_spacing_is_even() -> None:
    points = sphere.fibonacci_points(1000)
    dot = points @ points.T - 3 * np.eye(1000)
    nearest = np.arccos(dot.max(axis=1))
    assert nearest.std() / nearest.mean() < 0.05
    assert np.abs(points.mean(axis=0)).max() < 1e-3


def test_offsets_keep_their_distance_over_the_pole_and_the_date_line() -> None:
    for lat, lon in ((89.5, 10.0), (-90.0, 0.0), (12.0, 179.9), (0.0, 0.0)):
        to = sphere.destination(lat, lon, np.array([300.0, 0.0, -400.0]), np.array([400.0, 250.0, -300.0]))
        moved = distance_km(unit_vectors(*to), unit_vectors(lat, lon))
        assert moved == pytest.approx([500.0, 250.0, 500.0], rel=1e-9)
        assert (np.abs(to[1]) <= 180).all()
    east, _ = sphere.destination(50.0, 0.0, 10.0, 0.0), 0
    assert east[1] > 0


def test_cells_are_of_equal_area_and_find_their_centres() -> None:
    grid = EqualAreaGrid.with_spacing(250.0)
    west, south, east, north = grid.bounds().T
    area = np.radians(east - west) * (np.sin(np.radians(north)) - np.sin(np.radians(south)))
    assert area == pytest.approx(np.full(len(grid), grid.cell_area_sr), rel=1e-9)
    assert area.sum() == pytest.approx(4 * math.pi)
    assert (grid.cell_of(*grid.centres_lat_lon()) == np.arange(len(grid))).all()
    assert grid.cell_of([90, -90, 0, 0], [0, 0, 180, -180]).max() < len(grid)
    assert grid.cell_of(0, 180) == grid.cell_of(0, -180)


def test_random_points_fall_evenly_into_cells() -> None:
    grid = EqualAreaGrid.with_spacing(2500.0)
    points = sphere.random_points(60_000, np.random.default_rng(4))
    found = np.bincount(grid.cell_of(*sphere.lat_lon(points)), minlength=len(grid))
    expected = 60_000 / len(grid)
    assert ((found - expected) ** 2 / expected).sum() < 2 * len(grid)
