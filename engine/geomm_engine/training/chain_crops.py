"""Where tiles are cut from places, and what befalls them on their way to a student. Knows pixels, no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geomm_engine.grid import Window
from geomm_engine.raster.resample import cut
from geomm_engine.training.chain_config import BandJitter
from geomm_engine.training.chain_places import Place

LEAST_VALID = 0.9


@dataclass(frozen=True)
class Crop:
    """One tile to be cut: from which place, where, how it is turned (0–7: quarter turns, then mirrored)."""

    place: int
    window: Window
    factor: float
    turn: int = 0
    block: int = 0


def cut_from(
    values: NDArray[np.float16], valid: NDArray[np.bool_], window: Window, tile_px: int
) -> NDArray[np.float32]:
    """One tile (band, px, px), as the pipeline would cut it."""
    top, left = max(0, int(window.y) - 2), max(0, int(window.x) - 2)
    bottom, right = int(window.y + window.height) + 3, int(window.x + window.width) + 3
    part = values[:, top:bottom, left:right].astype(np.float32)
    own = Window(window.y - top, window.x - left, window.height, window.width)
    return cut(part, valid[top:bottom, left:right], own, tile_px)[0]


def turned(tile: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """One of the eight turns of a square."""
    result = np.rot90(tile, turn % 4, axes=(1, 2))
    return np.ascontiguousarray(result[:, :, ::-1] if turn >= 4 else result)


def valid_share(place: Place, window: Window) -> float:
    part = place.valid[
        int(window.y) : int(np.ceil(window.y + window.height)), int(window.x) : int(np.ceil(window.x + window.width))
    ]
    return float(part.mean()) if part.size else 0.0


def beside_the_strip(place: Place, side_yx: tuple[float, float], random: np.random.Generator) -> Window | None:
    """A window of this size that does not touch the held-out strip; None where there is no room."""
    y, x, height, width = 0, 0, *place.valid.shape
    held_y, held_x, held_h, held_w = place.held
    if held_h and held_w == width and held_h < height:
        y, height = (held_h, height - held_h) if held_y == 0 else (0, held_y)
    elif held_w and held_h == height and held_w < width:
        x, width = (held_w, width - held_w) if held_x == 0 else (0, held_x)
    elif held_h:
        return None
    if side_yx[0] > height or side_yx[1] > width:
        return None
    top = y + int(random.integers(0, int(height - side_yx[0]) + 1))
    left = x + int(random.integers(0, int(width - side_yx[1]) + 1))
    return Window(float(top), float(left), *side_yx)


def held_crops(places: Sequence[Place], tile_px: int, stride: float, most: int) -> list[Crop]:
    """Tiles all over the held-out strips, at most so many a place; a block is a square of one tile's size."""
    crops: list[Crop] = []
    block = 0
    for at, place in enumerate(places):
        y, x, height, width = place.held
        side = place.side_px(tile_px, 1.0)
        if side[0] > height or side[1] > width:
            continue
        tops, lefts = (
            np.linspace(0, room, int(room / (stride * size) + 1e-6) + 1) if room else np.zeros(1)
            for room, size in ((height - side[0], side[0]), (width - side[1], side[1]))
        )
        own: list[Crop] = []
        blocks: dict[tuple[int, int], int] = {}
        for top in tops:
            for left in lefts:
                window = Window(y + float(np.floor(top)), x + float(np.floor(left)), *side)
                if valid_share(place, window) < LEAST_VALID:
                    continue
                key = int((top + side[0] / 2) // side[0]), int((left + side[1] / 2) // side[1])
                own.append(Crop(at, window, 1.0, 0, block + blocks.setdefault(key, len(blocks))))
        block += len(blocks)
        crops += [own[number] for number in np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).astype(int))]
    return crops


def some_absent(
    present: Tensor, jitter: BandJitter, random: np.random.Generator, others: NDArray[np.float32] | None = None
) -> Tensor:
    """Takes bands away from a share of the rows, down to the fewest allowed; (n, band) → (n, band).

    ``others`` (band,) marks the bands that the teacher does not read; some rows keep these alone.
    """
    bands = present.shape[1]
    if not 0 < jitter.fewest_bands < bands:
        return present
    kept = present.clone()
    if others is not None and jitter.blind > 0:
        left = present * torch.from_numpy(others)
        is_blind = torch.from_numpy(random.random(len(present)) < jitter.blind)
        is_blind &= left.sum(dim=1) >= jitter.fewest_bands
        kept[is_blind] = left[is_blind]
        present = kept.clone()
    for row in np.flatnonzero(random.random(len(present)) < jitter.absent):
        there = np.flatnonzero(present[row].numpy())
        if len(there) <= jitter.fewest_bands:
            continue
        count = int(random.integers(jitter.fewest_bands, len(there)))
        kept[row, torch.from_numpy(random.permutation(there)[count:])] = 0.0
    return kept


def jittered(images: Tensor, jitter: BandJitter, is_optical: NDArray[np.bool_], random: np.random.Generator) -> Tensor:
    """Light, haze and noise of another day: (n, band, h, w) in 0–1 → the same. Gains are for reflectance only."""
    n, bands = images.shape[:2]
    octaves = random.normal(0, jitter.gain, (n, 1)) + random.normal(0, jitter.own_gain, (n, bands))
    gain = np.where(is_optical, 2.0**octaves, 1.0)
    shift = random.normal(0, jitter.offset, (n, 1)) + random.normal(0, jitter.offset, (n, bands))
    noise = random.normal(0, 1, (n, 1)) ** 2 * jitter.noise
    values = images * torch.from_numpy(gain).float()[:, :, None, None]
    values = values + torch.from_numpy(shift).float()[:, :, None, None]
    grain = torch.from_numpy(random.standard_normal(images.shape, dtype=np.float32))
    return (values + grain * torch.from_numpy(noise).float()[:, :, None, None]).clamp(0.0, 1.0)
