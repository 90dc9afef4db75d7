"""Probes: easy sets are solved, shuffled labels are not, and nothing learns from what it is tested on."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.evaluation.probe import METHODS, linear_probe, nearest_neighbours, parting, probe
from geomm_engine.progress import run


def two_moons(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    centres = np.array([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]], np.float32)
    return (centres[labels] + random.normal(0, 0.4, (rows, 4))).astype(np.float32), labels.astype(np.int64)


@pytest.mark.parametrize("method", list(METHODS))
def test_separate_classes_are_told_apart_and_shuffled_ones_are_not(method: str) -> None:
    values, labels = two_moons(300)
    shuffled = np.random.default_rng(1).permutation(labels)
    for truth, low, high in ((labels, 0.95, 1.0), (shuffled, 0.15, 0.5)):
        folds = parting(truth, None, 0)
        assert folds is not None
        row = run(probe({"f": values}, truth, 3, folds, methods=(method,))).row("f", method)
        assert low <= row.top1 <= high
        assert row.top1_interval_95[0] <= row.top1 <= row.top1_interval_95[1]


def test_neighbours_equal_brute_force() -> None:
    random = np.random.default_rng(2)
    train = random.normal(size=(60, 5)).astype(np.float32)
    train /= np.linalg.norm(train, axis=1, keepdims=True)
    test = random.normal(size=(25, 5)).astype(np.float32)
    labels = random.integers(0, 3, 60)
    said = nearest_neighbours(train, labels, test, 3, k=5)
    for row, vector in zip(said, test, strict=True):
        cosine = train @ vector / np.linalg.norm(vector)
        best = np.argsort(-cosine)[:5]
        votes = np.bincount(labels[best], minlength=3)
        sums = np.bincount(labels[best], weights=cosine[best], minlength=3)
        winners = np.flatnonzero(votes == votes.max())
        assert row == winners[np.argmax(sums[winners])]


def test_a_linear_probe_finds_a_known_plane() -> None:
    random = np.random.default_rng(3)
    values = random.normal(size=(400, 6)).astype(np.float32)
    labels = (values @ np.array([3, -2, 1, 0, 0, 0], np.float32) > 0.5).astype(np.int64)
    assert (linear_probe(values[:300], labels[:300], values[300:], 2) == labels[300:]).mean() > 0.95


def test_one_of_a_kind_cannot_be_parted() -> None:
    assert parting(np.array([0, 0, 1]), None, 0) is None


def test_places_part_the_rows_where_they_are_known() -> None:
    x = np.arange(200.0)
    bounds = np.stack([x, np.zeros(200), x + 1.5, np.ones(200)], axis=1)
    folds = parting(np.arange(200) % 2, bounds, 0)
    assert folds is not None
    assert "by place" in folds.protocol
    for train, test in folds:
        assert not set(train) & set(test)
        assert np.abs(x[train][:, None] - x[test][None]).min() >= 1.5
    few = parting(np.arange(20) % 2, bounds[:20], 0)
    assert few is not None
    assert "too few places" in few.protocol
