"""Sentinel-2 ground that neither EuroSAT nor UC Merced shows, named by eye: patches over the world, and named squares.

Patches of one kind of ground have one name: desert, snow, savanna, tundra. Mixed ones, and a river plain in south-east Asia at
the end of the dry season, are named square by square. Bottom-of-atmosphere reflectance, shown as EuroSAT's pictures are.
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
    "Desert": (252161, 759128),
    "Fields": (322265,),
    "Savanna": (766272,),
    "Scrub": (526850,),
    "Sea": (752389,),
    "Snow": (25630, 770287),
    "Tundra": (8845,),
}

PLAIN_FOLDER = "scenes/sentinel2_10km/199U_1099R"
SQUARE_PX = 64
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
_MIXED = {
    445: {
        "Coast": "3,0.6 2.9,1.3 2.5,2 2.2,2.7 2.1,3",
        "Rock": "0,0 1,0 0,1 1,1 0,2 1,2 0,3 1,3 2,0.2",
    },
    61808: {"Forest": "0,0 3,0 2.8,1 0,1.2 0.7,2 0,2.3 0,3 3,2", "Town": "1.5,1.4"},
    70975: {"Fields": "0,3 1,3 2,3 3,3 1.2,2.4", "Terraces": "1,0 2,0 3,0.2 0,1 1,1 2,1 3,1"},
    275979: {"Scrub": "0,0 1,0 2,0 2.9,0 0,1 1,1 2,1 1.9,1.6"},
    286743: {"Snow": "1.4,0 1.2,0.6 1.2,3 0.2,2.6"},
    502692: {"Forest": "0,0 1,0 2,0 3,0 2,0.6 3,0.8 0,2.3 0,3 1,3 3,2.4"},
    566084: {"Savanna": "0,0 1,0 2,0 3,0 0,1 1,1 2,1 3,1 0,2 1,2 2,2 3,2"},
}


def read_patches(name: str, data: Path) -> PictureSet:
    """Every patch of one name: (9, 256, 256, 3) uint8. No place has two patches, so a split would lose a class.

    Raises:
        EngineError: a patch is absent or corrupt.
    """
    pixels = [_patch(patch, data) for patches in _NAMES.values() for patch in patches]
    labels = [label for label, patches in enumerate(_NAMES.values()) for _ in patches]
    classes = tuple(f"{name}/{item}" for item in _NAMES)
    return PictureSet(name, GSD_M, classes, np.stack(pixels), np.array(labels, dtype=np.int64))


def read_squares(name: str, data: Path) -> PictureSet:
    """Every named square: (n, 64, 64, 3) uint8. They count as one place, and none is kept for validation.

    Raises:
        EngineError: a band or a patch is absent or corrupt.
    """
    bands = [_read(data / PLAIN_FOLDER / f"{band}.tif", [1])[0] for band in ("B04", "B03", "B02")]
    scenes = [(_shown(np.stack(bands)), _PLAIN), *((_patch(patch, data), named) for patch, named in _MIXED.items())]
    kinds = sorted({kind for _, named in scenes for kind in named})
    pixels, labels = [], []
    for shown, named in scenes:
        for kind, squares in named.items():
            for square in squares.split():
                left, top = (round(float(part) * SQUARE_PX) for part in square.split(","))
                pixels.append(shown[top : top + SQUARE_PX, left : left + SQUARE_PX])
                labels.append(kinds.index(kind))
    classes = tuple(f"{name}/{kind}" for kind in kinds)
    place = np.zeros(len(labels), np.int64)
    return PictureSet(name, GSD_M, classes, np.stack(pixels), np.array(labels, dtype=np.int64), place)


def _patch(number: int, data: Path) -> NDArray[np.uint8]:
    """(256, 256, 3) display values."""
    return _shown(_read(data / FOLDER / f"patch_{number}.tif", [4, 3, 2]))


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
