"""A year without a seam."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest
from scipy import special

from geomm_engine.geography import season


def test_new_year_is_one_day_away() -> None:
    last, first = datetime.date(2023, 12, 31), datetime.date(2024, 1, 1)
    days = season.difference_days(season.date_angle(last), season.date_angle(first))
    assert float(days) == pytest.approx(1.0, abs=0.01)
    assert float(season.difference_days(0.0, math.pi)) == pytest.approx(182.62, abs=0.01)


def test_leap_years_have_their_own_length() -> None:
    angle = season.date_angle(datetime.date(2024, 12, 31))
    assert angle < 2 * math.pi
    assert season.angle_day(angle, 366) == 366
    assert season.date_angle(datetime.date(2023, 7, 2)) == pytest.approx(math.pi, abs=0.01)
    for length in (365, 366):
        days = np.arange(1, length + 1)
        assert (season.angle_day(season.day_angle(days, length), length) == days).all()


def test_bessel_is_stable() -> None:
    kappa = np.array([0.0, 1e-3, 1.0, 3.7, 3.8, 50.0, 700.0, 1e5])
    assert season.log_i0(kappa) == pytest.approx(np.log(special.i0e(kappa)) + kappa, abs=5e-7)


@pytest.mark.parametrize("kappa", [0.0, 0.5, 30.0])
def test_density_sums_to_one(kappa: float) -> None:
    turn = np.arange(3600) / 3600 * 2 * math.pi
    assert np.exp(season.log_von_mises(turn, 1.0, kappa)).mean() * 2 * math.pi == pytest.approx(1.0, abs=1e-5)


def test_natural_vectors() -> None:
    mean, kappa = season.mean_and_kappa(np.array([[0.0, -2.0], [3.0, 0.0]]))
    assert mean == pytest.approx([1.5 * math.pi, 0.0])
    assert kappa == pytest.approx([2.0, 3.0])


def test_span_holds_its_share() -> None:
    assert season.credible_half_span_days(0.0, 0.5) == pytest.approx(season.DAYS / 4, rel=1e-3)
    half = season.credible_half_span_days(400.0, 0.9)
    assert half == pytest.approx(1.645 / 20 / (2 * math.pi) * season.DAYS, rel=0.01)
