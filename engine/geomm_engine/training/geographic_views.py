"""Pictures to measure an expert with, and what it says of them: tile by tile, and by the engine's own way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geomm_engine import sphere
from geomm_engine.encoders.onnx_encoder import processor_count
from geomm_engine.geography.expert import Expert
from geomm_engine.geography.mixture import log_softmax
from geomm_engine.pipeline.locate_look import Locator, Sight
from geomm_engine.pipeline.locate_sampling import Tile
from geomm_engine.pipeline.locate_tiles import Scale
from geomm_engine.training.blocks import Part, block_of
from geomm_engine.training.geographic_config import GeographicConfig
from geomm_engine.training.places import NINE, Pool, World, draw_pictures, plain_crops, tiles_over

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Views:
    """Pictures with what is true of them; ``images`` (tile, n, 3, px, px) display values 0–1, ``gsd_m`` (tile, n)."""

    pictures: Pool
    month: NDArray[np.int64]
    images: NDArray[np.float32]
    gsd_m: NDArray[np.float32]

    @property
    def points(self) -> Values:
        return sphere.unit_vectors(self.pictures.lat, self.pictures.lon)

    @property
    def climate(self) -> NDArray[np.int64]:
        """The land climate that covers most of each picture."""
        return np.asarray(self.pictures.climate[:, 1:].argmax(axis=1) + 1, dtype=np.int64)

    @property
    def blocks(self) -> NDArray[np.int64]:
        return block_of(self.pictures.lat, self.pictures.lon)


@dataclass(frozen=True)
class Seen:
    """What an expert says of each tile of each picture: (tile, n, …), not tempered by the card; embeddings are joined."""

    log_weights: Values
    climate_log_p: Values
    season: Values
    abstain: Values
    embedding: Values


def view(world: World, config: GeographicConfig, part: Part, count: int, seed: int, *, sea: bool = False) -> Views:
    """Pictures of blocks of one kind, months in turn."""
    pictures = draw_pictures(world, count, part, np.random.default_rng([config.seed, seed]), sea=sea)
    month = np.arange(count, dtype=np.int64) % 12 + 1
    tiles = tiles_over(pictures)
    images = np.stack([np.moveaxis(plain_crops(world, item, month, config.px), 3, 1) for item in tiles])
    gsd_m = np.stack([1000.0 * item.width_km / config.px for item in tiles]).astype(np.float32)
    return Views(pictures, month, images, gsd_m)


def see(expert: Expert, views: Views) -> Seen:
    """Every tile through the graph."""
    answers = [expert.answer(images, gsd_m) for images, gsd_m in zip(views.images, views.gsd_m, strict=True)]
    embedding = np.mean([item.embedding for item in answers], axis=0)
    return Seen(
        np.stack([item.log_weights for item in answers]),
        np.stack([item.climate_log_p for item in answers]),
        np.stack([item.season for item in answers]),
        np.stack([item.abstain for item in answers]),
        embedding / np.linalg.norm(embedding, axis=1, keepdims=True),
    )


def sights(expert: Expert, views: Views) -> list[Sight]:
    """What the engine sees in each picture, by the way it takes for any raster."""
    locator = Locator(expert)
    with ThreadPoolExecutor(processor_count()) as workers:
        return list(workers.map(lambda at: locator.see(tiles_of(views, at)), range(len(views.month))))


def tiles_of(views: Views, at: int) -> list[Tile]:
    width_km = float(views.pictures.width_km[at])
    return [
        Tile(image[at], 1.0, Scale(float(gsd_m[at]) / 1000, image.shape[-1]), (east * width_km, north * width_km))
        for image, gsd_m, (east, north) in zip(views.images, views.gsd_m, ((0.0, 0.0), *NINE), strict=True)
    ]


def mean_climate(log_p: Values, temperature: float = 1.0) -> Values:
    """(n, 31): the mean of the tiles' climates, each tempered."""
    return np.asarray(np.exp(log_softmax(log_p / temperature)).mean(axis=0))
