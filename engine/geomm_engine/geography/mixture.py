"""Von Mises–Fisher distributions on the sphere and their mixtures (Izbicki et al. 2019), by log-sum-exp. Reads no file.

Densities are per steradian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geomm_engine.sphere import EARTH_RADIUS_KM, Points, Values, dot_minus_one

_CHUNK = 4096


def log_normaliser(kappa: NDArray[np.floating]) -> NDArray[np.floating]:
    """log κ − log 2π − log(1 − e^(−2κ)): the log density of a vMF at its centre (F1)."""
    return np.log(kappa) - math.log(2.0 * math.pi) - np.log(-np.expm1(-2.0 * kappa))


def log_vmf(
    points: NDArray[np.floating], centre: NDArray[np.floating], kappa: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Log density of one vMF a point; (…, 3), (…, 3) and (…,) broadcast. Keeps float32 for float32 and is right in it."""
    return log_normaliser(kappa) + kappa * dot_minus_one(points, centre)


def credible_radius_km(kappa: ArrayLike, share: ArrayLike) -> Values:
    """Radius round the centre of a vMF that holds this share of its mass (F2), in kilometres."""
    k, p = np.asarray(kappa, np.float64), np.asarray(share, np.float64)
    versine = -np.log1p(p * np.expm1(-2.0 * k)) / k
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(versine / 2.0, 0.0, 1.0))))


@dataclass(frozen=True)
class Mixture:
    """Mixtures over common centres: ``centres`` (k, 3), ``kappa`` (k,), ``log_weights`` (k,) or (n, k).

    The weights of one mixture sum to one.
    """

    centres: Points
    kappa: Values
    log_weights: Values

    def log_density(self, points: NDArray[np.floating]) -> Values:
        """Log density per steradian at (m, 3) unit vectors: (m,), or (n, m) for n mixtures. Memory is bounded.

        One matrix product a chunk: exp(kernel − its largest over the centres) times the weights. float64 inside, so that
        μ·y − 1 is good to 1e-16 and κ up to 1e6 is right.
        """
        weights = np.exp(np.atleast_2d(np.asarray(self.log_weights, np.float64)))
        kappa = np.asarray(self.kappa, np.float64)
        peak, centres = log_normaliser(kappa), np.asarray(self.centres, np.float64)
        found = np.empty((len(weights), len(points)))
        for at in range(0, len(points), _CHUNK):
            part = np.asarray(points[at : at + _CHUNK], np.float64)
            kernel = peak + kappa * (part @ centres.T - 1.0)
            largest = kernel.max(axis=1)
            total = weights @ np.exp(kernel - largest[:, None]).T
            found[:, at : at + _CHUNK] = np.log(np.maximum(total, np.finfo(np.float64).tiny)) + largest
        return found[0] if np.ndim(self.log_weights) == 1 else found

    def tempered(self, temperature: float) -> Mixture:
        """The same centres with weights to the power 1/temperature, normalised: above 1 is more cautious."""
        return replace(self, log_weights=log_softmax(np.asarray(self.log_weights, np.float64) / temperature))


def log_softmax(logits: NDArray[np.floating]) -> Values:
    """Over the last axis."""
    moved = np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True)
    return moved - np.log(np.sum(np.exp(moved), axis=-1, keepdims=True))


def log_sum_exp(values: NDArray[np.floating], axis: int = -1) -> Values:
    """log Σ exp, whole where everything is −∞."""
    largest = np.max(values, axis=axis, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.sum(np.exp(values - shift), axis=axis))
    return np.asarray(total + np.squeeze(shift, axis=axis))
