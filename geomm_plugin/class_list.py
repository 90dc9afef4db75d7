"""Class lists as text: what people paste, what Processing takes. Knows the grammar, no widget.

``forest: woodland|trees, water, town, !cloud`` – commas, semicolons or new lines between classes, other words for the same
class after a colon, "!" before what must never be in the map.
"""

from __future__ import annotations

import re
from typing import Iterable, List, Tuple

from .client.contract import ClassEntry

# Distinguishable for colour-blind people as well (after Okabe and Ito, and Paul Tol's "light" scheme).
PALETTE = (
    "#117733",
    "#332288",
    "#ddcc77",
    "#cc6677",
    "#88ccee",
    "#999933",
    "#882255",
    "#44aa99",
    "#aa4499",
    "#e69f00",
    "#661100",
    "#bbbbbb",
)
DISTINCT = 130.0
# What everybody expects of a map.
_USUAL = {
    "#1b7837": ("forest", "wood", "woodland", "trees", "wald"),
    "#2b7bba": ("water", "lake", "river", "sea", "ocean", "reservoir"),
    "#e6b93c": ("crops", "cropland", "farmland", "annual crop", "field", "fields", "agriculture"),
    "#c0392b": ("town", "city", "urban", "built-up", "houses", "residential", "buildings"),
    "#a6d96a": ("grass", "grassland", "meadow", "pasture"),
    "#8c6d46": ("bare", "bare soil", "bare ground", "soil", "rock"),
    "#e8d8a8": ("sand", "beach", "desert"),
    "#6f6f6f": ("road", "highway", "parking lot", "industry", "industrial"),
    "#f4f9ff": ("snow", "ice", "glacier"),
    "#dcdcdc": ("cloud", "clouds"),
}


def parse_class_list(text: str) -> Tuple[ClassEntry, ...]:
    """The classes of a typed or pasted list; repeated names are taken once."""
    entries: List[ClassEntry] = []
    seen = set()
    for part in re.split(r"[,;\n\t]+", text):
        head, _, tail = part.partition(":")
        name = head.strip().strip('"“”').strip()
        is_negative = name.startswith("!")
        name = name.lstrip("!").strip()
        if not name or name.lower() in seen:
            continue
        seen.add(name.lower())
        entries.append(ClassEntry(name, split_words(tail, "|"), "", is_negative))
    return tuple(entries)


def split_words(text: str, separators: str = ",;|") -> Tuple[str, ...]:
    """The words of a field "Also called"."""
    return tuple(word.strip() for word in re.split(f"[{re.escape(separators)}]+", text) if word.strip())


def colored(entries: Iterable[ClassEntry], taken: Iterable[str] = ()) -> Tuple[ClassEntry, ...]:
    """The same classes, each with a colour: the usual one for its name, else the next one that is free."""
    used = {color.lower() for color in taken}
    found = []
    for entry in entries:
        color = entry.color or _usual_color(entry.name)
        if not color or (not entry.color and color in used):
            color = free_color(used)
        used.add(color.lower())
        found.append(ClassEntry(entry.name, entry.synonyms, color, entry.is_negative))
    return tuple(found)


def free_color(used: Iterable[str]) -> str:
    """The palette's first colour that nobody takes for one of ``used``; when all are taken, the one least like them."""
    taken = [_rgb(color) for color in used]
    distances = [min((_distance(_rgb(item), other) for other in taken), default=1e9) for item in PALETTE]
    place = next((place for place, far in enumerate(distances) if far >= DISTINCT), distances.index(max(distances)))
    return PALETTE[place]


def _rgb(color: str) -> Tuple[int, int, int]:
    number = int(color.lstrip("#"), 16)
    return number >> 16, (number >> 8) & 255, number & 255


def _distance(one: Tuple[int, int, int], other: Tuple[int, int, int]) -> float:
    """How different two colours look: the "redmean" approximation (Riemersma)."""
    red = (one[0] + other[0]) / 2
    squares = [(one[place] - other[place]) ** 2 for place in range(3)]
    return ((2 + red / 256) * squares[0] + 4 * squares[1] + (2 + (255 - red) / 256) * squares[2]) ** 0.5


def _usual_color(name: str) -> str:
    return next((color for color, names in _USUAL.items() if name.lower() in names), "")
