"""Does the model notice pictures of classes that nobody asked for? Classes are left out of the prompts in turn.

The protocol leaves names out of the prompts, not pictures out of the training: for a model that was trained on these
classes it measures the reject score, not ignorance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geomm_engine.evaluation import metrics
from geomm_engine.scoring.prompts import Prompt
from geomm_engine.scoring.zero_shot import probabilities, reject_scores

DRAWS = 40
FEWEST_CLASSES = 3

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class LeftOut:
    """One class left out of the prompts, all others prompted: chance that its picture scores below another's."""

    name: str
    auroc: float


@dataclass(frozen=True)
class UnknownReport:
    """``auroc`` is the mean over draws that leave a third of the classes out; ``draws_95`` the middle 95 % of them.

    ``auroc_max_probability`` is the same with the largest softmax share for a score, the trivial way. ``kept`` and
    ``rejected`` are the shares of prompted and of other pictures on their right side of the card's threshold.
    """

    protocol: str
    auroc: float
    draws_95: tuple[float, float]
    auroc_max_probability: float
    threshold: float
    kept: float
    rejected: float
    left_out: tuple[LeftOut, ...]


def unknown(
    vectors: Vectors,
    labels: NDArray[np.int64],
    prompts: tuple[Prompt, ...],
    reference_mean: Vectors,
    *,
    logit_scale: float,
    threshold: float,
    seed: int,
) -> UnknownReport | None:
    """AUROC of the reject score (methods F6); nothing with fewer than three classes."""
    classes = len(prompts)
    if classes < FEWEST_CLASSES:
        return None
    random = np.random.default_rng(seed)
    hidden_count = max(1, min(round(classes / 3), classes - 2))
    areas, plain, kept, rejected = [], [], [], []
    for _ in range(DRAWS):
        hidden = random.choice(classes, hidden_count, replace=False)
        score, trivial = _scores(vectors, prompts, hidden, reference_mean, logit_scale)
        is_known = ~np.isin(labels, hidden)
        if is_known.all() or not is_known.any():
            continue
        areas.append(metrics.auroc(score, is_known))
        plain.append(metrics.auroc(trivial, is_known))
        kept.append(float((score[is_known] >= threshold).mean()))
        rejected.append(float((score[~is_known] < threshold).mean()))
    if not areas:
        return None
    left_out = []
    for at, prompt in enumerate(prompts):
        if (labels == at).any():
            score, _ = _scores(vectors, prompts, np.array([at]), reference_mean, logit_scale)
            left_out.append(LeftOut(prompt.name, metrics.auroc(score, labels != at)))
    return UnknownReport(
        f"{hidden_count} of {classes} class names left out of the prompts, {len(areas)} draws; reject score of "
        "methods F6. The names are left out of the prompts, not the pictures out of the model's training",
        float(np.mean(areas)),
        metrics.percentiles(np.array(areas)),
        float(np.mean(plain)),
        threshold,
        float(np.mean(kept)),
        float(np.mean(rejected)),
        tuple(left_out),
    )


def _scores(
    vectors: Vectors,
    prompts: tuple[Prompt, ...],
    hidden: NDArray[np.int64],
    reference_mean: Vectors,
    logit_scale: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    asked = [prompt for at, prompt in enumerate(prompts) if at not in hidden]
    score = reject_scores(vectors, asked, reference_mean)
    return score.astype(np.float64), probabilities(vectors, asked, logit_scale).max(axis=1).astype(np.float64)
