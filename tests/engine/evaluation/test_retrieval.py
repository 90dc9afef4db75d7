"""Retrieval: known rankings, equal texts, and the chance beside every number."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.evaluation.retrieval import by_caption, by_class_name, by_wording
from geomm_engine.evaluation.words import Captions


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def test_class_names_against_brute_force() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 150)
    prototypes = unit(np.eye(3, 6))
    vectors = unit(prototypes[labels] + random.normal(0, 0.5, (150, 6)))
    texts, pictures, rows = by_class_name(vectors, labels, prototypes, ("a", "b", "c"), ("a", "b", "c"))
    for at, row in enumerate(rows):
        order = np.argsort(-(vectors @ prototypes[at]))
        right = labels[order] == at
        assert row.precision_20 == pytest.approx(right[:20].mean())
        ap = sum(right[: i + 1].mean() for i in np.flatnonzero(right[:100])) / min(100, right.sum())
        assert row.ap_100 == pytest.approx(ap)
    assert texts.precision_20.value == pytest.approx(np.mean([row.precision_20 for row in rows]))
    said = (vectors @ prototypes.T).argmax(axis=1)
    assert pictures.recall[0].value == pytest.approx((said == labels).mean())
    assert pictures.recall[0].chance == pytest.approx(1 / 3)


def test_captions_against_brute_force_under_both_protocols() -> None:
    random = np.random.default_rng(1)
    vectors = unit(random.normal(size=(30, 8)))
    texts = {f"text {at}": unit(random.normal(size=8)) for at in range(20)}
    pairs = tuple((row, f"text {random.integers(20)}") for row in range(30) for _ in range(5))
    merged, by_line = by_caption(vectors, Captions(pairs, 0), texts)

    used = sorted({text for _, text in pairs})
    carries = {text: {row for row, other in pairs if other == text} for text in used}
    hits = [bool(set(np.argsort(-(vectors @ texts[text]))[:5]) & carries[text]) for text in used]
    assert merged.text_to_picture.recall[1].value == pytest.approx(np.mean(hits))
    assert merged.text_to_picture.queries == len(used)

    own = [int(np.argmax(vectors @ texts[text]) == row) for row, text in pairs]
    assert by_line.text_to_picture.recall[0].value == pytest.approx(np.mean(own))
    assert by_line.text_to_picture.queries == by_line.picture_to_text.candidates == 150
    assert by_line.text_to_picture.recall[0].chance == pytest.approx(1 / 30)
    shares = [item.value for way in (merged.text_to_picture, merged.picture_to_text) for item in way.recall]
    assert merged.mean_recall == pytest.approx(np.mean(shares))


def test_a_text_that_all_pictures_carry_finds_its_own_by_chance_alone() -> None:
    vectors = unit(np.random.default_rng(2).normal(size=(10, 4)))
    same = Captions(tuple((row, "a picture") for row in range(10)), 0)
    merged, by_line = by_caption(vectors, same, {"a picture": unit(np.ones(4))})
    assert merged.text_to_picture.recall[0].value == 1
    assert by_line.text_to_picture.recall[0].value == pytest.approx(0.1)
    assert by_line.picture_to_text.recall[1].value == pytest.approx(0.5)  # ten lines tie; five places for one's own


def test_wordings_stand_beside_the_name() -> None:
    labels = np.repeat([0, 1], 30)
    prototypes = unit(np.eye(2, 4))
    vectors = unit(prototypes[labels] + np.random.default_rng(3).normal(0, 0.05, (60, 4)))
    rows = by_wording(
        vectors, labels, prototypes, ("a", "b"), {"a": ("good", "bad")}, {"a": np.stack([prototypes[0], prototypes[1]])}
    )
    assert [(row.wording, row.precision_20, row.precision_20_of_name) for row in rows] == [
        ("good", 1.0, 1.0),
        ("bad", 0.0, 1.0),
    ]
