"""What the expert's card states: calibrated on validation blocks, measured on held-out blocks through the shipped graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geomm_engine import sphere
from geomm_engine.encoders.card import Measurement
from geomm_engine.evaluation import locate_metrics as metrics
from geomm_engine.evaluation.locate_metrics import Estimate
from geomm_engine.geography import koppen, season
from geomm_engine.geography.expert import Expert
from geomm_engine.geography.expert_card import ExpertCalibration
from geomm_engine.geography.mixture import log_normaliser, log_softmax
from geomm_engine.geography.posterior import FLOOR, independent_looks
from geomm_engine.training.blocks import Part, block_of
from geomm_engine.training.earth import month_angle
from geomm_engine.training.geographic_config import GeographicConfig
from geomm_engine.training.places import Pool, World, draw_pictures, plain_crops, tiles_over

Values = NDArray[np.float64]
GRID_KM = 200.0
FAR_DEG = 35.0
SPREADS = (0.3, 0.6, 1.0)
NEIGHBOURS = 2000
PROTOCOL = "pictures of 300–600 km on land, each as a whole and in nine tiles, monthly mosaics; 95 % intervals by drawing blocks"


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


@dataclass(frozen=True)
class Land:
    """Cells that hold land: ``points`` (m, 3), ``log_share`` (m,) of all land, and the kernels (m, k) of an expert there."""

    points: Values
    log_share: Values
    kernel: NDArray[np.float32]

    def careful(self, log_weights: Values) -> Values:
        """(tile, n, k) → (n, m): mean log density of the tiles, each with a little of "anywhere" (as :func:`posterior.pool`).

        The tiles' offsets (at most 210 km) are left out: the cells are 200 km wide.
        """
        total = np.zeros((log_weights.shape[1], len(self.points)))
        for said in log_weights:
            density = np.exp(said).astype(np.float32) @ self.kernel.T
            total += np.log((1.0 - FLOOR) * density + FLOOR / (4.0 * math.pi))
        return total / len(log_weights)

    def log_mass(self, careful: Values, looks: float) -> Values:
        """(n, m) log mass of the cells when the tiles count as so many independent looks."""
        return log_softmax(careful * looks + self.log_share)


def land_of(expert: Expert, world: World, spread: float = 1.0) -> Land:
    """The land of a world as an expert sees it whose κ are scaled by ``spread``."""
    grid = sphere.EqualAreaGrid.with_spacing(GRID_KM)
    lat, lon = grid.centres_lat_lon()
    at = np.linspace(-0.8, 0.8, 5)
    lats = np.clip(lat[:, None, None] + at[:, None], -89.9, 89.9)
    stretch = np.minimum(1.0 / np.maximum(np.cos(np.radians(lat)), 0.05), 8.0)
    share = world.land.at(lats, lon[:, None, None] + at * stretch[:, None, None]).mean(axis=(1, 2))
    kept = share > 0
    points, kappa = grid.centres()[kept], expert.kappa * spread
    kernel = np.exp(log_normaliser(kappa) + kappa * (points @ expert.centres.T - 1.0))
    return Land(points, np.log(share[kept] / share[kept].sum()), kernel.astype(np.float32))


def nearest_cell(points: Values, cells: Values) -> NDArray[np.int64]:
    """(n,): the cell with land that is closest to each place."""
    return np.asarray(np.argmax(points @ cells.T, axis=1), dtype=np.int64)


def calibrate(expert: Expert, views: Views, world: World) -> tuple[ExpertCalibration, float]:
    """What makes the truths of validation blocks most likely, and a factor on every κ. The card must be at rest (all ones)."""
    seen = see(expert, views)
    rows = np.arange(len(views.month))
    found: list[tuple[float, float, float, float]] = []
    for spread in SPREADS:
        land = land_of(expert, world, spread)
        truth = nearest_cell(views.points, land.points)
        for temperature in (0.7, 1.0, 1.4, 2.0):
            careful = land.careful(log_softmax(seen.log_weights / temperature))
            for correlation in (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0):
                mass = land.log_mass(careful, independent_looks(len(seen.log_weights), correlation))
                found.append((-float(mass[rows, truth].mean()), temperature, spread, correlation))
    _, temperature, spread, correlation = min(found)
    climate = seen.climate_log_p
    climates = [
        (-float((views.pictures.climate * np.log(_climate(climate, item) + 1e-9)).sum(axis=1).mean()), item)
        for item in np.geomspace(0.4, 3.0, 26)
    ]
    angle = month_angle(views.month)
    mean, kappa = season.mean_and_kappa(
        seen.season.mean(axis=0) * independent_looks(len(seen.log_weights), correlation)
    )
    seasons = [
        (-float(season.log_von_mises(angle, mean, item * kappa).mean()), item) for item in np.geomspace(0.1, 10.0, 41)
    ]
    return (
        ExpertCalibration(
            temperature, round(float(min(climates)[1]), 3), round(float(min(seasons)[1]), 3), correlation
        ),
        spread,
    )


def _climate(log_p: Values, temperature: float = 1.0) -> Values:
    """(n, 31): the mean of the tiles' climates, each tempered."""
    return np.asarray(np.exp(log_softmax(log_p / temperature)).mean(axis=0))


def measure(expert: Expert, world: World, config: GeographicConfig, views: Views, where: str) -> list[Measurement]:
    """Place, climate and season of one kind of blocks, and three baselines that know less."""
    seen = see(expert, views)
    land = land_of(expert, world)
    looks = independent_looks(len(seen.log_weights), expert.card.calibration.tile_correlation)
    mass = land.log_mass(land.careful(seen.log_weights), looks)
    distance = np.asarray(sphere.distance_km(metrics.best_points(mass, land.points), views.points))
    above = metrics.mass_above(mass, nearest_cell(views.points, land.points))
    found = _rows(where, PROTOCOL, metrics.place_scores(distance, views.blocks, above))
    found += _rows(where, PROTOCOL, _climate_and_season(seen, views))
    found += _rows(
        where, f"{PROTOCOL}; in which hemisphere the most likely place lies", _hemispheres(mass, land.points, views)
    )
    return found + _baselines(expert, world, config, views, seen, where, land)


def _hemispheres(mass: Values, cells: Values, views: Views) -> dict[str, Estimate]:
    north = (np.exp(mass) @ (cells[:, 2] > 0)) > 0.5
    return {
        "hemisphere": metrics.climate_scores(
            (views.points[:, 2] > 0).astype(np.int64), north.astype(np.int64), views.blocks
        )
    }


def _climate_and_season(seen: Seen, views: Views) -> dict[str, Estimate]:
    log_p = np.log(_climate(seen.climate_log_p) + 1e-12)
    guess = log_p[:, 1:].argmax(axis=1) + 1
    group = koppen.coarse(log_p)[:, 1:].argmax(axis=1) + 1
    days = season.difference_days(season.mean_and_kappa(seen.season.mean(axis=0))[0], month_angle(views.month))
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


def _baselines(
    expert: Expert, world: World, config: GeographicConfig, views: Views, seen: Seen, where: str, land: Land
) -> list[Measurement]:
    cells, log_land = land.points, land.log_share
    middle = metrics.best_points(log_land[None], cells)
    taught = view(world, config, Part.TRAINING, min(NEIGHBOURS, 4 * config.held_out), 11)
    nearest = taught.points[np.argmax(seen.embedding @ see(expert, taught).embedding.T, axis=1)]
    number = world.koppen.at(*sphere.lat_lon(cells)).astype(np.int64)
    counted = np.log(np.maximum(np.bincount(number, weights=np.exp(log_land), minlength=31), 1e-9))
    log_p = np.log(_climate(seen.climate_log_p) + 1e-12)
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
