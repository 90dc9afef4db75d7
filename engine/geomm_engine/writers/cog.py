"""Rasters as Cloud-Optimized GeoTIFFs, written block by block; memory does not grow with the raster.

Blocks go to a hidden plain GeoTIFF first; leaving the writer makes the final file with overviews, proves that it can be
read back, and puts it in place. A class raster has its colours in the file; its names stand in the file as band tags
and beside it as the category names and attribute table of the ``.aux.xml`` that GDAL reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import DTypeLike, NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geomm_engine.grid import PixelGrid
from geomm_engine.writers.categories import Category, auxiliary_xml, color_table
from geomm_engine.writers.draft import Draft, explained, publish_with
from geomm_engine.writers.provenance import Provenance

CACHE_MB = 128
"""GDAL takes note of this once a process, the first time that any raster is read or written."""

SCRATCH_BLOCK_PX = 128
BLOCK_PX = (128, 256, 512)

GDAL_FAILURES = (RasterioError, CPLE_BaseError)


class CogWriter:
    """A raster filled block by block; a context manager that publishes on success and leaves nothing on failure.

    Raises:
        OutputError: the folder is closed, the disk is full, or the file cannot be written for another reason.
    """

    def __init__(
        self,
        path: Path,
        grid: PixelGrid,
        *,
        band_names: Sequence[str],
        dtype: DTypeLike,
        nodata: float | None,
        provenance: Provenance,
        categories: Sequence[Category] = (),
        overview_resampling: str = "",
        style_qml: str = "",
    ) -> None:
        """Categories make a palette of a single uint8 band with ``nodata`` 0; ``style_qml`` goes to a .qml beside it.

        ``overview_resampling`` is "mode" for categories and "average" for anything else, unless given.
        """
        self.path = path
        self._grid = grid
        self._band_names = tuple(band_names)
        self._dtype = np.dtype(dtype)
        self._nodata = nodata
        self._provenance = provenance
        self._categories = tuple(categories)
        self._overview_resampling = overview_resampling or ("mode" if categories else "average")
        self._style_qml = style_qml
        self._statistics = [_Statistics(math.prod(grid.shape_yx)) for _ in self._band_names]
        self._counts = np.zeros(256, np.int64)
        if categories and (self._dtype != np.uint8 or len(self._band_names) != 1):
            raise ValueError("categories need a single uint8 band")

    def __enter__(self) -> Self:
        self._draft = Draft.beside(self.path)
        self._scratch = self._draft.path.with_name(f"{self._draft.path.name}.scratch")
        try:
            with self._gdal():
                self._raster = self._open_scratch()
        except BaseException:
            self._draft.discard()
            raise
        return self

    def write(self, y: int, x: int, block: NDArray[Any]) -> None:
        """Write ``block`` (band, h, w) with its first pixel at row ``y``, column ``x``; each pixel once at most."""
        bands, height, width = block.shape
        if bands != len(self._band_names):
            raise ValueError(f"{len(self._band_names)} bands are expected, not {bands}")
        with self._gdal():
            self._raster.write(block.astype(self._dtype, copy=False), window=Window(x, y, width, height))
        if self._categories:
            self._counts += np.bincount(block.ravel(), minlength=256)
        else:
            for statistics, values in zip(self._statistics, block, strict=True):
                statistics.add(values, self._nodata)

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if not self._raster.closed:
                self._abandon()
            self._draft.discard()

    @contextmanager
    def _gdal(self) -> Iterator[None]:
        """Bounded memory, and failures in words; never held open while the caller works."""
        with explained(self._draft, *GDAL_FAILURES), rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
            yield

    def _open_scratch(self) -> Any:
        height, width = self._grid.shape_yx
        raster = rasterio.open(
            self._scratch,
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=len(self._band_names),
            dtype=self._dtype.name,
            nodata=self._nodata,
            crs=CRS.from_wkt(self._grid.crs_wkt) if self._grid.crs_wkt else None,
            transform=self._grid.transform,
            tiled=True,
            blockxsize=SCRATCH_BLOCK_PX,
            blockysize=SCRATCH_BLOCK_PX,
            interleave="band",
            sparse_ok=True,
            compress="deflate",
            zlevel=1,
            bigtiff="if_safer",
            photometric="palette" if self._categories else "minisblack",
        )
        if self._categories:
            raster.write_colormap(1, color_table(self._categories))
            raster.update_tags(1, **{f"CLASS_{category.value}": category.name for category in self._categories})
        raster.update_tags(**self._provenance.tiff_tags)
        for band, name in enumerate(self._band_names, start=1):
            raster.set_band_description(band, name)
        return raster

    def _finish(self) -> None:
        with self._gdal():
            for band, statistics in enumerate(self._statistics, start=1):
                self._raster.update_tags(band, **statistics.tags())
            self._raster.close()
            self._convert()
            self._prove()
            self._scratch.unlink()
        publish_with(self._draft, self._sidecars())

    def _convert(self) -> None:
        rasterio.shutil.copy(
            self._scratch,
            self._draft.path,
            driver="COG",
            compress="deflate",
            level=6,
            predictor="no" if self._categories else "yes",
            blocksize=self._block_px(),
            overviews="auto",
            overview_resampling=self._overview_resampling,
            overview_compress="deflate",
            bigtiff="if_safer",
        )

    def _prove(self) -> None:
        """Read every block back: closing a file on a full disk may fail without a word."""
        with rasterio.open(self._draft.path) as raster:
            for band in raster.indexes:
                raster.checksum(band)

    def _block_px(self) -> int:
        longest = max(self._grid.shape_yx)
        return next((block for block in BLOCK_PX if longest <= block), BLOCK_PX[-1])

    def _sidecars(self) -> dict[Path, str]:
        texts: dict[Path, str] = {}
        of_gdal = self._draft.path.with_name(f"{self._draft.path.name}.aux.xml")
        if self._categories or of_gdal.exists():
            xml = of_gdal.read_text(encoding="utf-8") if of_gdal.exists() else ""
            counts = {category.value: int(self._counts[category.value]) for category in self._categories}
            texts[self.path.with_name(f"{self.path.name}.aux.xml")] = auxiliary_xml(self._categories, counts, xml)
        if self._style_qml:
            texts[self.path.with_suffix(".qml")] = self._style_qml
        return texts

    def _abandon(self) -> None:
        """Close a raster that will not be kept: that its last blocks find no room any more is of no interest."""
        with suppress(*GDAL_FAILURES):
            self._raster.close()


class _Statistics:
    """Running count, extremes, mean and deviation of one band (Chan et al. 1983, pairwise update)."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.count = 0
        self.low = math.inf
        self.high = -math.inf
        self.mean = 0.0
        self.squares = 0.0

    def add(self, values: NDArray[Any], nodata: float | None) -> None:
        valid = values[np.isfinite(values)].astype(np.float64)
        if nodata is not None:
            valid = valid[valid != nodata]
        if not valid.size:
            return
        mean, count = float(valid.mean()), self.count + valid.size
        shift = mean - self.mean
        self.squares += float(np.square(valid - mean).sum()) + shift**2 * self.count * valid.size / count
        self.mean += shift * valid.size / count
        self.count = count
        self.low, self.high = min(self.low, float(valid.min())), max(self.high, float(valid.max()))

    def tags(self) -> dict[str, str]:
        """The names under which GDAL keeps statistics; nothing when no pixel is valid."""
        if not self.count:
            return {}
        return {
            "STATISTICS_MINIMUM": f"{self.low:.10g}",
            "STATISTICS_MAXIMUM": f"{self.high:.10g}",
            "STATISTICS_MEAN": f"{self.mean:.10g}",
            "STATISTICS_STDDEV": f"{math.sqrt(self.squares / self.count):.10g}",
            "STATISTICS_VALID_PERCENT": f"{100 * self.count / self.total:.4g}",
        }
