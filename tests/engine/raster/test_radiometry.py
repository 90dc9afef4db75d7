"""One scene stored in six ways is one scene; what is not known is asked for or said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geomm_engine.contract import ErrorCode, Level
from geomm_engine.errors import RasterError
from geomm_engine.raster.radiometry import Radiometry, Reflectance, find_radiometry
from geomm_engine.raster.reader import RasterReader
from tests.data import make
from tests.engine.raster.drawing import random_bands, stack_of, write

GAIN = (1 / 0.3,) * 3
CALIBRATIONS = (Reflectance("toa_reflectance", GAIN, (0.0,) * 3), Reflectance("surface_reflectance", GAIN, (0.0,) * 3))


def radiometry_of(path: Path, unit: str = "", calibrations=CALIBRATIONS, **options):
    stack = stack_of(path, **options)
    positions = tuple(stack.band_for(role) for role in ("red", "green", "blue"))
    reader = RasterReader(stack, positions)

    def darkest() -> float:
        sample = RasterReader(stack, tuple(range(len(stack.bands)))).sample()
        return float(np.percentile(sample.values, 0.1))

    bands = [stack.bands[at] for at in positions]
    found, notes = find_radiometry(stack, bands, reader.sample(), unit, calibrations, darkest)
    return found, notes, reader


def shown(path: Path, unit: str = "") -> np.ndarray:
    """(3, h, w) what the model sees of a raster, as a share of full brightness."""
    found, _, reader = radiometry_of(path, unit)
    return found.apply(reader.read(0, 0, *reader.stack.grid.shape_yx).values)


PHYSICAL = [
    make.sentinel2,
    make.sentinel2_with_offset,
    make.sentinel2_swapped,
    make.reflectance_float,
    make.reflectance_scaled,
]


@pytest.mark.parametrize("draw", PHYSICAL, ids=lambda draw: draw.__name__)
def test_every_way_to_store_a_scene_shows_the_same(folder: Path, draw) -> None:
    expected = np.clip(make.reflectance()[:3] / 0.3, 0, 1)
    np.testing.assert_allclose(shown(draw(folder)), expected, atol=6e-4)


def test_the_eight_bit_picture_of_a_scene_shows_the_same(folder: Path) -> None:
    scene = np.clip(make.reflectance()[:3] / 0.3, 0, 1)
    path = write(folder / "picture.tif", (scene * 255).round().astype(np.uint8), photometric="rgb")
    np.testing.assert_allclose(shown(path), scene, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize(
    ("draw", "unit"),
    [(make.sentinel2, "reflectance_e4"), (make.sentinel2_with_offset, "reflectance_e4_offset"), (make.picture, "display"),
     (make.reflectance_float, "reflectance"), (make.reflectance_scaled, "reflectance"), (make.with_nan, "reflectance")],
)  # fmt: skip
def test_the_unit_is_found_without_a_remark(folder: Path, draw, unit: str) -> None:
    found, notes, _ = radiometry_of(draw(folder))
    assert found.unit == unit
    assert notes == ()
    assert found.text


def dn(folder: Path, add: int, **tags: str) -> Path:
    path = write(folder / "dn.tif", (make.numbers()[[2, 1, 0, 3]] + add).astype(np.uint16))
    with rasterio.open(path, "r+") as raster:
        raster.descriptions = ("B02", "B03", "B04", "B08")
        raster.update_tags(**tags)
    return path


@pytest.mark.parametrize(
    ("baseline", "add", "unit", "remarks"),
    [
        ("N0301", 0, "reflectance_e4", []),
        ("N0301", 1000, "reflectance_e4", []),
        ("N0400", 1000, "reflectance_e4_offset", []),
        ("N0511", 1000, "reflectance_e4_offset", []),
        ("N0511", 0, "reflectance_e4", ["offset_removed"]),
        ("N9999", 0, "reflectance_e4", ["offset_removed"]),
    ],
)
def test_the_products_baseline_decides_unless_the_values_refute_it(
    folder: Path, baseline: str, add: int, unit: str, remarks: list[str]
) -> None:
    path = dn(folder, add, PRODUCT=f"S2A_MSIL2A_20220706T085611_{baseline}_R007_T35VLG_20220706T131100")
    found, notes, _ = radiometry_of(path)
    assert found.unit == unit
    assert [note.code for note in notes] == remarks


def test_an_offset_that_only_the_values_betray_is_said(folder: Path) -> None:
    found, notes, _ = radiometry_of(dn(folder, 1000))
    assert found.unit == "reflectance_e4_offset"
    assert [(note.code, note.level) for note in notes] == [("offset_assumed", Level.AMBER)]
    found, notes, _ = radiometry_of(dn(folder, 0))
    assert found.unit == "reflectance_e4"


def test_values_of_an_unknown_unit_are_stretched_and_that_is_said(folder: Path) -> None:
    values = random_bands().astype(np.uint16) * 40
    found, notes, reader = radiometry_of(write(folder / "unknown.tif", values), roles=("red", "green", "blue"))
    assert found.unit == "stretch"
    assert [note.code for note in notes] == ["unit_assumed"]
    drawn = found.apply(reader.read(0, 0, 80, 100).values)
    low, high = np.percentile(values.reshape(3, -1), (2, 98), axis=1)
    expected = np.clip((values - low[:, None, None]) / (high - low)[:, None, None], 0, 1)
    np.testing.assert_allclose(drawn, expected, atol=1e-4)


@pytest.mark.parametrize(("scale", "offset"), [(1e-4, 1000.0), (0.01, 273.15), (1e-2, 0.0)])
def test_a_scale_alone_is_no_reflectance(folder: Path, scale: float, offset: float) -> None:
    """Temperatures and heights are scaled too; read as reflectance they would all be white."""
    values = random_bands().astype(np.int16) * 40
    path = write(folder / "scaled.tif", values)
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (scale,) * 3, (offset,) * 3
    found, notes, reader = radiometry_of(path, roles=("red", "green", "blue"))
    assert found.unit == "stretch"
    assert [note.code for note in notes] == ["unit_assumed"]
    assert found.apply(reader.read(0, 0, 80, 100).values).std() > 0.1


@pytest.mark.parametrize("unit", ["display", "stretch", "reflectance_e4"])
def test_a_unit_that_is_told_is_believed(folder: Path, unit: str) -> None:
    found, notes, _ = radiometry_of(make.sentinel2(folder), unit)
    assert found.unit == unit
    assert notes == ()


def test_a_unit_that_nobody_knows_is_refused(folder: Path) -> None:
    with pytest.raises(RasterError) as caught:
        radiometry_of(make.picture(folder), "radiance")
    assert caught.value.code is ErrorCode.UNIT_UNKNOWN
    assert "radiance" in caught.value.text
    assert "stretch" in caught.value.cure


def test_a_layer_without_data_is_refused(folder: Path) -> None:
    with pytest.raises(RasterError) as caught:
        radiometry_of(make.all_nodata(folder))
    assert caught.value.code is ErrorCode.RASTER_EMPTY


def test_a_model_that_reads_no_reflectance_says_so(folder: Path) -> None:
    with pytest.raises(RasterError) as caught:
        radiometry_of(make.sentinel2(folder), calibrations=())
    assert caught.value.code is ErrorCode.UNIT_UNKNOWN


def test_level_1c_is_read_by_its_own_calibration(folder: Path) -> None:
    calibrations = (
        Reflectance("toa_reflectance", (2.0,) * 3, (0.1,) * 3),
        Reflectance("surface_reflectance", (5.0,) * 3, (0.0,) * 3),
    )
    found, _, _ = radiometry_of(make.sentinel2(folder), calibrations=calibrations)
    assert found.gain == pytest.approx((2e-4,) * 3)
    assert found.offset == pytest.approx((0.1,) * 3)
    assert "top-of-atmosphere" in found.text
    path = write(folder / "ground.tif", make.reflectance()[:3])
    found, _, _ = radiometry_of(path, calibrations=calibrations, roles=("red", "green", "blue"))
    assert found.gain == (5.0,) * 3
    assert "surface" in found.text


def test_values_never_leave_zero_to_one() -> None:
    radiometry = Radiometry("display", (1 / 255,) * 3, (0.0,) * 3, False, "")
    drawn = radiometry.apply(np.array([[[-50.0]], [[100.0]], [[999.0]]], np.float32))
    assert drawn.ravel().tolist() == pytest.approx([0, 100 / 255, 1])


def test_zero_is_nodata_in_numbers_without_a_nodata_value(folder: Path) -> None:
    path = dn(folder, 0)
    assert radiometry_of(path)[0].zero_is_nodata
    with rasterio.open(path, "r+") as raster:
        raster.nodata = 65535
    assert not radiometry_of(path)[0].zero_is_nodata
    assert not radiometry_of(make.picture(folder))[0].zero_is_nodata
