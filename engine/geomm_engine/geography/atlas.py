"""The map of the world that ships: how much of each quarter degree is land, and the outlines of the countries.

Made by ``tests/data/make_geography.py`` from global-land-mask (MIT) and Natural Earth (public domain).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import Geometry, affinity

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import AreaError
from geomm_engine.sphere import EARTH_AREA_KM2, Values

FOLDER = Path(__file__).resolve().parent.parent / "resources" / "geography"
LAND_FILE = FOLDER / "land.tif"
COUNTRIES_FILE = FOLDER / "countries.geojson"

SHAPE_YX = (720, 1440)
STEP_DEG = 0.25
TRANSFORM = Affine(STEP_DEG, 0.0, -180.0, 0.0, -STEP_DEG, 90.0)
"""The world in quarter degrees, north-west corner first."""

_NEAR_DEG = 1.5
_SOUTHERNMOST_DEG = -89.9
_FEW = 4


@dataclass(frozen=True)
class Country:
    """``iso`` is the ISO 3166-1 alpha-3 code, "" where there is none; ``outline`` in degrees, cut at the date line."""

    name: str
    iso: str
    outline: Geometry


@lru_cache(maxsize=1)
def land_share() -> NDArray[np.float32]:
    """(720, 1440) float32, 0–1: how much of each quarter degree is land."""
    with rasterio.open(LAND_FILE) as raster:
        return np.asarray(raster.read(1) / np.float32(100), dtype=np.float32)


@lru_cache(maxsize=1)
def countries() -> tuple[Country, ...]:
    """In the order of their names."""
    found = json.loads(COUNTRIES_FILE.read_text(encoding="utf-8"))["features"]
    outlines = shapely.from_geojson([json.dumps(item["geometry"]) for item in found])
    rows = [
        Country(item["properties"]["name"], item["properties"]["iso"], outline)
        for item, outline in zip(found, outlines, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: row.name))


@lru_cache(maxsize=1)
def _tree() -> shapely.STRtree:
    return shapely.STRtree([country.outline for country in countries()])


def country_at(lat: float, lon: float) -> str:
    """The country of a place, the nearest one within 1.5° (outlines are coarse), or "" on the open sea."""
    place = shapely.Point((lon + 180.0) % 360.0 - 180.0, max(lat, _SOUTHERNMOST_DEG))
    inside = _tree().query(place, predicate="intersects")
    if len(inside):
        return countries()[int(inside[0])].name
    near = _tree().query_nearest(place, max_distance=_NEAR_DEG, all_matches=False)
    return countries()[int(near[0])].name if len(near) else ""


def find_country(text: str) -> Country:
    """A country by its English name or its three letters, in any case.

    Raises:
        AreaError: there is none; the cure names those that are written alike.
    """
    wanted = text.strip().casefold()
    for country in countries():
        if wanted and wanted in (country.name.casefold(), country.iso.casefold()):
            return country
    names = {country.name.casefold(): country.name for country in countries()}
    alike = [name for key, name in names.items() if wanted and wanted in key]
    alike += [names[key] for key in difflib.get_close_matches(wanted, names, _FEW)]
    alike = list(dict.fromkeys(alike))[:_FEW]
    cure = f"Did you mean {' or '.join(alike)}?" if alike else "Give an English name (France) or three letters (FRA)."
    raise AreaError(ErrorCode.PLACE_UNKNOWN, f"No country is called “{text}”.", cure, country=text)


def inside(outline: Geometry) -> NDArray[np.bool_]:
    """(720, 1440) bool: the quarter degrees that a polygon in degrees touches; longitudes may run on beyond 180°."""
    shifted = [affinity.translate(outline, turn) for turn in (-360.0, 0.0, 360.0)]
    return np.asarray(rasterize(shifted, SHAPE_YX, transform=TRANSFORM, all_touched=True, dtype="uint8"), dtype=bool)


def prior(outlines: Sequence[Geometry], *, is_land_only: bool = True) -> NDArray[np.float32]:
    """(720, 1440) float32, 0–1: how much of each quarter degree is allowed: land, and inside every one of the outlines.

    Raises:
        AreaError: nothing is left.
    """
    allowed = land_share() if is_land_only else np.ones(SHAPE_YX, dtype=np.float32)
    for outline in outlines:
        allowed = np.where(inside(outline), allowed, np.float32(0))
    if not allowed.any():
        raise AreaError(
            ErrorCode.PLACE_UNKNOWN,
            "No place on Earth fits all that was said of it: the polygons and countries share no land."
            if is_land_only
            else "No place on Earth fits all that was said of it.",
            "Choose another polygon or country" + (", or allow the sea." if is_land_only else "."),
        )
    return allowed


@lru_cache(maxsize=1)
def row_area_km2() -> Values:
    """(720,) float64: the area of one quarter degree in each row; all of them sum to the Earth's."""
    sines = np.sin(np.radians(np.linspace(90.0, -90.0, SHAPE_YX[0] + 1)))
    return np.asarray((sines[:-1] - sines[1:]) / 2.0 * EARTH_AREA_KM2 / SHAPE_YX[1])


def pixel_centres() -> tuple[Values, Values]:
    """(720,) latitudes and (1440,) longitudes of the middles of the quarter degrees."""
    rows, cols = SHAPE_YX
    lat, lon = 90.0 - (np.arange(rows) + 0.5) * STEP_DEG, -180.0 + (np.arange(cols) + 0.5) * STEP_DEG
    return np.asarray(lat, np.float64), np.asarray(lon, np.float64)
