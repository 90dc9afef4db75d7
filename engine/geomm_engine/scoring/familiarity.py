"""How much a tile looks like anything that a model learned from, whatever words were typed. Knows no card.

A model's folder may hold exemplars: vectors that stand for its training pictures. A tile far from all of them is ground
that the model has not seen; its words for it are guesses, however sure they sound (nearest-neighbour novelty detection, Sun
et al. 2022, "Out-of-distribution detection with deep nearest neighbors").
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import ModelError, writing

_LARGEST = 127


@dataclass(frozen=True)
class Exemplars:
    """``vectors`` (m, dim) float32 of length 1. Below ``threshold`` (a cosine) a tile is unfamiliar."""

    vectors: NDArray[np.float32]
    threshold: float

    def familiarity(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, dim) unit vectors → (n,) cosine with the nearest exemplar."""
        return np.asarray((vectors @ self.vectors.T).max(axis=1), dtype=np.float32)


def read_exemplars(path: Path, dim: int, threshold: float) -> Exemplars:
    """The exemplars of a model whose vectors have ``dim`` numbers.

    Raises:
        ModelError: the file is damaged, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            steps = stored["vectors"].astype(np.float32)
        if steps.ndim != 2 or not len(steps) or steps.shape[1] != dim:
            raise ValueError(f"it holds {steps.shape}, not vectors of {dim} numbers")
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as problem:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The exemplars {path} of the model cannot be used: {problem}.",
            "Install the model again.",
            path=str(path),
        ) from problem
    length = np.linalg.norm(steps, axis=1, keepdims=True)
    return Exemplars(steps / np.maximum(length, 1e-6), threshold)


def write_exemplars(vectors: NDArray[np.float32], path: Path) -> None:
    """(m, dim) unit vectors, a byte a value; their directions are kept to within half a step of 127."""
    most = np.abs(vectors).max(axis=1, keepdims=True)
    with writing(path):
        np.savez_compressed(path, vectors=np.round(vectors / most * _LARGEST).astype(np.int8))
