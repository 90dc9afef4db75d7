"""A small drawn planet, so that the geographic trainer can be tried without any data. Knows no training."""

from __future__ import annotations

import math

import numpy as np

from geomm_engine.geography.koppen import GlobalRaster, climate_number
from geomm_engine.training.earth import MONTHS, Mosaics
from geomm_engine.training.places import World

HEIGHT = 360


def draw_world(seed: int) -> World:
    """Continents of waves; colour tells latitude (climate), longitude a little, and snow the month."""
    random = np.random.default_rng(seed)
    lat = 90.0 - (np.arange(HEIGHT) + 0.5) / HEIGHT * 180.0
    lon = (np.arange(2 * HEIGHT) + 0.5) / (2 * HEIGHT) * 360.0 - 180.0
    phi, lam = np.radians(lat)[:, None], np.radians(lon)[None]
    height = sum(
        np.cos(a * lam + u) * np.cos(b * phi + v) / a
        for a, b, u, v in ((1, 2, *random.uniform(0, 6, 2)), (2, 3, *random.uniform(0, 6, 2)), (5, 6, 1.0, 2.0))
    )
    is_land = np.asarray(height > -0.2)
    bands = ("Af", "BWh", "Csa", "Dfc", "ET")
    number = np.array([climate_number(code) for code in bands])
    zone = np.minimum(np.abs(lat) / 16.0, len(bands) - 1).astype(int)
    climate = np.where(is_land, number[zone][:, None], 0).astype(np.uint8)
    colors = np.array([(30, 80, 30), (210, 170, 110), (140, 130, 70), (60, 80, 50), (150, 150, 140)], float)
    grain = random.normal(0, 8, is_land.shape)
    months = np.empty((MONTHS, HEIGHT, 2 * HEIGHT, 3), np.uint8)
    for month in range(MONTHS):
        warmth = np.cos(2 * math.pi * (month - 6) / MONTHS) * np.sign(lat) * np.minimum(1, np.abs(lat) / 30)
        land = colors[zone][:, None, :] + 30 * np.cos(lam)[..., None] + grain[..., None] + np.zeros((1, 2 * HEIGHT, 1))
        snow = np.clip((np.abs(lat) - 45 - 20 * warmth) / 15, 0, 1)[:, None, None]
        land = land * (1 - snow) + 240 * snow + np.array([0, 25, 0]) * warmth[:, None, None]
        months[month] = np.clip(np.where(is_land[..., None], land, (5, 10, 40)), 0, 255).astype(np.uint8)
    return World(
        Mosaics.of(months), GlobalRaster(climate), GlobalRaster(is_land), GlobalRaster(1000.0 * (height + 0.2))
    )
