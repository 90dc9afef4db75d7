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

from geomm_engine.contract import encode
from geomm_engine.errors import writing
from geomm_engine.networks.two_towers import TwoTowers
from geomm_engine.networks.views import ready
from geomm_engine.progress import Job, Progress
from geomm_engine.training.config import ContrastiveConfig
from geomm_engine.training.contrastive import trainer_for
from geomm_engine.training.data import Lessons
from geomm_engine.training.pictures import whole
from geomm_engine.training.zero_shot import image_vectors, prototypes, top_1

SMALLEST_PX = 32


@dataclass(frozen=True)
class Figure:
    """Top-1 of one recipe and seed on one set, whole pictures at ``px`` pixels of ``gsd_m`` metres."""

    recipe: str
    seed: int
    set_name: str
    px: int
    gsd_m: float
    top_1: float


@dataclass(frozen=True)
class Summary:
    """Mean over the seeds and their standard deviation (n − 1); ``is_trained_size``: tiles of the size of the lessons."""

    recipe: str
    set_name: str
    px: int
    gsd_m: float
    mean: float
    deviation: float
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
        px = source.size_px
        while px >= SMALLEST_PX:
            pixels, gsd_m = whole(pictures, px)
            vectors = image_vectors(tower, pixels, gsd_m, lessons.normalise)
            found.append(Figure(recipe, seed, source.name, px, gsd_m, top_1(vectors, texts, pictures)))
            px //= 2
    return found


def _summary(figures: Sequence[Figure], configs: Sequence[ContrastiveConfig]) -> tuple[Summary, ...]:
    trained = {config.id: {size.px for size in config.sizes} for config in configs}
    rows: list[Summary] = []
    for recipe, name, px, gsd_m in dict.fromkeys((f.recipe, f.set_name, f.px, f.gsd_m) for f in figures):
        own = [f.top_1 for f in figures if (f.recipe, f.set_name, f.px) == (recipe, name, px)]
        deviation = float(np.std(own, ddof=1)) if len(own) > 1 else 0.0
        mean = round(float(np.mean(own)), 4)
        rows.append(Summary(recipe, name, px, gsd_m, mean, round(deviation, 4), px in trained[recipe]))
    return tuple(rows)
