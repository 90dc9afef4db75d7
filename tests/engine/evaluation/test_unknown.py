"""Classes left out of the prompts: separate ones are noticed, vectors without meaning are not."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.evaluation.unknown import unknown
from geomm_engine.scoring.prompts import Prompt


def test_left_out_classes_are_noticed_when_they_lie_apart() -> None:
    random = np.random.default_rng(0)
    axes = np.eye(6, 8, dtype=np.float32)
    prompts = tuple(Prompt(f"c{at}", False, axes[at][None]) for at in range(6))
    labels = np.repeat(np.arange(6), 30)
    apart = axes[labels] + random.normal(0, 0.15, (180, 8)).astype(np.float32)
    noise = random.normal(size=(180, 8)).astype(np.float32)
    for vectors, low, high in ((apart, 0.95, 1.0), (noise, 0.4, 0.6)):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        found = unknown(unit, labels, prompts, np.zeros(8, np.float32), logit_scale=20.0, threshold=0.5, seed=0)
        assert found is not None
        assert low <= found.auroc <= high
        assert len(found.left_out) == 6
        assert "2 of 6" in found.protocol


def test_two_classes_are_too_few() -> None:
    prompts = tuple(Prompt(name, False, np.eye(2, dtype=np.float32)[at][None]) for at, name in enumerate("ab"))
    vectors, labels = np.eye(2, dtype=np.float32), np.array([0, 1])
    assert unknown(vectors, labels, prompts, np.zeros(2, np.float32), logit_scale=1, threshold=0, seed=0) is None


def test_the_same_seed_gives_the_same_draws() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(40, 5)).astype(np.float32)
    prompts = tuple(Prompt(str(at), False, random.normal(size=(1, 5)).astype(np.float32)) for at in range(5))
    labels = np.arange(40) % 5
    both = [
        unknown(vectors, labels, prompts, np.zeros(5, np.float32), logit_scale=5.0, threshold=0.0, seed=3)
        for _ in range(2)
    ]
    assert both[0] == both[1]
    assert both[0] is not None
    assert both[0].auroc == pytest.approx(0.5, abs=0.2)
