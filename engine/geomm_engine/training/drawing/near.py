"""Places of about 250 m, as from an aeroplane: pitches, halls, tracks, roads over water. Pictures of a metre or so."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geomm_engine.training.drawing.paper import Paper, Point, moved
from geomm_engine.training.drawing.strokes import (
    ASPHALT,
    EARTHS,
    GREENS,
    ROOFS,
    WATERS,
    Painter,
    curve,
    middle,
    one_of,
    only,
)

_OPEN = ("grass", "field", "scrub")
_LAND = ("grass", "field", "scrub", "trees")
_HULL = ((-0.5, -0.42), (-0.5, 0.42), (0.25, 0.5), (0.42, 0.28), (0.5, 0.0), (0.42, -0.28), (0.25, -0.5))
"""A ship's outline in lengths and widths, its bow at the end."""


def _solar_farm(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground(*_OPEN)
    turn = random.choice([0.0, random.uniform(0, math.pi)])
    panel, gap = random.uniform(2.0, 5.0), random.uniform(1.5, 5.0)
    colour = one_of(random, ((42, 52, 82), (34, 38, 52), (58, 70, 104), (70, 78, 96)), 0.25)
    soil = one_of(random, EARTHS + GREENS)
    for _ in range(int(random.integers(1, 5))):
        place = middle(paper, random, 0.4)
        length, width = random.uniform(60, 200), random.uniform(50, 170)
        block = paper.rectangle(place, length, width, turn)
        paper.put(block * random.uniform(0.3, 1.0), paper.plain(soil, grain=0.06))
        rows = np.zeros_like(block)
        at = -width / 2
        while at < width / 2:
            rows = np.maximum(rows, paper.rectangle(moved(place, turn, 0.0, at), length, panel, turn))
            at += panel + gap
        for cut in np.arange(-length / 2, length / 2, random.uniform(20, 60)):
            aisle = paper.rectangle(moved(place, turn, cut), random.uniform(1, 4), width + 20, turn)
            rows = rows * (1 - aisle)
        rows = rows * block
        paper.shade(rows, 1.0, 0.3)
        paper.fill(rows, colour, 0.03)


def _pitch(paper: Paper, random: np.random.Generator, place: Point, length: float, turn: float) -> None:
    """A lawn with mown stripes and white lines."""
    width = length * random.uniform(0.55, 0.7)
    green = one_of(random, GREENS, 0.2)
    paper.fill(paper.rectangle(place, length, width, turn), green, 0.03)
    stripe = length / random.integers(8, 20)
    for at in np.arange(-length / 2 + stripe / 2, length / 2, 2 * stripe):
        mown = paper.rectangle(moved(place, turn, at), stripe, width, turn)
        paper.fill(mown * 0.5, (green[0] * 1.12, green[1] * 1.1, green[2] * 1.1), 0.03)
    line = max(0.8, 0.009 * length)
    white = np.maximum(paper.rectangle(place, line, width, turn), paper.ring(place, 0.09 * length, line))
    for share, wide in ((1.0, 1.0), (0.16, 0.6)):
        for side in (-1, 1):
            spot = moved(place, turn, side * (1 - share) * length / 2)
            outer = paper.rectangle(spot, length * share, width * wide, turn)
            inner = paper.rectangle(spot, length * share - 2 * line, width * wide - 2 * line, turn)
            white = np.maximum(white, outer - inner)
    paper.fill(np.asarray(white * random.uniform(0.3, 0.9), np.float32), (235, 238, 232))


def _football_field(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground("grass", "houses", "grass", "trees")
    turn = random.uniform(0, math.pi)
    length = random.uniform(80, 150)
    place = middle(paper, random)
    count = int(random.integers(1, 4))
    for number in range(count):
        at = moved(place, turn, 0.0, (number - (count - 1) / 2) * length * 0.85)
        paper.fill(paper.rectangle(at, length * 1.15, length * 0.82, turn), one_of(random, GREENS), 0.05)
        _pitch(paper, random, at, length, turn)


def _track(paper: Paper, random: np.random.Generator, place: Point, length: float, turn: float) -> None:
    width = length * random.uniform(0.48, 0.56)
    red = one_of(random, ((176, 96, 78), (160, 84, 72), (190, 120, 100), (150, 110, 100), (90, 110, 150)), 0.12)
    lanes = 0.09 * width
    paper.fill(paper.oval(place, length, width, turn), red, 0.03)
    for lane in np.arange(1, 6):
        off = lane * lanes / 5
        ring = paper.oval(place, length - 2 * off, width - 2 * off, turn)
        inner = paper.oval(place, length - 2 * off - 0.7, width - 2 * off - 0.7, turn)
        paper.fill((ring - inner) * 0.5, (230, 220, 215))
    paper.fill(paper.oval(place, length - 3 * lanes, width - 3 * lanes, turn), one_of(random, GREENS), 0.04)
    _pitch(paper, random, place, (length - width) * random.uniform(1.1, 1.25), turn)


def _running_track(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground("grass", "houses", "grass", "buildings")
    _track(paper, random, middle(paper, random), random.uniform(130, 220), random.uniform(0, math.pi))


def _stadium(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground("cars", "buildings", "grass", "houses")
    place = middle(paper, random, 0.06)
    turn, length = random.uniform(0, math.pi), random.uniform(150, 220)
    width = length * random.uniform(0.7, 0.9)
    stands = paper.oval(place, length, width, turn)
    paper.fill(paper.oval(place, length * 1.12, width * 1.14, turn), one_of(random, ASPHALT), 0.04)
    paper.shade(stands, random.uniform(6, 22))
    seats = one_of(
        random, ((200, 200, 205), (150, 150, 155), (90, 110, 170), (170, 80, 80), (225, 225, 228), (120, 125, 120))
    )
    paper.fill(stands, seats, 0.05)
    for ring in np.linspace(0.95, 0.6, int(random.integers(4, 9))):
        outer = paper.oval(place, length * ring, width * ring, turn)
        inner = paper.oval(place, length * ring - 2, width * ring - 2, turn)
        paper.fill((outer - inner) * 0.4, (70, 70, 75))
    for spoke in np.linspace(0, 2 * math.pi, int(random.integers(16, 40)), endpoint=False):
        ray = paper.line([place, moved(place, spoke, length)], 1.2)
        paper.fill(ray * stands * 0.35, (80, 80, 85))
    hole = paper.oval(place, length * 0.66, width * 0.6, turn)
    paper.fill(hole, one_of(random, GREENS), 0.03)
    if random.random() < 0.4:
        _track(paper, random, place, length * 0.62, turn)
    else:
        _pitch(paper, random, place, length * random.uniform(0.45, 0.54), turn)


def _basketball_court(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground("grass", "houses", "buildings", "cars")
    turn, length = random.uniform(0, math.pi), random.uniform(50, 110)
    place = middle(paper, random)
    count = int(random.integers(1, 4))
    floor = one_of(random, ((120, 140, 120), (150, 90, 80), (110, 120, 150), (140, 140, 140), (90, 130, 110)))
    key = one_of(random, ((170, 90, 80), (90, 110, 160), (110, 140, 110), (150, 150, 150)))
    for number in range(count):
        at = moved(place, turn, 0.0, (number - (count - 1) / 2) * length * 0.66)
        width, line = length * 0.54, max(1.0, 0.014 * length)
        paper.fill(paper.rectangle(at, length * 1.14, width * 1.18, turn), floor, 0.03)
        inner = paper.rectangle(at, length - 2 * line, width - 2 * line, turn)
        lines = paper.rectangle(at, length, width, turn) - inner
        lines = np.maximum(lines, paper.rectangle(at, line, width, turn))
        lines = np.maximum(lines, paper.ring(at, 0.065 * length, line))
        for side in (-1, 1):
            paper.fill(
                paper.rectangle(moved(at, turn, side * 0.4 * length), 0.2 * length, 0.17 * length, turn), key, 0.02
            )
            arc = paper.ring(moved(at, turn, side * 0.44 * length), 0.24 * length, line)
            lines = np.maximum(lines, arc * paper.rectangle(at, length, width, turn))
        paper.fill(lines * random.uniform(0.5, 0.95), (235, 235, 232))


def _roundabout(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground("grass", "houses", "trees", "field", "buildings")
    place = middle(paper, random)
    radius, wide = random.uniform(20, 60), random.uniform(8, 18)
    asphalt = one_of(random, ASPHALT)
    arms = int(random.integers(3, 7))
    turns = random.uniform(0, 2 * math.pi) + np.arange(arms) * 2 * math.pi / arms + random.uniform(-0.2, 0.2, arms)
    roads = np.zeros((1, 1), np.float32)
    for turn in turns:
        roads = np.maximum(
            roads, paper.line([place, moved(place, turn, 2 * paper.side_m)], wide * random.uniform(0.8, 1.3))
        )
    roads = np.maximum(roads, paper.disc(place, radius + wide))
    paper.fill(roads, asphalt, 0.04)
    for turn in turns:
        start, end = moved(place, turn, radius + wide * 1.2), moved(place, turn, 2 * paper.side_m)
        paper.fill(paper.line([start, end], 1.0) * 0.6, (225, 225, 215))
    island = paper.disc(place, radius)
    rim = paper.ring(place, radius, 1.2)
    paper.fill(island, one_of(random, GREENS + EARTHS), 0.07)
    paper.fill(rim * 0.7, (215, 212, 205))
    if random.random() < 0.6:
        inside = paper.disc(place, radius * random.uniform(0.3, 0.8))
        paper.put(inside, paper.ground("trees", "grass"))
    _cars(paper, random, roads - island, int(random.integers(3, 20)))


def _cars(paper: Paper, random: np.random.Generator, where: NDArray[np.float32], count: int) -> None:
    rows, columns = np.nonzero(where > 0.5)
    if not len(rows):
        return
    metre = paper.side_m / where.shape[0]
    for pick in random.integers(len(rows), size=count):
        colour = one_of(random, ((235, 235, 235), (60, 60, 65), (170, 60, 60), (150, 155, 160)))
        car = paper.rectangle((columns[pick] * metre, rows[pick] * metre), 4.5, 2.2, random.uniform(0, math.pi))
        paper.fill(car, colour)


def _tracks(paper: Paper, random: np.random.Generator, count: int, turn: float, shift_m: float, bend: float) -> None:
    bed = one_of(random, ((128, 116, 106), (110, 102, 98), (146, 134, 122), (100, 90, 84)))
    pitch = random.uniform(4.5, 7)
    paper.fill(paper.line(curve(paper, turn, shift_m, bend), count * pitch + 6), bed, 0.08)
    for number in range(count):
        off = shift_m + (number - (count - 1) / 2) * pitch
        for rail in (-0.8, 0.8):
            line = paper.line(curve(paper, turn, off + rail, bend), 0.7)
            paper.put(line * 0.7, paper.plain(one_of(random, ((80, 72, 68), (190, 185, 180)))))


def _train(paper: Paper, random: np.random.Generator, turn: float, shift_m: float, bend: float) -> None:
    path = curve(paper, turn, shift_m, bend)
    first = int(random.integers(5, 35))
    train = paper.line(path[first : first + int(random.integers(8, 25))], 3.2)
    paper.shade(train, 3)
    paper.fill(train, one_of(random, ROOFS))


def _railway(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground(*_LAND, "houses", "buildings")
    turn, bend = random.uniform(0, math.pi), random.choice([0.0, random.uniform(0, 0.06)])
    count = int(random.integers(1, 9))
    shift = random.uniform(-0.2, 0.2) * paper.side_m
    _tracks(paper, random, count, turn, shift, bend)
    if random.random() < 0.4:
        _train(paper, random, turn, shift, bend)


def _railway_station(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground("houses", "buildings", "cars")
    turn, count = random.uniform(0, math.pi), int(random.integers(6, 16))
    _tracks(paper, random, count, turn, 0.0, 0.0)
    roof = one_of(random, ROOFS)
    for _ in range(int(random.integers(2, 6))):
        aside = random.uniform(-0.5, 0.5) * count * 6
        x, y = moved(paper.middle, turn, 0.0, aside)
        place = (x + math.cos(turn) * random.uniform(-40, 40), y + math.sin(turn) * random.uniform(-40, 40))
        platform = paper.rectangle(place, random.uniform(70, 190), random.uniform(5, 12), turn)
        paper.shade(platform, 5)
        paper.fill(platform, roof, 0.03)
    if random.random() < 0.6:
        aside = random.choice([-1, 1]) * (count * 3 + random.uniform(18, 35))
        hall = paper.rectangle(
            moved(paper.middle, turn, 0.0, aside), random.uniform(50, 120), random.uniform(20, 45), turn
        )
        paper.shade(hall, 12)
        paper.fill(hall, one_of(random, ROOFS), 0.04)
    for _ in range(int(random.integers(0, 4))):
        _train(paper, random, turn, random.uniform(-0.4, 0.4) * count * 5, 0.0)


def _bridge(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.ground(*_LAND, "houses")
    turn, wide = random.uniform(0, math.pi), random.uniform(0.2, 0.75) * paper.side_m
    course = curve(paper, turn, random.uniform(-0.1, 0.1) * paper.side_m, random.uniform(0, 0.08))
    bank = paper.line(course, wide * 1.08)
    paper.put(bank * 0.8, paper.plain(one_of(random, EARTHS + GREENS), grain=0.1))
    paper.put(paper.line(course, wide), paper.plain(one_of(random, WATERS, 0.3), grain=0.04))
    for number in range(int(random.choice([1, 1, 1, 2]))):
        road = curve(paper, turn + math.pi / 2 + random.uniform(-0.25, 0.25), number * random.uniform(25, 60), 0.0)
        width = random.uniform(5, 22)
        deck = paper.line(road, width)
        paper.shade(deck * (paper.line(course, wide) > 0.5), random.uniform(3, 14), 0.35)
        paper.fill(deck, one_of(random, (*ASPHALT, (185, 182, 175))), 0.03)
        if width > 9:
            paper.fill(paper.line(road, 0.8) * 0.6, (228, 228, 220))
        _cars(paper, random, deck, int(random.integers(0, 14)))


def _ships(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.plain(one_of(random, WATERS, 0.3), grain=random.uniform(0.02, 0.08))
    if random.random() < 0.3:
        paper.put(
            paper.line(curve(paper, random.uniform(0, math.pi), 0.6 * paper.side_m, 0.02), 0.6 * paper.side_m),
            paper.ground("buildings", "cars"),
        )
    turn = random.uniform(0, 2 * math.pi)
    for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
        place = x, y = middle(paper, random, 0.25)
        length = random.uniform(30, 180)
        width = length * random.uniform(0.13, 0.26)
        hull = [moved(place, turn, along * length, across * width) for along, across in _HULL]
        if random.random() < 0.5:
            tail = (
                x - math.cos(turn) * length * random.uniform(1.0, 2.5),
                y - math.sin(turn) * length * random.uniform(1.0, 2.5),
            )
            paper.fill(paper.line([place, tail], width * random.uniform(0.5, 1.0)) * 0.35, (210, 220, 222))
        outline = paper.polygon(hull)
        paper.shade(outline, length * 0.05)
        paper.fill(outline, one_of(random, (*ROOFS, (140, 60, 55), (60, 62, 70))), 0.05)
        for at in np.arange(-0.4, 0.3, random.uniform(0.07, 0.2)):
            box = moved(place, turn, at * length)
            paper.fill(
                paper.rectangle(box, length * 0.06, width * 0.75, turn),
                one_of(random, (*ROOFS, (170, 70, 60), (70, 110, 80))),
            )
        stern = moved(place, turn, -0.38 * length)
        paper.fill(paper.rectangle(stern, length * 0.1, width * 0.8, turn), (238, 238, 238))
        turn += random.choice([0.0, random.uniform(-0.6, 0.6)])


def _halls(paper: Paper, random: np.random.Generator, turn: float, least: float, most: float) -> None:
    """Large roofs beside each other, as in a grid of streets."""
    at = -0.75 * paper.side_m
    while at < 0.75 * paper.side_m:
        deep, along = random.uniform(least, most), -0.75 * paper.side_m
        while along < 0.75 * paper.side_m:
            long = random.uniform(least, 1.8 * most)
            if random.random() < 0.8:
                place = moved(paper.middle, turn, along + long / 2, at + deep / 2)
                _hall(paper, random, place, long, deep, turn)
            along += long + random.uniform(4, 25)
        at += deep + random.choice([random.uniform(4, 14), random.uniform(14, 30)])


def _hall(paper: Paper, random: np.random.Generator, place: Point, long: float, deep: float, turn: float) -> None:
    if math.dist(place, paper.middle) > 0.75 * paper.side_m + max(long, deep) / 2:
        return
    colour = one_of(random, ROOFS)
    roof = paper.rectangle(place, long, deep, turn)
    paper.shade(roof, random.uniform(4, 10))
    paper.fill(roof, colour, 0.03)
    bays = int(random.integers(1, 7))
    for bay in range(bays):
        off = ((bay + 0.5) / bays - 0.5) * deep
        half = paper.rectangle(moved(place, turn, 0.0, off + deep / bays / 4), long, deep / bays / 2, turn)
        tone = random.uniform(0.82, 0.95)
        paper.fill(half * 0.9, (colour[0] * tone, colour[1] * tone, colour[2] * tone), 0.03)
    for _ in range(int(random.integers(0, 8))):
        along, south = random.uniform(-0.45, 0.45, 2) * long
        spot = (place[0] + along * math.cos(turn), place[1] + south * math.sin(turn))
        vent = paper.rectangle(spot, random.uniform(2, 6), random.uniform(1.5, 4), turn)
        paper.fill(vent, one_of(random, ((240, 240, 240), (90, 90, 95))))


def _industrial(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.plain(one_of(random, (*ASPHALT, *EARTHS)), grain=0.08)
    if random.random() < 0.5:
        paper.put((paper.noise(60) > 0.6).astype(np.float32), paper.ground("grass", "cars", "trees"))
    _halls(paper, random, random.uniform(0, math.pi), 22, 75)
    if random.random() < 0.3:
        for _ in range(int(random.integers(1, 7))):
            _tank(paper, random, middle(paper, random, 0.4), random.uniform(5, 14))


def _tank(paper: Paper, random: np.random.Generator, place: Point, radius: float) -> None:
    roof = paper.disc(place, radius)
    paper.shade(roof, radius * 0.7)
    paper.fill(roof, one_of(random, ((228, 228, 228), (200, 200, 196), (170, 172, 170))), 0.02)


def _power_plant(paper: Paper, random: np.random.Generator) -> None:
    paper.pixels = paper.plain(one_of(random, (*ASPHALT, *EARTHS)), grain=0.08)
    if random.random() < 0.6:
        paper.put((paper.noise(80) > 0.3).astype(np.float32), paper.ground("grass", "trees", "field"))
    turn = random.uniform(0, math.pi)
    place = middle(paper, random, 0.2)
    for _ in range(int(random.integers(2, 6))):
        _hall(paper, random, middle(paper, random, 0.35), random.uniform(40, 110), random.uniform(20, 45), turn)
    radius, wind = random.uniform(20, 36), random.uniform(0, 2 * math.pi)
    for number in range(int(random.integers(1, 5))):
        at = moved(place, turn, number * radius * 2.6)
        tower = paper.disc(at, radius)
        paper.shade(tower, radius * random.uniform(0.8, 2.0))
        paper.fill(tower, one_of(random, ((200, 198, 192), (178, 176, 172), (216, 214, 210))), 0.03)
        paper.fill(
            paper.disc(at, radius * 0.66), one_of(random, ((120, 120, 120), (150, 150, 150), (90, 92, 95))), 0.05
        )
        if random.random() < 0.6:
            plume = np.zeros((1, 1), np.float32)
            for step in np.linspace(0, random.uniform(2, 6), 14):
                puff = radius * (0.6 + 0.16 * step) * random.uniform(0.8, 1.2)
                plume = np.maximum(plume, paper.disc(moved(at, wind, step * radius), puff))
            soft = ndimage.gaussian_filter(plume * (1 + 0.25 * paper.noise(14)), radius * 0.25)
            paper.fill(np.asarray(np.clip(soft, 0, 1) * random.uniform(0.6, 1.0), np.float32), (244, 244, 246), 0.02)
    for _ in range(int(random.integers(0, 6))):
        _tank(paper, random, middle(paper, random, 0.45), random.uniform(6, 16))


NEAR: dict[str, Painter] = {
    "BasketballCourt": _basketball_court,
    "Bridge": _bridge,
    "Buildings": only("buildings"),
    "Fields": only("field"),
    "FootballField": _football_field,
    "Forest": only("trees"),
    "Industrial": _industrial,
    "ParkingLot": only("cars"),
    "PowerPlant": _power_plant,
    "Railway": _railway,
    "RailwayStation": _railway_station,
    "Residential": only("houses"),
    "Roundabout": _roundabout,
    "RunningTrack": _running_track,
    "Ship": _ships,
    "SolarFarm": _solar_farm,
    "Stadium": _stadium,
}
"""Pictures of about 250 m."""
