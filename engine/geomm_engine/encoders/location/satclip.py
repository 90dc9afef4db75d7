"""SatCLIP's location tower: spherical harmonics, then a network of sines (Klemmer et al. 2025). Published weights, NumPy.

Layout of the published checkpoints (MIT), confirmed by their sizes to the byte but for the index: ``layers.i.weight`` and
``.bias`` of two hidden layers of 512, ``last_layer`` to 256, all float64; the input has L² = 100 or 1600 harmonics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geomm_engine.encoders.location.harmonics import spherical_harmonics

FIRST_FREQUENCY = 30.0
"""ω₀ of the first sine layer; the others have 1."""


class SatclipPlaces:
    """Weights as named in the checkpoint, without what stands before ``layers``."""

    def __init__(self, weights: Mapping[str, NDArray[np.generic]]) -> None:
        """Take the weights.

        Raises:
            KeyError, ValueError: a tensor is missing, or the shapes do not follow one another.
        """
        names = [f"layers.{at}" for at in range(hidden_layers(weights))] + ["last_layer"]
        self._layers = [
            (np.asarray(weights[f"{name}.weight"], np.float64), np.asarray(weights[f"{name}.bias"], np.float64))
            for name in names
        ]
        self.degrees = math.isqrt(self._layers[0][0].shape[1])
        width = self.degrees**2
        for name, (matrix, bias) in zip(names, self._layers, strict=True):
            if matrix.ndim != 2 or matrix.shape[1] != width or bias.shape != matrix.shape[:1]:
                raise ValueError(f"{name} has the shape {matrix.shape}, not (…, {width})")
            width = len(matrix)

    def vectors(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) degrees → (n, 256) float64."""
        values = spherical_harmonics(lat, lon, self.degrees)
        for at, (matrix, bias) in enumerate(self._layers[:-1]):
            values = np.sin((FIRST_FREQUENCY if at == 0 else 1.0) * (values @ matrix.T + bias))
        matrix, bias = self._layers[-1]
        return np.asarray(values @ matrix.T + bias)


def hidden_layers(weights: Mapping[str, object]) -> int:
    """How many sine layers the names speak of, without a gap; at least one."""
    count = 0
    while f"layers.{count}.weight" in weights:
        count += 1
    return max(count, 1)
