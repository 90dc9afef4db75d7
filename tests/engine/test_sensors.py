"""Band names and product names."""

from __future__ import annotations

import pytest

from geomm_engine.sensors import (
    SENTINEL2_STACKS,
    is_same_role,
    is_sentinel1,
    product_hint,
    quantity_of,
    role_of,
    wavelength_of,
)


@pytest.mark.parametrize(
    ("text", "role"),
    [("B04", "B04"),
     ("b4", "B04"), ("T33UUV_20200706T101031_B8A_20m", "B8A"), ("B12", "B12"), ("Red", "red"),
     (" rouge ", "red"), ("NIR", "nir"), ("grün", "green"), ("Near Infrared", "nir"), ("VV", "vv"),
     ("S1A_IW_VH", "vh"), ("a-VV-VH", ""), ("DEM", "height"), ("thermal infrared", "thermal"),
     ("band 4", ""), ("", ""), ("AB04", ""), ("B40", ""), ("B13", ""), ("scene_of_reddish_soil", "")],
)  # fmt: skip
def test_roles_of_names(text: str, role: str) -> None:
    assert role_of(text) == role


@pytest.mark.parametrize(
    ("have", "want", "is_same"),
    [("B04", "red", True), ("red", "B04", True), ("B02", "blue", True), ("B08", "nir", True), ("B8A", "nir", False),
     ("B03", "red", False), ("", "", True), ("green", "green", True)],
)  # fmt: skip
def test_what_measures_the_same(have: str, want: str, *, is_same: bool) -> None:
    assert is_same_role(have, want) is is_same


@pytest.mark.parametrize(
    ("text", "level", "baseline"),
    [("S2A_MSIL2A_20220706T085611_N0400_R007_T35VLG", "L2A", 400),
     ("S2B_MSIL1C_20180101T000000_N0206_R001_T01AAA.SAFE", "L1C", 206),
     ("/data/site/S2L1C.tif", "L1C", 0), ("holiday.tif", "", 0)],
)  # fmt: skip
def test_products_by_name(text: str, level: str, baseline: int) -> None:
    hint = product_hint("before", text, "after")
    assert (hint.level, hint.baseline) == (level, baseline)


def test_stacks_by_count() -> None:
    assert SENTINEL2_STACKS[12][9:] == ("B09", "B11", "B12")
    assert SENTINEL2_STACKS[10][:3] == ("B02", "B03", "B04")
    assert all(len(names) == count for count, names in SENTINEL2_STACKS.items())


@pytest.mark.parametrize(
    ("text", "role"),
    [("LC08_L2SP_193024_20200805_20200916_02_T1_SR_B4", "red"), ("LC09_L1TP_193024_20220805_02_T1_B2", "blue"),
     ("LT05_L2SP_193024_19900805_02_T1_SR_B3", "red"), ("LE07_L1TP_193024_20020805_02_T1_B1", "blue"),
     ("LT05_L2SP_193024_19900805_02_T1_SR_B6", ""), ("LC08_L2SP_193024_20200805_02_T1_SR_B5", "nir")],
)  # fmt: skip
def test_landsat_numbers_its_bands_in_its_own_way(text: str, role: str) -> None:
    assert role_of(text) == role


def test_quantities_and_wavelengths() -> None:
    assert [quantity_of(role) for role in ("B04", "red", "", "vv", "HH", "height", "thermal")] == [
        "reflectance", "reflectance", "reflectance", "backscatter", "backscatter", "height", "temperature",
    ]  # fmt: skip
    assert [wavelength_of(role) for role in ("B8A", "red", "vv", "height", "thermal", "x")] == [
        865,
        665,
        0,
        0,
        10900,
        0,
    ]


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        ("S1RTC.tif", True),
        ("S1A_IW_GRDH_1SDV.tif", True),
        ("sentinel-1_scene.tif", True),
        ("S1234.tif", False),
        ("S2L2A", False),
    ],
)
def test_sentinel1_is_known_by_its_name(name: str, *, is_it: bool) -> None:
    assert is_sentinel1(name) is is_it
