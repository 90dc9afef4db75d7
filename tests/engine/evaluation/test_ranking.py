"""Rankings against brute force over every order of tied scores, and against numbers worked out by hand."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest

from geomm_engine.evaluation.ranking import rank, rank_all


def by_brute_force(scores: np.ndarray, relevant: np.ndarray, k: int) -> tuple[float, float, float]:
    """Mean over all orders that agree with the scores."""
    hits, precisions, averages = [], [], []
    for order in permutations(range(len(scores))):
        if any(scores[a] < scores[b] for a, b in pairwise(order)):
            continue
        seen = relevant[list(order)]
        hits.append(seen[:k].any())
        cut = min(k, relevant.sum())
        precisions.append(seen[:cut].sum() / cut)
        at = np.flatnonzero(seen[:k])
        averages.append(sum((seen[: i + 1].sum()) / (i + 1) for i in at) / min(k, relevant.sum()))
    return float(np.mean(hits)), float(np.mean(precisions)), float(np.mean(averages))


@pytest.mark.parametrize("seed", range(12))
def test_ties_give_the_mean_over_all_orders(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 3, 7).astype(np.float32)
    relevant = random.random(7) < 0.4
    relevant[random.integers(7)] = True
    ks = (1, 2, 3, 5, 7)
    found = rank(scores, relevant, ks)
    for at, k in enumerate(ks):
        expected = by_brute_force(scores, relevant, k)
        assert (found.hit[at], found.precision[at], found.average_precision[at]) == pytest.approx(expected)


def test_a_ranking_without_ties() -> None:
    found = rank(np.array([0.9, 0.8, 0.7, 0.6], np.float32), np.array([False, True, False, True]), (1, 2, 10))
    assert found.hit.tolist() == [0, 1, 1]
    assert found.precision.tolist() == [0, 0.5, 0.5]
    assert found.average_precision[2] == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_random_order_hits_by_the_hypergeometric_law() -> None:
    found = rank(np.zeros(100, np.float32), np.arange(100) < 5, (10,))
    miss = np.prod([(95 - i) / (100 - i) for i in range(10)])
    assert found.hit[0] == pytest.approx(1 - miss)
    assert found.precision[0] == pytest.approx(0.05)


def test_a_query_without_a_right_answer_is_refused_alone_and_left_out_among_others() -> None:
    with pytest.raises(ValueError, match="no rank"):
        rank(np.zeros(3, np.float32), np.zeros(3, bool), (1,))
    found = rank_all(np.eye(3, dtype=np.float32), np.diag([True, False, True]), (1,))
    assert found.hit.shape == (2, 1)
    assert found.hit.min() == 1
