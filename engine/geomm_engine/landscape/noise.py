"""Randomness that is laid out in space: smooth fields, hashed numbers, uneven lattices, distances to curves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


def smooth(shape_yx: tuple[int, int], cell_px: float, random: np.random.Generator) -> Floats:
    """(h, w) float32 of mean 0 and deviation about 1, whose bumps are some ``cell_px`` wide: cubic B-splines on noise."""
    rows, cols = (_spline_weights(size, cell_px) for size in shape_yx)
    knots = random.standard_normal((rows.shape[1], cols.shape[1])).astype(np.float32)
    return np.asarray(rows @ knots @ cols.T / _SPLINE_DEVIATION, dtype=np.float32)


_SPLINE_DEVIATION = 0.479
"""Of a sum of unit normals weighted by a cubic B-spline's values: the mean over a cell of Σw² (a line), squared (an area)."""


def _spline_weights(size: int, cell_px: float) -> Floats:
    """(size, knot) weights of uniform cubic B-splines."""
    place = np.arange(size) / cell_px
    first = np.floor(place).astype(int)
    t = place - first
    weights = np.zeros((size, math.ceil(size / cell_px) + 4), np.float32)
    basis = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    for step, values in enumerate(basis):
        weights[np.arange(size), first + step] = values / 6
    return weights


def fractal(shape_yx: tuple[int, int], cell_px: float, octaves: int, random: np.random.Generator) -> Floats:
    """Octaves of :func:`smooth`, each half as wide and half as strong as the one before."""
    total = np.zeros(shape_yx, np.float32)
    for octave in range(octaves):
        total += smooth(shape_yx, cell_px / 2**octave, random) / 2**octave
    return total


def hashed(seed: int, *keys: Integers) -> Floats:
    """(n,) uniform 0–1, the same for equal integer keys: a mixer of 64-bit words after Steele et al. 2014 (SplitMix)."""
    word = np.full(np.shape(keys[0]), np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64), np.uint64)
    for key in keys:
        word = (word ^ key.astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        word ^= word >> np.uint64(31)
    return ((word >> np.uint64(40)).astype(np.float32)) / np.float32(2**24)


def cuts(place: Floats, pitch_px: float, seed: int, *keys: Integers) -> tuple[Integers, Floats]:
    """Where ``place`` lies on a line cut about every ``pitch_px``: number of the piece, distance to the nearest cut."""
    nearest = np.floor(place / pitch_px).astype(np.int64)
    lower = (nearest + 0.7 * (hashed(seed, nearest, *keys) - 0.5)) * pitch_px
    upper = (nearest + 1 + 0.7 * (hashed(seed, nearest + 1, *keys) - 0.5)) * pitch_px
    piece = nearest - (place < lower) + (place >= upper)
    return piece, np.minimum(np.abs(place - lower), np.abs(place - upper)).astype(np.float32)


def parcels(y: Floats, x: Floats, size_px: float, seed: int) -> tuple[Integers, Integers, Floats]:
    """The uneven cell (row, col) that each point lies in, and how far its border is: Voronoi cells of a shaken lattice."""
    base_row, base_col = (np.floor(value / size_px).astype(np.int64) for value in (y, x))
    first = np.full(y.shape, np.inf, np.float32)
    second = first.copy()
    row, col = base_row.copy(), base_col.copy()
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            at_row, at_col = base_row + step_y, base_col + step_x
            center_y = (at_row + 0.1 + 0.8 * hashed(seed, at_row, at_col)) * size_px
            center_x = (at_col + 0.1 + 0.8 * hashed(seed + 1, at_row, at_col)) * size_px
            away = np.hypot(y - center_y, x - center_x).astype(np.float32)
            is_nearer = away < first
            second = np.where(is_nearer, first, np.minimum(second, away))
            first = np.where(is_nearer, away, first)
            row, col = np.where(is_nearer, at_row, row), np.where(is_nearer, at_col, col)
    return row, col, np.asarray((second - first) / 2, dtype=np.float32)


def curve(
    knots: NDArray[np.float64], shape_yx: tuple[int, int], random: np.random.Generator, sway: float
) -> NDArray[np.float64]:
    """(n, 2) y, x in pixels along a smooth line through ``knots`` (0–1 of the picture) that sways by ``sway`` of its size."""
    from scipy.interpolate import CubicSpline

    places = np.linspace(0, 1, len(knots))
    length_px = float(np.hypot(*(np.diff(knots, axis=0) * shape_yx).T).sum())
    fine = np.linspace(0, 1, int(length_px * 2.5))
    line = CubicSpline(places, knots)(fine)
    bends = CubicSpline(np.linspace(0, 1, 14), random.normal(0, sway, (14, 2)))(fine)
    return np.asarray((line + bends) * shape_yx, dtype=np.float64)


def distance_to(line: NDArray[np.float64], shape_yx: tuple[int, int], within_px: float) -> Floats:
    """(h, w) distance of every pixel to the points of a line; infinite beyond ``within_px``."""
    is_near = np.zeros(shape_yx, bool)
    reach = math.ceil(within_px) + 1
    for y, x in np.unique(np.floor(line[::2]).astype(int), axis=0):
        is_near[max(y - reach, 0) : max(y + reach + 1, 0), max(x - reach, 0) : max(x + reach + 1, 0)] = True
    distance = np.full(shape_yx, np.inf, np.float32)
    pixels = np.argwhere(is_near)
    away, _ = cKDTree(line).query(pixels + 0.5, distance_upper_bound=within_px)
    distance[is_near] = away
    return distance
