"""Label propagation over similar tiles and neighbours: "smooth by similarity" (methods F7). Pure arithmetic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

NEIGHBOURS = 5
ALPHA = 0.8
"""How much a tile hears of others. Of 0.5, 0.8 and 0.9 on mosaics of pictures that training never saw: see ARCHITECTURE.md."""
ITERATIONS = 10
ADJACENCY = 0.5
_BLOCK = 2048


def propagate(
    labels: NDArray[np.float32], vectors: NDArray[np.float32], cells: NDArray[np.int64], *, adjacency: float = ADJACENCY
) -> NDArray[np.float32]:
    """Z ← (1 − α)·Y + α·W·Z with W the row-normalised graph of similar tiles ⊕ β × queen neighbours.

    Args:
        labels: (n, class) probabilities Y.
        vectors: (n, dim) of length 1.
        cells: (n, 2) row and column of each tile on its lattice.
        adjacency: β, weight of the eight neighbours against the five most similar tiles.

    Returns:
        (n, class) float32; rows sum to what they did.
    """
    if len(labels) < 2:
        return labels
    graph = similar_tiles(vectors) + adjacency * queen_neighbours(cells)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    walk = sparse.diags_array(1.0 / np.maximum(degree, 1e-12)) @ graph
    held = np.where(degree > 0, ALPHA, 0.0)[:, None]
    state = labels.astype(np.float64)
    for _ in range(ITERATIONS):
        state = (1 - held) * labels + held * (walk @ state)
    return state.astype(np.float32)


def similar_tiles(vectors: NDArray[np.float32], neighbours: int = NEIGHBOURS) -> sparse.csr_array:
    """(n, n) symmetric: positive cosine to the most similar tiles, exact, by blocked matrix products."""
    count = len(vectors)
    kept = min(neighbours, count - 1)
    rows, cols, weights = [], [], []
    for start in range(0, count, _BLOCK):
        cosine = vectors[start : start + _BLOCK] @ vectors.T
        own = np.arange(start, start + len(cosine))
        cosine[np.arange(len(cosine)), own] = -np.inf
        best = np.argpartition(cosine, -kept, axis=1)[:, -kept:]
        rows.append(np.repeat(own, kept))
        cols.append(best.ravel())
        weights.append(np.take_along_axis(cosine, best, axis=1).ravel())
    data = np.maximum(np.concatenate(weights), 0.0)
    graph = sparse.csr_array((data, (np.concatenate(rows), np.concatenate(cols))), shape=(count, count))
    return sparse.csr_array(graph.maximum(graph.T))


def queen_neighbours(cells: NDArray[np.int64]) -> sparse.csr_array:
    """(n, n) symmetric: 1 between cells that touch, corners included."""
    count = len(cells)
    width = int(cells[:, 1].max()) + 2
    keys = cells[:, 0] * width + cells[:, 1]
    order = np.argsort(keys)
    found_rows, found_cols = [], []
    for step_row, step_col in ((0, 1), (1, -1), (1, 0), (1, 1)):
        wanted = keys + step_row * width + step_col
        place = np.searchsorted(keys[order], wanted)
        match = order[np.minimum(place, count - 1)]
        is_there = (keys[match] == wanted) & (cells[:, 1] + step_col >= 0)
        found_rows.append(np.nonzero(is_there)[0])
        found_cols.append(match[is_there])
    rows, cols = np.concatenate(found_rows), np.concatenate(found_cols)
    graph = sparse.csr_array((np.ones(len(rows)), (rows, cols)), shape=(count, count))
    return sparse.csr_array(graph + graph.T)
