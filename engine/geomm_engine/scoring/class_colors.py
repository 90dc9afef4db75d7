"""Colours of classes: what everybody expects of a map, else the next free one of a palette for all eyes."""

from __future__ import annotations

import colorsys
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from geomm_engine.contract import ClassEntry

PALETTE = (
    "#117733", "#332288", "#ddcc77", "#cc6677", "#88ccee", "#999933", "#882255", "#44aa99", "#aa4499", "#e69f00", "#661100",
)  # fmt: skip
"""Distinguishable for colour-blind people as well (after Paul Tol's "muted" scheme, and Okabe and Ito)."""

_USUAL = {
    "#1b7837": "forest forests wood woods woodland trees tree",
    "#2b7bba": "water lake lakes river rivers sea ocean reservoir pond",
    "#e6b93c": "crop crops cropland farmland field fields agriculture agricultural arable farm",
    "#c0392b": "town city urban built-up houses residential settlement village",
    "#a6d96a": "grass grassland meadow meadows pasture pastures lawn",
    "#8e6bb0": "industry industrial factory factories warehouse warehouses",
    "#8c6d46": "bare soil rock rocks quarry",
    "#e8d8a8": "sand beach desert dunes",
    "#6f6f6f": "road roads highway motorway parking runway railway",
    "#b7a04b": "shrubland shrubs scrub heath bush",
    "#d98c2b": "orchard orchards vineyard vineyards plantation",
    "#4aa6a0": "wetland wetlands marsh swamp bog mangroves",
    "#eef5fb": "snow ice glacier",
    "#dcdcdc": "cloud clouds",
}
_USUAL_OF_WORD = {word: color for color, words in _USUAL.items() for word in words.split()}


def with_colors(entries: Iterable[ClassEntry]) -> tuple[ClassEntry, ...]:
    """The same classes, each with a colour; those that were chosen stay, those that are added differ from all others."""
    entries = tuple(entries)
    used = {entry.color.lower() for entry in entries if entry.color}
    colored = []
    for entry in entries:
        if not entry.color:
            color = next(choice for choice in _choices(entry.name) if choice not in used)
            used.add(color)
            entry = replace(entry, color=color)  # noqa: PLW2901  # the row with its colour is the row
        colored.append(entry)
    return tuple(colored)


def _choices(name: str) -> Iterator[str]:
    """Usual colours of the name's words, the last first ("pine forest"), then the palette, then hues without end."""
    words = re.findall(r"[\w-]+", name.lower())
    yield from (_USUAL_OF_WORD[word] for word in reversed(words) if word in _USUAL_OF_WORD)
    yield from PALETTE
    for place in itertools.count():
        red, green, blue = colorsys.hls_to_rgb(place * 0.618034 % 1, (0.35, 0.55, 0.75)[place % 3], 0.55)
        yield f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
