"""Ground sizes against geodesics, and tiles that are square on the ground."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Geod, Transformer

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import RasterError
from geomm_engine.grid import PixelGrid, TileGrid, Window, stride_px
from geomm_engine.raster.ground import GroundScale, to_geographic

GEOD = Geod(ellps="WGS84")


def pixels(crs: str, transform: Affine, shape_yx: tuple[int, int] = (400, 400)) -> PixelGrid:
    return PixelGrid(CRS.from_user_input(crs).to_wkt(), transform, shape_yx)


DEGREES_60 = pixels("EPSG:4326", Affine(1e-4, 0, 24.9, 0, -1e-4, 60.02))
MERCATOR_60 = pixels("EPSG:3857", Affine(10, 0, 2_771_000, 0, -10, 8_400_000))
UTM_33 = pixels("EPSG:32633", Affine(10, 0, 5e5, 0, -10, 5e6))


def ground_m(grid: PixelGrid, window: Window) -> tuple[float, float]:
    """Height and width in metres of a window, measured through its middle on the ellipsoid."""
    to_lonlat = Transformer.from_crs(CRS.from_wkt(grid.crs_wkt), "EPSG:4326", always_xy=True)

    def distance(first: tuple[float, float], second: tuple[float, float]) -> float:
        (lon, lat), (other_lon, other_lat) = (
            to_lonlat.transform(*(grid.transform @ place)) for place in (first, second)
        )
        return GEOD.inv(lon, lat, other_lon, other_lat)[2]

    x, y = window.x + window.width / 2, window.y + window.height / 2
    height = distance((x, window.y), (x, window.y + window.height))
    return height, distance((window.x, y), (window.x + window.width, y))


def lattice(grid: PixelGrid, tile_px: int) -> TileGrid:
    scale = GroundScale(grid)
    nominal = scale.nominal_m_yx()
    tile_m = tile_px * math.sqrt(math.prod(nominal))
    strides = stride_px(tile_m, nominal[0]), stride_px(tile_m, nominal[1])
    stretch = scale.row_stretch(math.ceil(grid.shape_yx[0] / strides[0]), strides, nominal)
    return TileGrid(grid, strides, tile_px, nominal, stretch)


def test_utm_is_taken_at_its_word() -> None:
    assert GroundScale(UTM_33).nominal_m_yx() == (10, 10)


def test_feet_are_metres_in_the_end() -> None:
    grid = pixels("EPSG:2263", Affine(3, 0, 984_000, 0, -3, 200_000))
    assert GroundScale(grid).nominal_m_yx() == pytest.approx((0.9144, 0.9144), rel=1e-3)


def test_degrees_and_mercator_are_measured() -> None:
    y, x = GroundScale(DEGREES_60).nominal_m_yx()
    assert (y, x) == pytest.approx((11.14, 5.58), abs=0.01)
    y, x = GroundScale(MERCATOR_60).nominal_m_yx()
    latitude = 60.04
    assert (y, x) == pytest.approx((10 * math.cos(math.radians(latitude)),) * 2, rel=0.01)


@pytest.mark.parametrize("tile_px", [32, 64, 224])
@pytest.mark.parametrize(
    "grid", [UTM_33, DEGREES_60, MERCATOR_60], ids=["UTM", "degrees at 60° N", "web mercator at 60° N"]
)
def test_a_tile_is_square_on_the_ground(grid: PixelGrid, tile_px: int) -> None:
    tiles = lattice(grid, tile_px)
    for row in range(tiles.shape_yx[0]):
        height, width = ground_m(grid, tiles.tile_window(row, tiles.shape_yx[1] // 2))
        assert height == pytest.approx(width, rel=0.02)
        assert height == pytest.approx(tiles.tile_m, rel=0.02)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_a_tile_is_square_from_south_to_north(crs: str) -> None:
    """From the equator to 70° N in one raster."""
    if crs == "EPSG:4326":
        grid = pixels(crs, Affine(0.1, 0, 10, 0, -0.1, 70), (700, 300))
    else:
        grid = pixels(crs, Affine(10_000, 0, 0, 0, -10_000, 11_000_000), (1100, 300))
    tiles = lattice(grid, 32)
    for row in range(tiles.shape_yx[0] - 1):
        window = tiles.tile_window(row, tiles.shape_yx[1] // 2)
        height, width = ground_m(grid, window)
        assert height == pytest.approx(width, rel=0.06), row
        assert height == pytest.approx(tiles.tile_m, rel=0.06), row


def test_tiles_of_a_utm_raster_are_all_alike() -> None:
    assert lattice(UTM_33, 32).row_stretch == ()


@pytest.mark.parametrize(("crs", "code"), [
    ('PROJCS["Europa",GEOGCS["GCS",DATUM["D",SPHEROID["S",1560800,0]],PRIMEM["M",0],UNIT["Degree",0.0174532925]],'
     'PROJECTION["Equirectangular"],PARAMETER["central_meridian",0],UNIT["Meter",1]]', ErrorCode.RASTER_NOT_ON_EARTH),
    ('LOCAL_CS["my field",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]', ErrorCode.RASTER_NO_GEOREFERENCE),
    ("no CRS at all", ErrorCode.RASTER_NO_GEOREFERENCE),
])  # fmt: skip
def test_a_crs_that_is_none_of_the_earth_is_refused(crs: str, code: ErrorCode) -> None:
    with pytest.raises(RasterError) as caught:
        to_geographic(crs)
    assert caught.value.code is code
    assert caught.value.cure


def test_a_raster_off_the_earth_is_refused() -> None:
    grid = pixels("+proj=geos +h=35786023 +lon_0=0", Affine(10_000, 0, 9e6, 0, -10_000, 9e6), (100, 100))
    with pytest.raises(RasterError) as caught:
        GroundScale(grid).nominal_m_yx()
    assert caught.value.code is ErrorCode.RASTER_NOT_ON_EARTH


def test_a_whole_disc_is_refused() -> None:
    grid = pixels("+proj=geos +h=35786023 +lon_0=0", Affine(20_000, 0, -5.4e6, 0, -20_000, 5.4e6), (540, 540))
    scale = GroundScale(grid)
    with pytest.raises(RasterError) as caught:
        scale.row_stretch(34, (16, 16), scale.nominal_m_yx())
    assert caught.value.code is ErrorCode.RASTER_UNSUPPORTED
    assert "Warp" in caught.value.cure


@pytest.mark.parametrize("crs", ["EPSG:3035", "EPSG:5070", "EPSG:3413"])
def test_a_continent_in_its_own_projection_is_not(crs: str) -> None:
    origin = {"EPSG:3035": (2.5e6, 5.5e6), "EPSG:5070": (-2.3e6, 3.1e6), "EPSG:3413": (-2e6, 0)}[crs]
    grid = pixels(crs, Affine(10_000, 0, origin[0], 0, -10_000, origin[1]), (300, 400))
    scale = GroundScale(grid)
    nominal = scale.nominal_m_yx()
    assert np.isfinite(scale.row_stretch(19, (16, 16), nominal)).all()


def test_the_middle_of_a_raster(tmp_path: Path) -> None:
    lon, lat = GroundScale(DEGREES_60).centre_lonlat()
    assert (lon, lat) == pytest.approx((24.92, 60.0))
