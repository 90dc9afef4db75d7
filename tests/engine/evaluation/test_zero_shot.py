"""Typed class names: what is counted, with which intervals, beside which baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geomm_engine.contract import ClassEntry, ErrorCode
from geomm_engine.encoders.card import Card, read_card
from geomm_engine.errors import EngineError
from geomm_engine.evaluation import metrics
from geomm_engine.evaluation.zero_shot import words, zero_shot
from geomm_engine.scoring.prompts import Prompt

CLASSES = ("Forest", "Town", "Water")


@pytest.fixture
def card(tiny_model: str) -> Card:
    return read_card(Path(tiny_model)).card


def answered(card: Card, truth: list[int], said: list[int]):
    axes = np.eye(3, 4, dtype=np.float32)
    prompts = tuple(Prompt(name.lower(), False, axes[at][None]) for at, name in enumerate(CLASSES))
    paths = [f"{CLASSES[label]}/{at}.png" for at, label in enumerate(truth)]
    return zero_shot(axes[said], np.array(truth), paths, CLASSES, words(CLASSES), prompts, card, None, seed=0)


def test_right_and_wrong_are_counted_by_class(card: Card) -> None:
    report, answers = answered(card, [0, 0, 0, 1, 2, 2, 2], [0, 0, 0, 1, 1, 2, 2])
    assert report.confusion == ((3, 0, 0), (0, 1, 0), (0, 1, 2))
    assert report.top1 == pytest.approx(6 / 7)
    assert report.top1_interval_95 == metrics.wilson_interval(6, 7)
    water = report.by_class[2]
    assert (water.images, water.recall, water.precision) == (3, pytest.approx(2 / 3), 1)
    assert water.recall_interval_95 == metrics.wilson_interval(2, 3)
    assert water.f1_interval_95[0] <= water.f1 <= water.f1_interval_95[1]
    assert report.macro_f1 == pytest.approx(np.mean([1, 2 / 3, 4 / 5]))
    assert [(item.path, item.truth, item.said) for item in report.worst] == [("Water/4.png", "Water", "Town")]
    assert answers.said.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert answers.confidence.min() > 0.9
    assert answers.true_share[4] < 0.1


def test_chance_and_the_largest_class_stand_beside(card: Card) -> None:
    report, _ = answered(card, [0, 0, 0, 1, 2, 2], [0, 0, 0, 1, 2, 2])
    chance, largest = report.baselines[:2]
    assert chance.top1 == pytest.approx(1 / 3)
    assert largest.top1 == pytest.approx(0.5)
    assert largest.macro_f1 == pytest.approx((2 / 3) / 3)
    drawn = np.random.default_rng(0).integers(0, 3, (4000, 6))
    truth = np.array([0, 0, 0, 1, 2, 2])
    f1 = metrics.macro_f1(sum(metrics.confusion_matrix(truth, row, 3) for row in drawn))
    assert chance.macro_f1 == pytest.approx(f1, abs=0.01)


def test_of_one_confusion_three_pictures_are_shown(card: Card) -> None:
    report, _ = answered(card, [0] * 8 + [1, 2], [1] * 8 + [2, 2])
    assert [item.said for item in report.worst] == ["Town"] * 3 + ["Water"]


def test_a_class_list_gives_other_words() -> None:
    entries = (ClassEntry("forest", ("woodland",)), ClassEntry("lake", ("water",)))
    assert words(("Forest", "Water"), entries) == [entries[0], entries[1]]
    assert [entry.name for entry in words(("Forest", "RiverBank"))] == ["forest", "river bank"]
    with pytest.raises(EngineError, match="Town") as refusal:
        words(("Forest", "Town"), entries)
    assert refusal.value.code is ErrorCode.CLASS_LIST_INVALID
