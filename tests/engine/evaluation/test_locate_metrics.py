"""Scores of places against answers that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine import sphere
from geomm_engine.evaluation import locate_metrics as metrics

CELLS = sphere.unit_vectors([0.0, 0.0, 0.0, 0.0], [0.0, 10.0, 20.0, 180.0])


def test_best_point_is_the_median_of_the_mass_not_its_peak() -> None:
    log_mass = np.log(np.array([[0.3, 0.29, 0.01, 0.4], [0.97, 0.01, 0.01, 0.01]]))
    found = metrics.best_points(log_mass, CELLS)
    assert sphere.distance_km(found[0], CELLS[1]) < 1
    assert sphere.distance_km(found[1], CELLS[0]) < 1


def test_recall_by_area_by_hand() -> None:
    assert metrics.recall_by_area(np.array([0.25, 0.5, 1.0]), np.array([0.25, 0.5, 1.0])) == pytest.approx(
        [1 / 3, 2 / 3, 1.0]
    )


def mass_above(mass: metrics.Values, truth: np.ndarray) -> metrics.Values:
    """(n,): mass of the cells that are more likely than the true one, with half of its own: below p ⇔ in the p region."""
    own = np.take_along_axis(mass, truth[:, None], axis=1)
    return (mass * (mass > own)).sum(axis=1) + 0.5 * own[:, 0]


def test_a_calibrated_posterior_fills_its_regions() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(0, 1, (4000, 400))
    mass = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([random.choice(400, p=row) for row in mass])
    above = mass_above(mass, truth)
    scores = metrics.place_scores(random.uniform(0, 3000, 4000), np.arange(4000) % 40, above)
    assert scores["in the 50% region"].value == pytest.approx(0.5, abs=0.03)
    assert scores["in the 90% region"].value == pytest.approx(0.9, abs=0.02)
    assert scores["in the 90% region"].low < 0.9 < scores["in the 90% region"].high


def test_scores_by_hand() -> None:
    distance = np.array([10.0, 100.0, 700.0, 1900.0, 9000.0])
    scores = metrics.place_scores(distance, np.arange(5))
    assert scores["median error (km)"].value == 700
    shares = [scores[f"within {limit:.0f} km"].value for limit in (25, 200, 750, 2000, 2500)]
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])
    assert metrics.climate_scores(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0]), np.arange(4)).value == 0.5
    assert metrics.season_scores(np.array([1.0, 5.0, 90.0]), np.arange(3)).value == 5


def test_whole_blocks_are_drawn() -> None:
    values = np.repeat([0.0, 1.0], 500)
    blocks = np.repeat([3, 8], 500)
    narrow = metrics.bootstrap_by_block(np.arange(1000), lambda rows: float(values[rows].mean()))
    wide = metrics.bootstrap_by_block(blocks, lambda rows: float(values[rows].mean()))
    assert wide.high - wide.low > 10 * (narrow.high - narrow.low)
    single = metrics.bootstrap_by_block(np.zeros(10, np.int64), lambda rows: 1.0)
    assert single.value == 1.0
    assert np.isnan(single.low)
