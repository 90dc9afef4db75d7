"""Areas of interest: from WKT or a vector file to polygons in the raster's CRS, and the chunks and pixels they touch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from rasterio.features import geometry_mask
from shapely import Geometry

from geomm_engine.contract import Area, ErrorCode
from geomm_engine.errors import AreaError
from geomm_engine.grid import Bounds, Chunk, PixelGrid, TileGrid, overlaps

_CURVE_POINTS = 32
_TURN = 360.0


def read_area(path: Path) -> Area:
    """All polygons of a vector file (GeoPackage, GeoJSON, Shapefile, …), of all its layers, as one area in the first one's CRS.

    Raises:
        AreaError: the file cannot be read, holds no polygon, or does not say where its polygons lie.
    """
    try:
        layers = [_read_layer(path, at) for at in range(len(pyogrio.list_layers(path)))]
    except (DataSourceError, OSError, ValueError, shapely.errors.ShapelyError) as problem:
        raise AreaError(
            ErrorCode.AREA_INVALID,
            f"The area file {path} cannot be read: {problem}.",
            "Give a GeoPackage, GeoJSON or Shapefile with polygons.",
            path=str(path),
        ) from problem
    layers = [layer for layer in layers if len(layer[0])]
    if not layers:
        raise AreaError(
            ErrorCode.AREA_INVALID,
            f"The area file {path} holds no polygon.",
            "Give a file with polygons.",
            path=str(path),
        )
    if not all(crs for _, crs in layers):
        raise AreaError(
            ErrorCode.AREA_INVALID,
            f"The area file {path} does not say in which CRS it is.",
            "Assign its CRS (for a Shapefile: the .prj file beside it), or save it as GeoPackage.",
            path=str(path),
        )
    first = layers[0][1]
    areas = [Area(_wkt(shapely.union_all(shapely.make_valid(polygons))), crs) for polygons, crs in layers]
    return Area(_wkt(shapely.union_all([to_crs(area, CRS.from_user_input(first)) for area in areas])), first)


def _read_layer(path: Path, layer: int) -> tuple[NDArray[np.object_], str]:
    """The polygons of one layer, those inside collections too, and its CRS ("" unknown)."""
    meta, _, geometries, _ = pyogrio.raw.read(path, layer=layer, columns=[])
    shapes = np.array([] if geometries is None else shapely.from_wkb(geometries), dtype=object)
    while (shapely.get_type_id(shapes) == shapely.GeometryType.GEOMETRYCOLLECTION).any():
        shapes = shapely.get_parts(shapes)
    return shapes[shapely.get_dimensions(shapes) == 2], meta["crs"] or ""


def _wkt(shape: Geometry) -> str:
    return str(shapely.to_wkt(shape, rounding_precision=-1))


def to_grid(area: Area, grid: TileGrid) -> Geometry | None:
    """The area in the raster's CRS, None for the whole raster.

    Raises:
        AreaError: the WKT is no polygon, the CRS is unknown, or the area lies outside the raster.
    """
    return to_pixels(area, grid.pixels)


def to_pixels(area: Area, pixels: PixelGrid) -> Geometry | None:
    """The area in the CRS of a grid of pixels, None for the whole raster.

    In degrees 181° east and 179° west are one place: the area is taken where the raster is.

    Raises:
        AreaError: as :func:`to_grid`.
    """
    if not area.wkt:
        return None
    crs = CRS.from_wkt(pixels.crs_wkt)
    shape = to_crs(area, crs)
    if crs.is_geographic:
        shape = _turned_to(shape, pixels.bounds_xyxy)
    if shape.is_empty or shape.area == 0 or not shapely.box(*pixels.bounds_xyxy).intersects(shape):
        raise AreaError(
            ErrorCode.AREA_OUTSIDE,
            "The area does not touch the raster.",
            "Choose an area inside the layer, and check that the CRS of both is right.",
        )
    return shape


def _turned_to(shape: Geometry, bounds: Bounds) -> Geometry:
    """A shape in degrees; where it lies in a box only after a full turn east or west, the parts that do."""
    parts = shapely.get_parts([shape, _turned(shape, -_TURN), _turned(shape, _TURN)])
    there = [overlaps(part.bounds, bounds) for part in parts]
    own = shapely.get_num_geometries(shape)
    return shapely.union_all(parts[there]) if any(there[own:]) else shape


def _turned(shape: Geometry, degrees: float) -> Geometry:
    return shapely.transform(shape, lambda points: points + np.array([degrees, 0.0]))


def _on_the_map(shape: Geometry) -> Geometry:
    """A shape in degrees, cut at the date line and brought between 180° west and 180° east where it runs past them."""
    west, south, east, north = shape.bounds
    if west >= -_TURN / 2 and east <= _TURN / 2:
        return shape
    world = shapely.box(-_TURN / 2, south, _TURN / 2, north)
    return shapely.union_all([_turned(shape, turn).intersection(world) for turn in (-_TURN, 0.0, _TURN)])


def to_crs(area: Area, crs: CRS) -> Geometry:
    """The polygons of an area in another CRS.

    Raises:
        AreaError: the WKT is no polygon, or the CRS is unknown.
    """
    try:
        shape = shapely.make_valid(shapely.from_wkt(area.wkt))
        if shape.area == 0:
            raise ValueError("it has no extent")
        return _moved(shape, CRS.from_user_input(area.crs), crs) if area.crs else shape
    except (shapely.errors.ShapelyError, CRSError, ValueError) as problem:
        raise AreaError(
            ErrorCode.AREA_INVALID, f"The area is no valid polygon: {problem}.", "Draw it again, or check its CRS."
        ) from problem


def _moved(shape: Geometry, own: CRS, wanted: CRS) -> Geometry:
    if own == wanted:
        return shape
    if own.is_geographic and not wanted.is_geographic:
        shape = _on_the_map(shape)
    length = shapely.length(shape)
    dense = shapely.segmentize(shape, length / _CURVE_POINTS) if length > 0 else shape
    transformer = Transformer.from_crs(own, wanted, always_xy=True)

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transformer.transform(points[:, 0], points[:, 1])
        return np.stack([x, y], axis=1)

    moved = shapely.transform(dense, move)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise ValueError("it cannot be expressed in the raster's CRS")
    return moved


def chunks_touching(grid: TileGrid, shape: Geometry | None) -> list[Chunk]:
    """The chunks that the area touches, in reading order."""
    chunks = list(grid.chunks())
    if shape is None:
        return chunks
    boxes = shapely.box(*np.array([grid.chunk_bounds_xyxy(chunk) for chunk in chunks]).T)
    shapely.prepare(shape)
    return [chunk for chunk, is_in in zip(chunks, shapely.intersects(shape, boxes), strict=True) if is_in]


def pixels_inside(shape: Geometry | None, transform: Affine, shape_yx: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) bool: pixels whose centre lies in the area."""
    if shape is None:
        return np.ones(shape_yx, dtype=bool)
    return np.asarray(geometry_mask([shape], shape_yx, transform, invert=True))


def cells_inside(shape: Geometry | None, bounds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) bool: boxes (n, 4) that the area touches."""
    if shape is None:
        return np.ones(len(bounds), dtype=bool)
    return np.asarray(shapely.intersects(shape, shapely.box(*bounds.T)))
