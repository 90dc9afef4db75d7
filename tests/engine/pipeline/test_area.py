"""Areas: from files and WKT in any CRS to what they touch."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer

from geomm_engine.contract import Area, ErrorCode
from geomm_engine.errors import AreaError
from geomm_engine.grid import Chunk, PixelGrid, TileGrid
from geomm_engine.pipeline import area as areas

GRID = TileGrid(
    PixelGrid(CRS.from_epsg(32633).to_wkt(), Affine(10, 0, 500_000, 0, -10, 5_000_000), (1000, 1000)),
    (16, 16),
    32,
    (10, 10),
)


def box(*bounds: float) -> str:
    return shapely.to_wkt(shapely.box(*bounds))


def vector_file(path: Path, *shapes: shapely.Geometry, epsg: int = 32633) -> Path:
    kind = shapes[0].geom_type if shapes else "Polygon"
    pyogrio.raw.write(path, np.array(shapely.to_wkb(shapes)), [], [], geometry_type=kind, crs=f"EPSG:{epsg}")
    return path


def test_an_area_in_another_crs_lies_where_it_lies() -> None:
    wanted = shapely.box(501_000, 4_995_000, 504_000, 4_998_000)
    move = Transformer.from_crs(32633, 4326, always_xy=True).transform
    degrees = shapely.transform(shapely.segmentize(wanted, 100), lambda xy: np.stack(move(*xy.T), axis=1))
    found = areas.to_grid(Area(shapely.to_wkt(degrees, rounding_precision=12), "EPSG:4326"), GRID)
    assert shapely.symmetric_difference(found, wanted).area < 1e-4 * wanted.area


def test_a_long_edge_in_degrees_is_bent_as_it_should() -> None:
    """A parallel is no straight line in UTM."""
    grid = TileGrid(
        PixelGrid(GRID.pixels.crs_wkt, Affine(100, 0, 200_000, 0, -100, 7_200_000), (3000, 6000)),
        (16, 16),
        32,
        (100, 100),
    )
    found = areas.to_grid(Area(box(10, 63, 20, 64), "EPSG:4326"), grid)
    move = Transformer.from_crs(4326, 32633, always_xy=True).transform
    for lon in np.linspace(10.2, 19.8, 25):
        assert shapely.boundary(found).distance(shapely.Point(*move(lon, 63))) < 700


def test_a_bow_tie_is_mended() -> None:
    found = areas.to_grid(
        Area("POLYGON ((500000 5000000, 501000 4999000, 501000 5000000, 500000 4999000, 500000 5000000))"), GRID
    )
    assert found.area == pytest.approx(500_000)


def past_180(west: float, east: float) -> TileGrid:
    """Degrees from 17° south."""
    pixels = PixelGrid(
        CRS.from_epsg(4326).to_wkt(), Affine(1e-4, 0, west, 0, -1e-4, -17.0), (300, round((east - west) * 1e4))
    )
    return TileGrid(pixels, (16, 16), 32, (10, 10))


@pytest.mark.parametrize(
    ("grid", "wanted"),
    [
        (past_180(179.975, 180.026), (180.001, -17.02, 180.02, -17.005)),
        (past_180(-180.025, -179.974), (-179.999, -17.02, -179.98, -17.005)),
    ],
)
def test_an_area_beyond_the_date_line_is_where_the_raster_is(grid: TileGrid, wanted: tuple[float, ...]) -> None:
    for turn in (-360.0, 0.0, 360.0):
        west, south, east, north = wanted
        found = areas.to_grid(Area(box(west + turn, south, east + turn, north), "EPSG:4326"), grid)
        assert found.bounds == pytest.approx(wanted)


def test_both_sides_of_the_date_line_are_one_area() -> None:
    sides = shapely.union_all([shapely.box(179.98, -17.02, 180, -17.01), shapely.box(-180, -17.02, -179.99, -17.01)])
    found = areas.to_grid(Area(shapely.to_wkt(sides), "EPSG:4326"), past_180(179.975, 180.026))
    assert found.bounds == pytest.approx((179.98, -17.02, 180.01, -17.01))
    assert found.area == pytest.approx(0.03 * 0.01)
    with pytest.raises(AreaError):
        areas.to_grid(Area(box(-179.9, -17.02, -179.8, -17.01), "EPSG:4326"), past_180(179.975, 180.026))


def test_an_area_past_180_does_not_go_round_the_world() -> None:
    found = areas.to_crs(Area(box(179.98, -17.02, 180.02, -17.01), "EPSG:4326"), CRS.from_epsg(3857))
    move = Transformer.from_crs(4326, 3857, always_xy=True).transform
    assert found.area == pytest.approx(math.prod(np.subtract(move(0.04, -17.01), move(0, -17.02))), rel=1e-6)


def test_no_area_is_the_whole_raster() -> None:
    assert areas.to_grid(Area(), GRID) is None
    assert len(areas.chunks_touching(GRID, None)) == 16


def test_chunks_that_an_area_touches() -> None:
    corner = shapely.box(500_000, 4_999_000, 502_600, 5_000_000)
    assert areas.chunks_touching(GRID, corner) == [Chunk(0, 0), Chunk(0, 1)]


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp"])
def test_an_area_from_a_file(folder: Path, suffix: str) -> None:
    shapes = shapely.box(14.5, 45, 14.6, 45.1), shapely.box(14.8, 45, 14.9, 45.1)
    path = vector_file(folder / f"zone é{suffix}", *shapes, epsg=4326)
    area = areas.read_area(path)
    assert shapely.from_wkt(area.wkt).area == pytest.approx(0.02)
    assert CRS.from_user_input(area.crs).to_epsg() == 4326


@pytest.mark.filterwarnings("error")
def test_every_layer_with_polygons_counts(folder: Path) -> None:
    """Points first, then polygons in one CRS and in another; a table of styles has no geometry at all."""
    path = folder / "zones é.gpkg"
    layers = (("sites", shapely.Point(14, 45), 4326), ("west", shapely.box(14.5, 45, 14.6, 45.1), 4326),
              ("east", shapely.box(500_000, 4_990_000, 510_000, 5_000_000), 32633))  # fmt: skip
    for name, shape, epsg in layers:
        wkb = np.array(shapely.to_wkb([shape]))
        pyogrio.raw.write(path, wkb, [], [], layer=name, geometry_type=shape.geom_type, crs=f"EPSG:{epsg}", append=True)
    pyogrio.raw.write(path, None, [np.array(["a"])], ["name"], layer="layer_styles", append=True)
    area = areas.read_area(path)
    assert CRS.from_user_input(area.crs).to_epsg() == 4326
    found = areas.to_crs(area, CRS.from_epsg(32633))
    parts = sorted(shapely.get_parts(found), key=lambda part: part.bounds[0])
    assert len(parts) == 2
    assert shapely.symmetric_difference(parts[1], layers[2][1]).area < 1e-4 * layers[2][1].area


def test_polygons_in_collections_count(folder: Path) -> None:
    """Also beside lines, and in a collection of a collection."""
    inner = shapely.GeometryCollection([shapely.box(2, 0, 3, 1), shapely.LineString([(0, 0), (9, 9)])])
    outer = shapely.GeometryCollection([inner, shapely.MultiPolygon([shapely.box(4, 0, 5, 1)])])
    path = folder / "collections.geojson"
    shapes = shapely.box(0, 0, 1, 1), outer
    features = [
        {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(item))} for item in shapes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    assert shapely.from_wkt(areas.read_area(path).wkt).area == pytest.approx(3)


def no_polygon(folder: Path) -> Path:
    return vector_file(folder / "points.gpkg", shapely.Point(0, 0))


def text(folder: Path) -> Path:
    (folder / "text.gpkg").write_text("text", encoding="utf-8")
    return folder / "text.gpkg"


def empty(folder: Path) -> Path:
    (folder / "empty.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}), encoding="utf-8")
    return folder / "empty.geojson"


def gone(folder: Path) -> Path:
    return folder / "gone.gpkg"


@pytest.mark.parametrize("draw", [no_polygon, text, empty, gone])
def test_a_file_without_polygons_is_refused(folder: Path, draw) -> None:
    path = draw(folder)
    with pytest.raises(AreaError) as caught:
        areas.read_area(path)
    assert caught.value.code is ErrorCode.AREA_INVALID
    assert str(path) in caught.value.text
    assert caught.value.cure


def test_pixels_count_by_their_middle() -> None:
    inside = areas.pixels_inside(shapely.box(500_004, 4_999_976, 500_026, 4_999_996), GRID.pixels.transform, (4, 4))
    assert inside.astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
