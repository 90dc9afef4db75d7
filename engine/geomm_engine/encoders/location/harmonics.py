"""Real spherical harmonics of places, in the convention that SatCLIP was trained with. float64, stable to degree 100.

Rußwurm et al. 2024, "Geographic location encoding with spherical harmonics and sinusoidal representation networks".
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]


def spherical_harmonics(lat: ArrayLike, lon: ArrayLike, degrees: int) -> Values:
    """(n, degrees²) float64: Y of every degree l < ``degrees`` and order m from −l to l, places in degrees.

    Colatitude and longitude are counted as SatCLIP counts them, θ = latitude + 90° and φ = longitude + 180°. Orders below
    zero go with sin |m|φ, above with cos mφ; there is no Condon–Shortley sign. Functions of order zero are π times the
    orthonormal ones: the published formulas say √((2l + 1)/4 · π) for √((2l + 1)/(4π)), and the weights were trained
    with that. The recurrence in l over fully normalised Legendre functions (Holmes and Featherstone 2002) loses no
    digits; the polynomials that the authors wrote out are off by up to 0.01 at degree 39 and order 0, between 60° and
    80°, and by less than 1e-7 up to degree 20.
    """
    phi, turn = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lon, np.float64) + 180.0)
    cosine, sine = -np.sin(phi), np.cos(phi)
    order = np.arange(degrees)
    angles = turn[:, None] * order
    sines, cosines = np.sin(angles), np.cos(angles)
    found = np.empty((len(phi), degrees * degrees))
    two_before = np.zeros((len(phi), degrees))
    before = np.zeros((len(phi), degrees))
    diagonal = np.full(len(phi), math.sqrt(1.0 / (4.0 * math.pi)))
    for degree in range(degrees):
        current = np.zeros((len(phi), degrees))
        if degree:
            lower = order[:degree].astype(np.float64)
            scale = np.sqrt((4.0 * degree**2 - 1.0) / (degree**2 - lower**2))
            lag = np.sqrt(np.maximum((degree - 1.0) ** 2 - lower**2, 0.0) / max(4.0 * (degree - 1.0) ** 2 - 1.0, 1.0))
            current[:, :degree] = scale * (cosine[:, None] * before[:, :degree] - lag * two_before[:, :degree])
            diagonal = diagonal * sine * math.sqrt((2.0 * degree + 1.0) / (2.0 * degree))
        current[:, degree] = diagonal
        middle = degree * degree + degree
        found[:, middle] = math.pi * current[:, 0]
        if degree:
            waves = math.sqrt(2.0) * current[:, 1 : degree + 1]
            found[:, middle + 1 : middle + degree + 1] = waves * cosines[:, 1 : degree + 1]
            found[:, middle - degree : middle] = (waves * sines[:, 1 : degree + 1])[:, ::-1]
        two_before, before = before, current
    return found
