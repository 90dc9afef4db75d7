"""Windows of pixels and their validity: nodata, alpha, masks, NaN, edges, averages, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, Resampling

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import RasterError
from geomm_engine.raster.warped import WarpedStack
from tests.data import make
from tests.engine.raster.drawing import UTM, random_bands, reader_of, write, write_damaged

HOLES = [make.with_nodata, make.with_alpha, make.with_mask, make.with_nan]


def read_all(path: Path):
    reader = reader_of(path)
    try:
        return reader.read(0, 0, make.SIZE, make.SIZE)
    finally:
        reader.close()


@pytest.mark.parametrize("draw", HOLES, ids=lambda draw: draw.__name__)
def test_holes_are_seen_whatever_marks_them(folder: Path, draw) -> None:
    block = read_all(draw(folder))
    expected = np.ones((make.SIZE, make.SIZE), dtype=bool)
    expected[make.HOLE] = False
    np.testing.assert_array_equal(block.valid, expected)
    assert np.isfinite(block.values).all()
    assert not block.values[:, ~block.valid].any()


def test_pixels_come_as_stored(folder: Path) -> None:
    path = make.sentinel2(folder)
    block = read_all(path)
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(block.values, raster.read([1, 2, 3]).astype(np.float32))
    assert block.values.dtype == np.float32
    assert block.valid.all()


def test_alpha_of_sixteen_bits_may_go_to_255_only(folder: Path) -> None:
    values = random_bands(4).astype(np.uint16) * 100
    values[3] = 255
    values[3, :20] = 0
    path = write(folder / "alpha 16.tif", values)
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    block = reader_of(path).read(0, 0, 80, 100)
    assert not block.valid[:20].any()
    assert block.valid[20:].all()


def test_near_infrared_marked_as_alpha_is_no_mask(folder: Path) -> None:
    values = random_bands(4)
    values[3] = np.arange(100)[None, :] + 20
    path = write(folder / "fake alpha.tif", values, photometric="rgb", alpha="yes")
    reader = reader_of(path)
    assert reader.stack.ignores_alpha
    assert [band.role for band in reader.stack.bands] == ["red", "green", "blue", "nir"]
    block = reader.read(0, 0, 80, 100)
    assert block.valid.all()
    np.testing.assert_array_equal(block.values, values[:3])


def test_a_soft_edge_leaves_alpha_a_mask(folder: Path) -> None:
    values = random_bands(4)
    values[3] = 255
    values[3, :, :30] = 0
    values[3, :, 30] = 127
    values[3, :, 31] = 128
    reader = reader_of(write(folder / "soft.tif", values, photometric="rgb", alpha="yes"))
    assert not reader.stack.ignores_alpha
    valid = reader.read(0, 0, 80, 100).valid
    assert not valid[:, :31].any()
    assert valid[:, 31:].all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_no_data(folder: Path, value: float) -> None:
    values = random_bands().astype(np.float32) / 255
    values[1, 5, 7] = value
    block = reader_of(write(folder / "no number.tif", values), roles=("red", "green", "blue")).read(0, 0, 80, 100)
    assert not block.valid[5, 7]
    assert block.valid.sum() == block.valid.size - 1
    assert np.isfinite(block.values).all()


def test_zero_is_data_unless_told_otherwise(folder: Path) -> None:
    values = random_bands()
    values[:, 3, 4] = 0
    values[0, 5, 6] = 0
    path = write(folder / "zero.tif", values, photometric="rgb")
    assert reader_of(path).read(0, 0, 80, 100).valid.all()
    valid = reader_of(path, zero_is_nodata=True).read(0, 0, 80, 100).valid
    assert not valid[3, 4]
    assert valid.sum() == valid.size - 1


@pytest.mark.parametrize(
    ("y", "x", "height", "width"),
    [
        (-5, -7, 20, 20),
        (70, 90, 30, 40),
        (-3, 0, 90, 100),
        (-300, 30, 700, 5),
        (79, 99, 40, 40),
        (-80, -100, 80, 100),
        (200, 250, 9, 9),
    ],
)
def test_edges_are_mirrored_by_the_rasters_own_pixels(folder: Path, y: int, x: int, height: int, width: int) -> None:
    """A window over the edge is a window of the raster reflected without end, however far it reaches over."""
    values = random_bands()
    whole = np.pad(values, ((0, 0), (320, 480), (400, 500)), mode="symmetric")
    block = reader_of(write(folder / "mirror.tif", values, photometric="rgb")).read(y, x, height, width)
    np.testing.assert_array_equal(block.values, whole[:, 320 + y : 320 + y + height, 400 + x : 400 + x + width])
    assert block.valid.shape == (height, width)


def test_holes_are_mirrored_too(folder: Path) -> None:
    values = random_bands()
    values[:, 0, :3] = 0
    block = reader_of(write(folder / "hole.tif", values, photometric="rgb", nodata=0)).read(-1, -2, 5, 9)
    assert np.argwhere(~block.valid).tolist() == [[row, col] for row in (0, 1) for col in range(5)]


@pytest.mark.parametrize("step", [2, 4, 5, 16])
def test_a_fine_raster_is_averaged_by_area(folder: Path, step: int) -> None:
    values = random_bands(3, 320, 240)
    reader = reader_of(write(folder / "fine.tif", values, photometric="rgb", tiled=True, blockxsize=64, blockysize=64))
    expected = values.astype(float).reshape(3, 320 // step, step, 240 // step, step).mean(axis=(2, 4))
    block = reader.read(0, 0, 320 // step, 240 // step, step)
    np.testing.assert_allclose(block.values, expected, atol=0.51 if values.dtype == np.uint8 else 1e-3)
    part = reader.read(3, 5, 7, 6, step)
    np.testing.assert_array_equal(part.values, block.values[:, 3:10, 5:11])


def test_averaging_leaves_nodata_out(folder: Path) -> None:
    values = random_bands(3, 320, 240).astype(np.float32)
    values[:, 100:203, 50:147] = -9999
    path = write(folder / "fine hole.tif", values, nodata=-9999)
    block = reader_of(path, roles=("red", "green", "blue")).read(0, 0, 80, 60, 4)
    valid = (values[0] != -9999).reshape(80, 4, 60, 4)
    share = valid.mean(axis=(1, 3))
    assert block.valid[share > 0.5].all()
    assert not block.valid[share == 0].any()
    kept = np.where(values == -9999, 0, values).reshape(3, 80, 4, 60, 4).sum(axis=(2, 4)) / np.maximum(share * 16, 1)
    np.testing.assert_allclose(block.values[:, block.valid], kept[:, block.valid], rtol=1e-5)


@pytest.mark.parametrize("step", [2, 4])
def test_averages_do_not_depend_on_the_window(folder: Path, step: int) -> None:
    """Also with overviews, of which GDAL makes use."""
    values = random_bands(3, 320, 320)
    path = write(folder / "overviews.tif", values, photometric="rgb", tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(path, "r+") as raster:
        raster.build_overviews([2, 4], rasterio.enums.Resampling.average)
    reader = reader_of(path)
    whole = reader.read(0, 0, 320 // step, 320 // step, step)
    for y, x in ((0, 0), (11, 3), (30, 37)):
        np.testing.assert_array_equal(reader.read(y, x, 30, 30, step).values, whole.values[:, y : y + 30, x : x + 30])


def test_threads_read_what_one_reads(folder: Path) -> None:
    values = random_bands(3, 400, 400)
    reader = reader_of(
        write(folder / "threads.tif", values, photometric="rgb", tiled=True, blockxsize=64, blockysize=64)
    )
    windows = [(y, x) for y in range(0, 400, 40) for x in range(0, 400, 40)] * 2
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda place: reader.read(*place, 40, 40), windows))
    for (y, x), block in zip(windows, blocks, strict=True):
        np.testing.assert_array_equal(block.values, values[:, y : y + 40, x : x + 40])
    reader.close()


def test_an_unreadable_block_is_an_error_and_the_others_are_not(folder: Path) -> None:
    reader = reader_of(write_damaged(folder / "truncated.tif"))
    assert reader.read(0, 0, 32, 32).valid.all()
    with pytest.raises(RasterError) as caught:
        reader.read(200, 200, 32, 32)
    assert caught.value.code is ErrorCode.RASTER_UNREADABLE
    assert "truncated.tif" in caught.value.text
    assert "IReadBlock failed" in caught.value.text
    assert "previous exception" not in caught.value.text
    assert not caught.value.text.endswith("..")


def test_a_sample_does_without_unreadable_blocks(folder: Path) -> None:
    sample = reader_of(write_damaged(folder / "truncated.tif")).sample()
    assert sample.valid.any()
    assert sample.values.shape[1:] == sample.valid.shape


def test_nothing_readable_is_an_error_at_once(folder: Path) -> None:
    path = write(folder / "empty.tif", random_bands(), photometric="rgb", compress="deflate")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(RasterError) as caught:
        reader_of(path).sample()
    assert caught.value.code is ErrorCode.RASTER_UNREADABLE


def test_a_sample_sees_all_of_a_large_raster(folder: Path) -> None:
    """Its percentiles are near those of the whole; a corner's are not."""
    ramp = np.broadcast_to(np.linspace(1, 250, 1600)[None, :], (600, 1600))
    reader = reader_of(write(folder / "ramp.tif", np.stack([ramp] * 3).astype(np.uint8), photometric="rgb"))
    low, high = np.percentile(reader.sample().values[0], (2, 98))
    assert low < 20
    assert high > 230


def test_a_large_raster_with_data_in_one_corner_is_not_empty(folder: Path) -> None:
    values = np.zeros((3, 1200, 1200), np.uint8)
    values[:, 70:100, 70:100] = 99
    reader = reader_of(write(folder / "corner.tif", values, photometric="rgb", nodata=0))
    assert reader.sample().valid.any()


def test_files_of_two_resolutions_lie_on_the_finer_grid(folder: Path) -> None:
    y, x = np.mgrid[0:80, 0:100].astype(np.float32)
    fine = (2 * x + y)[None]
    coarse = fine.reshape(1, 40, 2, 50, 2).mean(axis=(2, 4))
    paths = [
        write(folder / "B04.tif", coarse, transform=UTM @ Affine.scale(2)),
        write(folder / "B03.tif", fine),
        write(folder / "B02.tif", fine * 2),
    ]
    reader = reader_of(*paths)
    assert reader.stack.grid.shape_yx == (80, 100)
    assert reader.stack.grid.transform == UTM
    block = reader.read(0, 0, 80, 100)
    np.testing.assert_allclose(block.values[1], fine[0])
    np.testing.assert_allclose(block.values[0, 1:-1, 1:-1], fine[0, 1:-1, 1:-1], atol=0.02)
    assert block.valid.all()


def test_a_hole_in_one_file_is_a_hole(folder: Path) -> None:
    values = random_bands(3).astype(np.float32)
    values[1, 10:20, 10:20] = -1
    paths = [write(folder / f"B0{4 - at}.tif", values[at : at + 1], nodata=-1) for at in range(3)]
    valid = reader_of(*paths).read(0, 0, 80, 100).valid
    assert not valid[10:20, 10:20].any()
    assert valid.sum() == valid.size - 100


def test_an_overview_thins_the_whole_raster(folder: Path) -> None:
    values = random_bands(3, 400, 200)
    block = reader_of(write(folder / "thin.tif", values, photometric="rgb")).overview(100)
    assert block.values.shape == (3, 100, 50)
    assert set(np.unique(block.values)) <= set(np.unique(values).astype(np.float32))


@pytest.mark.parametrize(("nodata", "is_valid"), [(-9999, False), (0, True)])
def test_nodata_in_one_band_is_nodata_unless_it_is_zero(folder: Path, nodata: int, *, is_valid: bool) -> None:
    values = np.full((3, 40, 60), 50, dtype=np.int16)
    values[0, :, :30] = nodata
    path = folder / "one band.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=60, height=40, count=3, dtype="int16", nodata=nodata, photometric="rgb",
        crs="EPSG:32633", transform=Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as raster:  # fmt: skip
        raster.write(values)
    reader = reader_of(path)
    block = reader.read(0, 0, 40, 60)
    reader.close()
    assert block.valid[:, 30:].all()
    assert block.valid[:, :30].all() == is_valid
    assert block.valid[:, :30].any() == is_valid


def test_a_true_zero_is_data_in_one_file_as_in_three_and_in_chips(folder: Path) -> None:
    values = random_bands(3, 40, 60)
    values[2, :, :30] = 0
    values[:, :10, 30:] = 0
    expected = np.ones((40, 60), dtype=bool)
    expected[:10, 30:] = False
    whole = [write(folder / "whole.tif", values, photometric="rgb", nodata=0)]
    parts = [write(folder / f"B0{4 - at}.tif", values[at : at + 1], nodata=0) for at in range(3)]
    for paths in (whole, parts):
        reader = reader_of(*paths)
        np.testing.assert_array_equal(reader.read(0, 0, 40, 60).valid, expected)
        chips = WarpedStack(reader.stack, reader.stack.grid, Resampling.nearest)
        pixels = chips.read(0, 0, 40, 60)
        np.testing.assert_array_equal(pixels.valid, expected)
        np.testing.assert_array_equal(pixels.values[:2, :, :30], values[:2, :, :30])
        chips.close()
        reader.close()


def test_a_zero_of_another_kind_of_image_is_nodata(folder: Path) -> None:
    """Radar that does not reach as far as the picture is no radar of strength 0."""
    picture = write(folder / "B04.tif", random_bands(1, 40, 60), nodata=0)
    radar = random_bands(1, 40, 60).astype(np.float32)
    radar[:, :, :20] = 0
    reader = reader_of(picture, write(folder / "VV.tif", radar, nodata=0), bands=(0, 1), roles=("B04", "vv"))
    valid = reader.read(0, 0, 40, 60).valid
    assert not valid[:, :20].any()
    assert valid[:, 20:].all()
