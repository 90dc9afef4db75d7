"""The training's own split of labelled pictures, and folds for cross-validation: rows drawn class by class or by place."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

VALIDATION_SHARE = 0.15
VALIDATION_SEED = 2026
"""What the recipes of the built-in models hold out."""

BLOCK_WIDTHS = 8
"""A block of places is this many pictures wide."""

Rows = NDArray[np.int64]


def held_out(labels: Rows, classes: int, share: float, seed: int) -> Rows:
    """The validation rows, ascending: the same share of every class, drawn with a seed of their own.

    The draw depends on the number of pictures of each class and their order within it, nothing else.
    """
    random = np.random.default_rng(seed)
    held: list[Rows] = []
    for label in range(classes):
        rows = random.permutation(np.flatnonzero(labels == label))
        held.append(rows[: round(share * len(rows))])
    return np.sort(np.concatenate(held))


def stratified_folds(labels: Rows, folds: int, seed: int) -> Rows:
    """(n,) the fold of each row; every class is spread evenly over the folds."""
    random = np.random.default_rng(seed)
    fold = np.zeros(len(labels), dtype=np.int64)
    first = 0
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        fold[rows] = (np.arange(len(rows)) + first) % folds
        first += len(rows)
    return fold


def blocked_folds(bounds: NDArray[np.float64], folds: int) -> tuple[Rows, int]:
    """Folds by place: whole blocks of ground, the largest first into the emptiest fold.

    Args:
        bounds: (n, 4) xmin, ymin, xmax, ymax in one system of coordinates.

    Returns:
        (n,) the fold of each row, and the number of blocks.
    """
    size = BLOCK_WIDTHS * np.median(bounds[:, 2:] - bounds[:, :2], axis=0)
    cells = np.floor((bounds[:, :2] + bounds[:, 2:]) / 2 / size).astype(np.int64)
    _, block, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    fold_of_block = np.zeros(len(count), dtype=np.int64)
    filled = np.zeros(folds)
    for number in np.argsort(-count, kind="stable"):
        fold_of_block[number] = int(np.argmin(filled))
        filled[fold_of_block[number]] += count[number]
    return fold_of_block[block.reshape(-1)], len(count)


def overlapping(bounds: NDArray[np.float64], tested: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) which rows outside ``tested`` show ground that a tested one shows too; they must not train."""
    boxes = shapely.box(*bounds.T)
    tree = shapely.STRtree(boxes[tested])
    others = np.flatnonzero(~tested)
    touched = np.zeros(len(bounds), dtype=bool)
    # Neighbours that share an edge show no common ground.
    pairs = tree.query(boxes[others], predicate="intersects")
    shared = shapely.area(shapely.intersection(boxes[others][pairs[0]], boxes[tested][pairs[1]])) > 0
    touched[others[pairs[0][shared]]] = True
    return touched
