"""One scene stored in six ways is one scene; what is not known is asked for or said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geomm_engine.contract import ErrorCode, Level, RasterSource
from geomm_engine.errors import RasterError
from geomm_engine.raster.radiometry import Radiometry, Reflectance, find_radiometry
from geomm_engine.raster.reader import RasterReader
from geomm_engine.raster.source import describe
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


def test_numbers_from_0_to_1_may_be_a_picture_and_that_is_said(folder: Path) -> None:
    values = random_bands().astype(np.float32) / 255
    found, notes, _ = radiometry_of(write(folder / "floats.tif", values), roles=("red", "green", "blue"))
    assert found.unit == "reflectance"
    assert [(note.code, note.level) for note in notes] == [("unit_assumed", Level.AMBER)]
    assert "picture" in notes[0].text


@pytest.mark.parametrize(
    ("dtype", "full", "words"),
    [("uint8", 255, "8-bit"), ("uint16", 255, "8-bit"), ("int16", 255, "8-bit"), ("float32", 255, "8-bit"),
     ("float32", 1, "0 to 1"), ("uint16", 65535, "0 to 65535")],
)  # fmt: skip
def test_white_of_a_picture_follows_its_values(folder: Path, dtype: str, full: int, words: str) -> None:
    values = (random_bands() / 255.0 * full).astype(dtype)
    path = write(folder / "picture.tif", values)
    found, _, reader = radiometry_of(path, roles=("red", "green", "blue"), unit="display")
    assert words in found.text
    np.testing.assert_allclose(found.apply(reader.read(0, 0, 80, 100).values), values / np.float64(full), atol=1e-5)


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


def physical(path: Path, values: np.ndarray, roles: tuple[str, ...], unit: str = "", levels=("decibel",)):
    """Radiometry of bands that are no reflectance."""
    write(path, values.astype(np.float32))
    stack = describe(RasterSource((str(path),), roles))
    positions = tuple(range(len(stack.bands)))
    units = [Reflectance(level, (0.02,) * len(roles), (0.8,) * len(roles)) for level in levels]
    reader = RasterReader(stack, positions)
    found, notes = find_radiometry(stack, stack.bands, reader.sample(), unit, units, lambda: 0.0)
    return found, notes, found.apply(reader.read(0, 0, 8, 8).values)


def test_decibel_and_linear_backscatter_show_the_same(folder: Path) -> None:
    decibel = np.random.default_rng(0).normal((-12, -19), 3, (64, 64, 2)).transpose(2, 0, 1)
    first, _, shown_first = physical(folder / "a.tif", decibel, ("vv", "vh"))
    second, notes, shown_second = physical(folder / "b.tif", 10 ** (decibel / 10), ("vv", "vh"))
    assert (first.unit, second.unit) == ("decibel", "backscatter")
    assert [note.code for note in notes] == ["unit_assumed"]
    np.testing.assert_allclose(shown_first, np.clip(decibel[:, :8, :8] * 0.02 + 0.8, 0, 1), atol=1e-5)
    np.testing.assert_allclose(shown_second, shown_first, atol=1e-4)


def test_a_stack_of_sensors_has_a_unit_for_each(folder: Path) -> None:
    random = np.random.default_rng(0)
    values = np.stack([random.random((64, 64)), random.normal(-12, 2, (64, 64)), random.random((64, 64)) * 900])
    roles, levels = ("red", "vv", "height"), ("surface_reflectance", "decibel", "metres")
    found, _, shown = physical(folder / "tout.tif", values, roles, levels=levels)
    assert found.unit == "reflectance+decibel+metres"
    np.testing.assert_allclose(shown, np.clip(values[:, :8, :8] * 0.02 + 0.8, 0, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("values", "roles", "unit", "reason"),
    [
        (np.full((1, 64, 64), 420.0), ("vv",), "", "neither decibel nor linear"),
        (np.full((1, 64, 64), -12.0), ("vv",), "reflectance", "no unit of vv"),
        (np.full((1, 64, 64), -12.0), ("vv",), "parsec", "no unit that GeoMM knows"),
        (np.full((1, 64, 64), 21.5), ("thermal",), "", "no temperature in kelvin"),
        (np.full((1, 64, 64), 300.0), ("height",), "", "how it reads metres"),
    ],
)
def test_what_no_unit_allows_is_refused(folder: Path, values, roles, unit: str, reason: str) -> None:
    with pytest.raises(RasterError, match=reason) as caught:
        physical(folder / "faux.tif", values, roles, unit)
    assert caught.value.code is ErrorCode.UNIT_UNKNOWN
    assert caught.value.cure
