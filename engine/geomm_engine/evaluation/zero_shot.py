"""Zero-shot accuracy: class names typed as text against labelled pictures, by class, with intervals and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ClassEntry, ErrorCode
from geomm_engine.encoders.card import Card
from geomm_engine.errors import WordsError
from geomm_engine.evaluation import metrics
from geomm_engine.evaluation.calibration import Calibration, calibration
from geomm_engine.evaluation.pictures import plain, spoken
from geomm_engine.evaluation.probe import ProbeReport
from geomm_engine.evaluation.unknown import UnknownReport, unknown
from geomm_engine.scoring.prompts import Prompt
from geomm_engine.scoring.zero_shot import probabilities, reject_scores

Interval = tuple[float, float]

WORST = 24
_ALIKE = 3
"""Of one confusion (true class, said class) at most so many of the worst pictures are shown."""


@dataclass(frozen=True)
class ClassAccuracy:
    """Of one class; Wilson's intervals of the shares, a bootstrap interval of F1. Zeros where it was never said."""

    name: str
    prompts: tuple[str, ...]
    images: int
    precision: float
    precision_interval_95: Interval
    recall: float
    recall_interval_95: Interval
    f1: float
    f1_interval_95: Interval


@dataclass(frozen=True)
class Baseline:
    """What costs nothing; ``learns`` when it was trained on the labels of other folds, as zero-shot never is."""

    name: str
    learns: bool
    top1: float
    top1_interval_95: Interval
    macro_f1: float


@dataclass(frozen=True)
class WorstPicture:
    """Wrong and sure of it."""

    path: str
    truth: str
    said: str
    confidence: float


@dataclass(frozen=True)
class ZeroShotReport:
    """Rows of ``confusion`` are truth, columns what was said; shares 0–1."""

    images: int
    top1: float
    top1_interval_95: Interval
    macro_f1: float
    macro_f1_interval_95: Interval
    by_class: tuple[ClassAccuracy, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration
    unknown: UnknownReport | None
    baselines: tuple[Baseline, ...]
    worst: tuple[WorstPicture, ...]


@dataclass(frozen=True)
class Answers:
    """(n,) what was said of each picture, the share it got, and the share of the true class."""

    said: NDArray[np.int64]
    confidence: NDArray[np.float64]
    true_share: NDArray[np.float64]
    reject_score: NDArray[np.float64]


def words(classes: Sequence[str], entries: Sequence[ClassEntry] = ()) -> list[ClassEntry]:
    """What is typed for each class folder: its name as a person would say it, or the row of a class list.

    Raises:
        WordsError: the class list has no row for a folder.
    """
    if not entries:
        return [ClassEntry(spoken(name)) for name in classes]
    rows = {plain(text): entry for entry in entries for text in reversed((entry.name, *entry.synonyms))}
    missing = [name for name in classes if plain(name) not in rows]
    if missing:
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID,
            f"The class list has no row for the folder{'s' if len(missing) > 1 else ''} {', '.join(missing)}.",
            "Give each folder a row of the same name.",
        )
    return [replace(rows[plain(name)], is_negative=False) for name in classes]


def zero_shot(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    paths: Sequence[str],
    classes: Sequence[str],
    entries: Sequence[ClassEntry],
    prompts: tuple[Prompt, ...],
    card: Card,
    baselines: ProbeReport | None,
    *,
    seed: int,
) -> tuple[ZeroShotReport, Answers]:
    """Everything about typed class names.

    Args:
        vectors: (n, dim) of length 1; ``labels`` (n,) and ``paths`` go with them.
        classes: names of the folders; ``entries`` and ``prompts`` in the same order.
        baselines: what labels make of plain features, if they could be cross-validated.
    """
    scoring = card.scoring
    shares = probabilities(vectors, prompts, scoring.logit_scale, scoring.logit_bias).astype(np.float64)
    said = shares.argmax(axis=1).astype(np.int64)
    confidence = shares.max(axis=1)
    matrix = metrics.confusion_matrix(labels, said, len(classes))
    drawn = metrics.drawn_again(matrix, seed=seed)
    right = int(np.trace(matrix))
    prototypes = np.stack([prompt.prototype for prompt in prompts])
    known = unknown(
        vectors,
        labels,
        prompts,
        card.reference_mean(),
        logit_scale=scoring.logit_scale,
        threshold=scoring.reject_threshold,
        seed=seed,
    )
    report = ZeroShotReport(
        images=len(labels),
        top1=right / len(labels),
        top1_interval_95=metrics.wilson_interval(right, len(labels)),
        macro_f1=metrics.macro_f1(matrix),
        macro_f1_interval_95=metrics.percentiles(np.array([metrics.macro_f1(item) for item in drawn])),
        by_class=_by_class(matrix, drawn, classes, entries),
        confusion=tuple(tuple(int(value) for value in row) for row in matrix),
        calibration=calibration(
            confidence, said == labels, vectors @ prototypes.T, labels, scoring.logit_scale, seed=seed
        ),
        unknown=known,
        baselines=(*_trivial(labels, len(classes)), *_learnt(baselines)),
        worst=_worst(labels, said, confidence, paths, classes),
    )
    reject = reject_scores(vectors, prompts, card.reference_mean()).astype(np.float64)
    return report, Answers(said, confidence, shares[np.arange(len(labels)), labels], reject)


def _by_class(
    matrix: NDArray[np.int64], drawn: NDArray[np.int64], classes: Sequence[str], entries: Sequence[ClassEntry]
) -> tuple[ClassAccuracy, ...]:
    scores = metrics.by_class(matrix)
    f1 = np.stack([metrics.by_class(item).f1 for item in drawn])
    rows = []
    for at, (name, entry) in enumerate(zip(classes, entries, strict=True)):
        right = int(matrix[at, at])
        rows.append(
            ClassAccuracy(
                name,
                (entry.name, *entry.synonyms),
                int(scores.support[at]),
                float(scores.precision[at]),
                metrics.wilson_interval(right, int(matrix[:, at].sum())),
                float(scores.recall[at]),
                metrics.wilson_interval(right, int(scores.support[at])),
                float(scores.f1[at]),
                metrics.percentiles(f1[:, at]),
            )
        )
    return tuple(rows)


def _trivial(labels: NDArray[np.int64], classes: int) -> tuple[Baseline, Baseline]:
    count = np.bincount(labels, minlength=classes)
    most = int(count.argmax())
    majority = metrics.confusion_matrix(labels, np.full(len(labels), most), classes)
    interval = metrics.wilson_interval(int(count[most]), len(labels))
    chance = 1 / classes
    return (
        Baseline("chance", learns=False, top1=chance, top1_interval_95=(chance, chance), macro_f1=_chance_f1(count)),
        Baseline(
            "largest class",
            learns=False,
            top1=float(count[most] / len(labels)),
            top1_interval_95=interval,
            macro_f1=metrics.macro_f1(majority),
        ),
    )


def _chance_f1(count: NDArray[np.int64]) -> float:
    """Macro F1 of answers drawn evenly: precision is the class's share, recall 1 / classes."""
    share, recall = count / count.sum(), 1 / len(count)
    return float(np.mean(2 * share * recall / (share + recall)))


def _learnt(report: ProbeReport | None) -> tuple[Baseline, ...]:
    if report is None:
        return ()
    return tuple(
        Baseline(
            f"{row.features}, {row.method}",
            learns=True,
            top1=row.top1,
            top1_interval_95=row.top1_interval_95,
            macro_f1=row.macro_f1,
        )
        for row in report.rows
    )


def _worst(
    labels: NDArray[np.int64],
    said: NDArray[np.int64],
    confidence: NDArray[np.float64],
    paths: Sequence[str],
    classes: Sequence[str],
) -> tuple[WorstPicture, ...]:
    wrong = np.flatnonzero(said != labels)
    shown: list[WorstPicture] = []
    alike: dict[tuple[int, int], int] = {}
    for row in wrong[np.argsort(-confidence[wrong], kind="stable")]:
        pair = int(labels[row]), int(said[row])
        alike[pair] = alike.get(pair, 0) + 1
        if alike[pair] <= _ALIKE:
            shown.append(WorstPicture(paths[row], classes[pair[0]], classes[pair[1]], float(confidence[row])))
        if len(shown) == WORST:
            break
    return tuple(shown)
