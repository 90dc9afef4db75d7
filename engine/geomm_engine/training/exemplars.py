"""Chooses the vectors that stand for what a model learned from: a few centres of every class's pictures."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from geomm_engine.encoders.encoder import unit

PER_CLASS = 16
UNFAMILIAR_SHARE = 0.02
"""Of the set that a model knows least, so many pictures that training did not see are called unfamiliar."""


def choose_exemplars(vectors: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """(n, dim) unit vectors with their classes (n,) → (m, dim) unit vectors, at most 16 a class (k-means)."""
    chosen: list[NDArray[np.float32]] = []
    for label in np.unique(labels):
        own = vectors[labels == label]
        own = own[np.sort(np.unique(own, axis=0, return_index=True)[1])]  # each once, in their order
        if len(own) <= PER_CLASS:
            chosen.append(own)
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "One of the clusters is empty")  # and is left out
            centres, nearest = kmeans2(own, PER_CLASS, minit="++", rng=seed)
        chosen.append(np.asarray(centres[np.unique(nearest)], dtype=np.float32))
    return unit(np.concatenate(chosen))
