"""Pictures of the whole Earth with words from maps: climate, land and sea, height. Two sets, at 1.0 and at 7.4 km a pixel.

From NASA's Blue Marble Next Generation. A chip gets a class only where the maps leave no doubt; ``places`` numbers its
10° block, so that training and validation never share one.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError
from geomm_engine.geography.koppen import CODES, GlobalRaster
from geomm_engine.geography.world import read_heights, read_koppen, read_land
from geomm_engine.training.pictures import PictureSet

TILES = "geo/blue_marble_z7_land.zip"
MONTHS = "geo/blue_marble_months_5400x2700"
MONTH_PX = 64
MONTH_GSD_M = 7400.0
TILE_PX = 256
TILE_GSD_M = 1000.0
_TILE_ZOOM = 7
_GRID = 24
_STEEP_M = 650.0
_LARGEST_LATITUDE = 76.0
_WINTER, _SUMMER = ("200401", "200402"), ("200407", "200408")
_CLIMATES = {
    "Desert": ("BWh", "BWk"),
    "Steppe": ("BSh", "BSk"),
    "Rainforest": ("Af", "Am"),
    "Savanna": ("Aw",),
    "Taiga": ("Dfc", "Dfd", "Dwc", "Dwd", "Dsc", "Dsd"),
    "Tundra": ("ET",),
    "IceSheet": ("EF",),
}
_LEAST_SHARE = 0.85
_FEWEST = 30


@dataclass(frozen=True)
class Chip:
    """Bounds in degrees."""

    south: float
    north: float
    west: float
    east: float

    @property
    def block(self) -> int:
        """The 10° block of the centre."""
        lat, lon = (self.south + self.north) / 2, (self.west + self.east) / 2
        return int((lat + 90) // 10) * 36 + int((lon + 180) // 10) % 36

    def grid(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(24, 24) latitudes from north to south and longitudes."""
        at = (np.arange(_GRID) + 0.5) / _GRID
        lat, lon = np.meshgrid(
            self.north - at * (self.north - self.south), self.west + at * (self.east - self.west), indexing="ij"
        )
        return lat, lon


class Maps:
    """What the classes are told by."""

    def __init__(self, data: Path) -> None:
        self.climate: GlobalRaster = read_koppen(data)
        self.land: GlobalRaster = read_land(data)
        self.height_m: GlobalRaster = read_heights(data)

    def name(self, chip: Chip, pixels: NDArray[np.uint8], month: str) -> str:
        """The class of a chip, or "" where the maps leave a doubt."""
        lat, lon = chip.grid()
        is_land = self.land.at(lat, lon).astype(bool)
        share = float(is_land.mean())
        edge = np.concatenate([is_land[0], is_land[-1], is_land[:, 0], is_land[:, -1]])
        if share < 0.95:
            return _name_of_shore(share, float(edge.mean()))
        height_m = self.height_m.at(lat, lon).astype(np.float64)
        light = float(pixels.mean()) / 255.0
        if chip.south > 48 and month in _WINTER and light > 0.55 and height_m.mean() < 1500:
            return "SnowyLand"
        if float(height_m.std()) > _STEEP_M:
            return "Mountains"
        climate = np.array(CODES)[self.climate.at(lat, lon).astype(np.int64)]
        for name, codes in _CLIMATES.items():
            if np.isin(climate, codes).mean() >= _LEAST_SHARE:
                is_cold = name in ("Taiga", "Tundra")
                return name if not is_cold or (month not in _WINTER and light < 0.5) else ""
        return ""


def _name_of_shore(land: float, land_on_edge: float) -> str:
    if land == 0:
        return "Sea"
    if land_on_edge <= 0.02:
        return "Island" if land > 0.03 else ""
    return "Coast" if 0.25 <= land <= 0.75 else ""


def read_tiles(name: str, data: Path) -> PictureSet:
    """The XYZ tiles that have a class: 256 px of about 1 km."""
    maps = Maps(data)
    pixels, names, places = [], [], []
    try:
        with zipfile.ZipFile(data / TILES) as archive:
            for item in sorted(archive.namelist()):
                parts = PurePosixPath(item).with_suffix("").parts
                chip = _tile_bounds(int(parts[-2]), int(parts[-1]))
                if chip.north > 62 or chip.south < -62:
                    continue
                with Image.open(io.BytesIO(archive.read(item))) as picture:
                    tile = np.asarray(picture.convert("RGB"), dtype=np.uint8)
                found = maps.name(chip, tile, "")
                if found and tile.shape == (TILE_PX, TILE_PX, 3):
                    pixels.append(tile)
                    names.append(found)
                    places.append(chip.block)
    except (OSError, zipfile.BadZipFile, UnidentifiedImageError, ValueError, IndexError) as problem:
        raise _bad(data / TILES, problem) from problem
    return _picture_set(name, TILE_GSD_M, pixels, names, places)


def _tile_bounds(x: int, y: int) -> Chip:
    def lat(row: int) -> float:
        return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / 2**_TILE_ZOOM))))

    return Chip(lat(y + 1), lat(y), x * 360 / 2**_TILE_ZOOM - 180, (x + 1) * 360 / 2**_TILE_ZOOM - 180)


def draw_months(name: str, data: Path, count: int, seed: int) -> PictureSet:
    """About ``count`` chips of 64 px and 7.4 km from two winter and two summer mosaics, at most an eighth of one class."""
    random = np.random.default_rng(seed)
    maps = Maps(data)
    pixels: list[NDArray[np.uint8]] = []
    names: list[str] = []
    places: list[int] = []
    for month in (*_WINTER, *_SUMMER):
        try:
            with Image.open(data / MONTHS / f"{month}.jpg") as picture:
                world = np.asarray(picture.convert("RGB"), dtype=np.uint8)
        except (OSError, UnidentifiedImageError) as problem:
            raise _bad(data / MONTHS, problem) from problem
        most = count // 4 // 8
        here: dict[str, int] = {}
        for _ in range(8 * count):
            chip = _random_chip(random)
            tile = _cut(world, chip)
            found = maps.name(chip, tile, month)
            if found and here.get(found, 0) < most:
                here[found] = here.get(found, 0) + 1
                pixels.append(tile)
                names.append(found)
                places.append(chip.block)
            if sum(here.values()) >= count // 4:
                break
    return _picture_set(name, MONTH_GSD_M, pixels, names, places)


def _random_chip(random: np.random.Generator) -> Chip:
    """A square on the ground, evenly spread over the sphere between 76° south and north."""
    top = math.sin(math.radians(_LARGEST_LATITUDE))
    lat = math.degrees(math.asin(random.uniform(-top, top)))
    high = MONTH_PX * MONTH_GSD_M / 111_195.0
    wide = high / math.cos(math.radians(lat))
    west = random.uniform(-180, 180 - wide)
    return Chip(lat - high / 2, lat + high / 2, west, west + wide)


def _cut(world: NDArray[np.uint8], chip: Chip) -> NDArray[np.uint8]:
    """(64, 64, 3); east to west as many pixels as north to south, as on the ground."""
    height, width = world.shape[:2]
    top, bottom = (90 - chip.north) / 180 * height, (90 - chip.south) / 180 * height
    left, right = (chip.west + 180) / 360 * width, (chip.east + 180) / 360 * width
    picture = Image.fromarray(world[int(top) : int(bottom) + 2, int(left) : int(right) + 2])
    box = (left - int(left), top - int(top), right - int(left), bottom - int(top))
    shrunk = picture.resize((MONTH_PX, MONTH_PX), Image.Resampling.BOX, box=box)
    return np.asarray(shrunk, dtype=np.uint8)


def _picture_set(
    name: str, gsd_m: float, pixels: list[NDArray[np.uint8]], names: list[str], places: list[int]
) -> PictureSet:
    kept = sorted({item for item in names if names.count(item) >= _FEWEST})
    rows = [row for row, item in enumerate(names) if item in kept]
    labels = np.array([kept.index(names[row]) for row in rows], dtype=np.int64)
    return PictureSet(
        name,
        gsd_m,
        tuple(f"{name}/{item}" for item in kept),
        np.stack([pixels[row] for row in rows]),
        labels,
        np.array([places[row] for row in rows], dtype=np.int64),
    )


def _bad(path: Path, problem: Exception) -> EngineError:
    return EngineError(
        ErrorCode.FOLDER_INVALID,
        f"The maps of the Earth cannot be read from {path}: {problem}.",
        "Check the data before training.",
        path=str(path),
    )
