"""Labelled pictures in class folders or a zip of them: found, chosen and read one by one. Knows no model.

The class is the folder that a picture lies in. Files are taken in the order of their names, as the training takes them,
so that its split can be drawn again.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.warp import transform_bounds

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")

_JOINED = {
    words.replace(" ", ""): words
    for words in (
        "baseball diamond",
        "baseball field",
        "basketball court",
        "dense residential",
        "football field",
        "golf course",
        "ground track field",
        "medium residential",
        "mobile home park",
        "parking lot",
        "railway station",
        "sparse residential",
        "storage tank",
        "storage tanks",
        "tennis court",
        "thermal power station",
    )
}


class NotAPicture(ValueError):
    """A file that is damaged, or whose numbers are no 8-bit colours."""


@dataclass(frozen=True)
class Picture:
    """``pixels`` (3, h, w) float32, 0–1. Where the file knows its place: ``bounds`` in degrees, west, south, east, north,
    and the ground size of a pixel in metres."""

    pixels: NDArray[np.float32]
    bounds: tuple[float, float, float, float] | None = None
    gsd_m: float = 0.0


@dataclass(frozen=True)
class LabelledPictures:
    """``paths`` are relative to the folder or inside the zip; ``labels`` (n,) index into ``classes``."""

    name: str
    root: Path
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    archive: zipfile.ZipFile | None = None

    def subset(self, rows: NDArray[np.int64]) -> LabelledPictures:
        return replace(self, paths=tuple(self.paths[row] for row in rows), labels=self.labels[rows])

    def limited(self, per_class: int, seed: int) -> LabelledPictures:
        """At most so many pictures of each class, drawn with the seed."""
        random = np.random.default_rng(seed)
        rows = [random.permutation(np.flatnonzero(self.labels == at))[:per_class] for at in range(len(self.classes))]
        return self.subset(np.sort(np.concatenate(rows)))

    def read(self, row: int) -> Picture:
        """The picture of this row; grey is repeated.

        Raises:
            NotAPicture: the file is damaged, or its numbers are no 8-bit colours.
        """
        path = self.paths[row]
        try:
            data = self.archive.read(path) if self.archive else (self.root / path).read_bytes()
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as problem:
            raise NotAPicture(f"{path}: {problem}") from problem
        return decode(data, path)


@contextmanager
def opened(path: Path) -> Iterator[LabelledPictures]:
    """The pictures of a folder of class folders, or of a zip of such folders.

    Raises:
        EngineError: there is no such folder or zip, or it does not hold pictures of at least two classes.
    """
    if path.is_dir():
        found = (item.relative_to(path).as_posix() for item in path.rglob("*") if item.is_file())
        yield _labelled(path, list(found), None)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as problem:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"{path} is no folder and no zip that can be read: {problem}.",
            "Give a folder, or a zip, with one sub-folder of JPEG, PNG or TIFF pictures for each class.",
            path=str(path),
        ) from problem
    with archive:
        yield _labelled(path, archive.namelist(), archive)


def _labelled(root: Path, names: Sequence[str], archive: zipfile.ZipFile | None) -> LabelledPictures:
    paths = sorted(name for name in names if _is_picture(PurePosixPath(name)))
    folders = [PurePosixPath(path).parent.name for path in paths]
    classes = sorted(set(folders))
    if len(classes) < 2:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"{root} does not hold at least two class folders with images.",
            "Give a folder, or a zip, with one sub-folder of JPEG, PNG or TIFF pictures for each class.",
            path=str(root),
        )
    number = {name: at for at, name in enumerate(classes)}
    labels = np.array([number[folder] for folder in folders], dtype=np.int64)
    return LabelledPictures(root.name, root, tuple(classes), tuple(paths), labels, archive)


def _is_picture(path: PurePosixPath) -> bool:
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and path.parent.name != "" and not is_hidden


def decode(data: bytes, name: str) -> Picture:
    """A picture from the bytes of its file.

    Raises:
        NotAPicture: the bytes are damaged, or the numbers are no 8-bit colours.
    """
    if PurePosixPath(name).suffix.lower() in (".tif", ".tiff"):
        return _decode_tiff(data, name)
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode not in _EIGHT_BIT:
                raise NotAPicture(f"{name} is a picture of type {picture.mode}")
            rgb = np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as problem:
        raise NotAPicture(f"{name}: {problem}") from problem
    return Picture(np.ascontiguousarray(rgb.transpose(2, 0, 1), dtype=np.float32) / np.float32(255))


def _decode_tiff(data: bytes, name: str) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with MemoryFile(data) as memory, memory.open() as dataset:
                if dataset.dtypes[0] != "uint8" or dataset.count > 4:
                    raise NotAPicture(f"{name} has {dataset.count} bands of type {dataset.dtypes[0]}")
                values = dataset.read([1, 2, 3] if dataset.count >= 3 else [1, 1, 1])
                bounds, gsd_m = _place(dataset)
        except (RasterioError, RasterioIOError) as problem:
            raise NotAPicture(f"{name}: {problem}") from problem
    return Picture(np.asarray(values / 255, dtype=np.float32), bounds, gsd_m)


def _place(dataset: DatasetReader) -> tuple[tuple[float, float, float, float] | None, float]:
    """Where the picture lies, and the mean ground size of its pixel; nothing when it does not say."""
    if dataset.crs is None or dataset.transform.is_identity:
        return None, 0.0
    try:
        west, south, east, north = transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds)
    except (RasterioError, CRSError):
        return None, 0.0
    degree_m = 111_320.0
    height_m = (north - south) * degree_m / dataset.height
    width_m = (east - west) * degree_m * np.cos(np.radians((north + south) / 2)) / dataset.width
    return (west, south, east, north), float(np.sqrt(max(height_m * width_m, 0.0)))


def spoken(name: str) -> str:
    """A folder's name as a person would type it: "HerbaceousVegetation" → "herbaceous vegetation".

    Names that UC Merced and sets like it write as one word are parted: "parkinglot" → "parking lot".
    """
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-]+", " ", name)
    return " ".join(_JOINED.get(part, part) for part in parts.lower().split())


def plain(name: str) -> str:
    """A name without what spellings differ in: "River Bank" and "river_bank" → "riverbank"."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
