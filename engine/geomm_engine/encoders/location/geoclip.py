"""GeoCLIP's location tower: Equal Earth, random Fourier features of three widths, three networks whose outputs add up.

Vivanco Cepeda et al. 2023; MIT. The projection is cut at 180°: a place just west of the date line and one just east of
it get unlike vectors, and so do the two ends of a pole. That is how the published network is; nothing is mended here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geomm_engine.encoders.location.layout import GEOCLIP_CAPSULES, GEOCLIP_LINEAR

_EQUAL_EARTH = (1.340264, -0.081106, 0.000893, 0.003796)
_SCALE = 66.50336 / 180.0
"""Brings the map to about −1…1; the authors' constant."""


def equal_earth(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) degrees → (n, 2) x and y of the Equal Earth projection (Šavrič et al. 2018), scaled as GeoCLIP does."""
    a1, a2, a3, a4 = _EQUAL_EARTH
    theta = np.arcsin(math.sqrt(3.0) / 2.0 * np.sin(np.radians(lat)))
    t2 = theta * theta
    t6 = t2 * t2 * t2
    slope = 3.0 * (9.0 * a4 * t6 * t2 + 7.0 * a3 * t6 + 3.0 * a2 * t2 + a1)
    x = 2.0 * math.sqrt(3.0) * np.radians(lon) * np.cos(theta) / slope
    y = theta * (a4 * t6 * t2 + a3 * t6 + a2 * t2 + a1)
    return np.stack([x, y], axis=1) * _SCALE


class GeoclipPlaces:
    """Weights as named in ``location_encoder_weights.pth``."""

    def __init__(self, weights: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the weights.

        Raises:
            KeyError: a tensor is missing.
        """
        self._capsules = [
            (
                np.asarray(weights[f"LocEnc{at}.capsule.0.b"], np.float64),
                [
                    (np.asarray(weights[f"LocEnc{at}.{name}.weight"]), np.asarray(weights[f"LocEnc{at}.{name}.bias"]))
                    for name in GEOCLIP_LINEAR
                ],
            )
            for at in range(GEOCLIP_CAPSULES)
        ]

    def vectors(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float32]:
        """(n,) degrees → (n, 512) float32. Phases in float64, the networks in float32, as published."""
        place = equal_earth(lat, lon)
        parts = []
        for frequency, layers in self._capsules:
            phase = 2.0 * math.pi * place @ frequency.T
            values = np.concatenate([np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)
            for matrix, bias in layers[:-1]:
                values = np.maximum(values @ matrix.T + bias, np.float32(0.0))
            matrix, bias = layers[-1]
            parts.append(values @ matrix.T + bias)
        return np.asarray(np.sum(parts, axis=0), dtype=np.float32)
