"""Maps of the whole Earth that training and evaluation compare with: climates, land and sea, heights. None of them ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import RasterError
from geomm_engine.geography.koppen import GlobalRaster, climate_number

KOPPEN_FILE = Path("geo/koppen_geiger_100arcsec.tif")
KOPPEN_CODES = Path("geo/koppen_geiger_classes.txt")
LAND_FILE = Path("geo/land_mask_30arcsec.npz")
HEIGHT_FILE = Path("geo/etopo20_elevation.txt.gz")


def read_koppen(data: Path) -> GlobalRaster:
    """The Köppen–Geiger raster of the data folder as numbers of :data:`koppen.CLIMATES`.

    Raises:
        RasterError: the raster or its table of codes cannot be read.
    """
    try:
        rows = [line.split() for line in (data / KOPPEN_CODES).read_text(encoding="utf-8").splitlines() if line.strip()]
        table = np.zeros(256, np.uint8)
        for value, code in rows:
            table[int(value)] = climate_number(code)
        with rasterio.open(data / KOPPEN_FILE) as dataset:
            return GlobalRaster(table[dataset.read(1)])
    except (OSError, ValueError, KeyError, rasterio.errors.RasterioError) as problem:
        raise _unreadable(data / KOPPEN_FILE, problem) from problem


def read_land(data: Path, *, step: int = 4) -> GlobalRaster:
    """Where land is, every ``step``-th cell of the 30-arc-second mask (bool).

    Raises:
        RasterError: the mask cannot be read.
    """
    try:
        with np.load(data / LAND_FILE) as stored:
            is_sea, lat = stored["mask"], stored["lat"]
    except (OSError, ValueError, KeyError) as problem:
        raise _unreadable(data / LAND_FILE, problem) from problem
    if lat[0] < lat[-1]:
        is_sea = is_sea[::-1]
    return GlobalRaster(~is_sea[step // 2 :: step, step // 2 :: step])


def read_heights(data: Path) -> GlobalRaster:
    """Metres above the sea (below it: negative) every 20 arc-minutes.

    Raises:
        RasterError: the table cannot be read.
    """
    try:
        height_m = np.loadtxt(data / HEIGHT_FILE)
    except (OSError, ValueError) as problem:
        raise _unreadable(data / HEIGHT_FILE, problem) from problem
    # Rows from the south pole, columns from 20° E, the last column the first again.
    return GlobalRaster(np.roll(height_m[::-1, :-1], 600, axis=1))


def _unreadable(path: Path, problem: Exception) -> RasterError:
    return RasterError(
        ErrorCode.RASTER_UNREADABLE,
        f"The map {path} cannot be read: {problem}.",
        "Set GEOMM_SHARED_DATA to the folder with the training data.",
        path=str(path),
    )
