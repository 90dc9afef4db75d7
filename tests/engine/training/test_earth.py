"""Crops of the drawn planet: north up, square on the ground, whole over the date line; maps that cannot be read are said."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from geomm_engine import sphere
from geomm_engine.errors import RasterError
from geomm_engine.training import earth
from geomm_engine.training.earth import Mosaics


def gradient() -> Mosaics:
    """Red is latitude, green longitude (mirrored at 180°, so without a seam), blue the month."""
    lat = np.linspace(255, 0, 360)[:, None] + np.zeros((1, 720))
    lon = 255 * np.abs(np.linspace(-1, 1, 720))[None] + np.zeros((360, 1))
    months = [np.stack([lat, lon, np.full_like(lat, 20 * month)], axis=2) for month in range(1, 13)]
    return Mosaics.of(np.stack(months).astype(np.uint8))


def test_crops_show_the_ground_they_name() -> None:
    lat, lon, width = np.array([50.0, -20.0, 0.0]), np.array([10.0, 179.9, -180.0]), np.array([400.0, 500.0, 600.0])
    found = gradient().crop(np.array([1, 7, 12]), lat, lon, width, 32).astype(float)
    assert found[:, 16, 16, 0] == pytest.approx((lat + 90) / 180 * 255, abs=2)
    assert found[:, 16, 16, 1] == pytest.approx(np.abs(lon) / 180 * 255, abs=2)
    assert found[:, 5, 5, 2] == pytest.approx([20, 140, 240])
    assert (found[:, 0, 16, 0] > found[:, 31, 16, 0]).all()
    assert found[0, 16, 31, 1] > found[0, 16, 0, 1]
    assert found[1:, :, :, 1].min() > 245


def test_pixels_are_square_on_the_ground_even_at_a_pole() -> None:
    lat, lon = earth.ground_grid(np.array([70.0, -88.0]), np.array([0.0, 33.0]), np.array([300.0, 300.0]), 30)
    points = sphere.unit_vectors(lat, lon)
    across = sphere.distance_km(points[:, :, 1:], points[:, :, :-1])
    down = sphere.distance_km(points[:, 1:], points[:, :-1])
    assert across == pytest.approx(np.full(across.shape, 10.0), rel=0.02)
    assert down == pytest.approx(np.full(down.shape, 10.0), rel=0.02)


def test_months_have_their_middles() -> None:
    angle = earth.month_angle(np.array([1, 7, 12]))
    assert np.degrees(angle) == pytest.approx([15, 194, 345], abs=2)


def test_missing_maps_are_said(folder: Path) -> None:
    with pytest.raises(RasterError, match="one picture YYYYMM"):
        earth.read_mosaics(folder)
    with pytest.raises(RasterError, match="cannot be used"):
        earth.read_fine_tiles(folder / "absent.zip")
    with zipfile.ZipFile(folder / "tiles.zip", "w") as archive:
        archive.writestr("7/64/40.jpeg", b"no picture")
        archive.writestr("7/60/40.jpeg", b"no picture")
        archive.writestr("7/55/47.jpeg", b"no picture")
    with pytest.raises(RasterError, match="cannot be used"):
        earth.read_fine_tiles(folder / "tiles.zip")
