"""What labels can make of fixed features: nearest neighbours, nearest centroid, a linear probe. Pure NumPy and SciPy.

Always cross-validated, and the same table for the model's vectors and for the plain features that it must beat
(methods 003-07).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from geomm_engine.evaluation import metrics
from geomm_engine.evaluation.split import blocked_folds, overlapping, stratified_folds
from geomm_engine.progress import Job, Stopwatch

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]

FOLDS = 5
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
_QUERIES = 2048
_FEWEST_BLOCKS = 3 * FOLDS


@dataclass(frozen=True)
class ProbeRow:
    """Accuracy of one method on one kind of features; shares 0–1."""

    features: str
    method: str
    top1: float
    top1_interval_95: tuple[float, float]
    macro_f1: float
    macro_f1_interval_95: tuple[float, float]


@dataclass(frozen=True)
class ProbeReport:
    """``protocol`` says in words how the rows were parted."""

    protocol: str
    folds: int
    rows: tuple[ProbeRow, ...]

    def row(self, features: str, method: str) -> ProbeRow:
        """The row of this name.

        Raises:
            KeyError: there is none.
        """
        for item in self.rows:
            if (item.features, item.method) == (features, method):
                return item
        raise KeyError((features, method))


@dataclass(frozen=True)
class Parting:
    """``fold`` (n,); ``is_left_out`` (fold, n) rows that may not train beside those tested."""

    fold: Labels
    count: int
    is_left_out: NDArray[np.bool_]
    protocol: str

    def __iter__(self) -> Iterator[tuple[Labels, Labels]]:
        """Training and test rows of each fold."""
        for number in range(self.count):
            tested = self.fold == number
            yield np.flatnonzero(~tested & ~self.is_left_out[number]), np.flatnonzero(tested)


def parting(labels: Labels, bounds: NDArray[np.float64] | None, seed: int) -> Parting | None:
    """Folds by place where every picture says where it lies, else drawn class by class; nothing for one of a kind.

    Args:
        bounds: (n, 4) xmin, ymin, xmax, ymax.
    """
    if bounds is not None:
        fold, blocks = blocked_folds(bounds, FOLDS)
        if blocks >= _FEWEST_BLOCKS:
            left_out = np.stack([overlapping(bounds, fold == number) for number in range(FOLDS)])
            words = f"{FOLDS} folds by place ({blocks} blocks of ground); no training picture shows tested ground"
            return Parting(fold, FOLDS, left_out, words)
    count = min(FOLDS, int(np.bincount(labels)[np.unique(labels)].min()))
    if count < 2:
        return None
    words = f"{count} folds, stratified by class, not by place (neighbouring pictures may stand on both sides)"
    if bounds is not None:
        words = f"{count} folds, stratified by class; too few places to part by place"
    return Parting(stratified_folds(labels, count, seed), count, np.zeros((count, len(labels)), dtype=bool), words)


def probe(
    features: Mapping[str, Vectors], labels: Labels, classes: int, folds: Parting, *, methods: tuple[str, ...] = ()
) -> Job[ProbeReport]:
    """Every method on every kind of features, tested on rows that did not train it.

    Args:
        features: name to (n, width).
        methods: names out of ``METHODS``; all of them when empty.
    """
    chosen = methods or tuple(METHODS)
    watch = Stopwatch("probe", len(features) * folds.count)
    rows: list[ProbeRow] = []
    for name, values in features.items():
        said = {method: np.zeros(len(labels), dtype=np.int64) for method in chosen}
        for train, test in folds:
            for method in chosen:
                said[method][test] = METHODS[method](values[train], labels[train], values[test], classes)
            yield watch.step()
        rows += [_row(name, method, labels, said[method], classes) for method in chosen]
    return ProbeReport(folds.protocol, folds.count, tuple(rows))


def _row(features: str, method: str, truth: Labels, said: Labels, classes: int) -> ProbeRow:
    matrix = metrics.confusion_matrix(truth, said, classes)
    right = int(np.trace(matrix))
    drawn = metrics.drawn_again(matrix)
    return ProbeRow(
        features,
        method,
        right / len(truth),
        metrics.wilson_interval(right, len(truth)),
        metrics.macro_f1(matrix),
        metrics.percentiles(np.array([metrics.macro_f1(item) for item in drawn])),
    )


def nearest_neighbours(train: Vectors, labels: Labels, test: Vectors, classes: int, *, k: int) -> Labels:
    """Majority of the k nearest by cosine; equal counts go to the class with the larger sum of cosines."""
    mean = train.mean(axis=0)
    deviation = np.maximum(train.std(axis=0), 1e-9)
    # Features without a unit of their own (band statistics) need a common one before a cosine means anything.
    is_unit = bool(np.allclose(np.linalg.norm(train[:64], axis=1), 1.0, atol=1e-3))
    known = _unit(train if is_unit else (train - mean) / deviation)
    asked = _unit(test if is_unit else (test - mean) / deviation)
    nearest = min(k, len(train))
    said = np.zeros(len(test), dtype=np.int64)
    for start in range(0, len(test), _QUERIES):
        cosine = asked[start : start + _QUERIES] @ known.T
        best = np.argpartition(-cosine, nearest - 1, axis=1)[:, :nearest]
        near = np.take_along_axis(cosine, best, axis=1)
        votes = np.zeros((len(cosine), classes))
        rows = np.repeat(np.arange(len(cosine)), nearest)
        # A cosine is at most 1, so that k of them never outweigh one vote.
        np.add.at(votes, (rows, labels[best].reshape(-1)), (1.0 + (near.reshape(-1) + 1) / (4 * nearest)))
        said[start : start + _QUERIES] = votes.argmax(axis=1)
    return said


def nearest_centroid(train: Vectors, labels: Labels, test: Vectors, classes: int) -> Labels:
    """The class whose mean is nearest, every feature scaled to the training rows' deviation."""
    known, asked = _standard(train, test)
    centres = np.full((classes, train.shape[1]), np.inf, dtype=np.float32)
    for label in np.unique(labels):
        centres[label] = known[labels == label].mean(axis=0)
    there = np.isfinite(centres[:, 0])
    distance = (centres[there] ** 2).sum(axis=1) - 2 * asked @ centres[there].T
    return np.asarray(np.flatnonzero(there)[distance.argmin(axis=1)], dtype=np.int64)


def linear_probe(train: Vectors, labels: Labels, test: Vectors, classes: int) -> Labels:
    """Multinomial logistic regression; the penalty is the best of four on a fifth of the training rows."""
    known, asked = _standard(train, test)
    inner = stratified_folds(labels, 5, 0) == 0
    best, most = PENALTIES[-1], -1.0
    if inner.any() and not inner.all():
        for penalty in PENALTIES:
            weights = _fit(known[~inner], labels[~inner], classes, penalty, steps=60)
            share = float((_answer(known[inner], weights) == labels[inner]).mean())
            if share > most:
                best, most = penalty, share
    return _answer(asked, _fit(known, labels, classes, best, steps=200))


def _fit(values: Vectors, labels: Labels, classes: int, penalty: float, steps: int) -> Vectors:
    """(width + 1, class) float32 weights with the constants in the last row, which are not penalised."""
    rows, width = values.shape
    target = np.zeros((rows, classes), dtype=np.float32)
    target[np.arange(rows), labels] = 1.0

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(width + 1, classes).astype(np.float32)
        logits = values @ weights[:-1] + weights[-1]
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        total = shares.sum(axis=1, keepdims=True)
        value = float(-(logits * target).sum() + np.log(total).sum()) / rows
        error = (shares / total - target) / rows
        gradient = np.concatenate([values.T @ error + penalty * weights[:-1], error.sum(axis=0, keepdims=True)])
        return value + penalty / 2 * float((weights[:-1] ** 2).sum()), gradient.astype(np.float64).reshape(-1)

    start = np.zeros((width + 1) * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps, "ftol": 1e-7})
    return np.asarray(found.x, dtype=np.float32).reshape(width + 1, classes)


def _answer(values: Vectors, weights: Vectors) -> Labels:
    return np.asarray((values @ weights[:-1] + weights[-1]).argmax(axis=1), dtype=np.int64)


def _standard(train: Vectors, test: Vectors) -> tuple[Vectors, Vectors]:
    mean, deviation = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-6)
    return (train - mean) / deviation, (test - mean) / deviation


def _unit(values: Vectors) -> Vectors:
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def _neighbours(k: int) -> Callable[[Vectors, Labels, Vectors, int], Labels]:
    return lambda train, labels, test, classes: nearest_neighbours(train, labels, test, classes, k=k)


METHODS: dict[str, Callable[[Vectors, Labels, Vectors, int], Labels]] = {
    "kNN-5": _neighbours(5),
    "kNN-20": _neighbours(20),
    "nearest centroid": nearest_centroid,
    "linear probe": linear_probe,
}
