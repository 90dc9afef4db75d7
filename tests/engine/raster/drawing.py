"""Small rasters drawn where a test needs one of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from geomm_engine.contract import RasterSource
from geomm_engine.raster.reader import RasterReader
from geomm_engine.raster.source import Stack, describe

UTM = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def write(path: Path, values: NDArray[Any], **options: Any) -> Path:
    """Bands (band, h, w) as GeoTIFF in UTM at 10 m unless told otherwise."""
    count, height, width = values.shape
    profile = {
        "driver": "GTiff",
        "crs": "EPSG:32633",
        "transform": UTM,
        "count": count,
        "height": height,
        "width": width,
    }
    with rasterio.open(path, "w", **(profile | {"dtype": values.dtype.name} | options)) as raster:
        raster.write(values)
    return path


def random_bands(count: int = 3, height: int = 80, width: int = 100, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth enough to be resampled, no two places alike, never 0."""
    random = np.random.default_rng(seed).random((count, height // 4 + 2, width // 4 + 2))
    smooth = random.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    for axis in (1, 2):
        smooth = (smooth + np.roll(smooth, 1, axis) + np.roll(smooth, 2, axis)) / 3
    return (smooth * 240 + 10).astype(np.uint8)


def write_damaged(path: Path, count: int = 3, side: int = 256) -> Path:
    """A tiled picture whose last tiles are cut off: it opens, and its north can be read."""
    values = np.random.default_rng(0).integers(1, 255, (count, side, side), dtype=np.uint8)
    write(path, values, photometric="rgb", tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    return path


def stack_of(*paths: Path, **options: Any) -> Stack:
    return describe(RasterSource(tuple(str(path) for path in paths), **options))


def reader_of(
    *paths: Path, bands: tuple[int, ...] = (0, 1, 2), zero_is_nodata: bool = False, **options: Any
) -> RasterReader:
    return RasterReader(stack_of(*paths, **options), bands, zero_is_nodata=zero_is_nodata)
