"""Reading pixels in windows, with their validity; memory is bounded by the window asked for. Applies no radiometry."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as FileWindow

from geomm_engine.errors import RasterError
from geomm_engine.raster.bands import Band
from geomm_engine.raster.files import unreadable
from geomm_engine.raster.source import Files, Stack, image_of
from geomm_engine.raster.validity import Validity

SAMPLE_PX = 64
SAMPLE_WINDOWS = 8


@dataclass(frozen=True)
class Block:
    """Pixels of a window. ``values`` (band, h, w) float32, 0 where invalid; ``valid`` (h, w) bool."""

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]


class RasterReader:
    """Windows of chosen bands of a stack. May be used from several threads at once."""

    def __init__(self, stack: Stack, band_positions: tuple[int, ...], *, zero_is_nodata: bool = False) -> None:
        self.stack = stack
        self._bands = [stack.bands[at] for at in band_positions]
        self._zero_is_nodata = zero_is_nodata
        self._files = Files(stack.paths, stack.grid, stack.crs, ignores_alpha=stack.ignores_alpha)

    def close(self) -> None:
        self._files.close()

    def read(self, y: int, x: int, height: int, width: int, step: int = 1) -> Block:
        """A window in pixels of the raster averaged down by ``step``; it may reach over the edges, which are mirrored.

        All four numbers count averaged pixels, so that equal places give equal pixels whatever is asked for.

        Raises:
            RasterError: the pixels cannot be read.
        """
        full_h, full_w = (max(1, size // step) for size in self.stack.grid.shape_yx)
        rows, cols = _mirrored(y, height, full_h), _mirrored(x, width, full_w)
        top, left = int(rows.min()), int(cols.min())
        inner = self._read_inside(top, left, int(rows.max()) + 1 - top, int(cols.max()) + 1 - left, step)
        if (top, left, *inner.valid.shape) == (y, x, height, width):
            return inner
        place = np.ix_(rows - top, cols - left)
        return Block(inner.values[:, place[0], place[1]], inner.valid[place])

    def _read_inside(self, y: int, x: int, height: int, width: int, step: int) -> Block:
        full_h, full_w = self.stack.grid.shape_yx
        rows, cols = min(height * step, full_h - y * step), min(width * step, full_w - x * step)
        method = Resampling.average if step > 1 else Resampling.nearest
        return self._read_window(FileWindow(x * step, y * step, cols, rows), (height, width), method)

    def _read_window(self, window: FileWindow, shape: tuple[int, int], method: Resampling) -> Block:
        height, width = shape
        values = np.empty((len(self._bands), height, width), dtype=np.float32)
        validity = Validity((height, width))
        masked: set[int] = set()
        for at, band in enumerate(self._bands):
            dataset = self._files.get(band.file)
            try:
                dataset.read(band.index, window=window, out=values[at], resampling=method)
                if band.file not in masked:
                    masked.add(band.file)
                    used = [item for item in self._bands if item.file == band.file]
                    self._mask(validity, dataset, used, window, (height, width), method)
            except (RasterioError, RasterioIOError) as problem:
                raise unreadable(self.stack.paths[band.file], problem) from problem
        valid = validity.joined() & np.isfinite(values).all(axis=0)
        if self._zero_is_nodata:
            valid &= (values != 0).any(axis=0)
        values[:, ~valid] = 0
        return Block(values, valid)

    def _mask(
        self,
        validity: Validity,
        dataset: DatasetReader,
        used: list[Band],
        window: FileWindow,
        shape: tuple[int, int],
        method: Resampling,
    ) -> None:
        """What one file says of its used bands."""
        if ColorInterp.alpha in dataset.colorinterp:
            index = dataset.colorinterp.index(ColorInterp.alpha) + 1
            alpha = dataset.read(index, window=window, out_shape=shape, resampling=method)
            # half of 255; other types are full at 255, 65535 or 1, by the taste of who wrote them
            validity.need(alpha >= 128 if dataset.dtypes[index - 1] == "uint8" else alpha > 0)
        flags = dataset.mask_flag_enums
        if any(MaskFlags.per_dataset in item and MaskFlags.alpha not in item for item in flags):
            validity.need(dataset.dataset_mask(out_shape=shape, window=window, resampling=method) >= 128)
        for band in used:
            if MaskFlags.nodata not in flags[band.index - 1]:
                continue
            mask = dataset.read_masks(band.index, out_shape=shape, window=window, resampling=method) >= 128
            if dataset.nodatavals[band.index - 1] == 0:
                validity.need_any(image_of(dataset, band), mask)
            else:
                validity.need(mask)

    def overview(self, longest_px: int) -> Block:
        """The whole raster thinned to at most ``longest_px`` a side: single pixels, not averages; for looking at."""
        full_h, full_w = self.stack.grid.shape_yx
        scale = max(1.0, max(full_h, full_w) / longest_px)
        shape = max(1, round(full_h / scale)), max(1, round(full_w / scale))
        return self._read_window(FileWindow(0, 0, full_w, full_h), shape, Resampling.nearest)

    def sample(self) -> Block:
        """Some pixels of the whole raster, the same every time: all of a small one, 8 × 8 windows of a large one.

        Quick whatever the raster's size, unless all of those windows are nodata.
        """
        (full_h, full_w), side = self.stack.grid.shape_yx, SAMPLE_WINDOWS * SAMPLE_PX
        if full_h <= side or full_w <= side:
            with suppress(RasterError):
                return self.overview(side)
        parts = self._readable_parts()
        valid = np.concatenate([part.valid.ravel() for part in parts])
        if not valid.any():
            return self.overview(side)
        values = np.concatenate([part.values.reshape(len(self._bands), -1) for part in parts], axis=1)
        return Block(values[:, None], valid[None])

    def _readable_parts(self) -> list[Block]:
        """8 × 8 windows all over the raster, less those that cannot be read, unless that is all of them."""
        full = self.stack.grid.shape_yx
        tops, lefts = (np.linspace(0, max(0, size - SAMPLE_PX), SAMPLE_WINDOWS).astype(int) for size in full)
        height, width = (min(size, SAMPLE_PX) for size in full)
        parts, problems = [], []
        for y in tops:
            for x in lefts:
                try:
                    parts.append(self._read_inside(int(y), int(x), height, width, 1))
                except RasterError as problem:
                    problems.append(problem)
        if not parts:
            raise problems[0]
        return parts


def _mirrored(start: int, count: int, size: int) -> NDArray[np.int64]:
    """Positions start … start + count − 1, those beyond the edges of 0 … size − 1 reflected, as often as it takes."""
    place = np.arange(start, start + count) % (2 * size)
    return np.where(place < size, place, 2 * size - 1 - place)
