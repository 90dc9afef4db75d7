"""Pictures whose place is known: a CSV of image path, latitude, longitude, date and ground width, checked before any work."""

from __future__ import annotations

import csv
import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError, RasterError
from geomm_engine.geography.koppen import SEA, GlobalRaster, climate_number
from geomm_engine.sphere import destination

_COLUMNS = {
    "image": ("image", "path", "image path", "file"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "longitude"),
    "date": ("date",),
    "width_km": ("width_km", "ground width in km", "ground_width_km"),
    "koppen": ("koppen", "köppen", "climate"),
}
_NEEDED = ("image", "lat", "lon", "width_km")
_TOLD = 5
_LATTICE = 24


@dataclass(frozen=True)
class Point:
    """A square picture, north up: its middle in degrees, its ground width in km; ``date`` and ``climate`` where known."""

    image: Path
    lat: float
    lon: float
    width_km: float
    date: datetime.date | None
    climate: int | None


def read_points(path: Path) -> list[Point]:
    """The rows of a POINTS.csv; image paths count from the file's folder.

    Raises:
        EngineError: the file cannot be read, a column is missing, or rows are wrong; the message names them.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = _columns(path, reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise _wrong(path, f"it cannot be read: {problem}") from problem
    points, problems = [], []
    for number, row in enumerate(rows, start=2):
        try:
            points.append(
                _point(path.parent, {name: (row.get(column) or "").strip() for name, column in columns.items()})
            )
        except ValueError as problem:
            problems.append(f"line {number}: {problem}")
    if problems:
        more = f"; and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        raise _wrong(path, "; ".join(problems[:_TOLD]) + more)
    if not points:
        raise _wrong(path, "it holds no row")
    return points


def _columns(path: Path, found: Sequence[str]) -> dict[str, str]:
    known = {name.strip().lower(): name for name in found if name}
    columns = {}
    for name, spellings in _COLUMNS.items():
        match = next((known[item] for item in spellings if item in known), None)
        if match is not None:
            columns[name] = match
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise _wrong(
            path,
            f"the column{'s' * (len(missing) > 1)} {', '.join(missing)} must be there (it has: {', '.join(found)})",
        )
    return columns


def _point(folder: Path, row: Mapping[str, str]) -> Point:
    image = folder / row["image"]
    if not row["image"] or not image.is_file():
        raise ValueError(f"there is no image {row['image'] or 'named'}")
    lat, lon, width_km = (_number(row, name) for name in ("lat", "lon", "width_km"))
    if not -90 <= lat <= 90:
        raise ValueError(f"the latitude {lat:g} is beyond a pole")
    if not -180 <= lon <= 360:
        raise ValueError(f"the longitude {lon:g} is not within −180 … 360")
    if not 0 < width_km <= 40_000:
        raise ValueError(f"the ground width {width_km:g} km is none")
    try:
        date = datetime.date.fromisoformat(row["date"]) if row.get("date") else None
    except ValueError:
        raise ValueError(f"the date “{row['date']}” is not year-month-day") from None
    try:
        climate = climate_number(row["koppen"]) if row.get("koppen") else None
    except KeyError:
        raise ValueError(f"the climate “{row['koppen']}” is none of Köppen and Geiger's") from None
    return Point(image, lat, (lon + 180.0) % 360.0 - 180.0, width_km, date, climate)


def _number(row: Mapping[str, str], name: str) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"“{row[name]}” is no number for {name}")
    return value


def read_climates(path: Path) -> GlobalRaster:
    """A Köppen–Geiger raster of the whole Earth as numbers of ``koppen.CLIMATES``.

    A text file ``*_classes.txt`` beside it may say which value is which code; without one the values are those of the
    usual maps (1 is Af … 30 is EF).

    Raises:
        RasterError: the raster or its table cannot be read, or it does not cover the Earth.
    """
    try:
        with rasterio.open(path) as dataset:
            values, shape = dataset.read(1), dataset.shape
        table = np.arange(256)
        table[31:] = SEA
        names = sorted(path.parent.glob("*_classes.txt"))
        if names:
            table[:] = SEA
            for line in names[0].read_text(encoding="utf-8").splitlines():
                if line.strip():
                    value, code = line.split()[:2]
                    table[int(value)] = climate_number(code)
        if shape[1] != 2 * shape[0]:
            raise ValueError("it is not twice as wide as high")
        return GlobalRaster(table[np.clip(values, 0, 255)].astype(np.uint8))
    except (OSError, ValueError, KeyError, RasterioError) as problem:
        raise RasterError(
            ErrorCode.RASTER_UNREADABLE,
            f"The climate map {path} cannot be used: {problem}.",
            "Give a Köppen–Geiger raster of the whole Earth in degrees.",
            path=str(path),
        ) from problem


def true_climates(points: list[Point], climates: GlobalRaster | None) -> NDArray[np.int64]:
    """(n,) number of the land climate that covers most of each picture: the column's, else the map's, −1 where unknown."""
    found = np.full(len(points), -1, dtype=np.int64)
    for at, point in enumerate(points):
        if point.climate is not None:
            found[at] = point.climate
        elif climates is not None:
            offsets = ((np.arange(_LATTICE) + 0.5) / _LATTICE - 0.5) * point.width_km
            numbers = climates.at(*destination(point.lat, point.lon, offsets[None, :], offsets[:, None])).astype(
                np.int64
            )
            counts = np.bincount(numbers.ravel(), minlength=31)
            counts[SEA] = 0
            found[at] = int(counts.argmax()) if counts.any() else -1
    return found


def _wrong(path: Path, problem: str) -> EngineError:
    return EngineError(
        ErrorCode.FOLDER_INVALID,
        f"{path} cannot be used: {problem}.",
        "Write a header and one row a picture: image,lat,lon,date,width_km (degrees, year-month-day or nothing, km).",
        path=str(path),
    )
