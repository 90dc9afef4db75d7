"""The same places at several pixels: what stays is 1, what is scrambled is chance."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.evaluation.scales import across_scales, default_scales


def test_vectors_that_stay_agree_and_scrambled_ones_do_not() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    prototypes = np.eye(4, 8, dtype=np.float32)
    labels = (vectors @ prototypes.T).argmax(axis=1)
    at_scales = {1.0: vectors, 2.0: vectors, 4.0: np.roll(vectors, 1, axis=0)}
    fed = {1.0: (1.0, 32), 2.0: (2.0, 32), 4.0: (4.0, 16)}
    found = across_scales(at_scales, fed, labels, prototypes, seed=0)
    assert [row.top1 for row in found.rows[:2]] == [1.0, 1.0]
    assert [row.fed_px for row in found.rows] == [32, 32, 16]
    assert abs(found.rows[0].other_cosine) < 0.2
    same, scrambled = found.pairs[0], found.pairs[1]
    assert (same.cosine, same.agreement, same.place_found) == (pytest.approx(1), 1, 1)
    assert scrambled.place_found == 0
    assert abs(scrambled.cosine) < 0.3
    assert (scrambled.finer_m, scrambled.coarser_m) == (1.0, 4.0)


def test_octaves_stay_within_twice_the_model_and_sixteen_pixels() -> None:
    assert default_scales(0.3, 15.0, 256) == (0.3, 0.6, 1.2, 2.4)
    assert default_scales(10.0, 15.0, 64) == (10.0, 20.0)
    assert default_scales(1.0, 15.0, 32) == (1.0, 2.0)
