"""Recipes side by side over several seeds: what does a start, or a kind of attention, buy? Every recipe has the same seeds.

Class names are typed as text against the validation pictures of every set that was photographed, at the size that the recipe
was trained for and at others: the same pictures with finer or coarser pixels.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geomm_engine.contract import encode
from geomm_engine.errors import writing
from geomm_engine.networks.two_towers import TwoTowers
from geomm_engine.networks.views import ready
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.training.config import ContrastiveConfig, refuse_namesakes
from geomm_engine.training.contrastive import learned
from geomm_engine.training.data import Lessons
from geomm_engine.training.language import Language, learn_language
from geomm_engine.training.loop import threads
from geomm_engine.training.report import FEWEST
from geomm_engine.training.zero_shot import prototypes, top_1, whole_vectors

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
    """Mean over the seeds, of top-1 the standard deviation too (n − 1; nothing with one seed).

    ``is_usual``: tiles of the (first) size of the lessons, with which ``cosine`` and ``agreement`` compare.
    """

    recipe: str
    set_name: str
    px: int
    gsd_m: float
    mean: float
    deviation: float | None
    cosine: float
    agreement: float
    is_usual: bool


@dataclass(frozen=True)
class Comparison:
    seeds: tuple[int, ...]
    steps: dict[str, int]
    figures: tuple[Figure, ...]
    summary: tuple[Summary, ...]


def compare(configs: Sequence[ContrastiveConfig], data: Path, output: Path, *, seeds: Sequence[int]) -> Job[Comparison]:
    """Train every recipe with every seed and measure it; writes ``comparison.json`` anew after each.

    Raises:
        EngineError: data or captions are wrong, two recipes have one id, or the folder cannot be written.
    """
    refuse_namesakes(configs)
    steps = {config.id: config.schedule.all_steps for config in configs}
    figures: list[Figure] = []
    languages: dict[Hashable, Language | None] = {}
    watch = Stopwatch("train", len(seeds) * sum(steps.values()))
    for config in configs:
        unseeded = Lessons(config, data)
        for seed in seeds:
            lessons = unseeded.seeded(seed)
            with threads(config.threads):
                speech = _speech(lessons.config)
                if speech not in languages:
                    languages[speech] = yield from learn_language(lessons)
                network = yield from learned(lessons, data, languages[speech], watch)
                figures += _figures(config.id, seed, network, lessons)
            table = Comparison(tuple(seeds), steps, tuple(figures), _summary(figures, configs))
            with writing(output):
                output.mkdir(parents=True, exist_ok=True)
                text = json.dumps(encode(table), indent=1) + "\n"
                (output / "comparison.json").write_text(text, encoding="utf-8")
    return table


def _speech(config: ContrastiveConfig) -> Hashable:
    """What a language depends on: recipes that agree in it learn the same one, once."""
    return config.seed, config.captions, config.vocabulary, config.phrases, config.network.text


def _figures(recipe: str, seed: int, network: TwoTowers, lessons: Lessons) -> list[Figure]:
    tower = ready(network.image, lessons.config.network.image)
    found: list[Figure] = []
    for source, pictures in zip(lessons.config.pictures, lessons.validation, strict=True):
        if source.is_drawn or len(pictures.labels) < FEWEST:
            continue
        texts = prototypes(network, [lessons.captions.classes[item] for item in pictures.classes], lessons.tokens)
        usual_px = lessons.config.sizes[0].px
        usual = whole_vectors(tower, pictures, usual_px, lessons.normalise)
        px = source.size_px
        while px >= SMALLEST_PX:
            vectors = usual if px == usual_px else whole_vectors(tower, pictures, px, lessons.normalise)
            gsd_m = source.gsd_m * source.size_px / px
            cosine = float((vectors * usual).sum(axis=1).mean())
            same = float(((vectors @ texts.T).argmax(axis=1) == (usual @ texts.T).argmax(axis=1)).mean())
            right = top_1(vectors, texts, pictures)
            found.append(Figure(recipe, seed, source.name, px, gsd_m, right, cosine, same))
            px //= 2
    return found


def _summary(figures: Sequence[Figure], configs: Sequence[ContrastiveConfig]) -> tuple[Summary, ...]:
    usual = {config.id: config.sizes[0].px for config in configs}
    rows: list[Summary] = []
    for recipe, name, px, gsd_m in dict.fromkeys((f.recipe, f.set_name, f.px, f.gsd_m) for f in figures):
        own = np.array(
            [(f.top_1, f.cosine, f.agreement) for f in figures if (f.recipe, f.set_name, f.px) == (recipe, name, px)]
        )
        mean, cosine, agreement = (round(float(value), 4) for value in own.mean(axis=0))
        deviation = round(float(own[:, 0].std(ddof=1)), 4) if len(own) > 1 else None
        rows.append(Summary(recipe, name, px, gsd_m, mean, deviation, cosine, agreement, px == usual[recipe]))
    return tuple(rows)
