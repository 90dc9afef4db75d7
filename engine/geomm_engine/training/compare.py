"""Recipes side by side over several seeds: what does a start, or a kind of attention, buy? Every recipe has the same seeds.

Class names are typed as text against the validation pictures, at the size that the recipe was trained for and at others:
the same pictures with finer or coarser pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from geomm_engine.contract import encode
from geomm_engine.errors import writing
from geomm_engine.networks.two_towers import TwoTowers
from geomm_engine.networks.views import ready
from geomm_engine.progress import Job, Progress
from geomm_engine.training.config import ContrastiveConfig
from geomm_engine.training.contrastive import trainer_for
from geomm_engine.training.data import Lessons
from geomm_engine.training.pictures import PictureSet, whole
from geomm_engine.training.zero_shot import image_vectors, prototypes, top_1

SMALLEST_PX = 32


@dataclass(frozen=True)
class Figure:
    """Top-1 of one recipe and seed on one set, whole pictures at ``px`` pixels of ``gsd_m`` metres.

    ``cosine`` and ``agreement`` (the same name) compare with the same pictures at the size of the lessons.
    """

    recipe: str
    seed: int
    set_name: str
    px: int
    gsd_m: float
    top_1: float
    cosine: float
    agreement: float


@dataclass(frozen=True)
class Summary:
    """Mean over the seeds, of top-1 the standard deviation too (n − 1); ``is_trained_size``: tiles of the lessons' size."""

    recipe: str
    set_name: str
    px: int
    gsd_m: float
    mean: float
    deviation: float
    cosine: float
    agreement: float
    is_trained_size: bool


@dataclass(frozen=True)
class Comparison:
    seeds: tuple[int, ...]
    steps: int
    figures: tuple[Figure, ...]
    summary: tuple[Summary, ...]


def compare(configs: Sequence[ContrastiveConfig], data: Path, output: Path, *, seeds: Sequence[int]) -> Job[Comparison]:
    """Train every recipe with every seed and measure it; writes ``comparison.json`` anew after each.

    Raises:
        EngineError: data or captions are wrong, or the folder cannot be written.
    """
    figures: list[Figure] = []
    total = len(seeds) * sum(config.schedule.all_steps for config in configs)
    done = 0
    for seed in seeds:
        for config in configs:
            lessons = Lessons(replace(config, seed=seed), data)
            trainer = trainer_for(lessons, data)
            for batch in trainer.batches(config.schedule.all_steps):
                trainer.learn(batch)
                done += 1
                yield Progress("train", done, total)
            figures += _figures(config.id, seed, trainer.average, lessons)
            table = Comparison(tuple(seeds), configs[0].schedule.all_steps, tuple(figures), _summary(figures, configs))
            with writing(output):
                output.mkdir(parents=True, exist_ok=True)
                text = json.dumps(encode(table), indent=1) + "\n"
                (output / "comparison.json").write_text(text, encoding="utf-8")
    return table


def _figures(recipe: str, seed: int, network: TwoTowers, lessons: Lessons) -> list[Figure]:
    tower = ready(network.image, lessons.config.network.image.views)
    found: list[Figure] = []
    for place in lessons.measured_places:
        source, pictures = lessons.config.pictures[place], lessons.validation[place]
        texts = prototypes(network, [lessons.captions.classes[item] for item in pictures.classes], lessons.tokens)
        usual, _ = _seen(tower, pictures, lessons.config.sizes[0].px, lessons)
        px = source.size_px
        while px >= SMALLEST_PX:
            vectors, gsd_m = _seen(tower, pictures, px, lessons)
            cosine = float((vectors * usual).sum(axis=1).mean())
            same = float(((vectors @ texts.T).argmax(axis=1) == (usual @ texts.T).argmax(axis=1)).mean())
            right = top_1(vectors, texts, pictures)
            found.append(Figure(recipe, seed, source.name, px, gsd_m, right, cosine, same))
            px //= 2
    return found


def _seen(tower: nn.Module, pictures: PictureSet, px: int, lessons: Lessons) -> tuple[NDArray[np.float32], float]:
    pixels, gsd_m = whole(pictures, px)
    return image_vectors(tower, pixels, gsd_m, lessons.normalise), gsd_m


def _summary(figures: Sequence[Figure], configs: Sequence[ContrastiveConfig]) -> tuple[Summary, ...]:
    trained = {config.id: {size.px for size in config.sizes} for config in configs}
    rows: list[Summary] = []
    for recipe, name, px, gsd_m in dict.fromkeys((f.recipe, f.set_name, f.px, f.gsd_m) for f in figures):
        own = np.array(
            [(f.top_1, f.cosine, f.agreement) for f in figures if (f.recipe, f.set_name, f.px) == (recipe, name, px)]
        )
        mean, cosine, agreement = (round(float(value), 4) for value in own.mean(axis=0))
        deviation = round(float(own[:, 0].std(ddof=1)), 4) if len(own) > 1 else 0.0
        rows.append(Summary(recipe, name, px, gsd_m, mean, deviation, cosine, agreement, px in trained[recipe]))
    return tuple(rows)
