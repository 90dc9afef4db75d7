"""What is said of a layer's own coordinates and date."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from geomm_engine.contract import Verdict
from geomm_engine.geography.mixture import Mixture
from geomm_engine.geography.posterior import Posterior, world_grid, world_points
from geomm_engine.geography.season import date_angle
from geomm_engine.geography.verdict import check_date, check_place, day_text, place_text, season_of
from geomm_engine.sphere import destination, unit_vectors

BEST = (-30.0, 25.0)


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    mixture = Mixture(unit_vectors(*BEST)[None], np.array([300.0]), np.zeros(1))
    return Posterior.of(mixture.log_density(world_points()), np.ones(len(world_grid())))


@pytest.mark.parametrize(
    ("away_km", "verdict"),
    [(50, Verdict.AGREES), (650, Verdict.POSSIBLE), (1000, Verdict.DOUBTFUL), (1600, Verdict.DISAGREES)],
)
def test_distance_decides(posterior: Posterior, away_km: float, verdict: Verdict) -> None:
    own = tuple(float(value) for value in destination(*BEST, away_km, 0.0))
    check = check_place(posterior, own, BEST, is_lost=False)
    assert check.verdict is verdict
    assert check.distance_km == pytest.approx(away_km, rel=1e-6)
    assert check.hint == ""


def test_a_disagreement_is_said_in_round_numbers(posterior: Posterior) -> None:
    check = check_place(posterior, (10.0, 30.0), BEST, is_lost=False)
    assert (
        check.text == "The imagery disagrees with its coordinates by about 4,500 km: they lie outside the 99 % region."
    )


@pytest.mark.parametrize(
    ("own", "what"),
    [((30.0, 25.0), "north and south"), ((-30.0, -25.0), "east and west"), ((30.0, -25.0), "both the hemispheres"),
     ((25.0, -30.0), "latitude and longitude")],
)  # fmt: skip
def test_a_simple_mistake_is_named(posterior: Posterior, own: tuple[float, float], what: str) -> None:
    check = check_place(posterior, own, BEST, is_lost=False)
    assert check.verdict is Verdict.DISAGREES
    assert what in check.hint
    assert "30.0° S, 25.0° E" in check.text


def test_of_what_cannot_be_placed_nothing_is_said(posterior: Posterior) -> None:
    check = check_place(posterior, (10.0, 30.0), BEST, is_lost=True)
    assert check.verdict is Verdict.UNKNOWN
    assert "cannot be placed" in check.text


def test_a_season_is_a_day_with_its_spans() -> None:
    angle = date_angle(datetime.date(2003, 12, 31))
    season = season_of(4.0 * np.array([np.cos(angle), np.sin(angle)]))
    assert season.day == 365
    assert season.text == "late December"
    assert season.half_span_50_days < season.half_span_90_days < 183


@pytest.mark.parametrize(
    ("date", "verdict"),
    [("2003-01-10", Verdict.AGREES), ("2003-01-25", Verdict.POSSIBLE), ("2004-07-01", Verdict.DISAGREES)],
)
def test_dates_near_the_turn_of_the_year(date: str, verdict: Verdict) -> None:
    angle = date_angle(datetime.date(2003, 12, 31))
    check = check_date(8.0 * np.array([np.cos(angle), np.sin(angle)]), datetime.date.fromisoformat(date))
    assert check.verdict is verdict
    assert check.difference_days <= 183


def test_without_a_season_nothing_is_said_of_the_date() -> None:
    assert check_date(np.array([0.02, 0.0]), datetime.date(2004, 7, 1)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("day", "text"), [(1, "early January"), (196, "mid July"), (365, "late December")])
def test_words_for_a_day(day: int, text: str) -> None:
    assert day_text(day) == text


def test_words_for_a_place() -> None:
    assert place_text(-12.34, 5.0) == "12.3° S, 5.0° E"
