"""Augmentation of a batch: turns and flips, crops that change the ground pixel, radiometry, blur. Knows no label.

All draws come from one numpy generator, so that a batch depends on its state alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geomm_engine.training.pictures import Pyramid

# The eight turns and flips of the square (D4), as 2 × 2 matrices on (x, y).
TURNS = torch.tensor(
    [
        [[1, 0], [0, 1]],
        [[0, -1], [1, 0]],
        [[-1, 0], [0, -1]],
        [[0, 1], [-1, 0]],
        [[-1, 0], [0, 1]],
        [[1, 0], [0, -1]],
        [[0, 1], [1, 0]],
        [[0, -1], [-1, 0]],
    ],
    dtype=torch.float32,
)


@dataclass(frozen=True)
class Jitter:
    """Strength of the radiometric jitter, 0 is none; and the share of pictures that each further effect meets."""

    strength: float = 1.0
    low_sun_share: float = 0.0
    tint_share: float = 0.0
    stretch_share: float = 0.3
    blur_share: float = 0.2
    noise_share: float = 0.2


def crop(
    source: Pyramid,
    rows: NDArray[np.int64],
    size_px: int,
    gsd_range_m: tuple[float, float],
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """A random square of each picture at a random ground pixel, turned at random.

    Where the square is larger than the picture, the picture is mirrored at its edges.

    Returns:
        (n, band, size_px, size_px) float32 in 0–1, and (n,) float32, the ground pixel in metres.
    """
    count = len(rows)
    low, high = np.log(gsd_range_m[0]), np.log(gsd_range_m[1])
    gsd_m = np.exp(random.uniform(low, high, count))
    shifts = random.uniform(-1, 1, (count, 2))
    turns = random.integers(0, len(TURNS), count)
    levels = np.array([source.level_for(float(value)) for value in gsd_m])
    bands = source.levels[0].shape[1]
    result = torch.empty(count, bands, size_px, size_px)
    for level in np.unique(levels):
        chosen = np.flatnonzero(levels == level)
        pixels = source.levels[level]
        side_px = pixels.shape[-1]
        share = gsd_m[chosen] * size_px / (source.gsd_m * 2.0**level * side_px)
        slack = np.maximum(1.0 - share, 0.0)[:, None]
        theta = torch.cat(
            [
                TURNS[turns[chosen]] * torch.from_numpy(share).float().view(-1, 1, 1),
                torch.from_numpy(shifts[chosen] * slack).float().unsqueeze(2),
            ],
            dim=2,
        )
        grid = functional.affine_grid(theta, [len(chosen), bands, size_px, size_px], align_corners=False)
        source_pixels = pixels[torch.from_numpy(rows[chosen])].float() / 255.0
        result[torch.from_numpy(chosen)] = functional.grid_sample(
            source_pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )
    return result, torch.from_numpy(gsd_m).float()


def _uniform(random: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.from_numpy(random.uniform(low, high, shape)).float()


def _some(random: np.random.Generator, count: int, share: float) -> Tensor:
    """Rows to which an effect applies, each with this chance."""
    return torch.from_numpy(np.flatnonzero(random.random(count) < share))


def radiometry(images: Tensor, jitter: Jitter, random: np.random.Generator) -> Tensor:
    """Gain, offset, haze, low sun, tint, saturation, stretch, gamma, blur, noise; display values stay in 0–1."""
    if jitter.strength <= 0:
        return images
    count, bands = images.shape[:2]
    power = jitter.strength
    gain = torch.exp(
        _uniform(random, -0.25, 0.25, count, 1, 1, 1) * power + _uniform(random, -0.1, 0.1, count, bands, 1, 1) * power
    )
    offset = _uniform(random, -0.04, 0.04, count, bands, 1, 1) * power
    # Haze adds light, most of it to the shortest wave (the last of red, green, blue), and takes contrast.
    weight = torch.linspace(0.4, 1.0, bands).view(1, bands, 1, 1)
    haze = torch.relu(_uniform(random, -0.15, 0.15, count, 1, 1, 1)) * power
    images = (images * gain + offset) * (1.0 - haze) + haze * weight
    rows = _some(random, count, jitter.low_sun_share)
    images[rows] = _low_sun(images[rows], random)
    rows = _some(random, count, jitter.tint_share)
    images[rows] *= torch.exp(_uniform(random, -0.3, 0.3, len(rows), bands, 1, 1))
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * torch.exp(_uniform(random, -0.4, 0.4, count, 1, 1, 1) * power)
    rows = _some(random, count, jitter.stretch_share)
    images[rows] = _stretch(images[rows], random)
    gamma = torch.exp(_uniform(random, -0.35, 0.35, count, 1, 1, 1) * power)
    images = images.clamp_(1e-4, 1.0).pow_(gamma)
    rows = _some(random, count, jitter.blur_share)
    images[rows] = _blur(images[rows])
    rows = _some(random, count, jitter.noise_share)
    images[rows] = _grain(images[rows], random)
    return images.clamp_(0.0, 1.0)


def _low_sun(images: Tensor, random: np.random.Generator) -> Tensor:
    """Less light from the ground, as much as before from the air: what is dark in a band stays, contrast shrinks to it."""
    count = len(images)
    air = functional.avg_pool2d(images, 4).amin(dim=(2, 3), keepdim=True) * _uniform(random, 0.5, 1.0, count, 1, 1, 1)
    return air + (images - air) * torch.exp(_uniform(random, math.log(0.3), 0.0, count, 1, 1, 1))


def _stretch(images: Tensor, random: np.random.Generator) -> Tensor:
    """Pictures as a stretched layer shows them: part of the darkest value taken away, the rest made brighter."""
    count = len(images)
    # The extremes of a coarser copy stand for percentiles: a sort of every pixel would cost more than the network.
    coarse = functional.avg_pool2d(images, 4)
    dark = coarse.amin(dim=(2, 3), keepdim=True) * _uniform(random, 0.0, 1.1, count, 1, 1, 1)
    of_band = (coarse - dark).amax(dim=(2, 3), keepdim=True).clamp(min=0.02)
    of_all = of_band.amax(dim=1, keepdim=True).expand_as(of_band)
    bright = torch.where(torch.from_numpy(random.random((count, 1, 1, 1)) < 0.5), of_band, of_all)
    wanted = torch.maximum(bright, _uniform(random, 0.3, 1.15, count, 1, 1, 1))
    return (images - dark) * (wanted / bright).clamp(max=6.0)


def _blur(images: Tensor) -> Tensor:
    bands = images.shape[1]
    kernel = torch.tensor([1.0, 2.0, 1.0])
    kernel = (kernel[:, None] * kernel[None, :] / 16.0).expand(bands, 1, 3, 3)
    return functional.conv2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), kernel, groups=bands)


def _grain(images: Tensor, random: np.random.Generator) -> Tensor:
    noise = torch.from_numpy(random.standard_normal(images.shape, dtype=np.float32))
    return images + noise * _uniform(random, 0.0, 0.03, len(images), 1, 1, 1)


def ground_jitter(
    gsd_m: Tensor, octaves: float, random: np.random.Generator, *, lie_share: float = 0.0, lie_octaves: float = 0.0
) -> Tensor:
    """The ground pixel as metadata might have it: off by up to ± ``octaves`` powers of two, for some by ``lie_octaves``."""
    most = torch.full_like(gsd_m, octaves)
    most[_some(random, len(gsd_m), lie_share)] = lie_octaves
    return gsd_m * torch.exp(_uniform(random, -1.0, 1.0, len(gsd_m)) * most * math.log(2.0))


@dataclass(frozen=True)
class Mix:
    """Rows of a batch with the row each was mixed with (its own, where it was not) and its own share of the pixels."""

    partner: NDArray[np.int64]
    share: Tensor


def mix(images: Tensor, sets: NDArray[np.int64], chance: float, random: np.random.Generator) -> tuple[Tensor, Mix]:
    """Mixup (Zhang et al. 2018) or cutmix (Yun et al. 2019) of some pictures with others of the same set.

    Args:
        images: (n, band, h, w).
        sets: (n,) number of each picture's set.
        chance: share of the pictures that are mixed.
        random: source of all draws.
    """
    count, height, width = len(images), images.shape[2], images.shape[3]
    partner = np.arange(count)
    for number in np.unique(sets):
        rows = np.flatnonzero(sets == number)
        partner[rows] = random.permutation(rows)
    is_mixed = random.random(count) < chance
    is_cut = random.random(count) < 0.5
    own = random.beta(0.4, 0.4, count)
    corners = random.random((count, 2))
    partner[~is_mixed] = np.flatnonzero(~is_mixed)
    share = np.ones(count)
    mixed = images.clone()
    for row in np.flatnonzero(is_mixed):
        other = images[partner[row]]
        if is_cut[row]:
            side = math.sqrt(1.0 - own[row])
            high, wide = round(side * height), round(side * width)
            top, left = int(corners[row, 0] * (height - high + 1)), int(corners[row, 1] * (width - wide + 1))
            mixed[row, :, top : top + high, left : left + wide] = other[:, top : top + high, left : left + wide]
            share[row] = 1.0 - high * wide / (height * width)
        else:
            mixed[row] = own[row] * images[row] + (1.0 - own[row]) * other
            share[row] = own[row]
    return mixed, Mix(partner, torch.from_numpy(share).float())
