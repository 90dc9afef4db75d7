"""How good a ranking is, exactly, where scores tie: expectations over every order of equal scores. Pure NumPy.

Recall, precision and average precision with ties after McSherry & Najork (ECIR 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln


@dataclass(frozen=True)
class Ranked:
    """Of one query, each (k,) for the k asked for: chance of a hit in the first k; share of relevant items among the
    first min(k, relevant items), so that a perfect ranking has 1; average precision over the first k, divided by
    min(k, relevant items)."""

    hit: NDArray[np.float64]
    precision: NDArray[np.float64]
    average_precision: NDArray[np.float64]


def rank(scores: NDArray[np.float32], is_relevant: NDArray[np.bool_], ks: Sequence[int]) -> Ranked:
    """Expected quality of the ranking by descending score, equal scores in random order.

    Args:
        scores: (candidate,) of one query.
        is_relevant: (candidate,) bool, at least one of them true.
        ks: cuts; one beyond the number of candidates counts the absent places as not relevant.

    Raises:
        ValueError: nothing is relevant.
    """
    total = int(is_relevant.sum())
    if total == 0:
        raise ValueError("a query without a relevant item has no rank")
    order = np.argsort(-scores, kind="stable")
    ordered, relevant = scores[order], is_relevant[order].astype(np.float64)
    starts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])
    sizes = np.diff(np.append(starts, len(ordered)))
    inside = np.add.reduceat(relevant, starts)
    before = np.cumsum(inside) - inside
    group = np.repeat(np.arange(len(starts)), sizes)[: max(ks)]
    place = np.arange(len(group)) - starts[group]
    n, r = sizes[group].astype(np.float64), inside[group]
    earlier = before[group] + np.where(n > 1, place * (r - 1) / np.maximum(n - 1, 1), 0.0)
    gains = r / n * (earlier + 1) / (np.arange(len(group)) + 1.0)
    shares = r / n
    hit, precision, average = [], [], []
    for k in ks:
        seen = min(k, len(group))
        last = group[seen - 1]
        hit.append(1.0 - _no_hit(before[last], sizes[last], inside[last], seen - starts[last]))
        precision.append(shares[: min(seen, total)].sum() / min(k, total))
        average.append(gains[:seen].sum() / min(k, total))
    return Ranked(np.array(hit), np.array(precision), np.array(average))


def _no_hit(before: float, size: int, relevant: float, taken: int) -> float:
    """Chance that no relevant item is among the first: none in earlier groups, none of ``taken`` out of this one."""
    if before > 0 or taken > size - relevant:
        return 0.0
    others = size - relevant
    log_share = gammaln(others + 1) - gammaln(others - taken + 1) - gammaln(size + 1) + gammaln(size - taken + 1)
    return float(np.exp(log_share))


def rank_all(scores: NDArray[np.float32], is_relevant: NDArray[np.bool_], ks: Sequence[int]) -> Ranked:
    """One query a row: (query, k) each; queries without a relevant candidate are left out."""
    rows = [rank(score, wanted, ks) for score, wanted in zip(scores, is_relevant, strict=True) if wanted.any()]
    return Ranked(
        np.array([item.hit for item in rows]).reshape(-1, len(ks)),
        np.array([item.precision for item in rows]).reshape(-1, len(ks)),
        np.array([item.average_precision for item in rows]).reshape(-1, len(ks)),
    )
