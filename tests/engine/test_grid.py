"""The lattice: cells tile the raster from its origin, and maps lie exactly on it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from affine import Affine

from geomm_engine.grid import CHUNK_CELLS, Chunk, PixelGrid, TileGrid, Window, overlaps, stride_px

SHAPES = [(1, 1), (7, 5), (16, 16), (17, 33), (256, 320), (300, 1), (1, 1000), (515, 513)]
STRIDES = [(1, 1), (3, 5), (7, 8), (8, 8), (16, 24), (32, 32), (640, 640)]


def lattice(shape_yx=(256, 320), stride=(16, 16), stretch=()) -> TileGrid:
    pixels = PixelGrid("", Affine(10, 0, 500_000, 0, -10, 5_000_000), shape_yx)
    return TileGrid(pixels, stride, 32, (10.0, 10.0), stretch)


@pytest.mark.parametrize(("shape", "stride"), list(itertools.product(SHAPES, STRIDES)))
def test_cells_cover_every_pixel_once(shape: tuple[int, int], stride: tuple[int, int]) -> None:
    grid = lattice(shape, stride)
    rows, cols = grid.shape_yx
    for axis, count in ((0, rows), (1, cols)):
        seen = np.zeros(shape[axis], dtype=int)
        for at in range(count):
            window = grid.cell_window(at, 0) if axis == 0 else grid.cell_window(0, at)
            start, size = (window.y, window.height) if axis == 0 else (window.x, window.width)
            assert size > 0
            seen[int(start) : int(start + size)] += 1
        assert (seen == 1).all()
    assert grid.count == rows * cols


@pytest.mark.parametrize(("shape", "stride"), list(itertools.product(SHAPES, STRIDES)))
def test_chunks_hold_every_cell_once(shape: tuple[int, int], stride: tuple[int, int]) -> None:
    grid = lattice(shape, stride)
    seen = np.zeros(grid.shape_yx, dtype=int)
    for chunk in grid.chunks():
        rows, cols = grid.chunk_shape_yx(chunk)
        assert 1 <= rows <= CHUNK_CELLS
        assert 1 <= cols <= CHUNK_CELLS
        seen[chunk.first_row : chunk.first_row + rows, chunk.first_col : chunk.first_col + cols] += 1
    assert (seen == 1).all()


def test_a_tile_is_twice_its_cell_and_centred_on_it() -> None:
    grid = lattice(stride=(16, 24))
    window = grid.tile_window(3, 2)
    assert (window.y, window.x, window.height, window.width) == (40.0, 36.0, 32.0, 48.0)


def test_neighbouring_tiles_overlap_by_half() -> None:
    grid = lattice()
    first, second = grid.tile_window(0, 0), grid.tile_window(0, 1)
    assert first.x + first.width - second.x == first.width / 2


def test_a_stretched_tile_stays_centred() -> None:
    stretch = tuple((1.0, 1.0 + row / 10) for row in range(16))
    grid, plain = lattice(stretch=stretch), lattice()
    for row in range(16):
        window, usual = grid.tile_window(row, 4), plain.tile_window(row, 4)
        assert window.width == pytest.approx(usual.width * (1 + row / 10))
        assert window.x + window.width / 2 == pytest.approx(usual.x + usual.width / 2)
        assert (window.y, window.height) == (usual.y, usual.height)


@pytest.mark.parametrize(("shape", "stride"), list(itertools.product(SHAPES, STRIDES)))
def test_a_map_has_the_rasters_origin_and_whole_pixels_a_cell(shape: tuple[int, int], stride: tuple[int, int]) -> None:
    grid = lattice(shape, stride)
    drawn, source = grid.map_grid, grid.pixels
    assert (drawn.transform.c, drawn.transform.f) == (source.transform.c, source.transform.f)
    for axis, size in ((0, drawn.transform.e), (1, drawn.transform.a)):
        detail = grid.detail_yx[axis]
        assert abs(size) * detail == pytest.approx(10 * stride[axis], rel=1e-12)
        assert detail == min(8, stride[axis])
        assert drawn.shape_yx[axis] <= detail * grid.shape_yx[axis]
        covered = drawn.shape_yx[axis] * abs(size)
        assert shape[axis] * 10 - 1e-6 <= covered < shape[axis] * 10 + abs(size)


def test_a_map_of_whole_cells_has_the_rasters_bounds() -> None:
    grid = lattice()
    assert grid.map_grid.bounds_xyxy == grid.pixels.bounds_xyxy == (500_000, 4_997_440, 503_200, 5_000_000)


def test_cells_at_the_far_edge_are_cut() -> None:
    grid = lattice((250, 310))
    assert grid.cell_window(15, 19) == Window(240, 304, 10, 6)
    assert grid.chunk_bounds_xyxy(Chunk(0, 1)) == (502_560, 4_997_500, 503_100, 5_000_000)
    assert grid.chunk_shape_yx(Chunk(0, 1)) == (16, 4)


@pytest.mark.parametrize(
    ("tile_m", "pixel_m", "stride"),
    [
        (320, 10, 16),
        (640, 10, 32),
        (100, 10, 5),
        (150, 10, 8),
        (161, 10, 8),
        (76, 10, 4),
        (30, 10, 2),
        (1, 10, 1),
        (64, 0.5, 64),
    ],
)
def test_a_stride_is_half_a_tile_in_eights(tile_m: float, pixel_m: float, stride: int) -> None:
    assert stride_px(tile_m, pixel_m) == stride


def test_the_models_pixel_follows_from_the_tile() -> None:
    grid = lattice(stride=(48, 48))
    assert grid.tile_m == 960
    assert grid.gsd_m == 30


def test_boxes_that_share_an_edge_do_not_overlap() -> None:
    assert overlaps((0, 0, 2, 2), (1, 1, 3, 3))
    assert overlaps((0, 0, 9, 9), (1, 1, 3, 3))
    assert not overlaps((0, 0, 1, 1), (1, 0, 2, 1))
    assert not overlaps((0, 0, 1, 1), (0, 1, 1, 2))
