"""Where chips lie: the web's tile pyramid, and squares of a UTM zone. Pure arithmetic and PROJ; opens no file.

Web tiles are those of OGC's WebMercatorQuad (17-083r4, annex D): tile (0, 0) is the north-west corner of the world, which
is a square of 2π · 6,378,137 m. Its metres are those of the equator: the true ground pixel is 156543.03392 · cos φ / 2^z,
which every chip states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from affine import Affine
from pyproj import CRS, Transformer

from geomm_engine.grid import Bounds, PixelGrid

RADIUS_M = 6378137.0
HALF_WORLD_M = math.pi * RADIUS_M
WEB_CRS = "EPSG:3857"
MOST_ZOOM = 24
LARGEST_LATITUDE = 85.05112878
_UTM_NORTHING_M = 10_000_000.0
_EDGE_POINTS = 21
_LEAST_SPAN_DEG = 1e-9


@dataclass(frozen=True)
class TileMatrix:
    """Squares of ``tile_px`` pixels of ``pixel`` CRS units, counted from the upper left corner (``left``, ``top``).

    ``level`` names the level in paths and ids: the zoom, or the EPSG code of the UTM zone.
    """

    crs: str
    level: str
    tile_px: int
    pixel: float
    left: float
    top: float
    is_web: bool

    @property
    def side(self) -> float:
        """Of a tile, in CRS units."""
        return self.pixel * self.tile_px

    def tile_at(self, x: float, y: float) -> tuple[int, int]:
        """Column and row of the tile round a place in CRS units."""
        return math.floor((x - self.left) / self.side), math.floor((self.top - y) / self.side)

    def bounds(self, column: int, row: int) -> Bounds:
        """(min_x, min_y, max_x, max_y) of a tile in CRS units."""
        x, y = self.left + column * self.side, self.top - row * self.side
        return x, y - self.side, x + self.side, y

    def tiles_over(self, bounds: Bounds) -> tuple[range, range]:
        """Columns and rows of the tiles that share more than an edge with a box in CRS units."""
        slack = 1e-6 * self.pixel
        first = self.tile_at(bounds[0] + slack, bounds[3] - slack)
        last = self.tile_at(bounds[2] - slack, bounds[1] + slack)
        if not self.is_web:
            return range(first[0], last[0] + 1), range(first[1], last[1] + 1)
        count = 2 ** int(self.level)
        return (
            range(max(0, first[0]), min(count, last[0] + 1)),
            range(max(0, first[1]), min(count, last[1] + 1)),
        )

    def grid(self, columns: range, rows: range) -> PixelGrid:
        """The pixels of a rectangle of tiles."""
        transform = Affine(
            self.pixel, 0, self.left + columns.start * self.side, 0, -self.pixel, self.top - rows.start * self.side
        )
        shape = (len(rows) * self.tile_px, len(columns) * self.tile_px)
        return PixelGrid(CRS.from_user_input(self.crs).to_wkt(), transform, shape)

    def ground_px_m(self, row: int) -> float:
        """True ground size in metres of a pixel in the middle of a row of tiles; of a UTM tile, as stated."""
        if not self.is_web:
            return self.pixel
        y = self.top - (row + 0.5) * self.side
        return self.pixel * math.cos(latitude_of(y))


def latitude_of(y: float) -> float:
    """Of a northing of web mercator, in radians."""
    return math.atan(math.sinh(y / RADIUS_M))


def boxes_over(crs_wkt: str, bounds: Bounds, matrix: TileMatrix) -> tuple[Bounds, ...]:
    """A box of a raster's CRS as boxes of the matrix's that hold all of it; the web's end at 85.05° north and south.

    One box, or two where it crosses the date line, as one in degrees does that runs past 180°. Values are infinite where
    the matrix cannot show the box.
    """
    if not matrix.is_web:
        return (_moved(crs_wkt, matrix.crs, bounds),)
    west, south, east, north = _moved(crs_wkt, "EPSG:4326", bounds)
    if not all(math.isfinite(value) for value in (west, south, east, north)):
        return ((west, south, east, north),)
    if west > east:
        east += 360.0
    south, north = max(south, -LARGEST_LATITUDE), min(north, LARGEST_LATITUDE)
    y = [math.asinh(math.tan(math.radians(value))) * RADIUS_M for value in (south, north)]
    spans = [(max(west + turn, -180.0), min(east + turn, 180.0)) for turn in (0.0, -360.0, 360.0)]
    return tuple(
        (math.radians(first) * RADIUS_M, y[0], math.radians(last) * RADIUS_M, y[1])
        for first, last in spans
        if last - first > _LEAST_SPAN_DEG
    )


def _moved(crs_wkt: str, wanted: str, bounds: Bounds) -> Bounds:
    transformer = Transformer.from_crs(CRS.from_wkt(crs_wkt), CRS.from_user_input(wanted), always_xy=True)
    moved = transformer.transform_bounds(*bounds, densify_pts=_EDGE_POINTS)
    return float(moved[0]), float(moved[1]), float(moved[2]), float(moved[3])


def web_matrix(zoom: int, tile_px: int) -> TileMatrix:
    """A level of the web's pyramid."""
    pixel = 2 * HALF_WORLD_M / 2**zoom / tile_px
    return TileMatrix(WEB_CRS, str(zoom), tile_px, pixel, -HALF_WORLD_M, HALF_WORLD_M, True)


def web_zoom(gsd_m: float, latitude_deg: float, tile_px: int) -> int:
    """The level whose true ground pixel at this latitude is nearest to ``gsd_m``, by ratio."""
    world_px = 2 * HALF_WORLD_M * math.cos(math.radians(latitude_deg)) / (gsd_m * tile_px)
    return min(MOST_ZOOM, max(0, round(math.log2(max(world_px, 1.0)))))


def utm_matrix(longitude_deg: float, latitude_deg: float, gsd_m: float, tile_px: int) -> TileMatrix:
    """The squares of the UTM zone round a place, from easting 0 and northing 10,000 km (as in the southern zones)."""
    zone = min(60, max(1, math.floor((longitude_deg + 180) / 6) + 1))
    code = (32600 if latitude_deg >= 0 else 32700) + zone
    return TileMatrix(f"EPSG:{code}", str(code), tile_px, gsd_m, 0.0, _UTM_NORTHING_M, False)
