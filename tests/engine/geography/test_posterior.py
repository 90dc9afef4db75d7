"""From what tiles say to one answer: known answers on the sphere."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.geography import atlas, painting
from geomm_engine.geography.mixture import Mixture, credible_radius_km
from geomm_engine.geography.posterior import (
    NEAR_KM,
    Posterior,
    cell_prior,
    independent_looks,
    interpolate,
    pool,
    world_grid,
    world_points,
)
from geomm_engine.geography.world_density import WorldDensity
from geomm_engine.sphere import destination, distance_km, unit_vectors

EVERYWHERE = np.ones(len(world_grid()))


def vmf(lat: float, lon: float, kappa: float) -> np.ndarray:
    """(cell,) log density."""
    return Mixture(unit_vectors(lat, lon)[None], np.array([kappa]), np.zeros(1)).log_density(world_points())


@pytest.fixture(scope="module")
def land() -> np.ndarray:
    return cell_prior(atlas.prior([]))


@pytest.mark.parametrize("lon", [10.0, 180.0, -179.9])
@pytest.mark.parametrize("lat", [0.0, 55.0, 89.5, -90.0])
def test_one_hill_has_the_credible_radii_of_its_formula(lat: float, lon: float) -> None:
    posterior = Posterior.of(vmf(lat, lon, 100.0), EVERYWHERE)
    assert posterior.mass.sum() == pytest.approx(1.0, abs=1e-12)
    best = posterior.best()
    assert distance_km(unit_vectors(*best), unit_vectors(lat, lon)) < 80
    for share in (0.5, 0.9):
        expected = float(credible_radius_km(100.0, share))
        assert posterior.radius_km(*best, share) == pytest.approx(expected, rel=0.06)
        assert posterior.area_km2(share) == pytest.approx(
            2 * np.pi * 6371.0**2 * (1 - np.cos(expected / 6371)), rel=0.03
        )
        east = destination(lat, lon, 0.0, expected * 0.9), destination(lat, lon, 0.0, expected * 1.1)
        assert posterior.level_at(*(float(v) for v in east[0])) < share
        assert posterior.level_at(*(float(v) for v in east[1])) > share - 0.02


def test_the_kernels_of_the_world_are_those_of_the_mixture() -> None:
    random = np.random.default_rng(3)
    centres = unit_vectors(random.uniform(-90, 90, 40), random.uniform(-180, 180, 40))
    kappa = random.uniform(1.0, 2000.0, 40)
    weights = np.log(random.dirichlet(np.ones(40), size=3))
    exact = Mixture(centres, kappa, weights).log_density(world_points())
    found = WorldDensity(centres, kappa).log_density(weights)
    high = exact > -13.5
    np.testing.assert_allclose(found[high], exact[high], atol=2e-3)


def test_interpolation_is_whole_over_the_date_line_and_at_the_poles() -> None:
    lat, lon = world_grid().centres_lat_lon()
    values = np.cos(np.radians(lat)) * np.cos(np.radians(lon)) + np.sin(np.radians(lat))
    places = np.array([[10.0, 179.99], [10.0, -179.99], [89.99, 0.0], [-89.99, 77.0], [0.3, 0.1]])
    exact = np.cos(np.radians(places[:, 0])) * np.cos(np.radians(places[:, 1])) + np.sin(np.radians(places[:, 0]))
    np.testing.assert_allclose(interpolate(values, places[:, 0], places[:, 1]), exact, atol=0.012)
    np.testing.assert_allclose(interpolate(values, 40.0, 200.0), interpolate(values, 40.0, -160.0))
    np.testing.assert_allclose(interpolate(values, lat[::97], lon[::97]), values[::97], atol=1e-9)


def test_tiles_that_agree_make_it_surer_and_dependence_holds_them_back() -> None:
    said = np.stack([vmf(20.0, 30.0, 50.0)] * 9)
    here = np.zeros((9, 2))
    alone = Posterior.of(pool(said[:1], np.ones(1), here[:1], correlation=0.5), EVERYWHERE)
    radii = {
        rho: Posterior.of(pool(said, np.ones(9), here, correlation=rho), EVERYWHERE).radius_km(20.0, 30.0, 0.5)
        for rho in (0.0, 0.5, 1.0)
    }
    assert radii[0.0] < radii[0.5] < radii[1.0]
    assert radii[1.0] == pytest.approx(alone.radius_km(20.0, 30.0, 0.5), rel=1e-6)
    assert radii[0.5] == pytest.approx(float(credible_radius_km(50 * 9 / 5, 0.5)), rel=0.08)


@pytest.mark.parametrize(("count", "rho", "looks"), [(1, 0.5, 1), (9, 0, 9), (9, 1, 1), (3, 0.5, 1.5), (0.4, 0.5, 0.4)])
def test_independent_looks(count: float, rho: float, looks: float) -> None:
    assert independent_looks(count, rho) == pytest.approx(looks)


def test_a_tile_aside_speaks_for_the_middle() -> None:
    """Each tile sees its own place; the answer is the picture's middle, also over the date line."""
    middle, offsets = (15.0, 179.5), [(900.0, 0.0), (-900.0, 0.0), (0.0, 700.0)]
    places = [destination(*middle, *offset) for offset in offsets]
    said = np.stack([vmf(float(lat), float(lon), 400.0) for lat, lon in places])
    best = Posterior.of(pool(said, np.ones(3), np.array(offsets), correlation=0.5), EVERYWHERE).best()
    assert distance_km(unit_vectors(*best), unit_vectors(*middle)) < 90


def test_one_tile_cannot_veto_the_others() -> None:
    said = np.stack([vmf(20.0, 30.0, 2000.0)] * 3 + [vmf(-40.0, -70.0, 2000.0)])
    posterior = Posterior.of(pool(said, np.ones(4), np.zeros((4, 2)), correlation=0.3), EVERYWHERE)
    assert distance_km(unit_vectors(*posterior.best()), unit_vectors(20.0, 30.0)) < 80


def test_without_any_trust_the_prior_is_left(land: np.ndarray) -> None:
    posterior = Posterior.of(pool(vmf(0, 0, 9.0)[None], np.zeros(1), np.zeros((1, 2)), correlation=0.5), land)
    np.testing.assert_allclose(posterior.mass, land / land.sum(), atol=1e-15)
    assert posterior.area_km2(0.9) == pytest.approx(0.9 * 0.29 * 510e6, rel=0.02)


def test_mass_is_on_land_only_and_a_forbidden_place_is_in_no_region(land: np.ndarray) -> None:
    posterior = Posterior.of(vmf(0.0, -30.0, 20.0), land)  # the middle of the Atlantic
    assert posterior.mass[land == 0].sum() == 0
    assert posterior.level_at(0.0, -30.0) == 1.0
    assert land[world_grid().cell_of(*posterior.best())] > 0


def test_two_hills_are_two_places_and_the_best_point_is_on_one() -> None:
    both = np.logaddexp(vmf(50.0, 10.0, 900.0) + np.log(0.7), vmf(-30.0, 140.0, 900.0) + np.log(0.3))
    posterior = Posterior.of(both, EVERYWHERE)
    peaks = posterior.peaks(5)
    assert len(peaks) == 2
    for (lat, lon, _), place in zip(peaks, ((50.0, 10.0), (-30.0, 140.0)), strict=True):
        assert distance_km(unit_vectors(lat, lon), unit_vectors(*place)) < 40
    within = 1 - np.exp(900 * (np.cos(NEAR_KM / 6371.0088) - 1))
    assert [share for *_, share in peaks] == pytest.approx([0.7 * within, 0.3 * within], rel=0.1)
    assert distance_km(unit_vectors(*posterior.best()), unit_vectors(50.0, 10.0)) < 80


def test_the_mean_of_two_answers_believes_both() -> None:
    parts = [Posterior.of(vmf(lat, 20.0, 500.0) + shift, EVERYWHERE) for lat, shift in ((0.0, 0.0), (40.0, 55.0))]
    mean = Posterior.mean(parts)
    assert mean.mass.sum() == pytest.approx(1.0)
    assert mean.mass_near(unit_vectors(0.0, 20.0), 1500)[0] == pytest.approx(0.5, abs=0.01)
    assert mean.level_at(0.0, 20.0) < 0.1
    assert mean.level_at(40.0, 20.0) < 0.1


class TestPainting:
    @pytest.mark.parametrize(("lat", "lon"), [(10.0, 179.9), (88.0, 20.0), (-80.0, -100.0), (20.0, 0.0)])
    def test_outlines_hold_their_mass_and_are_clean(self, lat: float, lon: float) -> None:
        share = np.ones(atlas.SHAPE_YX, dtype=np.float32)
        posterior = Posterior.of(vmf(lat, lon, 60.0), cell_prior(share))
        said = painting.density(posterior, atlas.pixel_centres()[0], atlas.SHAPE_YX[1])
        mass = painting.mass(said, share, atlas.row_area_km2())
        assert mass.sum() == pytest.approx(1.0, abs=1e-12)
        for level in (0.5, 0.9):
            outline = painting.outline(said, share, mass, level)
            assert outline.geom_type == "MultiPolygon"
            assert outline.is_valid
            west, south, east, north = outline.bounds
            assert west >= -180
            assert east <= 180
            assert south >= -90
            assert north <= 90
            inside = atlas.inside(outline.buffer(-0.13))
            assert mass[inside].sum() == pytest.approx(level, abs=0.02)

    def test_a_hill_at_the_date_line_is_in_two_parts_of_even_height(self) -> None:
        share = np.ones(atlas.SHAPE_YX, dtype=np.float32)
        posterior = Posterior.of(vmf(0.0, 180.0, 60.0), cell_prior(share))
        said = painting.density(posterior, atlas.pixel_centres()[0], atlas.SHAPE_YX[1])
        np.testing.assert_allclose(said[:, 0], said[:, -1], rtol=1e-6)
        outline = painting.outline(said, share, painting.mass(said, share, atlas.row_area_km2()), 0.9)
        parts = sorted(outline.geoms, key=lambda part: part.bounds[0])
        assert len(parts) == 2
        assert parts[0].area == pytest.approx(parts[1].area, rel=0.01)
        assert (parts[0].bounds[0], parts[1].bounds[2]) == (-180.0, 180.0)

    def test_turning_the_earth_turns_the_picture(self) -> None:
        lat = atlas.pixel_centres()[0]
        first, turned = (
            painting.density(Posterior.of(vmf(35.0, lon, 80.0), EVERYWHERE), lat, 1440) for lon in (-20.0, 100.0)
        )
        np.testing.assert_allclose(np.roll(first, 480, axis=1), turned, atol=0.01)
