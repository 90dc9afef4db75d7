"""Label propagation: what it keeps, whom it asks, and that a scene of one class is not the worse for it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from geomm_engine.scoring.propagation import propagate, queen_neighbours, similar_tiles


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def scene(count: int = 60, dim: int = 8, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.dirichlet(np.ones(classes), count).astype(np.float32)
    vectors = unit(random.normal(size=(count, dim)))
    cells = np.array(list(itertools.product(range(-(-count // 10)), range(10))))[:count]
    return labels, vectors, cells


def test_rows_keep_their_sum() -> None:
    labels, vectors, cells = scene()
    np.testing.assert_allclose(propagate(labels * 3, vectors, cells).sum(axis=1), 3, rtol=1e-5)


def test_probabilities_stay_probabilities() -> None:
    smooth = propagate(*scene())
    assert (smooth >= 0).all()
    assert (smooth <= 1).all()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_few_tiles_are_enough(count: int) -> None:
    labels, vectors, cells = scene(count)
    smooth = propagate(labels, vectors, cells)
    assert smooth.shape == labels.shape
    np.testing.assert_allclose(smooth.sum(axis=1), 1, rtol=1e-5)


def test_a_tile_like_no_other_and_alone_keeps_its_labels() -> None:
    vectors = np.eye(3, dtype=np.float32)
    cells = np.array([[0, 0], [5, 5], [10, 0]])
    labels = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], np.float32)
    np.testing.assert_allclose(propagate(labels, vectors, cells), labels, atol=1e-6)


def test_it_is_the_formula() -> None:
    """Z ← (1 − α)·Y + α·W·Z, ten times, with dense matrices."""
    labels, vectors, cells = scene(30)
    graph = similar_tiles(vectors).toarray() + 0.5 * queen_neighbours(cells).toarray()
    walk = graph / graph.sum(axis=1, keepdims=True)
    state = labels.astype(np.float64)
    for _ in range(10):
        state = 0.2 * labels + 0.8 * walk @ state
    np.testing.assert_allclose(propagate(labels, vectors, cells), state, atol=1e-5)


def test_similar_tiles_are_asked_and_others_not() -> None:
    _, vectors, _ = scene(60)
    graph = similar_tiles(vectors).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert not np.diag(graph).any()
    cosine = vectors.astype(np.float64) @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    nearest = [set(np.argsort(row)[-5:]) for row in cosine]
    for first, second in itertools.permutations(range(60), 2):
        is_near = second in nearest[first] or first in nearest[second]
        assert graph[first, second] == pytest.approx(cosine[first, second] if is_near else 0, abs=1e-6)


def test_similarity_is_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    _, vectors, _ = scene(60)
    whole = similar_tiles(vectors).toarray()
    monkeypatch.setattr("geomm_engine.scoring.propagation._BLOCK", 7)
    np.testing.assert_allclose(similar_tiles(vectors).toarray(), whole, atol=1e-6)


def test_opposite_tiles_never_take_weight_away() -> None:
    vectors = unit(np.array([[1, 0], [-1, 0.01], [-1, -0.01]], dtype=float))
    assert (similar_tiles(vectors).toarray() >= 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_queen_neighbours_are_those_that_touch(seed: int) -> None:
    """Against brute force, on lattices with holes; the last of one row does not touch the first of the next."""
    random = np.random.default_rng(seed)
    every = np.array(list(itertools.product(range(6), range(7)))) + random.integers(0, 50, 2)
    cells = random.permutation(every)[: 42 - 8 * seed]
    graph = queen_neighbours(cells).toarray()
    distance = np.abs(cells[:, None] - cells[None, :]).max(axis=2)
    np.testing.assert_array_equal(graph, (distance == 1).astype(float))


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1), (2, 2)])
def test_queen_neighbours_of_narrow_lattices(shape: tuple[int, int]) -> None:
    cells = np.array(list(itertools.product(range(shape[0]), range(shape[1]))))
    distance = np.abs(cells[:, None] - cells[None, :]).max(axis=2)
    np.testing.assert_array_equal(queen_neighbours(cells).toarray(), (distance == 1).astype(float))


def test_order_of_the_tiles_does_not_matter() -> None:
    labels, vectors, cells = scene()
    order = np.random.default_rng(3).permutation(len(labels))
    np.testing.assert_allclose(
        propagate(labels[order], vectors[order], cells[order]), propagate(labels, vectors, cells)[order], atol=1e-5
    )


@pytest.mark.parametrize("seed", range(10))
def test_a_scene_of_one_class_is_not_degraded(seed: int) -> None:
    """K = 1: all tiles are of the first of four prompted classes, some labelled wrongly; smoothing makes none worse."""
    random = np.random.default_rng(seed)
    vectors = unit(np.array([1.0, 0, 0, 0, 0, 0]) + random.normal(0, 0.15, (100, 6)))
    logits = random.normal(0, 1, (100, 4)) + np.array([1.5, 0, 0, 0])
    labels = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    cells = np.array(list(itertools.product(range(10), range(10))))
    before, after = (values.argmax(axis=1) == 0 for values in (labels, propagate(labels, vectors, cells)))
    assert 0.3 < before.mean() < 0.95
    assert after.mean() >= before.mean()


def test_two_kinds_of_tiles_stay_two() -> None:
    """Smoothing corrects the odd one out by its likes, not by its neighbours' majority."""
    vectors = unit(np.repeat(np.eye(2), 8, axis=0) + 0.01)
    cells = np.array([(at % 8, at // 8 * 10) for at in range(16)])
    labels = np.repeat(np.array([[0.8, 0.2], [0.2, 0.8]], np.float32), 8, axis=0)
    labels[3] = (0.45, 0.55)
    assert propagate(labels, vectors, cells).argmax(axis=1).tolist() == [0] * 8 + [1] * 8
