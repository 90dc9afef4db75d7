"""What a card says of a model, measured on the validation pictures through the shipped graphs.

The validation pictures are used for nothing but judging recipes, early stopping and, one half of them, the temperature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geomm_engine.encoders.encoder import ImageEncoder, TextEncoder, unit
from geomm_engine.evaluation import metrics
from geomm_engine.evaluation.lights import in_light
from geomm_engine.training.pictures import PictureSet, whole

Vectors = NDArray[np.float32]
Draw = tuple[NDArray[np.float64], NDArray[np.bool_]]
LARGEST_FALSE_REJECT = 0.005
DRAWS = 40


@dataclass(frozen=True)
class Seen:
    """Pictures of one set as vectors, beside the vectors of its class names."""

    name: str
    labels: NDArray[np.int64]
    images: Vectors
    texts: Vectors

    @property
    def cosine(self) -> NDArray[np.float64]:
        return (self.images @ self.texts.T).astype(np.float64)

    @property
    def said(self) -> NDArray[np.int64]:
        return np.asarray(np.argmax(self.cosine, axis=1), dtype=np.int64)

    def rows(self, chosen: NDArray[np.int64]) -> Seen:
        return Seen(self.name, self.labels[chosen], self.images[chosen], self.texts)


def embed_pictures(encoder: ImageEncoder, pictures: PictureSet, size_px: int, light: str = "") -> Vectors:
    """Every picture in full at this size, as it is or in one of ``evaluation.lights.LIGHTS``."""
    pixels, gsd_m = whole(pictures, size_px)
    parts: list[Vectors] = []
    for part in torch.split(pixels, 256):
        images = part.numpy().astype(np.float32) / 255.0
        if light:
            images = np.stack([in_light(image, light) for image in images])
        parts.append(encoder.embed_images(images, gsd_m))
    return np.concatenate(parts)


def embed_names(encoder: TextEncoder, names: Sequence[str], templates: Sequence[str]) -> Vectors:
    """F6: one unit vector a name, the mean over the templates."""
    vectors = encoder.embed_texts([template.format(name) for name in names for template in templates])
    return unit(vectors.reshape(len(names), len(templates), -1).mean(axis=1))


def halves(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows split in two, every class alike."""
    random = np.random.default_rng(seed)
    first: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        first.append(rows[: len(rows) // 2])
    left = np.sort(np.concatenate(first))
    return left, np.setdiff1d(np.arange(len(labels)), left)


def expected_calibration_error(seen: Seen, scale: float) -> float:
    """ECE of the softmax over the set's class names at this scale."""
    logits = scale * seen.cosine
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits)
    confidence = weights.max(axis=1) / weights.sum(axis=1)
    return metrics.calibration_error(confidence, seen.said == seen.labels)


@dataclass(frozen=True)
class Rejection:
    """How well the reject score tells pictures of prompted classes from others; ``kept`` and ``rejected`` at θ."""

    threshold: float
    auroc: float
    kept: float
    rejected: float


def reject_scores(images: Vectors, texts: Vectors, reference_mean: Vectors) -> NDArray[np.float64]:
    """F6: r = max_c cos(norm(x − μ_ref), norm(p_c − p̄))."""
    score = (unit(images - reference_mean) @ unit(texts - texts.mean(axis=0)).T).max(axis=1)
    return np.asarray(score, dtype=np.float64)


def fit_rejection(
    sets: Sequence[Seen], reference_mean: Vectors, seed: int, *, in_lights: Sequence[Seen] = ()
) -> Rejection:
    """θ from many draws of 3 to 6 prompted classes a set: Youden's best that rejects at most one in 200 of what was prompted.

    Scenes differ more from each other than validation pictures do, and the better a model knows those, the higher a θ they
    would allow: θ is chosen on them as they are and ``in_lights`` together. ``auroc``, ``kept`` and ``rejected`` are of the
    pictures as they are.
    """
    random = np.random.default_rng(seed)
    own = [_draw(seen, reference_mean, random) for seen in sets for _ in range(DRAWS)]
    every = own + [_draw(seen, reference_mean, random) for seen in in_lights for _ in range(DRAWS)]
    grid = np.linspace(-1.0, 1.0, 401)
    kept, rejected = _kept_and_rejected(every, grid)
    allowed = np.where(kept >= 1 - LARGEST_FALSE_REJECT, kept + rejected, -1.0)
    threshold = grid[[int(np.argmax(allowed))]]
    own_kept, own_rejected = _kept_and_rejected(own, threshold)
    auroc = float(np.mean([metrics.auroc(score, is_known) for score, is_known in own]))
    return Rejection(float(threshold[0]), auroc, float(own_kept[0]), float(own_rejected[0]))


def _draw(seen: Seen, reference_mean: Vectors, random: np.random.Generator) -> Draw:
    """Some classes prompted: each picture's reject score, and whether it shows one of them."""
    count = min(int(random.integers(3, 7)), len(seen.texts) - 1)
    prompted = random.choice(len(seen.texts), count, replace=False)
    return reject_scores(seen.images, seen.texts[prompted], reference_mean), np.isin(seen.labels, prompted)


def _kept_and_rejected(
    draws: Sequence[Draw], grid: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For every θ: the share of what was prompted that stays, and of the others that is marked unknown."""
    score, is_known = (np.concatenate(parts) for parts in zip(*draws, strict=True))
    kept = np.array([(score[is_known] >= value).mean() for value in grid])
    rejected = np.array([(score[~is_known] < value).mean() for value in grid])
    return kept, rejected
