"""The Köppen–Geiger climates: 30 classes and the sea, their names, colours and coarse groups. Reads no file.

Numbers, order and colours are those of the usual maps (Beck et al.): 1 is Af, 30 is EF, and 0, here, the sea.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geomm_engine.geography.mixture import log_sum_exp

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Climate:
    """``color`` is "#rrggbb"; ``group`` is the place of the coarse group in :data:`GROUPS`."""

    code: str
    name: str
    color: str
    group: int


@dataclass(frozen=True)
class ClimateGroup:
    code: str
    name: str
    color: str


GROUPS = (
    ClimateGroup("sea", "Sea", "#d6e6f2"),
    ClimateGroup("A", "Tropical", "#0078ff"),
    ClimateGroup("B", "Arid", "#f5a500"),
    ClimateGroup("C", "Temperate", "#64c864"),
    ClimateGroup("D", "Cold", "#37c8ff"),
    ClimateGroup("E", "Polar", "#8c8c8c"),
)

CLIMATES = (
    Climate("sea", "Sea", "#d6e6f2", 0),
    Climate("Af", "Tropical, rainforest", "#0000ff", 1),
    Climate("Am", "Tropical, monsoon", "#0078ff", 1),
    Climate("Aw", "Tropical, savannah", "#46aafa", 1),
    Climate("BWh", "Arid, desert, hot", "#ff0000", 2),
    Climate("BWk", "Arid, desert, cold", "#ff9696", 2),
    Climate("BSh", "Arid, steppe, hot", "#f5a500", 2),
    Climate("BSk", "Arid, steppe, cold", "#ffdc64", 2),
    Climate("Csa", "Temperate, dry summer, hot summer", "#ffff00", 3),
    Climate("Csb", "Temperate, dry summer, warm summer", "#c8c800", 3),
    Climate("Csc", "Temperate, dry summer, cold summer", "#969600", 3),
    Climate("Cwa", "Temperate, dry winter, hot summer", "#96ff96", 3),
    Climate("Cwb", "Temperate, dry winter, warm summer", "#64c864", 3),
    Climate("Cwc", "Temperate, dry winter, cold summer", "#329632", 3),
    Climate("Cfa", "Temperate, no dry season, hot summer", "#c8ff50", 3),
    Climate("Cfb", "Temperate, no dry season, warm summer", "#64ff50", 3),
    Climate("Cfc", "Temperate, no dry season, cold summer", "#32c800", 3),
    Climate("Dsa", "Cold, dry summer, hot summer", "#ff00ff", 4),
    Climate("Dsb", "Cold, dry summer, warm summer", "#c800c8", 4),
    Climate("Dsc", "Cold, dry summer, cold summer", "#963296", 4),
    Climate("Dsd", "Cold, dry summer, very cold winter", "#966496", 4),
    Climate("Dwa", "Cold, dry winter, hot summer", "#aaafff", 4),
    Climate("Dwb", "Cold, dry winter, warm summer", "#5a78dc", 4),
    Climate("Dwc", "Cold, dry winter, cold summer", "#4b50b4", 4),
    Climate("Dwd", "Cold, dry winter, very cold winter", "#320087", 4),
    Climate("Dfa", "Cold, no dry season, hot summer", "#00ffff", 4),
    Climate("Dfb", "Cold, no dry season, warm summer", "#37c8ff", 4),
    Climate("Dfc", "Cold, no dry season, cold summer", "#007d7d", 4),
    Climate("Dfd", "Cold, no dry season, very cold winter", "#00465f", 4),
    Climate("ET", "Polar, tundra", "#b2b2b2", 5),
    Climate("EF", "Polar, frost", "#666666", 5),
)
SEA = 0
CODES = tuple(item.code for item in CLIMATES)
GROUP_OF = np.array([item.group for item in CLIMATES])
# Some maps tell "As" (savannah, dry summer) and call the sea "Ocean".
_OTHER_CODES = {"As": "Aw", "Ocean": "sea", "water": "sea"}


def climate_number(code: str) -> int:
    """The number of a climate by its letters.

    Raises:
        KeyError: no climate has these letters.
    """
    code = _OTHER_CODES.get(code, code)
    if code not in CODES:
        raise KeyError(code)
    return CODES.index(code)


def coarse(log_p: NDArray[np.floating]) -> Values:
    """(…, 31) log probabilities → (…, 6) of the groups: the log-sum-exp of their members (F10)."""
    return np.stack([log_sum_exp(log_p[..., group == GROUP_OF]) for group in range(len(GROUPS))], axis=-1)


def shares(numbers: NDArray[np.integer]) -> Values:
    """(…, m) class numbers of the places in a patch → (…, 31) how much of the patch each class covers."""
    found = np.stack([np.mean(numbers == number, axis=-1) for number in range(len(CLIMATES))], axis=-1)
    return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True)
class GlobalRaster:
    """Values on an equirectangular grid of the whole Earth, north-west corner first: climates, or land and sea."""

    values: NDArray[np.generic]

    def at(self, lat: ArrayLike, lon: ArrayLike) -> NDArray[np.generic]:
        """The values at these places (degrees); longitudes may run on beyond 180°."""
        height, width = self.values.shape[:2]
        row = np.clip(np.floor((90.0 - np.asarray(lat, np.float64)) / 180.0 * height), 0, height - 1).astype(np.int64)
        column = np.floor((np.asarray(lon, np.float64) + 180.0) / 360.0 * width).astype(np.int64) % width
        return self.values[row, column]
