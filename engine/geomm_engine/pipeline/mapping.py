"""From an index to a map: walking the lattice region by region, with a margin, so that memory stays bounded.

What classifying and searching have in common. A region is up to 96 × 96 cells, so that a cancel is heard within seconds;
its margin lets neighbours speak.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import Geometry

from geomm_engine.errors import writing
from geomm_engine.grid import CHUNK_CELLS, Chunk, TileGrid
from geomm_engine.index.store import EmbeddingIndex, has_embedding
from geomm_engine.pipeline.area import cells_inside, pixels_inside
from geomm_engine.scoring.blend import blend

REGION_CELLS = 6 * CHUNK_CELLS
MARGIN = 4


@dataclass(frozen=True)
class Region:
    """A block of cells to draw."""

    first_row: int
    first_col: int
    rows: int
    cols: int


@dataclass(frozen=True)
class RegionData:
    """An index's content in a region and ``MARGIN`` cells around it; outside the lattice nothing is present.

    Attributes:
        vectors: (rows + 2·MARGIN, cols + 2·MARGIN, dim) float32.
        present: (rows + 2·MARGIN, cols + 2·MARGIN) bool.
        mask: (rows × detail_y, cols × detail_x) bool, map pixels of the region that hold data.
    """

    vectors: NDArray[np.float32]
    present: NDArray[np.bool_]
    mask: NDArray[np.bool_]


def regions(grid: TileGrid, chunks: Iterable[Chunk]) -> Iterator[Region]:
    """Regions in reading order that hold at least one of the chunks."""
    rows, cols = grid.shape_yx
    span = REGION_CELLS // CHUNK_CELLS
    for row, col in sorted({(chunk.row // span, chunk.col // span) for chunk in chunks}):
        first_row, first_col = row * REGION_CELLS, col * REGION_CELLS
        yield Region(first_row, first_col, min(REGION_CELLS, rows - first_row), min(REGION_CELLS, cols - first_col))


def read_region(index: EmbeddingIndex, region: Region, chunks: Collection[Chunk]) -> RegionData:
    """What these chunks hold in a region; what else an index holds, from other runs, must not speak."""
    top, left = max(0, region.first_row - MARGIN), max(0, region.first_col - MARGIN)
    bottom, right = region.first_row + region.rows + MARGIN, region.first_col + region.cols + MARGIN
    data = index.read(top, left, bottom - top, right - left)
    before = (top - (region.first_row - MARGIN), left - (region.first_col - MARGIN))
    height, width = region.rows + 2 * MARGIN, region.cols + 2 * MARGIN
    pads = [
        (before[axis], size - before[axis] - data.valid_share.shape[axis]) for axis, size in enumerate((height, width))
    ]
    detail_y, detail_x = index.grid.detail_yx
    y, x = (region.first_row - top) * detail_y, (region.first_col - left) * detail_x
    return RegionData(
        np.pad(data.vectors, (*pads, (0, 0))),
        np.pad(
            has_embedding(data.valid_share) & _cells_of(index.grid, chunks, top, left, data.valid_share.shape), pads
        ),
        data.mask[y : y + region.rows * detail_y, x : x + region.cols * detail_x],
    )


def _cells_of(
    grid: TileGrid, chunks: Collection[Chunk], top: int, left: int, shape_yx: tuple[int, ...]
) -> NDArray[np.bool_]:
    """(h, w) bool: which cells of a block belong to one of the chunks."""
    is_asked = np.zeros(grid.chunks_yx, dtype=bool)
    is_asked[[chunk.row for chunk in chunks], [chunk.col for chunk in chunks]] = True
    rows, cols = (first + np.arange(size) for first, size in zip((top, left), shape_yx, strict=True))
    return np.asarray(is_asked[np.ix_(rows // CHUNK_CELLS, cols // CHUNK_CELLS)])


@dataclass(frozen=True)
class Strip:
    """Map pixels of one row of chunks of a region.

    ``y``, ``x``: first map pixel. ``values`` (h, w, channel) float32, NaN without data; ``is_drawn`` (h, w) bool.
    """

    y: int
    x: int
    values: NDArray[np.float32]
    is_drawn: NDArray[np.bool_]


def strips(
    grid: TileGrid, region: Region, data: RegionData, values: NDArray[np.float32], area: Geometry | None
) -> Iterator[Strip]:
    """Blend cell values of a region into map pixels, one row of chunks at a time.

    Args:
        values: (rows + 2·MARGIN, cols + 2·MARGIN, channel), a value for each present cell.
        area: nothing outside it is drawn.
    """
    detail_y, detail_x = grid.detail_yx
    map_grid = grid.map_grid
    ring = slice(MARGIN - 1, MARGIN + region.cols + 1)
    for start in range(0, region.rows, CHUNK_CELLS):
        count = min(CHUNK_CELLS, region.rows - start)
        band = slice(MARGIN + start - 1, MARGIN + start + count + 1)
        painted = blend(values[band, ring], data.present[band, ring], (detail_y, detail_x))
        y, x = (region.first_row + start) * detail_y, region.first_col * detail_x
        height, width = min(len(painted), map_grid.shape_yx[0] - y), min(painted.shape[1], map_grid.shape_yx[1] - x)
        painted = painted[:height, :width]
        mask = data.mask[start * detail_y : start * detail_y + height, :width]
        inside = pixels_inside(area, map_grid.transform @ map_grid.transform.translation(x, y), (height, width))
        is_drawn = mask & inside & np.isfinite(painted).all(axis=2)
        yield Strip(y, x, np.where(is_drawn[..., None], painted, np.float32(np.nan)), is_drawn)


def cell_boxes(grid: TileGrid, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 4) min_x, min_y, max_x, max_y in CRS units of cells given as (n, 2) row and column."""
    (stride_y, stride_x), (height, width) = grid.stride_yx_px, grid.pixels.shape_yx
    to_crs = grid.pixels.transform
    left = to_crs.c + to_crs.a * cells[:, 1] * stride_x
    right = to_crs.c + to_crs.a * np.minimum((cells[:, 1] + 1) * stride_x, width)
    top = to_crs.f + to_crs.e * cells[:, 0] * stride_y
    bottom = to_crs.f + to_crs.e * np.minimum((cells[:, 0] + 1) * stride_y, height)
    return np.stack([left, bottom, right, top], axis=1)


def chosen_cells(
    grid: TileGrid, region: Region, data: RegionData, area: Geometry | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The present cells of a region that the area touches: (n, 2) row and column, and their boxes (n, 4)."""
    inner = data.present[MARGIN : MARGIN + region.rows, MARGIN : MARGIN + region.cols]
    cells = np.argwhere(inner).astype(np.int64) + np.array([region.first_row, region.first_col])
    boxes = cell_boxes(grid, cells)
    keep = cells_inside(area, boxes)
    return cells[keep], boxes[keep]


def pixel_areas(grid: TileGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ground area in hectares of a map pixel: its row's area, (h,), times its column's share inside the raster, (w,)."""
    row_shares, col_shares = (_shares_inside(grid, axis) for axis in (0, 1))
    steps = [stride / detail for stride, detail in zip(grid.stride_yx_px, grid.detail_yx, strict=True)]
    nominal_ha = math.prod(steps) * math.prod(grid.pixel_m_yx) / 10_000
    stretch = np.array([1 / (y * x) for y, x in grid.row_stretch] or [1.0] * grid.shape_yx[0])
    return np.repeat(nominal_ha * stretch, grid.detail_yx[0])[: len(row_shares)] * row_shares, col_shares


def _shares_inside(grid: TileGrid, axis: int) -> NDArray[np.float64]:
    """How much of each map pixel along an axis lies inside the raster: all, but for the last."""
    step = grid.stride_yx_px[axis] / grid.detail_yx[axis]
    begin = np.arange(grid.map_grid.shape_yx[axis]) * step
    return np.clip((grid.pixels.shape_yx[axis] - begin) / step, 0, 1)


@contextmanager
def all_or_nothing(folder: Path, paths: Sequence[Path]) -> Iterator[None]:
    """Make the output folder; when the run fails, remove what it made: these files, and the folders that were new."""
    with writing(folder):
        made = [item for item in (folder, *folder.parents) if not item.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    new = [path for path in paths if not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            for leftover in (path, path.with_name(f"{path.name}.aux.xml"), path.with_suffix(".qml")):
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)
        for item in made:
            with suppress(OSError):
                item.rmdir()
        raise


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
