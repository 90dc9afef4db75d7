"""Reading the tiles of a picture at the scale of the geographic expert.

The expert was trained on squares of the ground, north up, in the azimuthal equidistant projection of their middle. Where
a raster says where it lies, tiles are cut in just that projection, so that the poles, the date line and any projection of
the raster are the same to it. Where it does not, north is taken to be up and a pixel to be square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from scipy.ndimage import map_coordinates

from geomm_engine.grid import Window
from geomm_engine.pipeline import area as areas
from geomm_engine.pipeline.locate_tiles import Picture, Scale
from geomm_engine.raster.reader import Block
from geomm_engine.raster.resample import cut
from geomm_engine.sphere import EARTH_RADIUS_KM, destination

FINER = 2
"""Each pixel of a tile is the mean of so many by so many samples."""
_HALF_FILLED = 0.5
_BEYOND = 0.08
"""Samples may lie this share of a tile outside the extent; they take the nearest pixel inside."""
_GEOD = Geod(a=EARTH_RADIUS_KM * 1000, b=EARTH_RADIUS_KM * 1000)
_MERCATOR_WIDTH_M = 2 * math.pi * 6378137.0


@dataclass(frozen=True)
class Tile:
    """``image`` (3, px, px) float32, display values 0–1; ``offset_km``: east and north of the extent's middle."""

    image: NDArray[np.float32]
    valid_share: float
    scale: Scale
    offset_km: tuple[float, float]

    @property
    def is_filled(self) -> bool:
        """Whether there is enough data to look at."""
        return self.valid_share >= _HALF_FILLED


def read_tile(picture: Picture, window: Window, scale: Scale) -> Tile:
    """The tile in the middle of a window of the raster.

    Raises:
        RasterError: its pixels cannot be read.
    """
    middle = window.y + window.height / 2, window.x + window.width / 2
    if picture.ground is not None and picture.own_place is not None:
        place = picture.place_of(*middle)
        if place is not None:
            image, share = _warped(picture, place, scale)
            azimuth, _, distance_m = _GEOD.inv(picture.own_place[1], picture.own_place[0], place[1], place[0])
            turn, away_km = math.radians(azimuth), distance_m / 1000
            return Tile(image, share, scale, (away_km * math.sin(turn), away_km * math.cos(turn)))
    image, share = _straight(picture, window, scale)
    extent = picture.extent
    pixel_m = picture.pixel_m_yx(*middle)
    east_km = (middle[1] - extent.x - extent.width / 2) * pixel_m[1] / 1000
    north_km = -(middle[0] - extent.y - extent.height / 2) * extent.pixel_m_yx[0] / 1000
    return Tile(image, share, scale, (east_km, north_km))


def _straight(picture: Picture, window: Window, scale: Scale) -> tuple[NDArray[np.float32], float]:
    """Rows and columns of the raster as they are, averaged."""
    step = max(1, math.floor(min(window.height, window.width) / scale.tile_px))
    y, x = math.floor(window.y / step) - 1, math.floor(window.x / step) - 1
    bottom, right = math.ceil((window.y + window.height) / step) + 1, math.ceil((window.x + window.width) / step) + 1
    block = _read(picture, y, x, bottom - y, right - x, step)
    own = Window(window.y / step - y, window.x / step - x, window.height / step, window.width / step)
    image, share = cut(block.values, block.valid, own, scale.tile_px)
    return np.clip(image, 0, 1), share


def _warped(picture: Picture, place: tuple[float, float], scale: Scale) -> tuple[NDArray[np.float32], float]:
    """A square of the ground round a place, north up."""
    count = scale.tile_px * FINER
    at = ((np.arange(count) + 0.5) / count - 0.5) * scale.tile_km
    lat, lon = destination(*place, np.broadcast_to(at, (count, count)), np.broadcast_to(-at[:, None], (count, count)))
    rows, cols = _pixels_of(picture, lat, lon)
    extent = picture.extent
    beyond = _BEYOND * scale.tile_km * 1000
    room_y, room_x = beyond / extent.pixel_m_yx[0], beyond / extent.pixel_m_yx[1]
    is_in = (rows > extent.y - room_y) & (rows < extent.y + extent.height + room_y)
    is_in &= (cols > extent.x - room_x) & (cols < extent.x + extent.width + room_x)
    image = np.zeros((3, count, count), dtype=np.float32)
    weight = np.zeros((count, count), dtype=np.float32)
    if is_in.any():
        rows = np.clip(rows, extent.y + 0.5, max(extent.y + extent.height - 0.5, extent.y + 0.5))
        cols = np.clip(cols, extent.x + 0.5, max(extent.x + extent.width - 0.5, extent.x + 0.5))
        image, weight = _sampled(picture, rows, cols, is_in, scale)
    mean = (scale.tile_px, FINER, scale.tile_px, FINER)
    share = weight.reshape(mean).mean(axis=(1, 3))
    total = (image * weight).reshape(3, *mean).mean(axis=(2, 4))
    return _filled(total / np.maximum(share, 1e-6), share >= _HALF_FILLED), float(share.mean())


def _sampled(
    picture: Picture, rows: NDArray[np.float64], cols: NDArray[np.float64], is_in: NDArray[np.bool_], scale: Scale
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(3, n, n) display values between pixels that are averaged to about the samples' size, and (n, n) weights 0–1."""
    step = max(1, math.floor(scale.gsd_km * 1000 / FINER / max(picture.extent.pixel_m_yx)))
    top, left = math.floor(rows[is_in].min() / step) - 1, math.floor(cols[is_in].min() / step) - 1
    bottom, right = math.ceil(rows[is_in].max() / step) + 1, math.ceil(cols[is_in].max() / step) + 1
    block = _read(picture, top, left, bottom - top, right - left, step)
    where = [rows / step - top - 0.5, cols / step - left - 0.5]
    weight = map_coordinates(block.valid.astype(np.float32), where, order=1, mode="nearest") * is_in
    known = np.where(block.valid, block.values, np.float32(0))
    bands = [map_coordinates(band, where, order=1, mode="nearest") for band in known]
    return np.stack(bands) / np.maximum(weight, 1e-6), weight


def _read(picture: Picture, y: int, x: int, height: int, width: int, step: int) -> Block:
    """A block of display values; what lies outside the polygons of the area is no data."""
    block = picture.reader.read(y, x, height, width, step)
    valid = block.valid
    if picture.inside is not None:
        transform = picture.stack.grid.transform @ Affine.scale(step) @ Affine.translation(x, y)
        valid = valid & areas.pixels_inside(picture.inside, transform, (height, width))
    return Block(picture.radiometry.apply(block.values), valid)


def _filled(image: NDArray[np.float64], is_seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    if not is_seen.any():
        return np.zeros(image.shape, dtype=np.float32)
    mean = image[:, is_seen].mean(axis=1)
    return np.clip(np.where(is_seen, image, mean[:, None, None]), 0, 1).astype(np.float32)


def _pixels_of(
    picture: Picture, lat: NDArray[np.float64], lon: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of the raster (corners of pixels at whole numbers) at places; far outside where it has none."""
    grid = picture.stack.grid
    to_crs, turn = _to_crs(grid.crs_wkt)
    x, y = to_crs.transform(lon, lat)
    extent = picture.extent
    middle_x, _ = grid.transform @ (extent.x + extent.width / 2, extent.y + extent.height / 2)
    if turn:
        x = x + turn * np.round((middle_x - x) / turn)
    cols, rows = ~grid.transform @ (x, y)
    is_there = np.isfinite(cols) & np.isfinite(rows)
    return np.where(is_there, rows, -1e9), np.where(is_there, cols, -1e9)


@lru_cache(maxsize=8)
def _to_crs(crs_wkt: str) -> tuple[Transformer, float]:
    """From longitude and latitude, and how far apart the same place comes again in x, 0 where it does not."""
    crs = CRS.from_wkt(crs_wkt)
    turn = 360.0 if crs.is_geographic else _MERCATOR_WIDTH_M if crs.to_epsg() == 3857 else 0.0
    return Transformer.from_crs("EPSG:4326", crs, always_xy=True), turn
