"""The day of the year on a circle: angles, the von Mises distribution, credible spans. December 31 is next to January 1.

A season is a natural vector η = κ (cos μ, sin μ): vectors of independent looks at one date simply add.
"""

from __future__ import annotations

import calendar
import datetime
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
DAYS = 365.2425


def day_angle(day: ArrayLike, days_in_year: ArrayLike = 365) -> Values:
    """Day of the year (1 is January 1) → radians 0–2π at the day's noon; give 366 for a leap year."""
    return np.asarray(2.0 * math.pi * (np.asarray(day, np.float64) - 0.5) / np.asarray(days_in_year, np.float64))


def date_angle(date: datetime.date) -> float:
    """The angle of a date, with the length of its own year."""
    return float(day_angle(date.timetuple().tm_yday, 366 if calendar.isleap(date.year) else 365))


def angle_day(angle: ArrayLike, days_in_year: int = 365) -> NDArray[np.int64]:
    """Radians → day of the year, 1…days_in_year."""
    turn = np.asarray(angle, np.float64) / (2.0 * math.pi) % 1.0
    return np.asarray(np.minimum(np.floor(turn * days_in_year), days_in_year - 1) + 1, dtype=np.int64)


def difference_days(first: ArrayLike, second: ArrayLike) -> Values:
    """Days between two angles the shorter way round, 0 to 182.6."""
    turn = np.abs(np.angle(np.exp(1j * (np.asarray(first, np.float64) - np.asarray(second, np.float64)))))
    return np.asarray(turn / (2.0 * math.pi) * DAYS)


def log_i0(kappa: ArrayLike) -> Values:
    """log of the modified Bessel function I₀, for κ from 0 to 1e300 (Abramowitz and Stegun 9.8.1, 9.8.2; within 2e-7)."""
    k = np.abs(np.asarray(kappa, np.float64))
    small = (np.minimum(k, 3.75) / 3.75) ** 2
    low = np.polyval([0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0], small)
    large = 3.75 / np.maximum(k, 3.75)
    high = np.polyval(
        [0.00392377, -0.01647633, 0.02635537, -0.02057706, 0.00916281, -0.00157565, 0.00225319, 0.01328592, 0.39894228],
        large,
    )
    return np.where(k < 3.75, np.log(low), k + np.log(high) - 0.5 * np.log(np.maximum(k, 3.75)))


def log_von_mises(angle: ArrayLike, mean: ArrayLike, kappa: ArrayLike) -> Values:
    """Log density per radian."""
    k = np.asarray(kappa, np.float64)
    turn = np.asarray(angle, np.float64) - np.asarray(mean, np.float64)
    return np.asarray(k * np.cos(turn) - math.log(2.0 * math.pi) - log_i0(k))


def mean_and_kappa(vector: NDArray[np.floating]) -> tuple[Values, Values]:
    """Natural vectors (…, 2) → mean angle 0–2π and κ."""
    x, y = np.moveaxis(np.asarray(vector, np.float64), -1, 0)
    return np.arctan2(y, x) % (2.0 * math.pi), np.hypot(x, y)


def credible_half_span_days(kappa: float, share: float) -> float:
    """Half the width, in days, of the span round the mean that holds this share of a von Mises; 182.6 at κ = 0 is all."""
    turn = np.linspace(0.0, math.pi, 20001)
    density = np.exp(kappa * (np.cos(turn) - 1.0))
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return float(np.interp(share, mass / mass[-1], turn) / (2.0 * math.pi) * DAYS)
