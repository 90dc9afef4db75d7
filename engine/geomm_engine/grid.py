"""Where pixels and tiles lie: pure arithmetic on an affine grid. Opens no file, knows no projection library.

A :class:`TileGrid` is a lattice of square cells anchored to the raster's origin. Each cell owns one tile, twice as wide
as the cell and centred on it, so that neighbouring tiles overlap by half and every cell has exactly one embedding:

    cell (row, col)  covers  [col·s, (col+1)·s)  source pixels along x,
    its tile         covers  [(col−½)·s, (col+1½)·s).

Where the ground size of a pixel changes over the raster (degrees, web mercator) the cells stay regular and each row's
tiles are widened or narrowed so that they stay square on the ground.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from affine import Affine

CHUNK_CELLS = 16
CELL_DETAIL = 8

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class PixelGrid:
    """A north-up grid of pixels: CRS as WKT2, affine from pixel (x, y) corners to CRS units, shape (height, width)."""

    crs_wkt: str
    transform: Affine
    shape_yx: tuple[int, int]

    @property
    def bounds_xyxy(self) -> Bounds:
        height, width = self.shape_yx
        return self.bounds_of(0, 0, height, width)

    def bounds_of(self, y: float, x: float, height: float, width: float) -> Bounds:
        """(min_x, min_y, max_x, max_y) in CRS units of a window in pixels."""
        left, top = self.transform @ (x, y)
        right, bottom = self.transform @ (x + width, y + height)
        return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


@dataclass(frozen=True)
class Window:
    """A window in source pixels; fractions allowed."""

    y: float
    x: float
    height: float
    width: float


@dataclass(frozen=True)
class Chunk:
    """The unit of reading, committing and resuming: a square of cells. ``row`` and ``col`` count chunks."""

    row: int
    col: int

    @property
    def first_row(self) -> int:
        return self.row * CHUNK_CELLS

    @property
    def first_col(self) -> int:
        return self.col * CHUNK_CELLS


@dataclass(frozen=True)
class TileGrid:
    """The lattice of one raster for one model.

    Attributes:
        pixels: the source raster's grid.
        stride_yx_px: cell size in source pixels; a multiple of 8 unless smaller than 8.
        tile_px: pixels a side that the model sees.
        pixel_m_yx: nominal ground size of a source pixel in metres.
        row_stretch: for each row of cells, how much taller (y) and wider (x) than two cells its tile is in source pixels
            to be square on the ground; empty where it is 1 everywhere.
    """

    pixels: PixelGrid
    stride_yx_px: tuple[int, int]
    tile_px: int
    pixel_m_yx: tuple[float, float]
    row_stretch: tuple[tuple[float, float], ...] = ()

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        height, width = self.pixels.shape_yx
        return math.ceil(height / self.stride_yx_px[0]), math.ceil(width / self.stride_yx_px[1])

    @property
    def count(self) -> int:
        rows, cols = self.shape_yx
        return rows * cols

    @property
    def tile_m(self) -> float:
        """Ground size of a tile in metres: two cells, or the square of the same area where cells are not square."""
        return 2 * math.sqrt(math.prod(self.stride_yx_px) * math.prod(self.pixel_m_yx))

    @property
    def gsd_m(self) -> float:
        """Ground size in metres of a pixel that the model sees."""
        return self.tile_m / self.tile_px

    @property
    def detail_yx(self) -> tuple[int, int]:
        """Map pixels a cell along y and x: 8, or one for each source pixel where a cell has fewer."""
        return min(CELL_DETAIL, self.stride_yx_px[0]), min(CELL_DETAIL, self.stride_yx_px[1])

    @property
    def map_grid(self) -> PixelGrid:
        """The grid of every map drawn from this lattice: same origin as the source, ``detail_yx`` pixels a cell."""
        step_y, step_x = (s / d for s, d in zip(self.stride_yx_px, self.detail_yx, strict=True))
        height, width = self.pixels.shape_yx
        shape = (math.ceil(height / step_y), math.ceil(width / step_x))
        return PixelGrid(self.pixels.crs_wkt, self.pixels.transform @ Affine.scale(step_x, step_y), shape)

    @property
    def chunks_yx(self) -> tuple[int, int]:
        rows, cols = self.shape_yx
        return math.ceil(rows / CHUNK_CELLS), math.ceil(cols / CHUNK_CELLS)

    def chunks(self) -> Iterator[Chunk]:
        rows, cols = self.chunks_yx
        return (Chunk(row, col) for row in range(rows) for col in range(cols))

    def chunk_shape_yx(self, chunk: Chunk) -> tuple[int, int]:
        """Cells of this chunk along y and x; fewer at the far edges."""
        rows, cols = self.shape_yx
        return min(CHUNK_CELLS, rows - chunk.first_row), min(CHUNK_CELLS, cols - chunk.first_col)

    def tile_window(self, row: int, col: int) -> Window:
        """The source pixels of a tile; may reach over the raster's edges."""
        stride_y, stride_x = self.stride_yx_px
        stretch_y, stretch_x = self.row_stretch[row] if self.row_stretch else (1.0, 1.0)
        height, width = 2 * stride_y * stretch_y, 2 * stride_x * stretch_x
        return Window((row + 0.5) * stride_y - height / 2, (col + 0.5) * stride_x - width / 2, height, width)

    def cell_window(self, row: int, col: int) -> Window:
        """The source pixels of a cell, cut at the raster's edges."""
        (stride_y, stride_x), (height, width) = self.stride_yx_px, self.pixels.shape_yx
        y, x = row * stride_y, col * stride_x
        return Window(y, x, min(stride_y, height - y), min(stride_x, width - x))

    def chunk_bounds_xyxy(self, chunk: Chunk) -> Bounds:
        rows, cols = self.chunk_shape_yx(chunk)
        first = self.cell_window(chunk.first_row, chunk.first_col)
        last = self.cell_window(chunk.first_row + rows - 1, chunk.first_col + cols - 1)
        height, width = last.y + last.height - first.y, last.x + last.width - first.x
        return self.pixels.bounds_of(first.y, first.x, height, width)


def stride_px(tile_m: float, pixel_m: float) -> int:
    """Cell size in source pixels for tiles of this ground size: half a tile, a multiple of 8 unless smaller than 8."""
    wanted = tile_m / 2 / pixel_m
    return CELL_DETAIL * round(wanted / CELL_DETAIL) if wanted >= CELL_DETAIL else max(1, round(wanted))


def overlaps(first: Bounds, second: Bounds) -> bool:
    """Whether two boxes share more than an edge."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
