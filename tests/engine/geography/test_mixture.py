"""The known answers D1 and D2, in float32 too, and the table of credible radii."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geomm_engine import sphere
from geomm_engine.geography.mixture import (
    Mixture,
    credible_radius_km,
    log_softmax,
    log_sum_exp,
    log_vmf,
)

D1 = {1e-3: 0.0010, 0.1: 0.0983, 1: 0.8385, 10: 2.9947, 80: 5.0672, 89: 5.1729, 100: 5.2883, 1000: 7.5009,
      8103: 8.8828, 1e5: 2.2061}  # fmt: skip
RADII = {10: (2386, 5064), 50: (1062, 2217), 100: (751, 1563), 329: (414, 860), 1096: (227, 471), 8103: (83, 173)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kappa", D1)
def test_log_density_is_the_known_answer(kappa: float, dtype: type) -> None:
    cosine = 1 - 1e-4
    point = np.array([math.sqrt(1 - cosine**2), 0.0, cosine], dtype=dtype)
    centre = np.array([0.0, 0.0, 1.0], dtype=dtype)
    found = log_vmf(point, centre, np.asarray(kappa, dtype=dtype))
    assert found.dtype == dtype
    assert float(found) + math.log(4 * math.pi) == pytest.approx(D1[kappa], abs=2e-3)
    mixture = Mixture(centre[None].astype(float), np.array([kappa]), np.zeros(1))
    assert float(mixture.log_density(point[None])[0]) + math.log(4 * math.pi) == pytest.approx(D1[kappa], abs=2e-3)


def test_float32_is_finite_at_both_ends() -> None:
    centre = np.array([0, 0, 1], np.float32)
    for kappa in (1e-3, 1e6):
        for point in (centre, -centre):
            assert np.isfinite(log_vmf(point, centre, np.float32(kappa)))


def test_density_sums_to_one() -> None:
    grid = sphere.EqualAreaGrid.with_spacing(60.0)
    centres = sphere.unit_vectors([10.0, -89.0, 40.0], [180.0, 0.0, -100.0])
    mixture = Mixture(centres, np.array([50.0, 120.0, 0.01]), log_softmax(np.array([0.0, 1.0, -0.5])))
    log_density = mixture.log_density(grid.centres())
    assert np.exp(log_density).sum() * grid.cell_area_sr == pytest.approx(1.0, abs=1e-3)


def test_many_mixtures_at_once_are_each_of_them() -> None:
    random = np.random.default_rng(2)
    weights = log_softmax(random.normal(0, 30, (3, 40)))
    centres, kappa = sphere.random_points(40, random), np.exp(random.uniform(-5, 10, 40))
    points = sphere.random_points(5000, random)
    together = Mixture(centres, kappa, weights).log_density(points)
    for row in range(3):
        exact = log_sum_exp(weights[row] + log_vmf(points[:50, None], centres, kappa))
        assert Mixture(centres, kappa, weights[row]).log_density(points) == pytest.approx(together[row])
        near = exact > -600
        assert together[row, :50][near] == pytest.approx(exact[near], abs=1e-6)


@pytest.mark.parametrize("kappa", RADII)
def test_credible_radii_are_the_table(kappa: float) -> None:
    assert credible_radius_km(kappa, [0.5, 0.95]) == pytest.approx(RADII[kappa], abs=1)


def test_the_radius_holds_its_share() -> None:
    points = sphere.random_points(400_000, np.random.default_rng(5))
    weight = np.exp(30.0 * (points[:, 2] - 1))
    inside = sphere.distance_km(points, np.array([0, 0, 1.0])) < credible_radius_km(30.0, 0.9)
    assert weight[inside].sum() / weight.sum() == pytest.approx(0.9, abs=0.01)


def test_temper() -> None:
    mixture = Mixture(np.eye(3), np.full(3, 1e4), log_softmax(np.array([3.0, 0.0, 0.0])))
    assert np.exp(mixture.tempered(1e9).log_weights) == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert np.exp(mixture.tempered(0.1).log_weights)[0] == pytest.approx(1.0)
