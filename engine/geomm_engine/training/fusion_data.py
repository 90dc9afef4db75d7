"""Scenes that several sensors saw: read once onto one grid, cut into tiles, split by blocks of ground. Knows no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geomm_engine.contract import ErrorCode, RasterSource
from geomm_engine.errors import EngineError
from geomm_engine.pipeline.prepare import darkest_of, sample_of
from geomm_engine.raster.ground import GroundScale
from geomm_engine.raster.radiometry import Reflectance, find_radiometry
from geomm_engine.raster.reader import RasterReader
from geomm_engine.raster.source import describe
from geomm_engine.sensors import quantity_of
from geomm_engine.training.fusion_config import DRAWN, Cutting, FusionConfig, SceneSource
from geomm_engine.training.losses import UNSURE

_DECIBEL_FROM, _DECIBEL_SPAN = -35.0, 45.0
_METRES_SPAN = 9000.0
_KELVIN_FROM, _KELVIN_SPAN = 200.0, 150.0
_LEAST_VALID = 0.9
_GSD_SLACK = 0.05
_HELD_OUT_EVERY = 4
_DRAWN_PX = 128

Floats = NDArray[np.float32]


def calibrations(bands: Sequence[str]) -> tuple[Reflectance, ...]:
    """How physical units become 0–1 for these bands: reflectance as it is, −35 … 10 dB, 0 … 9000 m, 200 … 350 K."""
    spans = {
        "reflectance": (1.0, 0.0),
        "backscatter": (1 / _DECIBEL_SPAN, -_DECIBEL_FROM / _DECIBEL_SPAN),
        "height": (1 / _METRES_SPAN, 0.0),
        "temperature": (1 / _KELVIN_SPAN, -_KELVIN_FROM / _KELVIN_SPAN),
    }
    numbers = [spans[quantity_of(role)] for role in bands]
    gain, offset = tuple(item[0] for item in numbers), tuple(item[1] for item in numbers)
    levels = ("toa_reflectance", "surface_reflectance", "decibel", "metres", "kelvin")
    return tuple(Reflectance(level, gain, offset) for level in levels)


@dataclass(frozen=True)
class Scene:
    """``values`` (all bands, h, w) float32 0–1, zeros where a band is missing; ``valid`` (h, w); ``has_band`` (all bands,).

    ``level`` is the unit of the optical bands: "toa_reflectance", "surface_reflectance", or "" for pictures.
    """

    name: str
    values: Floats
    valid: NDArray[np.bool_]
    has_band: NDArray[np.bool_]
    level: str
    share: float


@dataclass(frozen=True)
class Tiles:
    """Normalised stacks ``whole`` (n, all bands, px, px), ground pixels (n,), and (n, all bands) 0 or 1: bands that the
    scene has, and those of them that the network is shown.

    ``scene`` and ``block`` (n,) say where each lies; ``relation`` (n, n) is 1 for the tile itself, −1 for one that shares
    ground with it, else 0. ``display`` is the stack before it was normalised, unjittered.
    """

    whole: Tensor
    gsd_m: Tensor
    has_band: Tensor
    present: Tensor
    scene: NDArray[np.int64]
    block: NDArray[np.int64]
    relation: Tensor
    display: Tensor

    def __len__(self) -> int:
        return len(self.scene)

    @property
    def stack(self) -> Tensor:
        """What the network sees: zeros where a band is not shown."""
        return self.whole * self.present.view(*self.present.shape, 1, 1)


def load_scenes(config: FusionConfig, data: Path) -> list[Scene]:
    """Every scene of the configuration, on the grid of its finest file.

    Raises:
        EngineError: a raster cannot be read rightly, has other pixels than the configuration says, or none of its bands.
    """
    scenes: list[Scene] = []
    for source in config.scenes:
        for one in _spread(source, data):
            if one.paths == (DRAWN,):
                scenes.append(draw_scene(config, one, len(scenes)))
            else:
                scenes.append(_read(config, one))
    return scenes


def _spread(source: SceneSource, data: Path) -> list[SceneSource]:
    if source.paths == (DRAWN,):
        return [source]
    names = [""]
    if source.each:
        names = [str(path.relative_to(data)) for path in sorted(data.glob(source.each))]
        if not names:
            raise EngineError(
                ErrorCode.FOLDER_INVALID,
                f"Nothing in {data} matches “{source.each}”.",
                "Check the data folder (--data, or GEOMM_SHARED_DATA).",
                path=str(data),
            )
    return [
        replace(
            source,
            each="",
            name=source.name or Path(name or source.paths[0]).stem,
            paths=tuple(str(data / path.replace("{}", name)) for path in source.paths),
        )
        for name in names
    ]


def _read(config: FusionConfig, source: SceneSource) -> Scene:
    stack = describe(RasterSource(source.paths, source.roles, source.unit, source.name))
    gsd_m = math.sqrt(math.prod(GroundScale(stack.grid).nominal_m_yx()))
    wanted_m = config.cutting.gsd_m
    if abs(math.log(gsd_m / wanted_m)) > _GSD_SLACK:
        raise EngineError(
            ErrorCode.GSD_OUT_OF_RANGE,
            f"The finest pixel of {source.name} is {gsd_m:.3g} m wide; the configuration says {wanted_m:.3g} m.",
            "Resample the scene, or change cutting.gsd_m.",
            path=source.paths[0],
        )
    bands = config.network.bands
    found = [(place, stack.band_for(role)) for place, role in enumerate(bands)]
    chosen = [(place, at) for place, at in found if at is not None]
    if not chosen:
        raise EngineError(
            ErrorCode.BANDS_MISSING,
            f"The scene {source.name} has none of the bands {', '.join(bands)}.",
            "Name its bands (roles), or leave it out.",
            path=source.paths[0],
        )
    positions = tuple(at for _, at in chosen)
    roles = [bands[place] for place, _ in chosen]
    radiometry, _ = find_radiometry(
        stack, [stack.bands[at] for at in positions], sample_of(stack, positions), source.unit,
        calibrations(roles), lambda: darkest_of(stack),
    )  # fmt: skip
    reader = RasterReader(stack, positions, zero_is_nodata=radiometry.zero_is_nodata)
    try:
        block = reader.read(0, 0, *stack.grid.shape_yx)
    finally:
        reader.close()
    values = np.zeros((len(bands), *stack.grid.shape_yx), dtype=np.float32)
    has_band = np.zeros(len(bands), dtype=bool)
    places = [place for place, _ in chosen]
    values[places] = radiometry.apply(block.values) * block.valid
    has_band[places] = True
    is_top = stack.hint.level == "L1C" or len(stack.bands) == 13
    is_physical = "reflectance" in radiometry.unit
    level = ("toa_reflectance" if is_top else "surface_reflectance") if is_physical else ""
    return Scene(source.name, values, block.valid, has_band, level, source.share)


def draw_scene(config: FusionConfig, source: SceneSource, seed: int) -> Scene:
    """Ground of three smooth properties that every band mixes in its own way, with its own noise; for trials and tests."""
    random = np.random.default_rng(1000 + seed)
    coarse = torch.from_numpy(random.standard_normal((1, 3, _DRAWN_PX // 16, _DRAWN_PX // 16)))
    ground = functional.interpolate(coarse, (_DRAWN_PX, _DRAWN_PX), mode="bicubic", align_corners=False)[0].numpy()
    bands = config.network.bands
    mixing = np.random.default_rng(7).standard_normal((len(bands), 3))
    values = np.einsum("bc,chw->bhw", mixing, ground) * 0.15 + 0.5
    values += 0.03 * random.standard_normal(values.shape)
    has_band = np.array([not source.roles or role in source.roles for role in bands])
    clipped = np.clip(values, 0, 1).astype(np.float32) * has_band[:, None, None]
    return Scene(source.name, clipped, np.ones((_DRAWN_PX, _DRAWN_PX), bool), has_band, "", source.share)


def held_out(shape_yx: tuple[int, int], block_px: int) -> NDArray[np.bool_]:
    """(h, w) bool: pixels of the blocks kept for measuring, a quarter of all, spread over the scene."""
    rows, columns = (np.arange(size) // block_px for size in shape_yx)
    return np.asarray((rows[:, None] + 2 * columns[None, :]) % _HELD_OUT_EVERY == 0)


def windows_within(mask: NDArray[np.bool_], side: int, least: float = 1.0) -> NDArray[np.bool_]:
    """(h − side + 1, w − side + 1) bool: upper left corners of squares in which at least this share of ``mask`` is true."""
    if min(mask.shape) < side:
        return np.zeros((max(0, mask.shape[0] - side + 1), max(0, mask.shape[1] - side + 1)), dtype=bool)
    total = np.pad(mask.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    count = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    return np.asarray(count >= least * side * side)


class Ground:
    """The scenes with what may be trained on and what is held out; draws batches and lists the held-out tiles.

    Raises:
        EngineError: no training tile, or no held-out tile, fits anywhere.
    """

    def __init__(self, config: FusionConfig, data: Path) -> None:
        self.config = config
        self.scenes = load_scenes(config, data)
        cutting = config.cutting
        self._sides = [max(1, round(cutting.tile_px * factor)) for factor in cutting.factors]
        self._corners = [[_training_corners(scene, side, cutting) for side in self._sides] for scene in self.scenes]
        weights = [
            scene.share * any(len(item) for item in own) for scene, own in zip(self.scenes, self._corners, strict=True)
        ]
        if sum(weights) <= 0:
            raise _no_tile("training", cutting)
        self._chance = np.array(weights) / sum(weights)
        self.mean, self.std = _statistics(self.scenes, cutting)

    def normalise(self, display: Tensor, present: Tensor) -> Tensor:
        """What the network sees: zero mean, unit deviation; zeros where a band is missing."""
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return (display - mean) / std * present.view(*present.shape, 1, 1)

    def batch(self, random: np.random.Generator) -> Tiles:
        """Random tiles of training ground, turned and flipped, with jittered gain; some bands left out."""
        config = self.config
        places: list[tuple[int, int, int, int]] = []
        for scene in random.choice(len(self.scenes), config.batch, p=self._chance):
            fitting = [at for at, corners in enumerate(self._corners[scene]) if len(corners)]
            at = int(random.choice(fitting))
            y, x = self._corners[scene][at][random.integers(len(self._corners[scene][at]))]
            places.append((int(scene), int(y), int(x), self._sides[at]))
        turns = random.integers(0, 8, len(places))
        display = torch.cat([self._cut(*place, int(turn)) for place, turn in zip(places, turns, strict=True)])
        has_band = self._has_band(places)
        jittered = self._jittered(display, random)
        return self._tiles(places, jittered, display, has_band * self._stays(random, has_band))

    def _jittered(self, display: Tensor, random: np.random.Generator) -> Tensor:
        """Reflectance times a gain, common to a tile and a third of it its bands' own; anything else a little shifted."""
        strength, shape = self.config.loss.gain, (len(display), display.shape[1], 1, 1)
        gain = (
            random.uniform(-strength, strength, (len(display), 1, 1, 1))
            + random.uniform(-strength, strength, shape) / 3
        )
        is_reflected = [quantity_of(role) == "reflectance" for role in self.config.network.bands]
        reflected = torch.tensor(is_reflected).view(1, -1, 1, 1)
        moved = torch.from_numpy(gain).float()
        return torch.where(reflected, display * moved.exp(), display + 0.1 * moved).clamp(0.0, 1.0)

    def _has_band(self, places: list[tuple[int, int, int, int]]) -> Tensor:
        return torch.from_numpy(np.stack([self.scenes[place[0]].has_band for place in places])).float()

    def _stays(self, random: np.random.Generator, has_band: Tensor) -> Tensor:
        """1 for bands that stay; a sensor that would lose all of its bands keeps them."""
        keeps = torch.from_numpy(random.random(tuple(has_band.shape)) >= self.config.loss.band_absent).float()
        first = 0
        for sensor in self.config.network.sensors:
            own = slice(first, first + len(sensor.bands))
            lost = (has_band[:, own] * keeps[:, own]).sum(dim=1) == 0
            keeps[:, own][lost] = 1.0
            first += len(sensor.bands)
        return keeps

    def held_out_tiles(self) -> Tiles:
        """Every tile of the held-out blocks, side by side, as it lies.

        Raises:
            EngineError: there is none.
        """
        cutting, places, blocks = self.config.cutting, [], []
        for number, scene in enumerate(self.scenes):
            mask = held_out(scene.valid.shape, cutting.block_px)
            fits = windows_within(mask, cutting.tile_px) & windows_within(scene.valid, cutting.tile_px, _LEAST_VALID)
            for y in range(0, fits.shape[0], cutting.tile_px):
                for x in range(0, fits.shape[1], cutting.tile_px):
                    if fits[y, x]:
                        places.append((number, y, x, cutting.tile_px))
                        blocks.append((number, y // cutting.block_px, x // cutting.block_px))
        if not places:
            raise _no_tile("held-out", cutting)
        display = torch.cat([self._cut(*place, 0) for place in places])
        numbers = {block: number for number, block in enumerate(dict.fromkeys(blocks))}
        tiles = self._tiles(places, display, display, self._has_band(places))
        return replace(tiles, block=np.array([numbers[block] for block in blocks], dtype=np.int64))

    def _cut(self, scene: int, y: int, x: int, side: int, turn: int) -> Tensor:
        """(1, band, px, px): one of the eight turns and flips of a square."""
        own, tile_px = self.scenes[scene], self.config.cutting.tile_px
        values = np.rot90(own.values[:, y : y + side, x : x + side], turn % 4, axes=(1, 2))
        cut = torch.from_numpy(np.ascontiguousarray(values[:, :, ::-1] if turn >= 4 else values)).unsqueeze(0)
        if side == tile_px:
            return cut
        return functional.interpolate(cut, (tile_px, tile_px), mode="bilinear", antialias=True, align_corners=False)

    def _tiles(self, places: list[tuple[int, int, int, int]], shown: Tensor, display: Tensor, present: Tensor) -> Tiles:
        at = np.array(places, dtype=np.int64)
        gap = np.abs(at[:, None, 1:3] - at[None, :, 1:3])
        side = np.maximum(at[:, None, 3], at[None, :, 3])
        shares = (at[:, None, 0] == at[None, :, 0]) & (gap < side[:, :, None]).all(axis=2)
        relation = np.where(shares, UNSURE, 0)
        np.fill_diagonal(relation, 1)
        gsd_m = self.config.cutting.gsd_m * at[:, 3] / self.config.cutting.tile_px
        has_band = self._has_band(places)
        return Tiles(
            whole=self.normalise(shown, has_band),
            gsd_m=torch.from_numpy(gsd_m).float(),
            has_band=has_band,
            present=present,
            scene=at[:, 0],
            block=np.zeros(len(at), dtype=np.int64),
            relation=torch.from_numpy(relation),
            display=display,
        )


def _training_corners(scene: Scene, side: int, cutting: Cutting) -> NDArray[np.int64]:
    """(n, 2) rows and columns of upper left corners that keep clear of held-out blocks and their margin."""
    kept = held_out(scene.valid.shape, cutting.block_px)
    if cutting.margin_px:
        wide = torch.from_numpy(kept.astype(np.float32))[None, None]
        size = 2 * cutting.margin_px + 1
        kept = functional.max_pool2d(wide, size, 1, cutting.margin_px)[0, 0].numpy() > 0
    fits = windows_within(~kept, side) & windows_within(scene.valid, side, _LEAST_VALID)
    return np.argwhere(fits).astype(np.int64)


def _statistics(scenes: list[Scene], cutting: Cutting) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each band over the training ground, every scene by its share."""
    count = len(scenes[0].has_band)
    weight, first, second = np.zeros(count), np.zeros(count), np.zeros(count)
    for scene in scenes:
        used = scene.valid & ~held_out(scene.valid.shape, cutting.block_px)
        if not used.any():
            continue
        seen = scene.values[:, used].astype(np.float64)
        own = scene.share * scene.has_band
        weight += own
        first += own * seen.mean(axis=1)
        second += own * np.square(seen).mean(axis=1)
    weight = np.maximum(weight, 1e-9)
    mean = first / weight
    std = np.sqrt(np.maximum(second / weight - mean**2, 0.0))
    std[std < 1e-3] = 1.0
    return tuple(round(float(value), 5) for value in mean), tuple(round(float(value), 5) for value in std)


def _no_tile(kind: str, cutting: Cutting) -> EngineError:
    return EngineError(
        ErrorCode.EXTENT_TOO_SMALL,
        f"No {kind} tile of {cutting.tile_px} pixels with data fits into the scenes.",
        "Give larger scenes, or smaller tiles and blocks.",
    )
