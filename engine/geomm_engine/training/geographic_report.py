"""What the expert's card states: measured on held-out blocks through the shipped graph and by the engine's own way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geomm_engine import sphere
from geomm_engine.encoders.card import Measurement
from geomm_engine.evaluation import locate_metrics as metrics
from geomm_engine.evaluation.locate_answers import answers_of
from geomm_engine.evaluation.locate_metrics import Estimate
from geomm_engine.geography import koppen, season
from geomm_engine.geography.expert import Expert
from geomm_engine.geography.mixture import log_softmax
from geomm_engine.geography.posterior import Posterior, cell_prior, world_points
from geomm_engine.pipeline.locate_look import Sight
from geomm_engine.training.blocks import Part
from geomm_engine.training.earth import month_angle
from geomm_engine.training.geographic_calibration import land_of, maps_of
from geomm_engine.training.geographic_config import GeographicConfig
from geomm_engine.training.geographic_views import Views, mean_climate, see, sights, view
from geomm_engine.training.places import World

Values = NDArray[np.float64]
FAR_DEG = 35.0
COAST = 0.02
COASTS = "pictures with more than 2 % of sea, and others"
NEIGHBOURS = 2000
PROTOCOL = "pictures of 300–600 km on land, each as a whole and in nine tiles, monthly mosaics; 95 % intervals by drawing blocks"


def measure(expert: Expert, world: World, config: GeographicConfig, views: Views, where: str) -> list[Measurement]:
    """Place, climate and season of one kind of blocks, the same without maps, and three baselines that know less."""
    said = sights(expert, views)
    posteriors = _posteriors(expert, said)
    answers = answers_of(posteriors, views.pictures.lat, views.pictures.lon)
    distance = np.asarray(sphere.distance_km(answers.guess, views.points))
    found = _rows(where, PROTOCOL, metrics.place_scores(distance, views.blocks, answers.above))
    found += _rows(where, f"{PROTOCOL}; {COASTS}", _by_coast(distance, views))
    found += _rows(where, PROTOCOL, _climate_and_season(said, views))
    found += _rows(
        where, f"{PROTOCOL}; in which hemisphere the most likely place lies", _hemispheres(posteriors, views)
    )
    found += _without_maps(expert, views, where)
    return found + _baselines(expert, world, config, views, where)


def _posteriors(expert: Expert, said: list[Sight]) -> list[Posterior]:
    prior = cell_prior(maps_of(expert).land)
    return [Posterior.of(sight.log_density, prior) for sight in said]


def _without_maps(expert: Expert, views: Views, where: str) -> list[Measurement]:
    """The same expert by what the ground looks like alone."""
    calibration = replace(expert.card.calibration, land_weight=0.0, climate_weight=0.0, climate_by_place=0.0)
    folder = replace(expert.folder, card=replace(expert.card, calibration=calibration))
    alone = Expert(folder)
    said = sights(alone, views)
    answers = answers_of(_posteriors(alone, said), views.pictures.lat, views.pictures.lon)
    distance = np.asarray(sphere.distance_km(answers.guess, views.points))
    protocol = f"{PROTOCOL}; the same without maps"
    found = _rows(where, protocol, metrics.place_scores(distance, views.blocks, answers.above))
    return found + _rows(where, protocol, _climate_and_season(said, views))


def _by_coast(distance: Values, views: Views) -> dict[str, Estimate]:
    """Pictures with more than a fiftieth of sea, and all others."""
    is_coast = views.pictures.land < 1 - COAST
    found: dict[str, Estimate] = {}
    for name, rows in (("with", is_coast), ("without", ~is_coast)):
        if rows.any():
            scores = metrics.place_scores(distance[rows], views.blocks[rows])
            found |= {f"{name} coast, {key}": scores[key] for key in ("median error (km)", "within 2000 km")}
    return found


def _hemispheres(posteriors: list[Posterior], views: Views) -> dict[str, Estimate]:
    is_north = world_points()[:, 2] > 0
    north = np.array([item.mass[is_north].sum() for item in posteriors]) > 0.5
    return {
        "hemisphere": metrics.climate_scores(
            (views.points[:, 2] > 0).astype(np.int64), north.astype(np.int64), views.blocks
        )
    }


def _climate_and_season(said: list[Sight], views: Views) -> dict[str, Estimate]:
    log_p = np.log(np.stack([item.climate for item in said]) + 1e-12)
    guess = log_p[:, 1:].argmax(axis=1) + 1
    group = koppen.coarse(log_p)[:, 1:].argmax(axis=1) + 1
    days = season.difference_days(
        season.mean_and_kappa(np.stack([item.season for item in said]))[0], month_angle(views.month)
    )
    far = np.abs(views.pictures.lat) > FAR_DEG
    blocks = views.blocks
    found = {
        "Köppen fine": metrics.climate_scores(views.climate, guess, blocks),
        "Köppen coarse": metrics.climate_scores(koppen.GROUP_OF[views.climate], group, blocks),
        "season, median error everywhere (days)": metrics.season_scores(days, blocks),
    }
    if far.any():
        found["season, median error beyond 35° (days)"] = metrics.season_scores(days[far], blocks[far])
    return found


def _baselines(expert: Expert, world: World, config: GeographicConfig, views: Views, where: str) -> list[Measurement]:
    seen, land = see(expert, views), land_of(expert, world)
    cells, log_land = land.points, land.log_share
    middle = metrics.best_points(log_land[None], cells)
    taught = view(world, config, Part.TRAINING, min(NEIGHBOURS, 4 * config.held_out), 11)
    nearest = taught.points[np.argmax(seen.embedding @ see(expert, taught).embedding.T, axis=1)]
    number = world.koppen.at(*sphere.lat_lon(cells)).astype(np.int64)
    counted = np.log(np.maximum(np.bincount(number, weights=np.exp(log_land), minlength=31), 1e-9))
    log_p = np.log(mean_climate(seen.climate_log_p) + 1e-12)
    by_climate = log_softmax(log_p[:, number] - counted[number] + log_land)
    found: list[Measurement] = []
    for name, points in (
        ("uniform over land", middle),
        ("nearest training embedding", nearest),
        ("Köppen only", metrics.best_points(by_climate, cells)),
    ):
        distance = np.asarray(sphere.distance_km(points, views.points))
        found += _rows(where, f"{PROTOCOL}; baseline: {name}", metrics.place_scores(distance, views.blocks))
    return found


def abstaining(expert: Expert, world: World, config: GeographicConfig) -> list[Measurement]:
    """How often the sea of the held-out blocks is abstained from, and how often their land is."""
    count = max(24, config.held_out // 10)
    found = []
    for name, is_sea in (("open sea", True), ("land", False)):
        views = view(world, config, Part.HELD_OUT, count, 12, sea=is_sea)
        rows = views.pictures.land < 0.005 if is_sea else views.pictures.land > 0.5
        if rows.any():
            said = see(expert, views).abstain.mean(axis=0)[rows] > 0.5
            found.append(
                Measurement("held-out blocks", f"pictures of {name}", "abstained", round(float(said.mean()), 4), "")
            )
    return found


def _rows(where: str, protocol: str, scores: Mapping[str, Estimate]) -> list[Measurement]:
    def rounded(value: float) -> float:
        return round(value, 1) if abs(value) > 1.5 else round(value, 4)

    rows = [
        Measurement(where, protocol, name, rounded(item.value), "", (rounded(item.low), rounded(item.high)))
        for name, item in scores.items()
    ]
    return [replace(row, interval_95=()) if any(math.isnan(v) for v in row.interval_95) else row for row in rows]
