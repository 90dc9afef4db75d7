"""Opening layers: georeference straightened or refused, bands named, fingerprints."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling

from geomm_engine.contract import ErrorCode, RasterSource
from geomm_engine.errors import RasterError
from geomm_engine.raster.reader import RasterReader
from geomm_engine.raster.source import describe
from geomm_engine.raster.warped import WarpedStack
from tests.data import make
from tests.engine.raster.drawing import UTM, random_bands, reader_of, stack_of, write

# --- position -----------------------------------------------------------------------------------------------------------


def blobs(height: int = 120, width: int = 160) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Grey with three bright round blobs, and their centres (x, y) in pixels."""
    centres = [(30.5, 40.5), (120.5, 30.5), (80.5, 90.5)]
    y, x = np.mgrid[0:height, 0:width] + 0.5
    values = np.full((height, width), 20.0)
    for at_x, at_y in centres:
        values += 200 * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / 8)
    return np.stack([values] * 3).clip(0, 255).astype(np.uint8), centres


def found_blobs(path: Path, wanted: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where the blobs are on the ground, as read; looked for within six pixels of where they should be."""
    reader = reader_of(path)
    grid = reader.stack.grid
    block = reader.read(0, 0, *grid.shape_yx)
    y, x = np.mgrid[0 : grid.shape_yx[0], 0 : grid.shape_yx[1]] + 0.5
    weight = np.where(block.valid, np.maximum(block.values[0] - 25, 0), 0)
    found = []
    for place in wanted:
        col, row = ~grid.transform @ place
        near = weight * ((x - col) ** 2 + (y - row) ** 2 < 36)
        assert near.sum() > 1000, "no blob here"
        found.append(grid.transform @ ((near * x).sum() / near.sum(), (near * y).sum() / near.sum()))
    return found


TRANSFORMS = {
    "north up": UTM,
    "turned by 20°": UTM @ Affine.rotation(20),
    "turned by 90°": UTM @ Affine.rotation(90),
    "turned by 200°": UTM @ Affine.rotation(200),
    "south up": Affine(10, 0, 5e5, 0, 10, 5e6),
    "east to the left": Affine(-10, 0, 5e5, 0, -10, 5e6),
    "longer than wide": Affine(10, 0, 5e5, 0, 25, 5e6),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_everything_is_where_it_is_to_half_a_pixel(folder: Path, name: str) -> None:
    values, centres = blobs()
    transform = TRANSFORMS[name]
    wanted = [transform @ centre for centre in centres]
    path = write(folder / "turned.tif", values, transform=transform, photometric="rgb")
    np.testing.assert_allclose(found_blobs(path, wanted), wanted, atol=5)
    stack = stack_of(path)
    own = stack.grid.transform
    assert (own.b, own.d) == (0, 0)
    assert own.a > 0 > own.e
    assert stack.is_straightened == (name != "north up")


@pytest.mark.parametrize("name", TRANSFORMS)
def test_straightening_keeps_the_pixel_size(folder: Path, name: str) -> None:
    transform = TRANSFORMS[name]
    path = write(folder / "turned.tif", random_bands(), transform=transform, photometric="rgb")
    own = stack_of(path).grid.transform
    sizes = sorted([np.hypot(transform.a, transform.d), np.hypot(transform.b, transform.e)])
    assert sorted([own.a, -own.e]) == pytest.approx(sizes)


def test_what_is_south_up_is_only_turned_over(folder: Path) -> None:
    """No pixel is mixed with its neighbours."""
    values = random_bands()
    path = write(folder / "south up.tif", values, transform=TRANSFORMS["south up"], photometric="rgb")
    block = reader_of(path).read(0, 0, 80, 100)
    assert block.valid.all()
    np.testing.assert_array_equal(block.values, values[:, ::-1])


def test_what_lies_outside_a_turned_raster_is_no_data(folder: Path) -> None:
    path = write(folder / "turned.tif", random_bands(), transform=TRANSFORMS["turned by 20°"], photometric="rgb")
    reader = reader_of(path)
    valid = reader.read(0, 0, *reader.stack.grid.shape_yx).valid
    assert not valid[0, 0]
    assert not valid[-1, -1]
    assert valid.sum() == pytest.approx(80 * 100, rel=0.03)


@pytest.mark.parametrize("options", [{"nodata": 7}, {}], ids=["nodata", "no mark"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_a_turned_hole_stays_a_hole(folder: Path, dtype: str, options: dict) -> None:
    values = np.full((3, 80, 100), 100, dtype)
    values[:, 30:50, 40:70] = 7
    path = write(folder / "turned.tif", values, transform=TRANSFORMS["turned by 20°"], **options)
    reader = reader_of(path, roles=("red", "green", "blue"))
    block = reader.read(0, 0, *reader.stack.grid.shape_yx)
    count = 80 * 100 - (600 if options else 0)
    assert block.valid.sum() == pytest.approx(count, rel=0.05)
    if options:
        np.testing.assert_allclose(block.values[:, block.valid], 100, rtol=1e-3)


@pytest.mark.parametrize("turn", [0, 15])
@pytest.mark.parametrize("count", [3, 5, 12])
def test_control_points_put_everything_where_it_is(folder: Path, count: int, turn: float) -> None:
    values, centres = blobs()
    transform = UTM @ Affine.rotation(turn)
    corners = [(0, 0), (0, 160), (120, 0), (120, 160)]
    places = corners + [tuple(place) for place in np.random.default_rng(0).uniform(0, 120, (8, 2))]
    points = [GroundControlPoint(row, col, *(transform @ (col, row))) for row, col in places[:count]]
    path = write(folder / "points.tif", values, transform=None, gcps=points, photometric="rgb")
    wanted = [transform @ centre for centre in centres]
    np.testing.assert_allclose(found_blobs(path, wanted), wanted, atol=5)
    assert stack_of(path).is_straightened


def test_control_points_of_an_upright_picture_change_no_pixel(folder: Path) -> None:
    plain, pinned = reader_of(make.picture(folder)), reader_of(make.with_gcps(folder))
    first, second = (reader.read(4, 4, 240, 240) for reader in (plain, pinned))
    np.testing.assert_allclose(second.values, first.values, atol=1)
    assert second.valid.all()


def test_a_quarter_turn_changes_no_pixel(folder: Path) -> None:
    values = random_bands(3, 600, 700)
    path = write(folder / "turned.tif", values, transform=UTM @ Affine.rotation(90), photometric="rgb")
    reader = reader_of(path)
    assert reader.stack.is_straightened
    block = reader.read(0, 0, *reader.stack.grid.shape_yx)
    assert block.valid.all()
    turned = np.rot90(values, 3, axes=(1, 2)).astype(np.float32)
    np.testing.assert_allclose(block.values, turned, atol=1)


@pytest.mark.parametrize("angle", [0, 5])
def test_data_in_a_band_that_is_marked_alpha_hides_nothing(folder: Path, angle: float) -> None:
    values = random_bands(4, 200, 240)
    values[3, :100] = 0
    path = write(
        folder / "near infrared.tif", values, photometric="rgb", alpha="yes", transform=UTM @ Affine.rotation(angle)
    )
    said = {} if angle else {"crs": "EPSG:32632"}
    reader = reader_of(path, bands=(0, 1, 2, 3), **said)
    block = reader.read(0, 0, *reader.stack.grid.shape_yx)
    assert reader.stack.ignores_alpha
    assert block.valid.mean() > (0.8 if angle else 0.99)
    assert (block.values[3][block.valid] == 0).mean() > 0.4
    stack = WarpedStack(reader.stack, reader.stack.grid, Resampling.nearest)
    assert stack.read(0, 0, *reader.stack.grid.shape_yx).valid.mean() == pytest.approx(block.valid.mean(), abs=0.01)
    stack.close()


# --- a CRS that a person says -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_crs_that_is_said_stands_in_for_the_files(folder: Path) -> None:
    path = make.picture(folder)
    own = describe(RasterSource((str(path),)))
    said = describe(RasterSource((str(path),), crs="EPSG:32632"))
    assert CRS.from_wkt(said.grid.crs_wkt) == CRS.from_epsg(32632) != CRS.from_wkt(own.grid.crs_wkt)
    assert said.grid.transform.almost_equals(own.grid.transform)
    assert said.grid.shape_yx == own.grid.shape_yx
    assert said.fingerprint != own.fingerprint
    assert not said.is_straightened
    bands = tuple(range(len(own.bands)))
    first, second = (RasterReader(stack, bands).read(4, 4, 240, 240) for stack in (own, said))
    np.testing.assert_array_equal(second.values, first.values)
    assert second.valid.all()


def test_a_crs_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(RasterError) as caught:
        describe(RasterSource((str(make.picture(folder)),), crs="EPSG:0815 nonsense"))
    assert caught.value.code is ErrorCode.RASTER_NO_GEOREFERENCE
    assert "0815 nonsense" in caught.value.text


# --- refusals -----------------------------------------------------------------------------------------------------------

REFUSED = {
    make.complex_numbers: ErrorCode.RASTER_UNSUPPORTED,
    make.palette: ErrorCode.RASTER_UNSUPPORTED,
    make.without_georeference: ErrorCode.RASTER_NO_GEOREFERENCE,
    make.no_raster: ErrorCode.RASTER_UNREADABLE,
    make.truncated: ErrorCode.RASTER_UNREADABLE,
}


@pytest.mark.parametrize("draw", REFUSED, ids=lambda draw: draw.__name__)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_cannot_be_read_rightly_is_refused(folder: Path, draw) -> None:
    path = draw(folder)
    with pytest.raises(RasterError) as caught:
        stack_of(path)
    assert caught.value.code is REFUSED[draw]
    assert path.name in caught.value.text
    assert caught.value.cure


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_crs_without_a_place_is_no_georeference(folder: Path) -> None:
    path = write(folder / "nowhere.tif", random_bands(), transform=Affine.identity())
    with pytest.raises(RasterError) as caught:
        stack_of(path)
    assert caught.value.code is ErrorCode.RASTER_NO_GEOREFERENCE


@pytest.mark.parametrize("name", ["gone.tif", "no folder/gone.tif"])
def test_a_vanished_file_is_missing(folder: Path, name: str) -> None:
    with pytest.raises(RasterError) as caught:
        stack_of(folder / name)
    assert caught.value.code is ErrorCode.RASTER_MISSING
    assert str(folder / name) in caught.value.text


def test_no_file_at_all_is_missing() -> None:
    with pytest.raises(RasterError) as caught:
        describe(RasterSource(()))
    assert caught.value.code is ErrorCode.RASTER_MISSING


def virtual(folder: Path, part: Path) -> Path:
    path = folder / "put together.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="100" rasterYSize="80"><SRS>EPSG:32633</SRS><GeoTransform>5e5,10,0,5e6,0,-10</GeoTransform>'
        + "".join(
            f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename relativeToVRT="1">{part.name}'
            f"</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
            for band in (1, 2, 3)
        )
        + "</VRTDataset>",
        encoding="utf-8",
    )
    return path


def test_a_virtual_raster_without_its_parts_names_what_is_lost(folder: Path) -> None:
    part = write(folder / "pièce.tif", random_bands())
    path = virtual(folder, part)
    assert len(stack_of(path).bands) == 3
    part.unlink()
    with pytest.raises(RasterError) as caught:
        stack_of(path)
    assert caught.value.code is ErrorCode.RASTER_MISSING
    assert str(part) in caught.value.text


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:32634", "EPSG:4326"])
def test_files_that_lie_elsewhere_are_no_stack(folder: Path, crs: str) -> None:
    here = write(folder / "B04.tif", random_bands(1))
    away = Affine(1e-4, 0, 60, 0, -1e-4, -20) if crs == "EPSG:4326" else Affine(10, 0, 7e5, 0, -10, 3e6)
    there = write(folder / "B03.tif", random_bands(1), crs=crs, transform=away)
    with pytest.raises(RasterError) as caught:
        stack_of(here, there)
    assert caught.value.code is ErrorCode.RASTER_MISMATCH
    assert "B03.tif" in caught.value.text


# --- bands --------------------------------------------------------------------------------------------------------------


def roles(*paths: Path, **options) -> list[str]:
    return [band.role for band in stack_of(*paths, **options).bands]


def test_roles_from_descriptions(folder: Path) -> None:
    assert roles(make.sentinel2(folder)) == ["B02", "B03", "B04", "B08"]
    assert roles(make.reflectance_float(folder)) == ["red", "green", "blue", "nir"]


def test_roles_from_colours_whatever_their_order(folder: Path) -> None:
    path = write(folder / "bgr.tif", random_bands())
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    stack = stack_of(path)
    assert [band.role for band in stack.bands] == ["blue", "green", "red"]
    assert stack.band_for("red") == 2
    assert stack.assumed == ""


def test_descriptions_are_believed_before_colours(folder: Path) -> None:
    path = write(folder / "said.tif", random_bands(), photometric="rgb")
    with rasterio.open(path, "r+") as raster:
        raster.descriptions = ("blue", "green", "red")
    assert roles(path) == ["blue", "green", "red"]


def test_roles_from_file_names(folder: Path) -> None:
    inside = make.single_bands(folder)
    names = ("T33UUV_20200706_B04_10m", "B8A", "near_infrared", "NIR")
    paths = [inside / "B04.tif", inside / "B08.tif", inside / "B11.tif"]
    assert roles(*paths) == ["B04", "B08", "B11"]
    for name, role in zip(names, ("B04", "B8A", "", "nir"), strict=True):
        assert roles(write(folder / f"{name}.tif", random_bands(1))) == [role]


def test_given_roles_are_believed_before_all(folder: Path) -> None:
    assert roles(make.sentinel2(folder), roles=("red", "", "B8A")) == ["red", "", "B8A", ""]


def test_more_roles_than_bands_are_too_many(folder: Path) -> None:
    with pytest.raises(RasterError) as caught:
        roles(make.picture(folder), roles=("red", "green", "blue", "nir"))
    assert caught.value.code is ErrorCode.BANDS_MISSING


@pytest.mark.parametrize(
    ("count", "dtype", "assumed"),
    [(3, "uint8", "rgb_order"), (4, "uint8", "rgbn_order"), (12, "uint16", "sentinel2_order"), (13, "uint16", "sentinel2_order"),
     (3, "uint16", ""), (1, "uint8", ""), (7, "float32", ""), (12, "uint8", "")],
)  # fmt: skip
def test_what_is_taken_for_granted_is_said(folder: Path, count: int, dtype: str, assumed: str) -> None:
    path = write(folder / "plain.tif", np.ones((count, 8, 8), dtype), photometric="minisblack", alpha="unspecified")
    stack = stack_of(path)
    assert stack.assumed == assumed
    assert (stack.band_for("red") is not None) == bool(assumed)
    if count >= 12 and assumed:
        assert stack.band_for("red") == 3
        assert stack.band_for("nir") == 7


def test_each_file_of_a_stack_is_taken_for_what_it_is(folder: Path) -> None:
    plain = {"photometric": "minisblack", "alpha": "unspecified"}
    optical = write(folder / "S2L2A.tif", np.ones((12, 8, 8), "uint16"), **plain)
    radar = write(folder / "S1RTC.tif", np.ones((2, 8, 8), "float32"), **plain)
    stack = stack_of(optical, radar)
    assert [band.role for band in stack.bands][-3:] == ["B12", "vv", "vh"]
    assert stack.band_for("red") == 3
    assert stack.assumed == "sentinel2_order"
    unknown = write(folder / "else.tif", np.ones((2, 8, 8), "float32"), **plain)
    assert [band.role for band in stack_of(optical, unknown).bands][-2:] == ["", ""]


# --- fingerprints -------------------------------------------------------------------------------------------------------


def test_a_fingerprint_changes_with_the_file(folder: Path) -> None:
    path = write(folder / "print.tif", random_bands(), photometric="rgb")
    before = stack_of(path).fingerprint
    assert stack_of(path).fingerprint == before
    os.utime(path, ns=(1, 1))
    assert stack_of(path).fingerprint != before


def test_looking_at_a_raster_leaves_its_fingerprint(folder: Path) -> None:
    """QGIS writes statistics and overviews beside the rasters that it shows."""
    path = write(folder / "print.tif", random_bands(), photometric="rgb")
    before = stack_of(path).fingerprint
    Path(f"{path}.aux.xml").write_text("<PAMDataset></PAMDataset>", encoding="utf-8")
    Path(f"{path}.ovr").write_bytes(write(folder / "half.tif", random_bands(3, 40, 50)).read_bytes())
    assert len(list(folder.iterdir())) == 4
    assert stack_of(path).fingerprint == before


def test_another_nodata_value_is_another_fingerprint(folder: Path) -> None:
    path = write(folder / "print.tif", random_bands(), photometric="rgb")
    before = stack_of(path).fingerprint
    text = '<PAMDataset><PAMRasterBand band="1"><NoDataValue>0</NoDataValue></PAMRasterBand></PAMDataset>'
    Path(f"{path}.aux.xml").write_text(text, encoding="utf-8")
    assert stack_of(path).fingerprint != before


def test_a_part_of_a_virtual_raster_is_part_of_its_fingerprint(folder: Path) -> None:
    part = write(folder / "part.tif", random_bands())
    path = virtual(folder, part)
    before = stack_of(path).fingerprint
    os.utime(part, ns=(1, 1))
    assert stack_of(path).fingerprint != before


def test_a_change_behind_virtual_rasters_and_archives_is_seen(folder: Path) -> None:
    base, inner, outer = folder / "base.tif", folder / "inner.vrt", folder / "outer.vrt"
    write(base, random_bands(), photometric="rgb")
    rasterio.shutil.copy(base, inner, driver="VRT")
    rasterio.shutil.copy(inner, outer, driver="VRT")
    packed = folder / "scene.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(base, "base.tif")
    inside = f"/vsizip/{packed}/base.tif"
    before = [describe(RasterSource((str(path),))).fingerprint for path in (outer, inside)]
    os.utime(base, ns=(1, 1))
    os.utime(packed, ns=(1, 1))
    after = [describe(RasterSource((str(path),))).fingerprint for path in (outer, inside)]
    assert all(now != was for now, was in zip(after, before, strict=True))
    base.unlink()
    with pytest.raises(RasterError) as caught:
        stack_of(outer)
    assert caught.value.code is ErrorCode.RASTER_MISSING
    assert "base.tif" in caught.value.text
