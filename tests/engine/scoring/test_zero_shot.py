"""Scores of tiles against prompts, and the score that says "none of these" (methods F6)."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.scoring.prompts import Prompt
from geomm_engine.scoring.zero_shot import probabilities, reject_scores, similarity_scores

DIM = 16


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def tiles(count: int = 50, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, DIM)))


def prompt(name: str, *, synonyms: int = 1, seed: int = 0, is_negative: bool = False) -> Prompt:
    return Prompt(name, is_negative, unit(np.random.default_rng(seed).normal(size=(synonyms, DIM))))


PROMPTS = (prompt("forest", seed=1), prompt("water", synonyms=4, seed=2), prompt("cloud", seed=3, is_negative=True))


@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
def test_rows_sum_to_one(scale: float) -> None:
    shares = probabilities(tiles(), PROMPTS, scale)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (shares >= 0).all()
    assert shares.shape == (50, 3)


def test_it_is_the_softmax_of_scaled_cosines() -> None:
    prompts = (PROMPTS[0], prompt("water", seed=2))
    vectors = tiles()
    logits = 20 * np.stack([vectors @ item.vectors[0] for item in prompts], axis=1).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(vectors, prompts, 20), expected, atol=1e-5)


def test_a_common_bias_changes_nothing() -> None:
    np.testing.assert_allclose(probabilities(tiles(), PROMPTS, 20, -7), probabilities(tiles(), PROMPTS, 20), atol=1e-5)


def test_the_same_word_twice_gives_no_advantage() -> None:
    water = PROMPTS[1]
    many = Prompt("water", False, np.concatenate([water.vectors] * 5))
    expected = probabilities(tiles(), PROMPTS, 50)
    np.testing.assert_allclose(probabilities(tiles(), (PROMPTS[0], many, PROMPTS[2]), 50), expected, atol=1e-5)


def test_synonyms_of_no_use_give_no_advantage() -> None:
    """A class's score lies between the mean and the best of its synonyms; unfit synonyms only cost."""
    vectors = tiles()
    best = prompt("water", seed=2)
    away = unit(-best.vectors + 0.2 * prompt("", synonyms=3, seed=5).vectors)
    padded = Prompt("water", False, np.concatenate([best.vectors, away]))
    alone = probabilities(vectors, (PROMPTS[0], best), 50)[:, 1]
    with_more = probabilities(vectors, (PROMPTS[0], padded), 50)[:, 1]
    fits = vectors @ best.vectors[0] > 0.2
    assert fits.any()
    assert (with_more[fits] <= alone[fits] + 1e-6).all()


def test_an_irrelevant_class_changes_no_winner() -> None:
    classes = tuple(prompt(str(at), seed=at) for at in range(4))
    vectors = unit(np.concatenate([item.vectors + 0.15 * tiles(20, seed=9) for item in classes]))
    before = probabilities(vectors, classes, 50).argmax(axis=1)
    after = probabilities(vectors, (*classes, prompt("irrelevant", seed=77)), 50).argmax(axis=1)
    assert (before == np.repeat(range(4), 20)).all()
    assert (after != before).mean() <= 0.01


def test_large_logits_do_not_overflow() -> None:
    shares = probabilities(tiles(), PROMPTS, 1e5)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.max(axis=1), 1)


def test_the_reject_score_is_the_formula() -> None:
    """r = max_c cos(norm(x − μ), norm(p_c − p̄)), written out."""
    vectors, mean = tiles(5), unit(tiles(1, seed=8))[0] * 0.3
    classes = (prompt("a", seed=1), prompt("b", synonyms=3, seed=2), prompt("c", seed=4))
    prototypes = [unit(item.vectors.mean(axis=0)) for item in classes]
    centre = np.mean(prototypes, axis=0)
    expected = [max(float(unit(x - mean) @ unit(p - centre)) for p in prototypes) for x in vectors]
    np.testing.assert_allclose(reject_scores(vectors, classes, mean), expected, atol=1e-5)


def test_negatives_are_no_class_to_be_like() -> None:
    vectors, mean = tiles(), np.zeros(DIM, np.float32)
    first = reject_scores(vectors, (*PROMPTS[:2], prompt("cloud", seed=3, is_negative=True)), mean)
    second = reject_scores(vectors, (*PROMPTS[:2], prompt("haze", seed=4, is_negative=True)), mean)
    np.testing.assert_array_equal(first, second)


def test_a_picture_of_a_class_is_accepted_and_of_none_rejected() -> None:
    classes = tuple(prompt(str(at), seed=at) for at in range(3))
    mean = np.zeros(DIM, np.float32)
    inside = unit(classes[0].vectors + 0.1 * tiles(20))
    basis = np.linalg.svd(np.concatenate([item.vectors for item in classes]))[2]
    outside = unit(basis[3:])
    assert reject_scores(inside, classes, mean).min() > 0.5
    assert reject_scores(outside, classes, mean).max() < 0.2


def test_one_class_alone_needs_a_text_mean() -> None:
    one, mean = (prompt("forest", seed=1),), np.zeros(DIM, np.float32)
    away = unit(tiles(1, seed=8))[0]
    scores = reject_scores(tiles(), one, mean, away)
    expected = tiles() @ unit(one[0].prototype - away)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_reject_scores_are_cosines() -> None:
    scores = reject_scores(tiles(500), PROMPTS, tiles(1, seed=5)[0])
    assert (np.abs(scores) <= 1 + 1e-5).all()


def test_a_query_is_scored_against_unrelated_pairs() -> None:
    vectors, query = tiles(), tiles(1, seed=3)[0]
    scores, cosines = similarity_scores(vectors, query, None, 0.1, 0.05)
    np.testing.assert_allclose(cosines, vectors @ query, atol=1e-6)
    np.testing.assert_allclose(scores, (vectors @ query - 0.1) / 0.05, rtol=1e-4, atol=1e-4)


def test_but_not_takes_away_what_speaks_for_it_and_gives_nothing() -> None:
    vectors, query, other = tiles(), tiles(1, seed=3)[0], tiles(1, seed=4)[0]
    plain, cosines = similarity_scores(vectors, query, None, 0.0, 0.1)
    scores, same_cosines = similarity_scores(vectors, query, other, 0.0, 0.1)
    unlike = vectors @ other <= 0
    np.testing.assert_array_equal(scores[unlike], plain[unlike])
    assert (scores[~unlike] < plain[~unlike]).all()
    np.testing.assert_array_equal(cosines, same_cosines)
