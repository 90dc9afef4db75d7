"""Landscapes of about a kilometre, as from orbit: fields in circles, islands, ice, hills. Pictures of some metres."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from geomm_engine.training.drawing.paper import Paper, moved
from geomm_engine.training.drawing.strokes import EARTHS, GREENS, WATERS, Painter, curve, one_of, only

_FAR_LAND = ("pasture", "forest", "crops", "herbs")


def _field_texture(paper: Paper, random: np.random.Generator, turn: float) -> NDArray[np.float32]:
    """Bare, green or ripe, with rows that can just be seen."""
    colour = one_of(random, (*GREENS, *EARTHS, (60, 95, 58), (200, 185, 140), (120, 130, 90)), 0.2)
    texture = paper.plain(colour, grain=random.uniform(0.02, 0.1))
    if random.random() < 0.6:
        count = texture.shape[0]
        row, column = np.mgrid[:count, :count]
        wave = np.sin((row * math.cos(turn) + column * math.sin(turn)) * random.uniform(0.25, 1.2))
        texture = texture * (1 + random.uniform(0.01, 0.07) * wave[:, :, None]).astype(np.float32)
    return texture


def _through_air(paper: Paper, random: np.random.Generator) -> None:
    """Half of the pictures as they look from orbit: darker, flatter, and bluer for the light of the air."""
    if random.random() < 0.5:
        air = np.array([34.0, 47.0, 72.0], np.float32) * np.float32(random.uniform(0.8, 1.1))
        paper.pixels = air + paper.pixels * np.float32(random.uniform(0.3, 0.65))


def _circular_farmland(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = (
        paper.ground("herbs", "crops", "desert", "pasture")
        if random.random() < 0.5
        else paper.plain(one_of(random, EARTHS), grain=0.08)
    )
    radius = paper.side_m * random.choice([random.uniform(0.1, 0.2), random.uniform(0.2, 0.48)])
    start_x, start_y = random.uniform(0, 2 * radius, 2)
    turn = random.uniform(0, math.pi)
    for y in np.arange(start_y - radius, paper.side_m + radius, 2 * radius * random.uniform(1.0, 1.06)):
        for x in np.arange(start_x - radius, paper.side_m + radius, 2 * radius * random.uniform(1.0, 1.06)):
            if random.random() < 0.15:
                continue
            place = (float(x), float(y))
            circle = paper.disc(place, radius * random.uniform(0.93, 0.99))
            paper.put(circle, _field_texture(paper, random, turn))
            if random.random() < 0.5:
                first, second = random.uniform(0, 2 * math.pi), random.uniform(0.4, 2.8)
                rim = [moved(place, first + part * second, 1.6 * radius) for part in np.linspace(0, 1, 12)]
                paper.put(circle * paper.polygon([place, *rim]), _field_texture(paper, random, turn))
            for ring in np.arange(0.2, 1.0, random.uniform(0.1, 0.4)):
                edge = paper.ring(place, radius * ring, 0.006 * paper.side_m)
                paper.pixels *= 1 - 0.1 * (edge * circle)[:, :, None]
    _through_air(paper, random)


def _rectangular_farmland(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.plain(one_of(random, EARTHS + GREENS), grain=0.05)
    turn = random.choice([random.uniform(-0.1, 0.1), random.uniform(0, math.pi)])
    least, most = sorted(random.uniform(0.05, 0.4, 2) * paper.side_m)
    at = -0.75 * paper.side_m
    while at < 0.75 * paper.side_m:
        deep, along = random.uniform(least, most + 10), -0.75 * paper.side_m
        while along < 0.75 * paper.side_m:
            long = random.uniform(least, random.choice([2, 2, 6]) * most + 10)
            place = moved(paper.middle, turn, along + long / 2, at + deep / 2)
            hedge = random.uniform(0.003, 0.012) * paper.side_m
            paper.put(
                paper.rectangle(place, long - hedge, deep - hedge, turn),
                _field_texture(paper, random, turn + random.choice([0, math.pi / 2])),
            )
            along += long
        at += deep
    _through_air(paper, random)


def _blob(paper: Paper, random: np.random.Generator, share: float) -> NDArray[np.float64]:
    """A field that is positive on about this share of the sheet, in one piece around its middle, with a ragged edge."""
    count = paper.pixels.shape[0]
    row, column = np.mgrid[:count, :count] / count - 0.5
    x, y = random.uniform(-0.1, 0.1, 2)
    stretch, turn = random.uniform(1.0, 2.2), random.uniform(0, math.pi)
    a, b = (
        (column - x) * math.cos(turn) + (row - y) * math.sin(turn),
        (row - y) * math.cos(turn) - (column - x) * math.sin(turn),
    )
    distance = np.hypot(a / stretch, b) * math.sqrt(stretch)
    field = -distance + 0.06 * paper.noise(0.3 * paper.side_m) + 0.02 * paper.noise(0.08 * paper.side_m)
    return np.asarray(field - np.quantile(field, 1 - share))


def _soft(field: NDArray[np.floating], edge: float) -> NDArray[np.float32]:
    return np.asarray(np.clip(0.5 + field / edge, 0, 1), np.float32)


def _lake(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground(*_FAR_LAND, "houses_far")
    for _ in range(int(random.choice([1, 1, 1, 2, 4]))):
        field = _blob(paper, random, random.uniform(0.12, 0.5))
        if random.random() < 0.6:
            paper.put(_soft(field + 0.012, 0.008) * 0.6, paper.plain(one_of(random, EARTHS + GREENS)))
        paper.put(_soft(field, 0.006), paper.plain(one_of(random, WATERS, 0.3), grain=0.03))


def _island(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.plain(one_of(random, WATERS, 0.3), grain=0.04)
    for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
        field = _blob(paper, random, random.uniform(0.08, 0.4))
        if random.random() < 0.6:
            paper.put(
                _soft(field + 0.05, 0.1) * 0.6,
                paper.plain(one_of(random, ((90, 150, 150), (80, 130, 145), (110, 160, 150)))),
            )
        paper.put(
            _soft(field + 0.012, 0.01), paper.plain(one_of(random, ((222, 210, 182), (200, 186, 160), (150, 140, 128))))
        )
        land = paper.ground("forest", "herbs", "pasture", "houses_far", "forest")
        paper.put(_soft(field, 0.008), land * paper.light(paper.relief(), random.uniform(0, 0.25)))


def _sea_ice(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.plain(one_of(random, ((30, 45, 62), (20, 30, 42), (60, 80, 95))), grain=0.04)
    count, side = int(random.integers(15, 220)), paper.pixels.shape[0]
    sites = random.uniform(0, side, (count, 2))
    row, column = np.mgrid[:side, :side]
    warp = random.uniform(0, 0.02) * side
    places = np.stack(
        [row + warp * paper.noise(0.1 * paper.side_m), column + warp * paper.noise(0.1 * paper.side_m)], axis=-1
    )
    distance, near = KDTree(sites).query(places.reshape(-1, 2), k=2)
    gap, owner = (distance[:, 1] - distance[:, 0]).reshape(side, side), near[:, 0].reshape(side, side)
    floe = (
        _soft(gap - random.uniform(0.005, 0.05) * side, 2.0) * (random.random(count) < random.uniform(0.5, 1.0))[owner]
    )
    white = random.uniform(0.75, 1.0, count)[owner][:, :, None] * paper.plain((232, 238, 244), grain=0.04)
    paper.put(np.asarray(floe, np.float32), np.asarray(white, np.float32))
    _through_air(paper, random)


def _terraces(paper: Paper, random: np.random.Generator) -> None:
    heights = paper.relief(random.uniform(0.3, 0.45))
    steps = random.uniform(5, 16)
    level = np.floor(heights * steps)
    tints = np.random.default_rng(random.integers(1 << 30)).uniform(0.8, 1.15, 400)[
        (level - level.min()).astype(int) % 400
    ]
    paper.pixels = paper.plain(one_of(random, (*GREENS, *EARTHS, (120, 135, 110))), grain=0.06)
    paper.pixels *= tints[:, :, None].astype(np.float32)
    edge = (np.abs(heights * steps - np.round(heights * steps)) < random.uniform(0.05, 0.16)).astype(np.float32)
    walls = ndimage.gaussian_filter(edge, 0.7) * np.float32(random.uniform(0.4, 0.8))
    paper.put(walls, paper.plain(one_of(random, ((70, 80, 60), (200, 190, 160), (60, 60, 50)))))
    paper.pixels *= paper.light(heights, random.uniform(0.05, 0.2))
    if random.random() < 0.4:
        paper.put((paper.noise(0.3 * paper.side_m) > 0.9).astype(np.float32), paper.ground("forest"))
    _through_air(paper, random)


def _wetland(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground("herbs", "pasture") * random.uniform(0.7, 0.95)
    paper.put(
        _soft(paper.noise(0.25 * paper.side_m), 1.0) * 0.6,
        paper.plain(one_of(random, ((92, 98, 70), (120, 108, 80), (70, 84, 66)))),
    )
    pools = paper.relief(random.uniform(0.7, 0.95)) - random.uniform(0.1, 0.9)
    paper.put(_soft(pools, 0.15), paper.plain(one_of(random, ((38, 52, 58), (52, 66, 66), (30, 40, 52))), grain=0.04))
    for _ in range(int(random.integers(0, 4))):
        creek = paper.line(
            curve(
                paper, random.uniform(0, math.pi), random.uniform(-0.4, 0.4) * paper.side_m, random.uniform(0.05, 0.2)
            ),
            random.uniform(0.008, 0.04) * paper.side_m,
        )
        paper.fill(creek, one_of(random, WATERS), 0.03)


def _mountains(paper: Paper, random: np.random.Generator) -> None:
    field = paper.relief(random.uniform(0.5, 0.62))
    ridges = -np.abs(field) if random.random() < 0.6 else field
    if random.random() < 0.5:
        paper.pixels = paper.ground("forest", "herbs", "desert")
    else:
        paper.pixels = paper.plain(
            one_of(random, ((140, 128, 112), (120, 112, 104), (96, 100, 84), (160, 140, 116))), grain=0.1
        )
    if random.random() < 0.4:
        paper.put(_soft(0.6 - random.uniform(-0.5, 1.0) - field, 0.6), paper.ground("forest") * 0.9)
    if random.random() < 0.45:
        snow = ridges - np.quantile(ridges, random.uniform(0.3, 0.8))
        paper.fill(_soft(snow + 0.2 * paper.noise(0.06 * paper.side_m), 0.25), (236, 240, 246), 0.03)
    paper.pixels *= paper.light(ridges, random.uniform(0.2, 0.4))
    _through_air(paper, random)


FAR: dict[str, Painter] = {
    "CircularFarmland": _circular_farmland,
    "Forest": only("forest"),
    "Island": _island,
    "Lake": _lake,
    "Mountains": _mountains,
    "Pasture": only("pasture"),
    "RectangularFarmland": _rectangular_farmland,
    "Residential": only("houses_far"),
    "SeaIce": _sea_ice,
    "Terraces": _terraces,
    "Wetland": _wetland,
}
"""Pictures of about a kilometre."""
