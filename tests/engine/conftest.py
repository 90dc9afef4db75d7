"""Folders with a space and an "é", the tiny model, and a cache of the tests' own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.engine.tiny_model import COLORS, write_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder whose path has a space and an "é"."""
    path = tmp_path / "été à la mer"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("modèle é") / "tiny"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOMM_CACHE", str(tmp_path / "cache é"))
    monkeypatch.setenv("GEOMM_MODELS", str(tmp_path / "no models"))


def color_raster(
    path: Path, layout: np.ndarray, *, pixel: float = 10.0, crs: str = "EPSG:32633", noise: float = 4.0, **options
) -> Path:
    """An 8-bit RGB raster from a layout (h, w) of class numbers in the order of ``COLORS``."""
    colors = (np.array(list(COLORS.values())) * 255).astype(np.float32)
    values = colors[layout] + np.random.default_rng(1).normal(0, noise, (*layout.shape, 3))
    transform = options.pop("transform", Affine(pixel, 0, 5e5, 0, -pixel, 5e6))
    height, width = layout.shape
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": height, "width": width, "photometric": "rgb"}
    with rasterio.open(path, "w", crs=crs, transform=transform, **(profile | options)) as dataset:
        dataset.write(np.moveaxis(np.clip(values, 1, 255), 2, 0).astype(np.uint8))
    return path


@pytest.fixture
def landscape(folder: Path) -> Path:
    """256 × 320 pixels at 10 m: forest west, water east, a town in the south."""
    layout = np.zeros((256, 320), dtype=int)
    layout[:, 160:] = 1
    layout[160:, :] = 2
    return color_raster(folder / "paysage été.tif", layout)
