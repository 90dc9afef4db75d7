"""Sentinel-2 ground that neither EuroSAT nor UC Merced shows, named by eye: patches over the world, and a river plain.

The patches are desert, snow, rock, savanna, tundra, each of one name; the plain, in south-east Asia at the end of the dry
season, is named square by square. Bottom-of-atmosphere reflectance, shown as EuroSAT's pictures are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError
from geomm_engine.training.pictures import PictureSet

FOLDER = "scenes/sentinel2_world"
GSD_M = 10.0
# Reflectance to display values of red, green, blue: the built-in model's calibration of surface reflectance.
_GAIN = np.array([2.84, 2.50, 2.31], dtype=np.float32)
_OFFSET = np.array([0.135, 0.186, 0.291], dtype=np.float32)
_NAMES = {
    "Desert": (252161, 275979, 526850, 759128),
    "Fields": (322265, 70975),
    "Forest": (502692, 61808),
    "Rock": (445,),
    "Savanna": (566084, 766272),
    "Sea": (752389,),
    "Snow": (25630, 286743, 770287),
    "Tundra": (8845,),
}

PLAIN_FOLDER = "scenes/sentinel2_10km/199U_1099R"
CELL_PX = 64
# Column and row of squares of 64 pixels, from the north-west corner.
_PLAIN = {
    "Fields": (
        "4,0 6,0 7,0 8,0 13,0 14,0 7,1 8,1 13,1 14,1 14,2 15,2 9,7 10,7 11,6 8,4 4,6 1,5 2,8 7,8 2,9 2,10 0,13 1,13 2,13 0,14 "
        "1,14 0,15 1,15 3,11 4,11 3,12 4,12 4,13 5,13 5,12 5,14 5,15 6,13 7,10 7,11 10,10 9,11 10,11 11,11 10,12 11,12 8,13 "
        "14,10 15,10 14,12 7,14 9,9 15,15"
    ),
    "Forest": "2,2.2 2,1.7 12.1,4.8 12,5 12,1 10.1,5.1 14,8 13,2",
    "Lake": "3.47,8 15.4,11.4 12,14.6 3,14.9 11.2,7.9",
    "River": "12,9.2 13,12 10,14 11,12.9 9.2,2.6 10,15 12,10 13.2,12.6 12.6,7",
    "Town": "11,2 11,3 2,7 2,12 2.6,4.1 10.5,2 10.8,2.9 15.4,12.9 13.8,7 1.6,7.1 1.7,12",
    "Wetland": "5,4 6,4 5,5 6,5 7,5 6,3",
}


def read_patches(name: str, data: Path) -> PictureSet:
    """Every patch under its name: (16, 256, 256, 3) uint8. No place has two patches, so a split would lose a class.

    Raises:
        EngineError: a patch is absent or corrupt.
    """
    pixels, labels = [], []
    for label, patches in enumerate(_NAMES.values()):
        for patch in patches:
            stored = _read(data / FOLDER / f"patch_{patch}.tif", [4, 3, 2])
            pixels.append(_shown(stored))
            labels.append(label)
    classes = tuple(f"{name}/{item}" for item in _NAMES)
    return PictureSet(name, GSD_M, classes, np.stack(pixels), np.array(labels, dtype=np.int64))


def read_cells(name: str, data: Path) -> PictureSet:
    """Every named square of the plain: (n, 64, 64, 3) uint8. All are one place, and none is kept for validation.

    Raises:
        EngineError: a band is absent or corrupt.
    """
    bands = [_read(data / PLAIN_FOLDER / f"{band}.tif", [1])[0] for band in ("B04", "B03", "B02")]
    shown = _shown(np.stack(bands))
    pixels, labels = [], []
    for label, cells in enumerate(_PLAIN.values()):
        for cell in cells.split():
            left, top = (round(float(part) * CELL_PX) for part in cell.split(","))
            pixels.append(shown[top : top + CELL_PX, left : left + CELL_PX])
            labels.append(label)
    classes = tuple(f"{name}/{item}" for item in _PLAIN)
    return PictureSet(
        name, GSD_M, classes, np.stack(pixels), np.array(labels, dtype=np.int64), np.zeros(len(labels), np.int64)
    )


def _read(path: Path, bands: list[int]) -> NDArray[np.uint16]:
    """(band, h, w) as stored.

    Raises:
        EngineError: the file is absent or corrupt.
    """
    try:
        with rasterio.open(path) as dataset:
            return np.asarray(dataset.read(bands), np.uint16)
    except RasterioError as problem:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"The training picture {path} cannot be read: {problem}.",
            "Check the data before training.",
            path=str(path),
        ) from problem


def _shown(stored: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """(3, h, w) scaled reflectance → (h, w, 3) display values."""
    shown = stored.transpose(1, 2, 0).astype(np.float32) / 10000.0 * _GAIN + _OFFSET
    return np.asarray((np.clip(shown, 0, 1) * 255).round(), np.uint8)
