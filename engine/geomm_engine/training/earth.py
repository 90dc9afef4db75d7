"""The whole Earth as pictures to cut from: a mosaic a month, and finer tiles of one month. Knows no labels.

Crops are squares on the ground, north up, in the azimuthal equidistant projection of their centre: whole over the date
line and the poles. Pixels are sampled bilinearly from levels averaged to about the size that is asked for.
"""

from __future__ import annotations

import calendar
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import RasterError
from geomm_engine.geography.season import day_angle
from geomm_engine.sphere import EARTH_RADIUS_KM
from geomm_engine.training.blocks import Part, part_of

Pixels = NDArray[np.uint8]
Coordinates = NDArray[np.float32]
MONTHS = 12
DEGREE_KM = math.pi * EARTH_RADIUS_KM / 180.0
TILE_ZOOM = 7
TILE_PX = 256
TILE_MONTH = 8


def month_angle(month: NDArray[np.int64]) -> NDArray[np.float64]:
    """Months 1–12 → the angle of their middle on the circle of the year."""
    starts = np.cumsum([0, *(calendar.monthrange(2003, item)[1] for item in range(1, 13))])
    middle = 0.5 * (starts[:-1] + starts[1:]) + 0.5
    return day_angle(middle[np.asarray(month) - 1])


def ground_grid(
    lat: NDArray[np.float64], lon: NDArray[np.float64], width_km: NDArray[np.float64], px: int
) -> tuple[Coordinates, Coordinates]:
    """(n, px, px) latitudes and longitudes (degrees) of the pixels of square crops; longitudes may leave ±180°."""
    phi = np.radians(lat).astype(np.float32)[:, None, None]
    at = ((np.arange(px, dtype=np.float32) + 0.5) / px - 0.5)[None]
    scale = (width_km / EARTH_RADIUS_KM).astype(np.float32)[:, None]
    x, y = (scale * at)[:, None, :], (scale * -at)[:, :, None]
    rho2 = x * x + y * y
    sinc, cosine = np.sinc(np.sqrt(rho2) / np.float32(math.pi)).astype(np.float32), np.cos(np.sqrt(rho2))
    sine_lat = cosine * np.sin(phi) + y * sinc * np.cos(phi)
    turn = np.arctan2(x * sinc, np.cos(phi) * cosine - y * sinc * np.sin(phi))
    found = np.degrees(np.arcsin(np.clip(sine_lat, -1, 1)))
    return found, np.degrees(turn) + lon.astype(np.float32)[:, None, None]


@dataclass(frozen=True)
class Mosaics:
    """Twelve months of the whole Earth, equirectangular, with levels halved along either axis.

    ``levels[ly][lx]`` is (12, height / 2^ly, width / 2^lx, 3) uint8.
    """

    levels: tuple[tuple[Pixels, ...], ...]

    @classmethod
    def of(cls, months: Pixels) -> Mosaics:
        """From (12, height, width, 3); both sides must be divisible by 8 and by 2."""
        rows = [months, _halve(months, axis=1)]
        return cls(tuple((row, _halve(row, axis=2), _halve(_halve(row, axis=2), axis=2)) for row in rows))

    def crop(
        self,
        month: NDArray[np.int64],
        lat: NDArray[np.float64],
        lon: NDArray[np.float64],
        width_km: NDArray[np.float64],
        px: int,
    ) -> Pixels:
        """(n, px, px, 3) crops of these months (1–12)."""
        lats, lons = ground_grid(lat, lon, width_km, px)
        native_km = 180.0 / self.levels[0][0].shape[1] * DEGREE_KM
        down_y = np.clip(np.round(np.log2(width_km / px / native_km)), 0, 1).astype(int)
        across_km = native_km * np.maximum(0.05, np.cos(np.radians(lat)))
        down_x = np.clip(np.round(np.log2(width_km / px / across_km)), 0, 2).astype(int)
        found = np.empty((len(lat), px, px, 3), np.uint8)
        for row in range(len(lat)):
            source = self.levels[down_y[row]][down_x[row]][month[row] - 1]
            height, width = source.shape[:2]
            y = (90.0 - lats[row]) * np.float32(height / 180.0) - np.float32(0.5)
            x = (lons[row] + np.float32(180.0)) * np.float32(width / 360.0) - np.float32(0.5)
            found[row] = _bilinear(source, y, x)
        return found


def _halve(pixels: Pixels, *, axis: int) -> Pixels:
    size = pixels.shape[axis] // 2 * 2
    even, odd = (np.take(pixels, range(start, size, 2), axis=axis).astype(np.uint16) for start in (0, 1))
    return ((even + odd + 1) // 2).astype(np.uint8)


def _bilinear(source: Pixels, y: Coordinates, x: Coordinates) -> Pixels:
    """(h, w, 3) at rows ``y`` and columns ``x``; columns wrap, rows stop at the poles."""
    height, width = source.shape[:2]
    y = np.clip(y, 0, height - 1)
    top, left = np.floor(y), np.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    row = top.astype(np.int32)
    column = left.astype(np.int32) % width
    below, beside = np.minimum(row + 1, height - 1), (column + 1) % width
    flat = source.reshape(-1, 3)
    upper = flat[row * width + column] * (1 - right) + flat[row * width + beside] * right
    lower = flat[below * width + column] * (1 - right) + flat[below * width + beside] * right
    return (upper * (1 - down) + lower * down + 0.5).astype(np.uint8)


@dataclass(frozen=True)
class FineTiles:
    """Web mercator tiles of one zoom in levels of 256, 128 and 64 pixels; ``place[y, x]`` is a tile's number or −1."""

    place: NDArray[np.int32]
    levels: tuple[Pixels, ...]

    def crop(
        self, lat: NDArray[np.float64], lon: NDArray[np.float64], width_km: NDArray[np.float64], px: int
    ) -> tuple[Pixels, NDArray[np.bool_]]:
        """(n, px, px, 3) crops and (n,) whether every pixel of a crop had a tile. Nearest pixel of the fitting level."""
        lats, lons = ground_grid(lat, lon, width_km, px)
        count = len(self.place)
        y = (0.5 - np.arcsinh(np.tan(np.radians(np.clip(lats, -85, 85)))) / (2 * math.pi)) * count
        x = (lons / 360.0 + 0.5) * count % count
        tile_km = 2 * math.pi * EARTH_RADIUS_KM / count * np.cos(np.radians(lat))
        down = np.clip(np.round(np.log2(width_km / px / (tile_km / TILE_PX))), 0, len(self.levels) - 1).astype(int)
        row = np.clip(y.astype(np.int32), 0, count - 1)
        column = np.clip(x.astype(np.int32), 0, count - 1)
        number = self.place[row, column]
        found = np.zeros((len(lat), px, px, 3), np.uint8)
        for item in range(len(lat)):
            source = self.levels[down[item]]
            size = source.shape[1]
            inner_y = ((y[item] - row[item]) * size).astype(np.int32)
            inner_x = ((x[item] - column[item]) * size).astype(np.int32)
            found[item] = source[number[item], np.clip(inner_y, 0, size - 1), np.clip(inner_x, 0, size - 1)]
        return found, np.asarray((number >= 0).all(axis=(1, 2)))


def tile_parts(x: int, y: int, zoom: int = TILE_ZOOM) -> set[int]:
    """The parts of the Earth that an XYZ tile shows any ground of."""
    count = 2**zoom
    west, east = (x / count * 360.0 - 180.0, (x + 1) / count * 360.0 - 180.0)
    north, south = (math.degrees(math.atan(math.sinh(math.pi * (1.0 - 2.0 * item / count)))) for item in (y, y + 1))
    lat, lon = np.meshgrid(np.linspace(south, north, 9), np.linspace(west, east, 9))
    return set(np.unique(part_of(lat, lon)).tolist())


def read_mosaics(folder: Path, on_read: Callable[[], None] = lambda: None) -> Mosaics:
    """Twelve pictures YYYYMM.jpg of the whole Earth.

    Raises:
        RasterError: one is missing, cannot be read, or has another size than the others.
    """
    files = sorted(folder.glob("*.jpg"))
    if [path.stem[-2:] for path in files] != [f"{month:02d}" for month in range(1, 13)]:
        raise _unreadable(folder, "there must be one picture YYYYMM.jpg a month")
    months: Pixels | None = None
    for place, path in enumerate(files):
        pixels = _read_picture(path)
        if months is None:
            months = np.empty((MONTHS, *pixels.shape), np.uint8)
        if pixels.shape != months.shape[1:]:
            raise _unreadable(path, "it has another size than the others")
        months[place] = pixels
        on_read()
    assert months is not None
    return Mosaics.of(months)


def read_fine_tiles(file: Path) -> FineTiles:
    """A zip of ``7/x/y.jpeg``; tiles that show ground of held-out or validation blocks are left out.

    Raises:
        RasterError: the zip or a tile cannot be read.
    """
    count = 2**TILE_ZOOM
    place = np.full((count, count), -1, np.int32)
    kept: list[Pixels] = []
    try:
        with zipfile.ZipFile(file) as archive:
            for name in sorted(archive.namelist()):
                if not name.endswith(".jpeg"):
                    continue
                _, x, y = name.removesuffix(".jpeg").split("/")
                if tile_parts(int(x), int(y)) != {Part.TRAINING}:
                    continue
                with MemoryFile(archive.read(name)) as memory, memory.open() as dataset:
                    pixels = np.moveaxis(dataset.read(), 0, 2)
                if pixels.shape != (TILE_PX, TILE_PX, 3):
                    continue
                place[int(y), int(x)] = len(kept)
                kept.append(pixels)
    except (OSError, ValueError, zipfile.BadZipFile, rasterio.errors.RasterioError) as problem:
        raise _unreadable(file, str(problem)) from problem
    level = np.stack(kept) if kept else np.zeros((0, TILE_PX, TILE_PX, 3), np.uint8)
    halved = _halve(_halve(level, axis=1), axis=2)
    return FineTiles(place, (level, halved, _halve(_halve(halved, axis=1), axis=2)))


def _read_picture(path: Path) -> Pixels:
    try:
        with rasterio.open(path) as dataset:
            return np.moveaxis(dataset.read([1, 2, 3]), 0, 2)
    except (OSError, IndexError, rasterio.errors.RasterioError) as problem:
        raise _unreadable(path, str(problem)) from problem


def _unreadable(path: Path, problem: str) -> RasterError:
    return RasterError(
        ErrorCode.RASTER_UNREADABLE,
        f"The pictures of the Earth in {path} cannot be used: {problem}.",
        "Set GEOMM_SHARED_DATA to the folder with the training data.",
        path=str(path),
    )
