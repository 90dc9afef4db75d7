"""Drawn pictures of clouds, since neither training set has any: thick, thin, rippled, broken. Knows no training.

A satellite picture without a cloud is rare; a model that has never met one calls it whatever is brightest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geomm_engine.training.pictures import PictureSet

CLASS = "Cloud"
_LEAST_COVER = 0.6


def draw_clouds(name: str, gsd_m: float, size_px: int, count: int, seed: int) -> PictureSet:
    """``count`` pictures of one class, mostly covered: (n, size, size, 3) uint8."""
    random = np.random.default_rng(seed)
    pixels = np.stack([_picture(size_px, random) for _ in range(count)])
    return PictureSet(name, gsd_m, (f"{name}/{CLASS}",), pixels, np.zeros(count, dtype=np.int64))


def _picture(size_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    opacity = _opacity(size_px, random)[:, :, None]
    light = random.uniform(0.5, 1.05) + random.uniform(0.02, 0.25) * _noise(size_px, random, random.uniform(1.0, 2.2))
    tint = 1 + random.uniform(0, 0.12) * np.linspace(-0.5, 0.5, 3)
    cloud = light[:, :, None] * tint
    ground = _ground(size_px, random)
    return np.asarray(np.clip(opacity * cloud + (1 - opacity) * ground, 0, 1) * 255, dtype=np.uint8)


def _opacity(size_px: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Share of the light that comes from the cloud: at least 60 % on average; half of the pictures are all cloud."""
    if random.random() < 0.5:
        return np.asarray(np.clip(random.uniform(0.8, 1.0) + 0.1 * _noise(size_px, random, 2.0), 0.6, 1.0))
    field = _noise(size_px, random, random.uniform(1.4, 2.6))
    sharpness = random.uniform(1.0, 6.0)
    for bias in np.linspace(0.0, 4.0, 17):
        opacity = 1 / (1 + np.exp(-sharpness * (field + bias)))
        if opacity.mean() >= _LEAST_COVER:
            break
    return np.asarray(opacity)


def _ground(size_px: int, random: np.random.Generator) -> NDArray[np.float64]:
    colours = np.array(
        [[0.16, 0.25, 0.22], [0.12, 0.2, 0.33], [0.42, 0.37, 0.33], [0.2, 0.3, 0.25], [0.33, 0.33, 0.34]]
    )
    colour = colours[random.integers(len(colours))] * random.uniform(0.7, 1.3)
    texture = 1 + random.uniform(0.05, 0.3) * _noise(size_px, random, random.uniform(0.5, 1.5))
    return np.asarray(colour * texture[:, :, None])


def _noise(size_px: int, random: np.random.Generator, slope: float) -> NDArray[np.float64]:
    """Fractal noise of zero mean and unit deviation, its amplitude falling as frequency^−slope; rippled now and then."""
    side = 2 * size_px
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    turn, stretch = random.uniform(0, np.pi), 2.0 ** random.uniform(0, 2)
    along, across = np.cos(turn) * fx + np.sin(turn) * fy, np.cos(turn) * fy - np.sin(turn) * fx
    frequency = np.hypot(along * stretch, across)
    frequency[0, 0] = np.inf
    amplitude = frequency**-slope
    if random.random() < 0.25:
        wave = random.uniform(0.04, 0.15)
        amplitude = amplitude + random.uniform(1, 3) * amplitude.max() * 0.02 * np.exp(
            -(((np.abs(across) - wave) / (0.2 * wave)) ** 2) - (along / (0.4 * wave)) ** 2
        )
    phase = random.uniform(0, 2 * np.pi, frequency.shape)
    field = np.fft.irfft2(amplitude * np.exp(1j * phase), s=(side, side))[:size_px, :size_px]
    field = ndimage.gaussian_filter(field, 0.5)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-9))
