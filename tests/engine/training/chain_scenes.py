"""Drawn places that two sensors saw, and a chain recipe of a few steps for the tiny model of the tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geomm_engine.networks.mobile_stem import MobileStemSettings
from geomm_engine.networks.scene_tower import SceneTowerSettings
from geomm_engine.training.chain_config import (
    BandJitter,
    ChainConfig,
    ChainFacts,
    Crops,
    Loss,
    RasterPair,
    Trunk,
    default_schedule,
)
from tests.engine.tiny_model import COLORS

# Near infrared, short-wave infrared, VV and VH (decibel) of forest, water, town, crops and snow.
OTHERS = np.array(
    [[0.40, 0.15, -9, -15], [0.02, 0.01, -20, -28], [0.25, 0.30, -4, -11], [0.35, 0.40, -12, -19], [0.60, 0.08, -15, -23]]
)  # fmt: skip
WORDS = tuple(COLORS)
TOWER = SceneTowerSettings(stem=MobileStemSettings((8, 12, 16), (2, 1, 2)), width=16, layers=1, heads=2, gsd_width=8)


def layout(height: int = 128, width: int = 160) -> np.ndarray:
    """Squares of 32 pixels, the five classes in turn, so that every edge shows most of them."""
    rows, cols = np.arange(height)[:, None] // 32, np.arange(width)[None, :] // 32
    return (rows + 2 * cols) % len(COLORS)


def write(
    path: Path, values: np.ndarray, names: tuple[str, ...], *, crs: str = "EPSG:32633", left: float = 5e5
) -> Path:
    """(band, h, w) at 10 m as float32."""
    count, height, width = values.shape
    profile = {"driver": "GTiff", "count": count, "dtype": "float32", "height": height, "width": width}
    with rasterio.open(path, "w", crs=crs, transform=Affine(10, 0, left, 0, -10, 5e6), **profile) as dataset:
        dataset.write(values.astype(np.float32))
        dataset.descriptions = names
    return path


def optical(
    path: Path, classes: np.ndarray, *, bands: tuple[str, ...] = ("red", "green", "blue", "nir", "swir1"), **options
) -> Path:
    """Reflectance that the tiny model sees in the colours of its words."""
    values = np.concatenate([np.array(list(COLORS.values())) * 0.3, OTHERS[:, :2]], axis=1)[classes]
    noise = np.random.default_rng(1).normal(0, 0.004, values.shape)
    every = ("red", "green", "blue", "nir", "swir1")
    chosen = [every.index(band) for band in bands]
    return write(path, np.clip(np.moveaxis(values + noise, 2, 0), 0, 1)[chosen], bands, **options)


def radar(path: Path, classes: np.ndarray, **options) -> Path:
    """VV and VH in decibel."""
    values = OTHERS[classes][:, :, 2:]
    noise = np.random.default_rng(2).normal(0, 1.5, values.shape)
    return write(path, np.moveaxis(values + noise, 2, 0), ("VV", "VH"), **options)


def labels(path: Path, classes: np.ndarray, **options) -> Path:
    return write(path, classes[None].astype(np.float32) + 1, ("class",), **options)


def config(teacher: str, *pairs: RasterPair, steps: int = 40, **changes) -> ChainConfig:
    """A few steps with a small student."""
    schedule = replace(default_schedule(steps), check_every=max(1, steps // 4), averaging=0.8, learning_rate=5e-3)
    base = ChainConfig(
        id="student",
        seed=3,
        pairs=pairs,
        schedule=schedule,
        batch=16,
        teacher=teacher,
        validation_share=0.3,
        crops=Crops(count=300, factors=(0.75, 1.0), stride=0.5),
        loss=Loss(),
        jitter=BandJitter(),
        network=Trunk(False, TOWER),
        probe_words=WORDS,
        label_words={str(at + 1): word for at, word in enumerate(WORDS)},
        threads=1,
        card=ChainFacts(name="Student"),
    )
    return replace(base, **changes)
