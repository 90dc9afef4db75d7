"""The same pictures in other light: what the changes do to pixels, and how their effect on classes is counted."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.evaluation.lights import LIGHTS, across_lights, in_light


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 0.9, (3, 40, 50)).astype(np.float32)


@pytest.mark.parametrize("name", LIGHTS)
def test_a_changed_picture_is_a_picture_again(image: np.ndarray, name: str) -> None:
    before = image.copy()
    changed = in_light(image, name)
    assert changed.shape == image.shape
    assert changed.dtype == np.float32
    assert 0 <= changed.min() < changed.max() <= 1
    np.testing.assert_allclose(changed * 255, np.round(changed * 255), atol=1e-4)
    assert np.abs(changed - image).mean() > 0.02
    np.testing.assert_array_equal(image, before)


def test_a_low_sun_halves_contrast_and_leaves_the_dark(image: np.ndarray) -> None:
    changed = in_light(image, "half the sun")
    assert changed.std() / image.std() == pytest.approx(0.5, abs=0.02)
    assert np.abs(changed.min(axis=(1, 2)) - image.min(axis=(1, 2))).max() < 0.02


def test_colours_turn(image: np.ndarray) -> None:
    red, green, blue = in_light(image, "warm colours").mean(axis=(1, 2)) / image.mean(axis=(1, 2))
    assert red > 1.15 > green > 0.97 > blue
    assert in_light(np.zeros_like(image), "haze").mean(axis=(1, 2)) == pytest.approx([0.165, 0.18, 0.198], abs=0.003)


def test_what_stays_is_counted() -> None:
    vectors = np.eye(4, dtype=np.float32)
    lit = {"haze": vectors.copy(), "half the sun": vectors[[1, 0, 2, 3]]}
    labels = np.array([0, 1, 2, 0])
    rows = {row.name: row for row in across_lights(vectors, lit, labels, vectors).rows}
    assert list(rows) == ["as they are", "haze", "half the sun"]
    assert (rows["as they are"].top1, rows["as they are"].agreement) == (0.75, 1)
    assert (rows["haze"].top1, rows["haze"].cosine) == (0.75, 1)
    assert (rows["half the sun"].top1, rows["half the sun"].agreement, rows["half the sun"].cosine) == (0.25, 0.5, 0.5)
