"""The prior of a place: λ = 0 changes no bit, nodata changes nothing, and only a large λ lets the place win."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.scoring.location_prior import PriorTable, mean_known, with_prior
from geomm_engine.scoring.prompts import Prompt

RANDOM = np.random.default_rng(3)
SHARES = RANDOM.dirichlet(np.ones(4), 50).astype(np.float32)
PRIOR = RANDOM.dirichlet(np.full(4, 0.3), 50).astype(np.float32)


def prompt(name: str, *, is_negative: bool = False) -> Prompt:
    return Prompt(name, is_negative, np.ones((1, 3), np.float32))


def test_strength_zero_gives_back_what_came_in() -> None:
    assert with_prior(SHARES, PRIOR, 0.0).tobytes() == SHARES.tobytes()
    assert with_prior(SHARES, np.full_like(PRIOR, np.nan), 0.0).tobytes() == SHARES.tobytes()


def test_strength_one_is_bayes() -> None:
    prior = 0.98 * PRIOR.astype(np.float64) + 0.02 / 4
    wanted = SHARES * prior
    np.testing.assert_allclose(with_prior(SHARES, PRIOR, 1.0), wanted / wanted.sum(axis=1, keepdims=True), atol=1e-6)


def test_what_is_not_known_and_what_is_even_change_nothing() -> None:
    prior = PRIOR.copy()
    prior[::2] = np.nan
    found = with_prior(SHARES, prior, 1.0)
    assert found[::2].tobytes() == SHARES[::2].tobytes()
    assert np.abs(found[1::2] - SHARES[1::2]).max() > 0.1
    np.testing.assert_allclose(with_prior(SHARES, np.full_like(PRIOR, 0.25), 3.0), SHARES, atol=1e-6)
    assert with_prior(SHARES, np.full_like(PRIOR, np.nan), 5.0).tobytes() == SHARES.tobytes()


def test_the_place_wins_only_with_a_large_strength() -> None:
    shares = np.array([[0.9, 0.1]], np.float32)
    prior = np.array([[0.3, 0.7]], np.float32)
    winners = [int(with_prior(shares, prior, strength).argmax()) for strength in (0.0, 0.5, 1.0, 2.0, 5.0, 20.0)]
    assert winners == [0, 0, 0, 0, 1, 1]
    rising = [float(with_prior(shares, prior, strength)[0, 1]) for strength in np.linspace(0, 10, 21)]
    assert rising == sorted(rising)
    assert rising[-1] > 0.99


def test_no_class_is_forbidden_and_rows_sum_to_one() -> None:
    shares, prior = np.array([[1.0, 0.0], [0.5, 0.5]], np.float32), np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    found = with_prior(shares, prior, 1.0)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)
    assert found[0, 0] > 0.999
    assert found[1, 0] == pytest.approx(0.01, abs=1e-3)


def test_a_table_knows_its_categories() -> None:
    rows = {10.0: {"forest": 3.0, "water": 1.0}, 20.0: {"water": 1.0, "town": 1.0}, 30.0: {"forest": 0.0, "water": 0.0}}
    prompts = [prompt("Forest"), prompt("water"), prompt("snow"), prompt("cloud", is_negative=True)]
    table = PriorTable.of(rows, prompts)
    assert table.values.tolist() == [10.0, 20.0]
    found = table.at(np.array([[20.0, 10.0], [30.0, np.nan]]))
    np.testing.assert_allclose(found[0, 1], np.array([3, 1, 2, 2]) / 8)  # without a weight: the mean of the row's
    np.testing.assert_allclose(found[0, 0], 0.25)
    assert np.isnan(found[1]).all()
    assert PriorTable.of(rows, [prompt("desert")]).at(np.array([10.0])).tolist() != [[1.0]]


def test_a_mean_takes_what_is_known() -> None:
    priors = np.array([[[1.0, 0.0], [0.0, 1.0], [np.nan, np.nan]], [[np.nan, np.nan]] * 3], np.float32)
    found = mean_known(priors, (1,))
    np.testing.assert_allclose(found[0], [0.5, 0.5])
    assert np.isnan(found[1]).all()
