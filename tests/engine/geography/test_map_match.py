"""A picture's own map is found on the map of the world, and says nothing where it can say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from geomm_engine import sphere
from geomm_engine.geography import atlas
from geomm_engine.geography.koppen import CLIMATES, SEA
from geomm_engine.geography.map_match import FLOOR, Weights, WorldMaps
from geomm_engine.geography.posterior import SPACING_KM, world_grid, world_points

Values = NDArray[np.float64]
WIDTH_KM = 450.0


@pytest.fixture(scope="module")
def maps() -> WorldMaps:
    """The land that ships; drawn climates, each some degrees wide."""
    number = np.random.default_rng(0).integers(1, len(CLIMATES), (90, 120)).repeat(8, axis=0).repeat(12, axis=1)
    return WorldMaps(atlas.land_share(), np.where(atlas.land_share() > 0.5, number, SEA).astype(np.uint8))


def squares_at(values: NDArray[np.generic], lat: float, lon: float, side: int, finer: int = 4) -> NDArray[np.generic]:
    """(side · finer, side · finer) values of a map round a place, as a picture of the ground would show them."""
    at = WIDTH_KM * ((np.arange(side * finer) + 0.5) / (side * finer) - 0.5)
    lats, lons = sphere.destination(lat, lon, *np.broadcast_arrays(at[None, :], -at[:, None]))
    rows = np.clip(((90 - lats) * 4).astype(int), 0, 719)
    return np.asarray(values[rows, ((lons + 180) * 4).astype(int) % 1440])


def land_at(maps: WorldMaps, lat: float, lon: float) -> Values:
    shown = squares_at(maps.land, lat, lon, 16).astype(np.float64)
    return np.asarray(shown.reshape(16, 4, 16, 4).mean(axis=(1, 3)))


def climates_at(maps: WorldMaps, lat: float, lon: float) -> Values:
    shown = squares_at(maps.climate, lat, lon, 8).astype(int)
    return np.asarray(np.eye(len(CLIMATES))[shown].reshape(8, 4, 8, 4, -1).mean(axis=(1, 3)).transpose(2, 0, 1))


def distance_of_best(log_likelihood: Values, lat: float, lon: float) -> float:
    best = world_points()[int(np.argmax(log_likelihood))]
    return float(sphere.distance_km(best, sphere.unit_vectors(lat, lon)))


@pytest.mark.parametrize(
    ("lat", "lon"), [(48.0, -3.0), (-34.0, 18.5), (-17.7, 178.9), (66.0, 180.0), (70.5, 25.0), (-75.0, 165.0)]
)
def test_a_coast_is_found_on_the_map(maps: WorldMaps, lat: float, lon: float) -> None:
    misfit = maps.misfit(land_at(maps, lat, lon), WIDTH_KM)
    assert np.isfinite(misfit).all()
    assert distance_of_best(-misfit, lat, lon) < SPACING_KM


def test_a_coast_seen_through_noise_is_found(maps: WorldMaps) -> None:
    noisy = np.clip(land_at(maps, 10.0, -75.0) + np.random.default_rng(0).normal(0, 0.25, (16, 16)), 0, 1)
    assert distance_of_best(-maps.misfit(noisy, WIDTH_KM), 10.0, -75.0) < SPACING_KM


def test_the_width_matters(maps: WorldMaps) -> None:
    shown = land_at(maps, 48.0, -3.0)
    right, wrong = (float(maps.misfit(shown, width).min()) for width in (WIDTH_KM, 1.6 * WIDTH_KM))
    assert wrong > 2 * right


def test_plain_land_is_as_likely_anywhere_inland(maps: WorldMaps) -> None:
    weights = Weights(land=2.0, climate=0.0)
    said = maps.log_likelihood(np.ones((16, 16)), np.full((31, 8, 8), 1 / 31), WIDTH_KM, weights)
    cells = world_grid().cell_of(np.array([50.0, 0.0, 65.0, -25.0]), np.array([80.0, 20.0, 100.0, 132.0]))
    assert np.ptp(said[cells]) < 0.01
    sea = int(world_grid().cell_of(0.0, -140.0))
    assert said[sea] < said[cells].min() - 5


def test_no_place_is_ruled_out(maps: WorldMaps) -> None:
    weights = Weights(land=50.0, climate=0.0)
    said = maps.log_likelihood(land_at(maps, 48.0, -3.0), np.full((31, 8, 8), 1 / 31), WIDTH_KM, weights)
    assert said.max() - said.min() <= -math.log(FLOOR) + 1e-3


def test_weights_of_zero_say_nothing(maps: WorldMaps) -> None:
    said = maps.log_likelihood(
        land_at(maps, 48.0, -3.0), climates_at(maps, 48.0, -3.0), WIDTH_KM, Weights(land=0.0, climate=0.0)
    )
    assert np.ptp(said) == 0.0


def test_the_climates_of_an_inland_picture_find_it(maps: WorldMaps) -> None:
    agreement = maps.agreement(climates_at(maps, 50.0, 80.0), WIDTH_KM)
    assert distance_of_best(agreement, 50.0, 80.0) < 1.5 * SPACING_KM
    assert agreement.max() <= math.log(1.01) + 1e-6


def test_the_climate_where_a_picture_lies(maps: WorldMaps) -> None:
    points = world_points()
    near = 2000.0 * (points @ sphere.unit_vectors(50.0, 80.0) - 1.0)
    said = maps.climate_where(near)
    row, column = int((90 - 50.0) * 4), int((80.0 + 180) * 4)
    assert said.sum() == pytest.approx(1.0)
    assert said[SEA] == 0.0
    assert said.argmax() == maps.climate[row, column]
