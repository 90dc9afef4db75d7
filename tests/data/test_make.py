from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import RasterioIOError

from tests.data import make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("données 1")


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Path]:
    return {name: draw(folder) for name, draw in make.RASTERS.items()}


def test_all_but_the_broken_ones_can_be_read(made: dict[str, Path]) -> None:
    for name, path in made.items():
        if name not in ("single_bands", "truncated", "no_raster"):
            with rasterio.open(path) as raster:
                assert raster.read(window=((0, 1), (0, 1))).size == raster.count


def test_the_broken_ones_are_broken(made: dict[str, Path]) -> None:
    with pytest.raises(RasterioIOError):
        rasterio.open(made["no_raster"])
    with pytest.raises(RasterioIOError), rasterio.open(made["truncated"]) as raster:
        raster.read()


@pytest.mark.parametrize("name", ["with_nodata", "with_alpha", "with_mask"])
def test_holes_are_where_they_should_be(made: dict[str, Path], name: str) -> None:
    with rasterio.open(made[name]) as raster:
        mask = raster.dataset_mask() > 0
    expected = np.ones((make.SIZE, make.SIZE), bool)
    expected[make.HOLE] = False
    assert np.array_equal(mask, expected)


def test_odd_places_are_odd(made: dict[str, Path]) -> None:
    with rasterio.open(made["rotated"]) as raster:
        assert raster.transform.b != 0
    with rasterio.open(made["south_up"]) as raster:
        assert raster.transform.e > 0
    with rasterio.open(made["with_gcps"]) as raster:
        assert len(raster.gcps[0]) == 5
        assert raster.transform.is_identity
    with rasterio.open(made["without_georeference"]) as raster:
        assert raster.crs is None
        assert raster.transform == Affine.identity()


def test_scaled_reflectance_is_reflectance(made: dict[str, Path]) -> None:
    with rasterio.open(made["reflectance_scaled"]) as raster:
        values = raster.read() * raster.scales[0] + raster.offsets[0]
    assert np.abs(values - make.reflectance()).max() < 1e-4


def test_the_huge_ones_repeat_a_small_one(made: dict[str, Path]) -> None:
    for name, size in (("huge", 20_000), ("huge_60000", 60_000)):
        with rasterio.open(made[name]) as raster:
            assert raster.shape == (size, size)
            last = raster.read(window=((size - 2000, size - 1744), (size - 2000, size - 1744)))
        assert np.array_equal(last, make.rgb())
    assert sum(path.stat().st_size for path in made["huge"].parent.glob("*huge*")) < 25_000_000
