"""Zero-shot scores of tiles against prompts, and the score that says "none of these". Pure arithmetic (methods F6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geomm_engine.scoring.prompts import Prompt


def probabilities(
    vectors: NDArray[np.float32], prompts: Sequence[Prompt], logit_scale: float, logit_bias: float = 0.0
) -> NDArray[np.float32]:
    """Calibrated softmax over classes and negatives.

    A class's score is the log-mean-exp over its synonyms, between their mean and their best, so that a class gains
    nothing by having many.

    Args:
        vectors: (n, dim) of length 1.
        logit_scale: the card's calibrated inverse temperature S*.

    Returns:
        (n, prompt) float32; rows sum to 1.
    """
    logits = np.stack(
        [_log_mean_exp(logit_scale * (vectors @ prompt.vectors.T) + logit_bias) for prompt in prompts], axis=1
    )
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _log_mean_exp(values: NDArray[np.float32]) -> NDArray[np.float32]:
    peak = values.max(axis=1)
    return np.asarray(peak + np.log(np.exp(values - peak[:, None]).mean(axis=1)), dtype=np.float32)


def reject_scores(
    vectors: NDArray[np.float32],
    prompts: Sequence[Prompt],
    reference_mean: NDArray[np.float32],
    text_mean: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """r = max over classes of cos(norm(x − μ_ref), norm(p_c − p̄)); low where a tile is none of the classes.

    Args:
        vectors: (n, dim) of length 1.
        reference_mean: (dim,), the card's mean image vector.
        text_mean: p̄; the mean of the prompted classes unless given (with one class alone it must be given).

    Returns:
        (n,) float32 in −1 … 1. Used to reject only, never for the argmax.
    """
    prototypes = np.stack([prompt.prototype for prompt in prompts if not prompt.is_negative])
    centre = prototypes.mean(axis=0) if text_mean is None else text_mean
    images = _normalised(vectors - reference_mean)
    texts = _normalised(prototypes - centre)
    return np.asarray((images @ texts.T).max(axis=1), dtype=np.float32)


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-6), dtype=np.float32)


def similarity_scores(
    vectors: NDArray[np.float32],
    query: NDArray[np.float32],
    not_query: NDArray[np.float32] | None,
    background_mean: float,
    background_std: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much better each tile fits the query than an unrelated picture would.

    Args:
        vectors: (n, dim) of length 1.
        background_mean, background_std: the card's cosine of unrelated image and text pairs.

    Returns:
        Score in standard deviations above unrelated pairs, less what speaks for ``not_query``; and the raw cosine.
    """
    cosine = np.asarray(vectors @ query, dtype=np.float32)
    score = (cosine - background_mean) / background_std
    if not_query is not None:
        score = score - np.maximum((vectors @ not_query - background_mean) / background_std, 0.0)
    return np.asarray(score, dtype=np.float32), cosine
