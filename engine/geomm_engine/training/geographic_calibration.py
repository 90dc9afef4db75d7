"""How sure an expert may be, learned on validation blocks: temperatures, the spread of its places, the maps' word."""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geomm_engine import sphere
from geomm_engine.encoders.onnx_encoder import processor_count
from geomm_engine.evaluation.locate_answers import allowed_cell
from geomm_engine.geography import season
from geomm_engine.geography.expert import Expert
from geomm_engine.geography.expert_card import ExpertCalibration
from geomm_engine.geography.map_match import FLOOR as MAP_FLOOR
from geomm_engine.geography.map_match import WorldMaps
from geomm_engine.geography.mixture import log_normaliser, log_softmax, log_sum_exp
from geomm_engine.geography.posterior import FLOOR, cell_prior, independent_looks
from geomm_engine.pipeline.locate_look import Locator
from geomm_engine.training.earth import month_angle
from geomm_engine.training.geographic_views import Views, mean_climate, see, tiles_of
from geomm_engine.training.places import World

Values = NDArray[np.float64]
GRID_KM = 200.0
SPREADS = (0.3, 0.6, 1.0)
CORRELATIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
LAND_WEIGHTS = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0)
CLIMATE_WEIGHTS = (0.0, 0.5, 1.0, 1.5, 2.0)
SURENESS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
COVERED = 0.92
CLIMATE_SHARES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9)


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
        for temperature in (0.7, 1.0, 1.4, 2.0, 2.8):
            careful = land.careful(log_softmax(seen.log_weights / temperature))
            for correlation in CORRELATIONS:
                mass = land.log_mass(careful, independent_looks(len(seen.log_weights), correlation))
                found.append((-float(mass[rows, truth].mean()), temperature, spread, correlation))
    _, temperature, spread, correlation = min(found)
    climate = seen.climate_log_p
    climates = [
        (-float((views.pictures.climate * np.log(mean_climate(climate, item) + 1e-9)).sum(axis=1).mean()), item)
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


def calibrate_maps(expert: Expert, views: Views) -> ExpertCalibration:
    """How much the maps' word counts beside the tiles': what makes the truths of validation blocks most likely.

    The expert must hold maps; its temperatures, κ and ρ are taken as they are. The validation blocks have chosen the step and
    these weights, and so are a little easier than other ground: 92 % of their truths shall lie in the 90 % regions.
    """
    locator, maps, calibration = Locator(expert), maps_of(expert), expert.card.calibration
    prior = cell_prior(maps.land)
    kept = np.flatnonzero(prior > 0)

    def evidence(at: int) -> tuple[Values, Values, Values, Values, int]:
        tiles, width_km = tiles_of(views, at), float(views.pictures.width_km[at])
        answer = locator.ask(tiles)
        said = locator.pooled(tiles, answer, np.ones(len(tiles)), calibration.tile_correlation)
        gap = maps.misfit(answer.land[0], width_km)
        agreed = maps.agreement(answer.climates[0], width_km)
        own = allowed_cell(prior, views.pictures.lat[at], views.pictures.lon[at])
        return said[kept], (gap - gap.min())[kept], agreed[kept], np.exp(answer.climate_log_p).mean(axis=0), own

    with ThreadPoolExecutor(processor_count()) as workers:
        parts = list(workers.map(evidence, range(len(views.month))))
    seen, misfits, agreements, climates, cells = zip(*parts, strict=True)
    truth = np.searchsorted(kept, cells)
    said, gaps, agreed = (np.stack(items).astype(np.float32) for items in (seen, misfits, agreements))
    rows, log_prior = np.arange(len(truth)), np.log(prior[kept]).astype(np.float32)
    found = []
    for land, climate in itertools.product(LAND_WEIGHTS, CLIMATE_WEIGHTS):
        log_mass = _log_mass(_density(gaps, agreed, said, land, climate), log_prior)
        found.append((-float(log_mass[rows, truth].mean()), land, climate))
    _, land, climate = min(found)
    joined = _density(gaps, agreed, said, land, climate)
    careful = [item for item in SURENESS if _covered(item * joined, log_prior, truth) >= COVERED]
    sureness = max(careful, default=min(SURENESS))
    everywhere = np.full((len(truth), len(prior)), -np.inf)
    everywhere[:, kept] = sureness * joined
    where = np.stack([maps.climate_where(item) for item in everywhere])
    image = np.stack(climates)
    mixed = [
        (-float((views.pictures.climate * np.log((1 - item) * image + item * where + 1e-9)).sum(axis=1).mean()), item)
        for item in CLIMATE_SHARES
    ]
    return replace(
        calibration, land_weight=land, climate_weight=climate, sureness=sureness, climate_by_place=min(mixed)[1]
    )


def _density(
    gaps: NDArray[np.float32], agreed: NDArray[np.float32], said: NDArray[np.float32], land: float, climate: float
) -> NDArray[np.float32]:
    fits = np.logaddexp(-land * gaps, np.float32(math.log(MAP_FLOOR)))
    return np.asarray(fits + climate * agreed + said, np.float32)


def _log_mass(log_density: NDArray[np.float32], log_prior: NDArray[np.float32]) -> Values:
    total = log_density + log_prior
    return np.asarray(total - log_sum_exp(total)[:, None])


def _covered(log_density: NDArray[np.float32], log_prior: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """How often the 90 % region holds the truth."""
    mass, rows = np.exp(_log_mass(log_density, log_prior)), np.arange(len(truth))
    own = log_density[rows, truth]
    above = (mass * (log_density > own[:, None])).sum(axis=1) + 0.5 * mass[rows, truth]
    return float((above < 0.9).mean())


def maps_of(expert: Expert) -> WorldMaps:
    if expert.maps is None:
        raise ValueError("an expert that is exported holds maps")
    return expert.maps
