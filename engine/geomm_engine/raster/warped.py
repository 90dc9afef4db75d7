"""Reading a stack onto any other grid, in any CRS, window by window. Averages where the grid is coarser; never guesses units."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import CRSError, RasterioError, RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geomm_engine.grid import PixelGrid
from geomm_engine.raster.files import unreadable
from geomm_engine.raster.source import Files, Stack, image_of
from geomm_engine.raster.validity import Validity

_TOLERANCE_PX = 0.05
"""GDAL's default of an eighth of a pixel would be fine; this costs nothing and leaves the proof to others."""
_FAILURES = (RasterioError, RasterioIOError, CRSError)


@dataclass(frozen=True)
class Pixels:
    """``values`` (band, h, w) in the stack's own type, 0 where invalid; ``valid`` (h, w)."""

    values: NDArray[np.generic]
    valid: NDArray[np.bool_]


class WarpedStack:
    """All bands of a stack on ``grid``. Use from one thread; close when done."""

    def __init__(self, stack: Stack, grid: PixelGrid, method: Resampling, *, moved_deg: float = 0.0) -> None:
        """``moved_deg`` moves rasters in degrees along the parallels, by a full turn where they run past 180°.

        Raises:
            RasterError: a file cannot be read, or its CRS cannot be brought to the grid's.
        """
        self.stack = stack
        self._files = Files(stack.paths, crs=stack.crs, ignores_alpha=stack.ignores_alpha)
        self._views: list[WarpedVRT] = []
        self._turned: WarpedStack | None = None
        self.dtype = np.result_type(*(np.dtype(band.dtype) for band in stack.bands))
        height, width = grid.shape_yx
        try:
            for file, path in enumerate(stack.paths):
                dataset = self._files.get(file)
                own = Affine.translation(moved_deg, 0) @ dataset.transform if moved_deg else None
                has_mark = dataset.nodata is not None or ColorInterp.alpha in dataset.colorinterp
                try:
                    view = WarpedVRT(
                        dataset, crs=CRS.from_wkt(grid.crs_wkt), transform=grid.transform, width=width, height=height,
                        resampling=method, add_alpha=not has_mark, tolerance=_TOLERANCE_PX, src_transform=own,
                    )  # fmt: skip
                except (*_FAILURES, ValueError) as problem:
                    raise unreadable(path, problem) from problem
                self._views.append(view)
            turn_deg = 0.0 if moved_deg else _turn_past_the_date_line(stack.grid)
            self._turned = WarpedStack(stack, grid, method, moved_deg=turn_deg) if turn_deg else None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._turned:
            self._turned.close()
        for view in self._views:
            with suppress(RasterioError):
                view.close()
        self._files.close()

    def read(self, y: int, x: int, height: int, width: int) -> Pixels:
        """A window of the grid.

        Raises:
            RasterError: the pixels cannot be read.
        """
        pixels = self._read(y, x, height, width)
        if self._turned is None or pixels.valid.all():
            return pixels
        beyond = self._turned.read(y, x, height, width)
        return Pixels(np.where(pixels.valid, pixels.values, beyond.values), pixels.valid | beyond.valid)

    def _read(self, y: int, x: int, height: int, width: int) -> Pixels:
        window = Window(x, y, width, height)
        values = np.zeros((len(self.stack.bands), height, width), dtype=self.dtype)
        validity = Validity((height, width))
        for file, view in enumerate(self._views):
            own = [(at, band) for at, band in enumerate(self.stack.bands) if band.file == file]
            if not own:
                continue
            places, indexes = [at for at, _ in own], [band.index for _, band in own]
            try:
                values[places] = view.read(indexes, window=window)
                for (_, band), mask in zip(own, view.read_masks(indexes, window=window) > 0, strict=True):
                    if view.nodatavals[band.index - 1] == 0:
                        validity.need_any(image_of(view.src_dataset, band), mask)
                    else:
                        validity.need(mask)
                if ColorInterp.alpha in view.colorinterp:
                    alpha = view.read(view.colorinterp.index(ColorInterp.alpha) + 1, window=window)
                    validity.need(alpha > 0)
            except _FAILURES as problem:
                raise unreadable(self.stack.paths[file], problem) from problem
        valid = validity.joined()
        if np.issubdtype(self.dtype, np.floating):
            valid &= np.isfinite(values).all(axis=0)
        values[:, ~valid] = 0
        return Pixels(values, valid)


def _turn_past_the_date_line(grid: PixelGrid) -> float:
    """The full turn, in degrees, that brings what a raster in degrees holds beyond 180° east or west onto the map; else 0."""
    if not CRS.from_wkt(grid.crs_wkt).is_geographic:
        return 0.0
    west, _, east, _ = grid.bounds_xyxy
    return -360.0 if east > 180.0 else 360.0 if west < -180.0 else 0.0
