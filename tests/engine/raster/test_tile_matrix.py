"""The numbers of the web's tile pyramid and of UTM squares, against known ones."""

from __future__ import annotations

import math

import pytest
from pyproj import CRS

from geomm_engine.raster.tile_matrix import HALF_WORLD_M, boxes_over, latitude_of, utm_matrix, web_matrix, web_zoom


def test_pixels_of_the_web_are_the_known_ones() -> None:
    """Methods A3: 4.78 m at level 15 and 1.19 m at level 17 on the equator, half of it at 60°."""
    matrix = web_matrix(15, 256)
    assert [web_matrix(zoom, 256).ground_px_m(2 ** (zoom - 1)) for zoom in (15, 17)] == pytest.approx(
        [4.777, 1.194], abs=1e-3
    )
    row = matrix.tile_at(0.0, math.asinh(math.tan(math.radians(60))) * 6378137.0)[1]
    assert matrix.ground_px_m(row) == pytest.approx(156543.03392 * 0.5 / 2**15, rel=1e-3)
    assert matrix.pixel == pytest.approx(156543.03392 / 2**15, rel=1e-9)


def test_level_is_the_nearest_by_ratio() -> None:
    assert web_zoom(10.0, 0.0, 256) == 14
    assert web_zoom(10.0, 60.0, 256) == 13
    assert web_zoom(10.0, 0.0, 512) == 13
    assert (web_zoom(1e9, 0.0, 256), web_zoom(1e-9, 0.0, 256)) == (0, 24)


def test_tiles_are_numbered_from_the_north_west() -> None:
    matrix = web_matrix(7, 256)
    assert matrix.tile_at(-HALF_WORLD_M + 1, HALF_WORLD_M - 1) == (0, 0)
    assert matrix.tile_at(math.radians(13.4) * 6378137, 6894701.0) == (68, 41)  # Berlin
    assert matrix.bounds(64, 64)[3] == pytest.approx(0.0, abs=1e-6)
    assert latitude_of(HALF_WORLD_M) == pytest.approx(math.radians(85.05112878))


def test_tiles_over_a_box_do_not_count_a_shared_edge() -> None:
    matrix = web_matrix(3, 256)
    columns, rows = matrix.tiles_over(matrix.bounds(2, 5))
    assert (list(columns), list(rows)) == ([2], [5])
    columns, rows = matrix.tiles_over((-3e7, -3e7, 3e7, 3e7))
    assert (list(columns), list(rows)) == (list(range(8)), list(range(8)))


def test_grid_of_tiles_is_made_of_their_pixels() -> None:
    matrix = web_matrix(10, 64)
    grid = matrix.grid(range(500, 503), range(300, 302))
    assert grid.shape_yx == (128, 192)
    assert grid.bounds_xyxy == pytest.approx((*matrix.bounds(500, 301)[:2], *matrix.bounds(502, 300)[2:]))


def test_boxes_end_where_the_web_ends() -> None:
    matrix, wkt = web_matrix(3, 256), CRS.from_epsg(4326).to_wkt()
    (whole,) = boxes_over(wkt, (-180.0, -90.0, 180.0, 90.0), matrix)
    assert whole == pytest.approx((-HALF_WORLD_M, -HALF_WORLD_M, HALF_WORLD_M, HALF_WORLD_M), rel=1e-8)


@pytest.mark.parametrize(
    ("epsg", "bounds"),
    [
        (32760, (8.0e5, 8.0e6, 9.0e5, 8.1e6)),
        (4326, (179.8, -18.0, 180.7, -17.0)),
        (4326, (-180.2, -18.0, -179.3, -17.0)),
        (4269, (179.8, -18.0, 180.7, -17.0)),
    ],
)
def test_a_box_over_the_date_line_becomes_two(epsg: int, bounds: tuple[float, ...]) -> None:
    east, west = sorted(boxes_over(CRS.from_epsg(epsg).to_wkt(), bounds, web_matrix(3, 256)), reverse=True)
    assert (east[2], west[0]) == pytest.approx((HALF_WORLD_M, -HALF_WORLD_M))
    widths = [math.degrees((box[2] - box[0]) / 6378137.0) for box in (east, west)]
    assert all(0 < width < 1.2 for width in widths)
    assert east[1::2] == west[1::2]
    if epsg != 32760:
        assert sorted(widths) == pytest.approx([0.2, 0.7], abs=1e-4)
    else:
        assert east[3] - east[1] == pytest.approx(1e5, rel=0.1)


def test_degrees_from_0_to_360_are_the_whole_world() -> None:
    boxes = boxes_over(CRS.from_epsg(4326).to_wkt(), (0.0, -10.0, 360.0, 10.0), web_matrix(3, 256))
    edges = sorted(edge for box in boxes for edge in (box[0], box[2]))
    assert edges == pytest.approx([-HALF_WORLD_M, 0.0, 0.0, HALF_WORLD_M], abs=1e-6)


def test_utm_zone_is_that_of_the_place() -> None:
    assert utm_matrix(13.4, 52.5, 10.0, 64).crs == "EPSG:32633"
    assert utm_matrix(-48.1, -25.3, 10.0, 64).crs == "EPSG:32722"
    assert utm_matrix(180.0, 1.0, 10.0, 64).crs == "EPSG:32660"
    assert utm_matrix(13.4, 52.5, 10.0, 64).bounds(0, 0) == (0.0, 1e7 - 640, 640.0, 1e7)
