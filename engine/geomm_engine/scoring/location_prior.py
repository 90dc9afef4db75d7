"""What a place makes likely, weighed into what a picture says: p(class | picture) · p(class | place)^λ. Pure arithmetic.

Bayes' rule for pictures that depend on their place through the class alone, under even odds of the classes beforehand;
λ below 1 trusts the place less than that (methods 002-11). λ = 0 gives back what came in, bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geomm_engine.scoring.prompts import Prompt

DOUBT = 0.02
"""Share of every prior that is even over the classes: a table may call a class impossible, a prior may not."""

Weights = NDArray[np.float32]


def with_prior(shares: Weights, prior: Weights, strength: float) -> Weights:
    """Shares of each class (n, k) after the prior (n, k) has been weighed in; rows of both sum to 1.

    A row of the prior that holds NaN is one of which nothing is known: its shares stay as they are. So do all with
    ``strength`` 0.
    """
    if strength == 0:
        return shares
    known = np.isfinite(prior).all(axis=1)
    if not known.any():
        return shares
    careful = (1.0 - DOUBT) * prior[known].astype(np.float64) + DOUBT / prior.shape[1]
    logs = np.log(np.maximum(shares[known].astype(np.float64), 1e-30)) + strength * np.log(careful)
    logs -= logs.max(axis=1, keepdims=True)
    weights = np.exp(logs)
    found = shares.copy()
    found[known] = weights / weights.sum(axis=1, keepdims=True)
    return found


@dataclass(frozen=True)
class PriorTable:
    """How likely each class is in each category of a raster: ``values`` (c,) ascending, ``weights`` (c, k), rows sum to 1."""

    values: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Mapping[float, Mapping[str, float]], prompts: Sequence[Prompt]) -> PriorTable:
        """From category → class name (lower case) → weight; a prompt that has no weight takes the mean of the row's.

        A row without a weight above zero says nothing and is left out.
        """
        values, found = [], []
        for value, named in sorted(rows.items()):
            given = [named.get(prompt.name.casefold()) if not prompt.is_negative else None for prompt in prompts]
            told = [item for item in given if item is not None]
            if not told or sum(told) <= 0:
                continue
            usual = sum(told) / len(told)
            row = np.array([usual if item is None else item for item in given], np.float64)
            values.append(value)
            found.append(row / row.sum())
        return cls(np.array(values, np.float64), np.array(found, np.float64).reshape(len(found), len(prompts)))

    def at(self, categories: NDArray[np.floating]) -> NDArray[np.float32]:
        """(…,) categories → (…, class) float32; NaN for a category that the table does not list, and for NaN."""
        found = np.full((*categories.shape, self.weights.shape[1]), np.nan, np.float32)
        if len(self.values):
            place = np.minimum(np.searchsorted(self.values, categories), len(self.values) - 1)
            is_listed = self.values[place] == categories
            found[is_listed] = self.weights[place[is_listed]]
        return found


def mean_known(priors: NDArray[np.float32], axis: tuple[int, ...]) -> NDArray[np.float32]:
    """The mean over some axes of what is known; NaN where nothing is."""
    known = np.isfinite(priors).all(axis=-1, keepdims=True)
    count = known.sum(axis=axis)
    total = np.where(known, priors, np.float32(0)).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), np.float32)
