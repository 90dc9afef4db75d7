"""Opening what a person calls a layer: one file, or several stacked. Refuses what cannot be read rightly, with cause and cure."""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.warp import transform_bounds

from geomm_engine import sensors
from geomm_engine.contract import ErrorCode, RasterSource
from geomm_engine.errors import RasterError
from geomm_engine.grid import PixelGrid
from geomm_engine.raster.bands import Band, bands_of
from geomm_engine.raster.files import READ_ERRORS, fingerprint
from geomm_engine.raster.ground import GroundScale
from geomm_engine.raster.straight import aligned, is_data_alpha, is_on, is_straight, open_straight, stored


@dataclass(frozen=True)
class Stack:
    """What is known of a layer before any pixel is read.

    ``assumed`` names what was taken for granted ("sentinel2_order", "rgb_order", "rgbn_order", "sentinel1_order"), "" if
    nothing was. ``crs`` is what a person said of the files, "" where they speak for themselves.
    """

    paths: tuple[str, ...]
    grid: PixelGrid
    bands: tuple[Band, ...]
    has_declared_nodata: bool
    is_straightened: bool
    ignores_alpha: bool
    assumed: str
    hint: sensors.ProductHint
    fingerprint: str
    crs: str = ""

    @property
    def reflectance_bands(self) -> int:
        """How many bands are neither radar nor height nor temperature."""
        return sum(sensors.quantity_of(band.role) == "reflectance" for band in self.bands)

    def band_for(self, role: str) -> int | None:
        """Position in the stack of the first band that measures this role."""
        return next((at for at, band in enumerate(self.bands) if sensors.is_same_role(band.role, role)), None)


class Files:
    """The open files of a stack: one set of handles for each thread, since GDAL datasets belong to a thread."""

    def __init__(
        self, paths: tuple[str, ...], grid: PixelGrid | None = None, crs: str = "", *, ignores_alpha: bool = False
    ) -> None:
        self._paths = paths
        self._crs = crs
        self._ignores_alpha = ignores_alpha
        self._grid = grid
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[DatasetReader] = []

    def get(self, file: int) -> DatasetReader:
        """This thread's handle of a file, on the stack's grid."""
        handles: dict[int, DatasetReader] = self._local.__dict__.setdefault("handles", {})
        if file not in handles:
            dataset = open_straight(self._paths[file], self._crs, ignores_alpha=self._ignores_alpha)
            if self._grid is not None and not is_on(dataset, self._grid):
                dataset = self._keep(dataset) and aligned(dataset, self._grid)
            handles[file] = self._keep(dataset)
        return handles[file]

    def _keep(self, dataset: DatasetReader) -> DatasetReader:
        with self._lock:
            self._open.append(dataset)
        return dataset

    def close(self) -> None:
        with self._lock:
            for dataset in reversed(self._open):
                with suppress(RasterioError):
                    dataset.close()
            self._open.clear()


def describe(source: RasterSource) -> Stack:
    """Look at a layer's files: grid, bands, roles. Reads no pixel but a thumbnail of an alpha band.

    The finest file gives the grid; the others are resampled to it as they are read.

    Raises:
        RasterError: a file cannot be read rightly, or the files do not lie on one another.
    """
    if not source.paths:
        raise RasterError(ErrorCode.RASTER_MISSING, "No raster was given.", "Choose a raster layer.")
    files = Files(source.paths, crs=source.crs)
    try:
        opened = [files.get(at) for at in range(len(source.paths))]
        grid = _finest([_grid_of(dataset) for dataset in opened])
        for dataset in opened:
            _check_overlap(dataset, grid, source.paths)
        ignores_alpha = [is_data_alpha(dataset) for dataset in opened]
        bands, assumed = bands_of(source, opened, ignores_alpha)
        tags = [f"{key}={value}" for dataset in opened for key, value in dataset.tags().items()]
        return Stack(
            paths=source.paths,
            grid=grid,
            bands=bands,
            has_declared_nodata=any(dataset.nodata is not None for dataset in opened),
            is_straightened=any(not is_straight(stored(dataset)) for dataset in opened),
            ignores_alpha=any(ignores_alpha),
            assumed=assumed,
            hint=sensors.product_hint(*source.paths, *_sidecar_texts(source.paths), *tags, source.name),
            fingerprint=fingerprint(source.paths) + (f";crs {source.crs}" if source.crs else ""),
            crs=source.crs,
        )
    finally:
        files.close()


def image_of(dataset: DatasetReader, band: Band) -> Hashable:
    """What bands of one image have in common: the kind of what they measure, and where their files lie."""
    return sensors.quantity_of(band.role), tuple(round(float(side), 3) for side in stored(dataset).bounds)


def _grid_of(dataset: DatasetReader) -> PixelGrid:
    return PixelGrid(dataset.crs.to_wkt(), Affine(*dataset.transform[:6]), (dataset.height, dataset.width))


def _finest(grids: list[PixelGrid]) -> PixelGrid:
    """The grid with the smallest pixels; on the ground where they are not all in one CRS."""
    if len({grid.crs_wkt for grid in grids}) == 1:
        return min(grids, key=lambda grid: abs(grid.transform.determinant))
    return min(grids, key=lambda grid: math.prod(GroundScale(grid).nominal_m_yx()))


def _check_overlap(dataset: DatasetReader, grid: PixelGrid, paths: tuple[str, ...]) -> None:
    own = _grid_of(dataset)
    first, second = own.bounds_xyxy, grid.bounds_xyxy
    if own.crs_wkt != grid.crs_wkt:
        try:
            first = transform_bounds(dataset.crs, CRS.from_wkt(grid.crs_wkt), *first)
        except READ_ERRORS:
            return
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        raise RasterError(
            ErrorCode.RASTER_MISMATCH,
            f"The {len(paths)} files do not lie on one another: {Path(dataset.name).name} is elsewhere.",
            "Stack only bands of the same scene.",
            path=dataset.name,
        )


def _sidecar_texts(paths: tuple[str, ...]) -> list[str]:
    """Names that lie beside the files and often carry the product id (SOURCE.txt, a metadata file)."""
    texts = []
    for folder in {Path(path).parent for path in paths if "://" not in path}:
        note = folder / "SOURCE.txt"
        if note.is_file():
            texts.append(note.read_text(encoding="utf-8", errors="replace")[:2000])
    return texts
