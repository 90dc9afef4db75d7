"""What a geographic training looks at: which crops of the Earth, and what is known of each. Batches by seed and step.

A pool of places is drawn once from a seed; a batch depends on (seed, step) alone, so that an interrupted run goes on with
the very pictures it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from geomm_engine import sphere
from geomm_engine.geography.koppen import SEA, GlobalRaster, shares
from geomm_engine.networks.geographic_expert import CLIMATE_SQUARES, LAND_SQUARES
from geomm_engine.training.blocks import Part, footprints, is_free, part_of
from geomm_engine.training.earth import TILE_MONTH, FineTiles, Mosaics, month_angle

LEAST_LAND = 0.05
_ROUND = 4096
_BLURS = 4


@dataclass(frozen=True)
class World:
    """The maps that everything is cut from or compared with; ``tiles`` may be absent."""

    mosaics: Mosaics
    koppen: GlobalRaster
    land: GlobalRaster
    heights: GlobalRaster
    tiles: FineTiles | None = None


@dataclass(frozen=True)
class Widths:
    """Ground widths of crops in km: a share evenly from ``common``, the others log-evenly from ``whole``."""

    common: tuple[float, float] = (150.0, 230.0)
    whole: tuple[float, float] = (100.0, 320.0)
    common_share: float = 0.6

    def draw(self, count: int, random: np.random.Generator) -> NDArray[np.float64]:
        common = random.uniform(*self.common, count)
        whole = np.exp(random.uniform(math.log(self.whole[0]), math.log(self.whole[1]), count))
        return np.where(random.random(count) < self.common_share, common, whole)


@dataclass(frozen=True)
class Pool:
    """n crops: centres (degrees), ground widths (km), climate shares (n, 31), share of land (n,)."""

    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    width_km: NDArray[np.float64]
    climate: NDArray[np.float32]
    land: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.lat)

    def subset(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> Pool:
        return Pool(self.lat[chosen], self.lon[chosen], self.width_km[chosen], self.climate[chosen], self.land[chosen])


def climate_shares(koppen: GlobalRaster, lats: NDArray[np.float64], lons: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 31): how much of each lattice (n, h, w) of places has each climate."""
    return shares(koppen.at(lats, lons).astype(np.int64).reshape(len(lats), math.prod(lats.shape[1:])))


def describe(world: World, lat: NDArray[np.float64], lon: NDArray[np.float64], width_km: NDArray[np.float64]) -> Pool:
    """Climate and land of square crops, from a lattice over each."""
    climates, lands = [], []
    for at in range(0, max(1, len(lat)), 1024):
        lats, lons = footprints(lat[at : at + 1024], lon[at : at + 1024], width_km[at : at + 1024])
        climates.append(climate_shares(world.koppen, lats, lons).astype(np.float32))
        lands.append(world.land.at(lats, lons).mean(axis=(1, 2), dtype=np.float64).astype(np.float32))
    return Pool(lat, lon, width_km, np.concatenate(climates), np.concatenate(lands))


def draw_pool(
    world: World, count: int, widths: Widths, part: Part, random: np.random.Generator, *, sea_share: float = 0.08
) -> Pool:
    """Crops evenly over the land of the training blocks (or others), none of which shows ground of other parts.

    The centre of a crop is on land, and for ``sea_share`` of the crops at sea. For held-out blocks the centre decides, and
    the crop may reach over the edge: a test has no ground to give away.
    """
    wanted = widths.draw(count, random)
    lat, lon = np.empty(count), np.empty(count)
    is_sea = np.arange(count) < round(sea_share * count)
    open_rows = np.arange(count)
    while len(open_rows):
        rows = open_rows[:_ROUND]
        tried_lat, tried_lon = sphere.lat_lon(sphere.random_points(len(rows), random))
        fits = part_of(tried_lat, tried_lon) == part
        fits &= world.land.at(tried_lat, tried_lon).astype(bool) != is_sea[rows]
        chosen = np.flatnonzero(fits)
        if part != Part.HELD_OUT and len(chosen):
            free = is_free(tried_lat[chosen], tried_lon[chosen], wanted[rows[chosen]], part)
            chosen = chosen[free]
        lat[rows[chosen]], lon[rows[chosen]] = tried_lat[chosen], tried_lon[chosen]
        done = np.zeros(len(open_rows), bool)
        done[chosen] = True
        open_rows = np.random.default_rng(len(open_rows)).permutation(open_rows[~done])
    return describe(world, lat, lon, wanted)


@dataclass(frozen=True)
class ColorJitter:
    """Spreads (log, or display units) of brightness, of each channel, of the curve, of haze and of noise; 0 is none.

    ``gap_share`` of the crops lose a rectangle to their mean colour; ``blank_share`` are one colour and teach abstaining;
    ``mirror_share`` are flipped east to west. ``detail_share`` are drawn softer or sharper: ``detail`` times what a Gaussian of
    about a pixel takes away is added (−1: the blurred picture), for every image that was resampled on its way.
    """

    gain: float = 0.06
    channel: float = 0.03
    gamma: float = 0.06
    haze: float = 0.01
    noise: float = 0.01
    gap_share: float = 0.2
    blank_share: float = 0.02
    mirror_share: float = 0.0
    detail_share: float = 0.6
    detail: tuple[float, float] = (-1.0, 0.7)


@dataclass(frozen=True)
class Batch:
    """``images`` (n, 3, px, px) display values 0–1; ``points`` (n, 3); ``angle`` (n,) of the year; ``is_…`` are 0 or 1.

    Of the squares of each picture, empty unless asked for: ``land`` (n, 16, 16) the share of land, ``climates`` (n, s, 8, 8)
    the numbers of the climates at s places in each.
    """

    images: Tensor
    gsd_m: Tensor
    points: Tensor
    angle: Tensor
    climate: Tensor
    is_seen: Tensor
    is_land: Tensor
    is_dated: Tensor
    land: Tensor = field(default_factory=lambda: torch.zeros(0))
    climates: Tensor = field(default_factory=lambda: torch.zeros(0))


@dataclass(frozen=True)
class Lessons:
    """Batches for training: crops of a pool in random months, a share of them from the fine tiles."""

    world: World
    pool: Pool
    fine_pool: Pool
    px: int
    batch: int
    fine_share: float
    jitter: ColorJitter
    seed: int

    def at(self, step: int) -> Batch:
        """The batch of a step, the same whenever it is asked for."""
        random = np.random.default_rng([self.seed, step])
        fine = int(random.binomial(self.batch, self.fine_share)) if len(self.fine_pool) else 0
        rows = random.integers(0, len(self.pool), self.batch - fine)
        month = random.integers(1, 13, len(rows))
        pool = self.pool.subset(rows)
        pixels = self.world.mosaics.crop(month, pool.lat, pool.lon, pool.width_km, self.px)
        dated = np.ones(self.batch, np.float32)
        if fine and self.world.tiles is not None:
            other = self.fine_pool.subset(random.integers(0, len(self.fine_pool), fine))
            finer, _ = self.world.tiles.crop(other.lat, other.lon, other.width_km, self.px)
            pixels, pool = np.concatenate([pixels, finer]), merged([pool, other])
            month = np.concatenate([month, np.full(fine, TILE_MONTH)])
            dated[len(rows) :] = 0
        images, is_blank, is_mirrored = _jittered(pixels, self.jitter, random)
        known = to_batch(images, pool, month, self.px, dated=dated, blank=is_blank)
        land, climates = ground_squares(self.world, pool, is_mirrored)
        return replace(known, land=land, climates=climates)


def ground_squares(world: World, pool: Pool, is_mirrored: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """(n, 16, 16) shares of land and (n, 16, 8, 8) climates in the squares of each crop, some of them east side west."""
    side = 2 * LAND_SQUARES
    at = pool.width_km[:, None] * ((np.arange(side) + 0.5) / side - 0.5)
    east, north = np.broadcast_arrays(at[:, None, :], -at[:, :, None])
    lats, lons = sphere.destination(pool.lat[:, None, None], pool.lon[:, None, None], east, north)
    is_land = world.land.at(lats, lons).astype(bool)
    number = np.where(is_land, world.koppen.at(lats, lons).astype(np.int64), SEA)
    is_land[is_mirrored], number[is_mirrored] = is_land[is_mirrored, :, ::-1], number[is_mirrored, :, ::-1]
    land = functional.avg_pool2d(torch.from_numpy(is_land.astype(np.float32)), side // LAND_SQUARES)
    finer = side // CLIMATE_SQUARES
    grouped = number.reshape(len(pool), CLIMATE_SQUARES, finer, CLIMATE_SQUARES, finer).transpose(0, 2, 4, 1, 3)
    return land, torch.from_numpy(grouped.reshape(len(pool), finer**2, CLIMATE_SQUARES, CLIMATE_SQUARES))


def to_batch(
    images: NDArray[np.float32],
    pool: Pool,
    month: NDArray[np.int64],
    px: int,
    *,
    dated: NDArray[np.float32] | None = None,
    blank: NDArray[np.bool_] | None = None,
) -> Batch:
    """(n, px, px, 3) display values 0–1 and what is known of them, as tensors."""
    count = len(pool)
    hidden = np.zeros(count, bool) if blank is None else blank
    is_land = ((pool.land >= LEAST_LAND) & ~hidden).astype(np.float32)
    is_dated = is_land * (1.0 if dated is None else dated)
    return Batch(
        images=torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, 3, 1), dtype=np.float32)),
        gsd_m=torch.from_numpy((1000.0 * pool.width_km / px).astype(np.float32)),
        points=torch.from_numpy(sphere.unit_vectors(pool.lat, pool.lon).astype(np.float32)),
        angle=torch.from_numpy(month_angle(month).astype(np.float32)),
        climate=torch.from_numpy(pool.climate.astype(np.float32)),
        is_seen=torch.from_numpy((~hidden).astype(np.float32)),
        is_land=torch.from_numpy(is_land),
        is_dated=torch.from_numpy(is_dated.astype(np.float32)),
    )


def _jittered(
    pixels: NDArray[np.uint8], jitter: ColorJitter, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """(n, h, w, 3) in 0–1, which of them are blank, and which are mirrored."""
    count, height, width, _ = pixels.shape
    images = pixels.astype(np.float32) / 255.0
    gamma = np.exp(random.normal(0, jitter.gamma, (count, 1, 1, 1))).astype(np.float32)
    gain = np.exp(random.normal(0, jitter.gain, (count, 1, 1, 1)) + random.normal(0, jitter.channel, (count, 1, 1, 3)))
    haze = random.normal(0, jitter.haze, (count, 1, 1, 1)).astype(np.float32)
    images = np.power(images, gamma) * gain.astype(np.float32) + haze
    _resharpen(images, jitter, random)
    noise = np.abs(random.normal(0, jitter.noise, (count, 1, 1, 1))).astype(np.float32)
    images += noise * random.standard_normal(images.shape, dtype=np.float32)
    for item in np.flatnonzero(random.random(count) < jitter.gap_share):
        tall, wide = (int(size * random.uniform(0.15, 0.6)) for size in (height, width))
        top, left = random.integers(0, height - tall + 1), random.integers(0, width - wide + 1)
        images[item, top : top + tall, left : left + wide] = images[item].mean(axis=(0, 1))
    is_mirrored = np.asarray(random.random(count) < jitter.mirror_share)
    images[is_mirrored] = images[is_mirrored, :, ::-1]
    is_blank = np.asarray(random.random(count) < jitter.blank_share)
    images[is_blank] = random.random((int(is_blank.sum()), 1, 1, 3), dtype=np.float32)
    return np.clip(images, 0.0, 1.0), is_blank, is_mirrored


def _resharpen(images: NDArray[np.float32], jitter: ColorJitter, random: np.random.Generator) -> None:
    """In place: the detail of a share of the pictures (n, h, w, 3) weakened or strengthened."""
    chosen = np.flatnonzero(random.random(len(images)) < jitter.detail_share)
    for rows in np.array_split(chosen, _BLURS):
        if len(rows):
            sigma = random.uniform(0.5, 1.2)
            part = images[rows]
            amount = random.uniform(*jitter.detail, (len(rows), 1, 1, 1)).astype(np.float32)
            images[rows] = part + amount * (part - gaussian_filter(part, (0, sigma, sigma, 0)))


PICTURE_KM = (300.0, 600.0)


def draw_pictures(world: World, count: int, part: Part, random: np.random.Generator, *, sea: bool = False) -> Pool:
    """Pictures to be measured with: 300–600 km wide, their centres evenly over the land (or sea) of blocks of one kind.

    A picture may reach over its block's edge; no picture of the validation blocks shows ground that is held out.
    """
    found: list[Pool] = []
    while sum(len(item) for item in found) < count:
        lat, lon = sphere.lat_lon(sphere.random_points(_ROUND, random))
        kept = (part_of(lat, lon) == part) & (world.land.at(lat, lon).astype(bool) != sea)
        lat, lon = lat[kept], lon[kept]
        width_km = random.uniform(*PICTURE_KM, len(lat))
        if part != Part.HELD_OUT:
            shown = part_of(*footprints(lat, lon, width_km, margin=1.0 / 12.0))
            clean = (shown != Part.HELD_OUT).all(axis=(1, 2))
            lat, lon, width_km = lat[clean], lon[clean], width_km[clean]
        found.append(describe(world, lat, lon, width_km))
    return merged(found).subset(np.arange(count))


def merged(pools: Sequence[Pool]) -> Pool:
    return Pool(*(np.concatenate([getattr(item, name) for item in pools]) for name in vars(pools[0])))


NINE = tuple((0.25 * east, 0.25 * north) for north in (1, 0, -1) for east in (-1, 0, 1))
"""Where the nine tiles of a picture lie, east and north of its middle, in its widths."""


def tiles_over(pictures: Pool) -> list[Pool]:
    """Each picture as a whole, and nine tiles half as wide in rows from edge to edge; a tile has its picture's labels."""
    width = pictures.width_km
    return [pictures] + [
        Pool(
            *sphere.destination(pictures.lat, pictures.lon, east * width, north * width),
            width_km=0.5 * width,
            climate=pictures.climate,
            land=pictures.land,
        )
        for east, north in NINE
    ]


def plain_crops(world: World, pool: Pool, month: NDArray[np.int64], px: int) -> NDArray[np.float32]:
    """(n, px, px, 3) in 0–1: a pool as it is, without jitter."""
    found = np.empty((len(pool), px, px, 3), np.float32)
    for at in range(0, len(pool), 256):
        part, rows = pool.subset(np.arange(at, min(at + 256, len(pool)))), slice(at, at + 256)
        found[rows] = world.mosaics.crop(month[rows], part.lat, part.lon, part.width_km, px) / np.float32(255.0)
    return found
