"""What every drawn place is made with: colours of roofs, roads, water and fields, and lines across the sheet."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from geomm_engine.training.drawing.paper import Colour, Paper, Point, Points

Painter = Callable[[Paper, np.random.Generator], None]

ASPHALT: tuple[Colour, ...] = ((120, 118, 116), (95, 95, 97), (150, 146, 140))
ROOFS: tuple[Colour, ...] = (
    (225, 225, 228), (190, 192, 196), (150, 152, 158), (120, 150, 180), (165, 105, 90), (205, 200, 185), (90, 110, 135),
)  # fmt: skip
WATERS: tuple[Colour, ...] = ((40, 62, 78), (30, 50, 85), (62, 92, 92), (85, 105, 95), (45, 85, 105), (105, 115, 100))
GREENS: tuple[Colour, ...] = ((88, 128, 72), (70, 110, 66), (112, 140, 82), (96, 120, 84))
EARTHS: tuple[Colour, ...] = ((172, 146, 116), (150, 122, 98), (190, 168, 136), (132, 112, 96))


def one_of(random: np.random.Generator, colours: tuple[Colour, ...], spread: float = 0.15) -> Colour:
    """One of the colours, lighter or darker and a little off."""
    colour = np.array(colours[int(random.integers(len(colours)))]) * random.uniform(1 - spread, 1 + spread)
    red, green, blue = np.clip(colour * random.uniform(0.94, 1.06, 3), 0, 255)
    return float(red), float(green), float(blue)


def middle(paper: Paper, random: np.random.Generator, spread: float = 0.12) -> Point:
    """A place not far from the middle of the sheet."""
    x, y = paper.side_m * random.uniform(0.5 - spread, 0.5 + spread, 2)
    return float(x), float(y)


def curve(paper: Paper, turn: float, shift_m: float, bend: float) -> Points:
    """A smooth line across the whole sheet, ``shift_m`` beside its middle."""
    along = np.linspace(-0.8, 0.8, 60) * paper.side_m
    aside = shift_m + bend * paper.side_m * np.sin(along / paper.side_m * 2.2 + bend * 40)
    x = paper.side_m / 2 + along * math.cos(turn) - aside * math.sin(turn)
    y = paper.side_m / 2 + along * math.sin(turn) + aside * math.cos(turn)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def only(*kinds: str) -> Painter:
    """Ground alone: so that its seams and its scale tell nothing of what is drawn on it elsewhere."""

    def paint(paper: Paper, random: np.random.Generator) -> None:
        paper.pixels = paper.ground(*kinds)

    return paint
