"""From a raster or a picture to the tiles that the geographic expert looks at. Knows no model and draws no conclusion.

The expert sees the Earth at half a kilometre to some kilometres a pixel, so finer imagery is averaged down until one tile
holds the shorter side of the extent, and once more in tiles of half that width. A picture without any
georeference is read too: its ground size is given, or several are tried.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from shapely import Geometry

from geomm_engine.contract import Area, ErrorCode, Level, Note, RasterSource
from geomm_engine.errors import RasterError
from geomm_engine.geography.expert_card import ExpertCard
from geomm_engine.grid import PixelGrid, Window
from geomm_engine.pipeline import area as areas
from geomm_engine.pipeline.prepare import darkest_of
from geomm_engine.raster.files import unreadable
from geomm_engine.raster.ground import GroundScale, to_geographic
from geomm_engine.raster.radiometry import Radiometry, Reflectance, find_radiometry
from geomm_engine.raster.reader import RasterReader
from geomm_engine.raster.source import Stack, describe

ROLES = ("red", "green", "blue")
REFLECTANCE_GAIN = 3.0
"""A reflectance of a third is full brightness, as in the usual true-colour pictures of MODIS and VIIRS."""
FEWEST_PX = 24
MOST_TILES = 25
LARGE_KM = 5000.0
GUESSES = 5
"""So many ground sizes are tried for a picture that does not say its own."""
_SLACK = 1.25
_SMOOTHER = 3.2
"""Pixels may be spread over so many finer ones, along either side: the training pictures' tiles are as smooth."""
_LOCAL = CRS.from_proj4("+proj=laea +lat_0=0 +lon_0=0 +ellps=WGS84 +units=m")


@dataclass(frozen=True)
class Scale:
    """Square tiles of ``tile_px`` pixels of ``gsd_km`` each."""

    gsd_km: float
    tile_px: int

    @property
    def tile_km(self) -> float:
        return self.gsd_km * self.tile_px


@dataclass(frozen=True)
class Extent:
    """What is looked at, in pixels of the raster, and the ground size of a pixel at its middle in metres (height, width)."""

    y: float
    x: float
    height: float
    width: float
    pixel_m_yx: tuple[float, float]

    @property
    def middle_yx(self) -> tuple[float, float]:
        return self.y + self.height / 2, self.x + self.width / 2

    @property
    def size_km_yx(self) -> tuple[float, float]:
        return self.height * self.pixel_m_yx[0] / 1000, self.width * self.pixel_m_yx[1] / 1000

    @property
    def side_km(self) -> float:
        return min(self.size_km_yx)


@dataclass(frozen=True)
class Picture:
    """An open raster: what of it is looked at and how.

    ``own_place`` is the latitude and longitude of the extent's middle by its own georeference, None without one.
    """

    reader: RasterReader
    stack: Stack
    radiometry: Radiometry
    extent: Extent
    ground: GroundScale | None
    inside: Geometry | None
    own_place: tuple[float, float] | None
    notes: tuple[Note, ...]

    def pixel_m_yx(self, y: float, x: float) -> tuple[float, float]:
        """Ground size of the pixel at a place of the raster; that of the middle where the place is not on the Earth."""
        found = self.ground.pixel_m_yx(y, x) if self.ground else None
        return found or self.extent.pixel_m_yx

    def place_of(self, y: float, x: float) -> tuple[float, float] | None:
        """Latitude and longitude of a place of the raster by its georeference, None where it is not on the Earth."""
        return _place(self.stack.grid, y, x)

    def resized(self, gsd_m: float) -> Picture:
        """The same picture, taken as having pixels of another ground size."""
        extent = Extent(self.extent.y, self.extent.x, self.extent.height, self.extent.width, (gsd_m, gsd_m))
        return Picture(self.reader, self.stack, self.radiometry, extent, None, self.inside, self.own_place, self.notes)


@contextmanager
def open_picture(source: RasterSource, area: Area, gsd_m: float) -> Iterator[Picture]:
    """Open a layer for the expert; ``gsd_m`` 0 means: as the file says.

    Raises:
        RasterError: the layer cannot be read, or lacks a colour.
        AreaError: the area does not touch it.
    """
    with tempfile.TemporaryDirectory(prefix="geomm") as folder:
        stack, has_place = _described(source, gsd_m, Path(folder))
        positions = _colors(stack)
        reader = RasterReader(stack, positions)
        try:
            bands = [stack.bands[at] for at in positions]
            calibrations = [
                Reflectance(level, (REFLECTANCE_GAIN,) * 3, (0.0,) * 3)
                for level in ("toa_reflectance", "surface_reflectance")
            ]
            sample = reader.sample()
            radiometry, notes = find_radiometry(
                stack, bands, sample, source.unit, calibrations, lambda: darkest_of(stack)
            )
            reader.close()
            reader = RasterReader(stack, positions, zero_is_nodata=radiometry.zero_is_nodata)
            inside = areas.to_pixels(area, stack.grid) if has_place else None
            ground = GroundScale(stack.grid) if has_place and not gsd_m else None
            extent = _extent(stack.grid, inside, ground, gsd_m)
            place = _place(stack.grid, *extent.middle_yx) if has_place else None
            if not has_place and not gsd_m:
                notes = (_unknown_size_note(), *notes)
            if not has_place and area.wkt:
                text = (
                    "The picture has no coordinates, so the area is not known in it: the whole picture was looked at."
                )
                notes = (*notes, Note("area_ignored", Level.AMBER, text))
            if max(extent.size_km_yx) > LARGE_KM:
                notes = (*notes, _large_note(max(extent.size_km_yx)))
            yield Picture(reader, stack, radiometry, extent, ground, inside, place, notes)
        finally:
            reader.close()


def _described(source: RasterSource, gsd_m: float, folder: Path) -> tuple[Stack, bool]:
    """The layer's stack, and whether it says where it lies; one that does not is put on a plane of its own."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            stack = describe(source)
        to_geographic(stack.grid.crs_wkt)
    except RasterError as problem:
        if problem.code not in (ErrorCode.RASTER_NO_GEOREFERENCE, ErrorCode.RASTER_NOT_ON_EARTH):
            raise
    else:
        return stack, True
    paths = tuple(_on_a_plane(path, gsd_m or 1000.0, folder / f"{at}.vrt") for at, path in enumerate(source.paths))
    return describe(RasterSource(paths, source.roles, source.unit, source.name)), False


def _on_a_plane(path: str, gsd_m: float, target: Path) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                size = dataset.width * gsd_m, dataset.height * gsd_m
            rasterio.shutil.copy(path, target, driver="VRT")
            with rasterio.open(target, "r+") as plane:
                plane.crs = _LOCAL
                plane.transform = Affine(gsd_m, 0.0, -size[0] / 2, 0.0, -gsd_m, size[1] / 2)
    except (RasterioError, shutil.Error, OSError) as problem:
        raise unreadable(path, problem) from problem
    return str(target)


def _colors(stack: Stack) -> tuple[int, ...]:
    """Positions of red, green and blue; a single band serves as all three."""
    found = [stack.band_for(role) for role in ROLES]
    if all(at is not None for at in found):
        return tuple(at for at in found if at is not None)
    if len(stack.bands) == 1:
        return (0, 0, 0)
    missing = ", ".join(role for role, at in zip(ROLES, found, strict=True) if at is None)
    have = ", ".join(band.role or f"band {at + 1}" for at, band in enumerate(stack.bands))
    raise RasterError(
        ErrorCode.BANDS_MISSING,
        f"To say where a picture lies its red, green and blue are needed; it does not say which of its bands is {missing} "
        f"(it has: {have}).",
        "Say which band is which (on the command line: --bands red=1,green=2,blue=3).",
        missing=missing,
        have=have,
    )


def _extent(grid: PixelGrid, inside: Geometry | None, ground: GroundScale | None, gsd_m: float) -> Extent:
    height, width = grid.shape_yx
    top, left, bottom, right = 0.0, 0.0, float(height), float(width)
    if inside is not None:
        x0, y0, x1, y1 = inside.bounds
        columns, rows = zip(*(~grid.transform @ corner for corner in ((x0, y0), (x1, y1))), strict=True)
        left, right = max(0.0, min(columns)), min(float(width), max(columns))
        top, bottom = max(0.0, min(rows)), min(float(height), max(rows))
    middle = (top + bottom) / 2, (left + right) / 2
    size = (gsd_m or 1000.0,) * 2
    if ground is not None:
        size = ground.pixel_m_yx(*middle) or ground.nominal_m_yx()
    return Extent(top, left, bottom - top, right - left, size)


def _place(grid: PixelGrid, y: float, x: float) -> tuple[float, float] | None:
    lon, lat = to_geographic(grid.crs_wkt).transform(*(grid.transform @ (x, y)))
    return (float(lat), (float(lon) + 180.0) % 360.0 - 180.0) if math.isfinite(lat) and math.isfinite(lon) else None


def fewest_px(card: ExpertCard) -> int:
    """How many pixels a picture must have along its shorter side."""
    return min(FEWEST_PX, card.tile_px)


def guesses_km(extent: Extent, card: ExpertCard) -> list[float]:
    """Ground sizes of a pixel that a picture of unknown size may have: evenly in the logarithm over what the expert sees.

    Raises:
        RasterError: the picture has too few pixels.
    """
    side_px = min(extent.height, extent.width)
    fewest = fewest_px(card)
    if side_px < fewest:
        raise RasterError(
            ErrorCode.EXTENT_TOO_SMALL,
            f"The picture is {side_px:.0f} pixels wide; at least {fewest} are needed to say where it may lie.",
            "Take a larger picture.",
            side_px=side_px,
        )
    low = max(card.tile_min_km / side_px, card.gsd_min_m / 1000 / _SLACK)
    high = min(card.tile_max_km / side_px, card.gsd_max_m / 1000)
    if low >= high:  # more pixels than one tile of the finest ground: the whole picture at the coarsest
        return [max(high, card.tile_max_km / side_px)]
    return [float(item) for item in np.geomspace(low, high, GUESSES)]


def scales(extent: Extent, card: ExpertCard) -> list[Scale]:
    """One or two scales: one tile over the shorter side, and half of that.

    Raises:
        RasterError: the pixels are too coarse, or the extent shows too little ground.
    """
    native_km = math.sqrt(math.prod(extent.pixel_m_yx)) / 1000
    coarsest, finest, side = card.gsd_max_m / 1000, card.gsd_min_m / 1000, extent.side_km
    if native_km > coarsest * _SLACK:
        raise RasterError(
            ErrorCode.GSD_OUT_OF_RANGE,
            f"A pixel of this layer is {native_km:,.1f} km wide; {card.name} reads pixels of {finest:g} to {coarsest:g} km.",
            "Choose a finer image.",
            gsd_m=native_km * 1000,
            gsd_min_m=card.gsd_min_m,
            gsd_max_m=card.gsd_max_m,
        )
    needed = max(card.tile_min_km, fewest_px(card) * max(native_km, finest)) / _SLACK
    if side < needed:
        raise RasterError(
            ErrorCode.EXTENT_TOO_SMALL,
            f"The extent is too small for {card.name}: it needs about {needed:,.0f} km, yours is {_km(side)} wide "
            "along its shorter side.",
            "Take a layer or an area that shows more of the Earth (a weather satellite's view, a MODIS or VIIRS scene, a "
            "zoomed-out basemap); for finer imagery choose a location model for it, if one is installed.",
            needed_km=needed,
            side_km=side,
        )
    gsd = min(max(side / card.tile_px, native_km / _SMOOTHER, finest), max(coarsest, native_km))
    first = Scale(gsd, min(card.tile_px, max(1, round(side / gsd))))
    half = Scale(gsd / 2, card.tile_px)
    fits = half.gsd_km >= max(native_km / _SMOOTHER, finest) / _SLACK and half.tile_km >= card.tile_min_km
    return [first, half] if fits and half.tile_km <= side else [first]


def _km(value: float) -> str:
    return f"{value:,.0f} km" if value >= 10 else f"{value:.2g} km"


def tile_windows(picture: Picture, scale: Scale) -> list[Window]:
    """Windows of the raster that are square on the ground, overlapping by half, at most 25 spread over the extent."""
    extent, side_m = picture.extent, scale.tile_km * 1000
    middle_x = extent.x + extent.width / 2
    found = []
    row_height = min(extent.height, side_m / extent.pixel_m_yx[0])
    for y in _starts(extent.height, row_height, MOST_TILES):
        top = extent.y + y
        pixel_m = picture.pixel_m_yx(top + row_height / 2, middle_x)
        height, width = (
            min(size, side_m / at) for size, at in zip((extent.height, extent.width), pixel_m, strict=True)
        )
        top = min(max(top + (row_height - height) / 2, extent.y), extent.y + extent.height - height)
        found += [Window(top, extent.x + x, height, width) for x in _starts(extent.width, width, MOST_TILES)]
    if len(found) <= MOST_TILES:
        return found
    chosen = np.unique(np.linspace(0, len(found) - 1, MOST_TILES).round().astype(int))
    return [found[at] for at in chosen]


def _starts(whole: float, part: float, most: int) -> Sequence[float]:
    count = min(most, max(1, round(2 * (whole - part) / part) + 1))
    return [float(start) for start in np.linspace(0.0, whole - part, count)] if count > 1 else [(whole - part) / 2]


def _large_note(width_km: float) -> Note:
    text = (
        f"The extent is {width_km:,.0f} km wide: {MOST_TILES} tiles spread over it are looked at, and their places are related "
        "by its georeference. A smaller area says more."
    )
    return Note("extent_large", Level.AMBER, text, {"width_km": width_km})


def _unknown_size_note() -> Note:
    text = (
        f"The picture does not say how large its pixels are on the ground: {GUESSES} sizes were tried and none preferred. "
        "Giving the size (--gsd-km) makes the answer sharper."
    )
    return Note("ground_size_unknown", Level.AMBER, text)
