"""Drawn pictures of four simple classes, so that the trainer can be tried without any data. Knows no training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geomm_engine.training.pictures import PictureSet

CLASSES = ("field", "forest", "town", "water")


def draw(name: str, gsd_m: float, size_px: int, count: int, seed: int) -> PictureSet:
    """``count`` pictures, the classes in turn: stripes, green grain, grey blocks, a blue surface."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    painters = (_field, _forest, _town, _water)
    pixels = np.stack([painters[label](size_px, random) for label in labels])
    return PictureSet(name, gsd_m, tuple(f"{name}/{item}" for item in CLASSES), pixels, labels)


def _paint(value: NDArray[np.float64], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(value[:, :, None] * np.array(colour), 0, 255), dtype=np.uint8)


def _field(size_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    wave = np.sin(np.arange(size_px) * random.uniform(0.5, 1.0) + random.uniform(0, 6))
    return _paint(1.0 + 0.3 * np.tile(wave, (size_px, 1)), (170, 140, 90))


def _forest(size_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    return _paint(random.uniform(0.5, 1.5, (size_px, size_px)), (30, 70, 40))


def _town(size_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    blocks = random.uniform(0.5, 1.6, (size_px // 4, size_px // 4)).repeat(4, axis=0).repeat(4, axis=1)
    return _paint(blocks, (140, 135, 140))


def _water(size_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    return _paint(np.full((size_px, size_px), random.uniform(0.8, 1.2)), (25, 50, 100))
