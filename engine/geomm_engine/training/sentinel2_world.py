"""Sixteen Sentinel-2 patches over the world, each named by eye: desert, snow, rock, savanna, tundra at 10 m.

Ground that neither EuroSAT nor UC Merced shows. Bottom-of-atmosphere reflectance, shown as EuroSAT's pictures are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
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


def read_patches(name: str, data: Path) -> PictureSet:
    """Every patch under its name: (16, 256, 256, 3) uint8. No place has two patches, so a split would lose a class.

    Raises:
        EngineError: a patch is absent or corrupt.
    """
    pixels, labels = [], []
    for label, patches in enumerate(_NAMES.values()):
        for patch in patches:
            path = data / FOLDER / f"patch_{patch}.tif"
            try:
                with rasterio.open(path) as dataset:
                    stored = dataset.read([4, 3, 2])
            except RasterioError as problem:
                raise EngineError(
                    ErrorCode.FOLDER_INVALID,
                    f"The training picture {path} cannot be read: {problem}.",
                    "Check the data before training.",
                    path=str(path),
                ) from problem
            shown = stored.transpose(1, 2, 0).astype(np.float32) / 10000.0 * _GAIN + _OFFSET
            pixels.append((np.clip(shown, 0, 1) * 255).round().astype(np.uint8))
            labels.append(label)
    classes = tuple(f"{name}/{item}" for item in _NAMES)
    return PictureSet(name, GSD_M, classes, np.stack(pixels), np.array(labels, dtype=np.int64))
