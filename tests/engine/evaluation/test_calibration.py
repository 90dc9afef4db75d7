"""Calibration: the bins add up to the error, and the fitted temperature is the one that made the answers."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.evaluation import metrics
from geomm_engine.evaluation.calibration import calibration, fit_scale, reliability_bins


def drawn(scale: float, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Cosines, and true classes drawn from their softmax at this scale."""
    random = np.random.default_rng(5)
    cosine = random.uniform(-0.2, 0.6, (rows, 4)).astype(np.float32)
    shares = np.exp(scale * cosine)
    shares /= shares.sum(axis=1, keepdims=True)
    return cosine, (shares.cumsum(axis=1) > random.random((rows, 1))).argmax(axis=1)


def test_bins_add_up_to_the_error() -> None:
    random = np.random.default_rng(0)
    confidence, right = random.random(500), random.random(500) < 0.6
    bins = reliability_bins(confidence, right)
    assert sum(item.count for item in bins) == 500
    error = sum(item.count * abs(item.accuracy - item.confidence) for item in bins) / 500
    assert error == pytest.approx(metrics.calibration_error(confidence, right, 15))


def test_the_true_temperature_is_found_and_leaves_little_error() -> None:
    cosine, truth = drawn(12.0)
    assert fit_scale([(cosine, truth)]) == pytest.approx(12.0, rel=0.1)
    shares = np.exp(60.0 * cosine.astype(np.float64))
    confidence = (shares / shares.sum(axis=1, keepdims=True)).max(axis=1)
    found = calibration(confidence, cosine.argmax(axis=1) == truth, cosine, truth, 60.0)
    assert found.error > 0.15
    assert found.error_at_best_scale < 0.04
    assert found.error_interval_95[0] < found.error < found.error_interval_95[1]
