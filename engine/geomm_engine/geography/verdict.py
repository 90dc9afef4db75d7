"""What an answer says of a layer's own coordinates and date, in words. Reads no file, draws nothing."""

from __future__ import annotations

import calendar
import datetime
import math

import numpy as np

from geomm_engine.contract import DateCheck, PlaceCheck, Season, Verdict
from geomm_engine.geography.posterior import Posterior
from geomm_engine.geography.season import (
    DAYS,
    angle_day,
    credible_half_span_days,
    date_angle,
    difference_days,
    mean_and_kappa,
)
from geomm_engine.sphere import Values, distance_km, unit_vectors

SURE, LIKELY, EVEN = 0.99, 0.9, 0.5
_SEASONLESS_DAYS = 155.0
"""A span of nine tenths that reaches this far to either side is next to the whole year."""
_PARTS = ("early", "mid", "late")


def verdict_of(level: float) -> Verdict:
    """From the smallest credible region that holds what was claimed."""
    if level <= EVEN:
        return Verdict.AGREES
    if level <= LIKELY:
        return Verdict.POSSIBLE
    return Verdict.DOUBTFUL if level <= SURE else Verdict.DISAGREES


def check_place(
    posterior: Posterior, own: tuple[float, float], best: tuple[float, float], *, is_lost: bool
) -> PlaceCheck:
    """Hold a layer's own latitude and longitude against the answer; ``is_lost`` says that the imagery cannot be placed."""
    away = float(distance_km(unit_vectors(*own), unit_vectors(*best)))
    if is_lost:
        text = "The imagery cannot be placed, so nothing can be said of its coordinates."
        return PlaceCheck(*own, away, 1.0, Verdict.UNKNOWN, text)
    level = posterior.level_at(*own)
    verdict = verdict_of(level)
    far = f"{_rounded(away):,} km"
    text = {
        Verdict.AGREES: f"The imagery fits its coordinates: they lie in the 50 % region, {far} from the best point.",
        Verdict.POSSIBLE: f"The imagery goes with its coordinates: they lie in the 90 % region, {far} from the best point.",
        Verdict.DOUBTFUL: f"The imagery hardly fits its coordinates: they lie outside the 90 % region, {far} from the best "
        "point.",
        Verdict.DISAGREES: f"The imagery disagrees with its coordinates by about {far}: they lie outside the 99 % region.",
    }[verdict]
    hint = _hint(posterior, own) if verdict in (Verdict.DOUBTFUL, Verdict.DISAGREES) else ""
    return PlaceCheck(*own, away, level, verdict, f"{text} {hint}".strip(), hint)


def _rounded(value: float) -> int:
    """Two digits: more would feign knowledge."""
    if value < 10:
        return round(value)
    step = 10 ** (math.floor(math.log10(value)) - 1)
    return int(round(value / step) * step)


def _hint(posterior: Posterior, own: tuple[float, float]) -> str:
    """A simple mistake that would put the layer into the 90 % region."""
    lat, lon = own
    mistakes = {
        "north and south": (-lat, lon),
        "east and west": (lat, -lon),
        "both the hemispheres (north and south, east and west)": (-lat, -lon),
    }
    if abs(lon) <= 90:
        mistakes["latitude and longitude"] = (lon, lat)
    levels = {name: posterior.level_at(*place) for name, place in mistakes.items()}
    name = min(levels, key=lambda key: levels[key])
    if levels[name] > LIKELY:
        return ""
    lat, lon = mistakes[name]
    return f"It would fit if {name} were swapped ({place_text(lat, lon)})."


def place_text(lat: float, lon: float) -> str:
    """12.3° N, 45.6° W."""
    return f"{abs(lat):.1f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.1f}° {'E' if lon >= 0 else 'W'}"


def season_of(vector: Values) -> Season:
    """The season of a natural vector κ (cos μ, sin μ)."""
    mean, kappa = (float(item) for item in mean_and_kappa(vector))
    day = int(angle_day(mean))
    spans = [credible_half_span_days(kappa, share) for share in (EVEN, LIKELY)]
    return Season(day, day_text(day), spans[0], spans[1])


def day_text(day: int) -> str:
    """A day of a common year as "mid July"."""
    date = datetime.date(2001, 1, 1) + datetime.timedelta(days=day - 1)
    return f"{_PARTS[min((date.day - 1) // 10, 2)]} {calendar.month_name[date.month]}"


def check_date(vector: Values, date: datetime.date) -> DateCheck:
    """Hold a date against the season that is seen."""
    mean, kappa = (float(item) for item in mean_and_kappa(vector))
    season, own = season_of(vector), date_angle(date)
    away = float(difference_days(own, mean))
    level = _share_within(kappa, away)
    said = f"{date.day} {calendar.month_name[date.month]}"
    if season.half_span_90_days > _SEASONLESS_DAYS:
        text = "The imagery does not show the time of the year, so nothing can be said of its date."
        return DateCheck(date.isoformat(), away, level, Verdict.UNKNOWN, text)
    verdict = verdict_of(level)
    words = {
        Verdict.AGREES: "fits the season that is seen",
        Verdict.POSSIBLE: "goes with the season that is seen",
        Verdict.DOUBTFUL: "hardly fits the season that is seen",
        Verdict.DISAGREES: "disagrees with the season that is seen",
    }[verdict]
    text = f"The date ({said}) {words} ({season.text}): {away:.0f} days apart."
    return DateCheck(date.isoformat(), away, level, verdict, text)


def _share_within(kappa: float, days: float) -> float:
    """How much of a von Mises lies nearer to its mean than this."""
    turn = np.linspace(0.0, math.pi, 2001)
    density = np.exp(kappa * (np.cos(turn) - 1.0))
    held = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return float(np.interp(days / DAYS * 2.0 * math.pi, turn, held / held[-1]))
