"""Every metric against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geomm_engine.evaluation import metrics

TRUTH = np.array([0, 0, 0, 1, 1, 2])
SAID = np.array([0, 0, 1, 1, 0, 2])


def test_confusion_and_what_follows_from_it() -> None:
    matrix = metrics.confusion_matrix(TRUTH, SAID, 3)
    assert matrix.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert metrics.top_1(TRUTH, SAID) == pytest.approx(4 / 6)
    parts = metrics.by_class(matrix)
    assert parts.precision.tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert parts.recall.tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert parts.f1.tolist() == pytest.approx([2 / 3, 1 / 2, 1])
    assert parts.support.tolist() == [3, 2, 1]
    assert metrics.macro_f1(matrix) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    # Chance agreement: (3·3 + 2·2 + 1·1) / 36 = 14/36; kappa = (24/36 − 14/36) / (22/36).
    assert metrics.kappa(matrix) == pytest.approx(10 / 22)


def test_class_that_never_occurs_does_not_count() -> None:
    matrix = metrics.confusion_matrix(np.array([0, 1]), np.array([0, 1]), 4)
    assert metrics.macro_f1(matrix) == 1.0


def test_labels_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        metrics.confusion_matrix(np.array([0, 3]), np.array([0, 1]), 3)
    with pytest.raises(ValueError, match="predicted"):
        metrics.confusion_matrix(np.array([0]), np.array([0, 1]), 3)


def test_top_k() -> None:
    scores = np.array([[0.1, 0.5, 0.4], [0.6, 0.3, 0.1]], dtype=np.float32)
    assert metrics.top_k(np.array([2, 2]), scores, 1) == 0.0
    assert metrics.top_k(np.array([2, 2]), scores, 2) == 0.5
    assert metrics.top_k(np.array([2, 2]), scores, 3) == 1.0


def test_calibration_error() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False, True, True])
    # Ten bins: |0.75 − 0.95| · 4/6 + |1 − 0.55| · 2/6.
    assert metrics.calibration_error(confidence, right, bins=10) == pytest.approx(0.2 * 4 / 6 + 0.45 * 2 / 6)
    assert metrics.calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0.0


def test_auroc() -> None:
    score = np.array([0.1, 0.4, 0.35, 0.8])
    positive = np.array([False, False, True, True])
    assert metrics.auroc(score, positive) == pytest.approx(0.75)
    assert metrics.auroc(np.ones(4), positive) == pytest.approx(0.5)
    assert metrics.auroc(-score, positive) == pytest.approx(0.25)
    assert math.isnan(metrics.auroc(score, np.zeros(4, dtype=bool)))


def test_wilson_interval() -> None:
    # 8 of 10 at 95 %: a textbook value.
    assert metrics.wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert metrics.wilson_interval(0, 10)[0] == 0.0
    assert metrics.wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert metrics.wilson_interval(0, 0) == (0.0, 1.0)


def test_bootstrap_interval_holds_the_value_and_repeats() -> None:
    truth = np.zeros(200, dtype=np.int64)
    said = (np.arange(200) % 4 == 0).astype(np.int64)
    low, high = metrics.bootstrap_interval(truth, said, metrics.top_1, rounds=400)
    assert low < 0.75 < high
    # The standard error of a share of ¾ over 200 rows is 0.0306.
    assert (high - low) / (2 * 1.96) == pytest.approx(0.0306, rel=0.2)
    assert metrics.bootstrap_interval(truth, said, metrics.top_1, rounds=400) == (low, high)


def test_interval_by_block_is_wider_where_rows_of_a_block_agree() -> None:
    of = np.full(10, 30.0)
    assert metrics.shares_by_block(of * 0.5, of) == pytest.approx(np.full(1000, 0.5))
    coins = np.repeat([0.0, 30.0], 5)
    low, high = metrics.percentiles(metrics.shares_by_block(coins, of))
    # Ten coins: the share of heads lies within 2 … 8 of 10 in 98 % of throws, within 3 … 7 in 89 %.
    assert (round(low, 1), round(high, 1)) == (0.2, 0.8)
    # A difference of two counts of the same blocks; the same blocks are drawn for other counts.
    assert metrics.shares_by_block(np.full(10, -3.0), of) == pytest.approx(np.full(1000, -0.1))
    assert metrics.shares_by_block(30.0 - coins, of) == pytest.approx(1 - metrics.shares_by_block(coins, of))


def test_nothing_measured_is_not_a_number() -> None:
    empty = np.array([], dtype=np.int64)
    assert math.isnan(metrics.top_1(empty, empty))
    assert math.isnan(metrics.macro_f1(np.zeros((2, 2), dtype=np.int64)))
    assert math.isnan(metrics.calibration_error(np.array([]), np.array([], dtype=bool)))
