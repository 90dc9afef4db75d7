"""Mixtures of one expert at all cells of the world at once: its kernels are computed once and kept as a sparse matrix."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from geomm_engine.geography.mixture import log_normaliser
from geomm_engine.geography.posterior import world_points
from geomm_engine.sphere import Points, Values

LEAST = 1e-8
"""Densities per steradian below this are left out: the pool's floor for "anywhere" is 8e-5."""
_CHUNK = 2048


class WorldDensity:
    """``centres`` (k, 3) unit vectors and ``kappa`` (k,) of an expert, at the cells of :func:`posterior.world_grid`."""

    def __init__(self, centres: Points, kappa: Values) -> None:
        peak = log_normaliser(kappa)
        parts = []
        points = world_points()
        for at in range(0, len(points), _CHUNK):
            kernel = peak + kappa * (points[at : at + _CHUNK] @ centres.T - 1.0)
            rows, cols = np.nonzero(kernel > math.log(LEAST))
            values = np.exp(kernel[rows, cols]).astype(np.float32)
            parts.append(sparse.csr_array((values, (rows, cols)), shape=kernel.shape))
        self._kernel = sparse.vstack(parts, format="csr")

    def log_density(self, log_weights: NDArray[np.floating]) -> Values:
        """(n, k) log weights → (n, cell) log density per steradian, as ``Mixture.log_density`` down to ``LEAST``."""
        total = self._kernel @ np.exp(log_weights).T
        return np.log(np.maximum(total.T, LEAST))
