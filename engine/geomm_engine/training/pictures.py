"""The training pictures: read once from zipped class folders into arrays, split, and averaged down to coarser pixels."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError
from geomm_engine.evaluation.split import held_out

SMALLEST_LEVEL_PX = 32


@dataclass(frozen=True)
class PictureSet:
    """``pixels`` (n, h, w, band) uint8 display values; ``labels`` (n,) index into ``classes``, named "set/folder".

    ``places`` (n,), where it is known, numbers the part of the world that a picture shows: a split never parts one.
    """

    name: str
    gsd_m: float
    classes: tuple[str, ...]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    places: NDArray[np.int64] | None = None

    def subset(self, rows: NDArray[np.int64]) -> PictureSet:
        places = None if self.places is None else self.places[rows]
        return PictureSet(self.name, self.gsd_m, self.classes, self.pixels[rows], self.labels[rows], places)


def read_zip(path: Path, name: str, gsd_m: float, size_px: int) -> PictureSet:
    """The pictures of a zip whose folders are classes; other sizes are averaged to ``size_px`` squares.

    Raises:
        EngineError: the file is absent or no zip, holds no class folders, or a picture in it is corrupt.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(
                item for item in archive.namelist() if PurePosixPath(item).suffix.lower() in (".jpg", ".png")
            )
            pixels = [_read_picture(archive.read(item), f"{path}/{item}", size_px) for item in names]
    except (OSError, zipfile.BadZipFile) as problem:
        raise _bad(path, f"The training pictures {path} cannot be read: {problem}.") from problem
    folders = [PurePosixPath(item).parent.name for item in names]
    classes = sorted(set(folders))
    if len(classes) < 2 or "" in classes:
        raise _bad(path, f"The training pictures {path} do not lie in at least two class folders.")
    place = {folder: number for number, folder in enumerate(classes)}
    labels = np.array([place[folder] for folder in folders], dtype=np.int64)
    return PictureSet(name, gsd_m, tuple(f"{name}/{folder}" for folder in classes), np.stack(pixels), labels)


def _read_picture(data: bytes, where: str, size_px: int) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            rgb = picture.convert("RGB")
    except (UnidentifiedImageError, OSError) as problem:
        raise _bad(Path(where), f"The training picture {where} is corrupt: {problem}.") from problem
    if rgb.size != (size_px, size_px):
        rgb = rgb.resize((size_px, size_px), Image.Resampling.BOX)
    return np.asarray(rgb, dtype=np.uint8)


def _bad(path: Path, text: str) -> EngineError:
    return EngineError(ErrorCode.FOLDER_INVALID, text, "Check the data before training.", path=str(path))


def split(pictures: PictureSet, validation_share: float, seed: int) -> tuple[PictureSet, PictureSet]:
    """Training and validation pictures: the same share of every class, or, where places are known, of the places."""
    if pictures.places is not None:
        random = np.random.default_rng(seed)
        places = random.permutation(np.unique(pictures.places))
        is_held = np.isin(pictures.places, places[: round(validation_share * len(places))])
        return pictures.subset(np.flatnonzero(~is_held)), pictures.subset(np.flatnonzero(is_held))
    validation = held_out(pictures.labels, len(pictures.classes), validation_share, seed)
    training = np.setdiff1d(np.arange(len(pictures.labels)), validation)
    return pictures.subset(training), pictures.subset(validation)


@dataclass(frozen=True)
class Pyramid:
    """The pictures at their own pixel and averaged 2 × 2 again and again: level k has pixels of gsd_m · 2^k."""

    gsd_m: float
    levels: tuple[Tensor, ...]

    def level_for(self, gsd_m: float) -> int:
        """The coarsest level whose pixel is not coarser than the one asked for."""
        finer = [place for place in range(len(self.levels)) if self.gsd_m * 2**place <= gsd_m * 1.01]
        return finer[-1] if finer else 0


def pyramid(pictures: PictureSet) -> Pyramid:
    """Levels (n, band, h, w) uint8 down to 32 px."""
    level = torch.from_numpy(pictures.pixels).permute(0, 3, 1, 2).contiguous()
    levels = [level]
    while levels[-1].shape[-1] >= 2 * SMALLEST_LEVEL_PX:
        parts = torch.split(levels[-1], 512)
        halves = [functional.avg_pool2d(part.float(), 2).round().to(torch.uint8) for part in parts]
        levels.append(torch.cat(halves))
    return Pyramid(pictures.gsd_m, tuple(levels))


def whole(pictures: PictureSet, size_px: int) -> tuple[Tensor, float]:
    """Every picture in full, area-averaged to ``size_px``: (n, band, h, w) uint8, and the ground pixel that results."""
    side_px = pictures.pixels.shape[1]
    parts = torch.split(torch.from_numpy(pictures.pixels).permute(0, 3, 1, 2), 512)
    if side_px == size_px:
        return torch.cat(list(parts)).contiguous(), pictures.gsd_m
    shrunk = [
        functional.interpolate(part.float(), (size_px, size_px), mode="area").round().to(torch.uint8) for part in parts
    ]
    return torch.cat(shrunk), pictures.gsd_m * side_px / size_px
