"""Familiarity is the cosine with the nearest exemplar; a file of bytes keeps directions; a damaged one is refused."""

from pathlib import Path

import numpy as np
import pytest

from geomm_engine.encoders.encoder import unit
from geomm_engine.errors import ModelError
from geomm_engine.scoring.familiarity import Exemplars, read_exemplars, write_exemplars
from geomm_engine.training.exemplars import PER_CLASS, choose_exemplars


def test_familiarity_is_the_cosine_with_the_nearest() -> None:
    known = Exemplars(np.eye(3, dtype=np.float32)[:2], 0.5)
    seen = unit(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [-1, 0, 0]], dtype=np.float32))
    np.testing.assert_allclose(known.familiarity(seen), [1, np.sqrt(0.5), 0, 0], atol=1e-6)


def test_a_file_of_bytes_keeps_directions(tmp_path: Path) -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(50, 192)).astype(np.float32))
    write_exemplars(vectors, tmp_path / "exemplars.npz")
    found = read_exemplars(tmp_path / "exemplars.npz", 192, 0.9)
    assert found.threshold == 0.9
    assert (found.vectors * vectors).sum(axis=1).min() > 0.999
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "a byte", "other numbers"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "exemplars.npz"
    write_exemplars(unit(np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)), path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "text": b"no numbers",
            "empty": b"",
            "cut": whole[:middle],
            "a byte": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
            "other numbers": whole,
        }[damage]
    )
    with pytest.raises(ModelError, match="exemplars"):
        read_exemplars(path, 17 if damage == "other numbers" else 16, 0.9)


def test_every_class_has_its_exemplars_and_no_more_than_allowed() -> None:
    random = np.random.default_rng(1)
    centres = np.eye(8, dtype=np.float32)[:3] * 5
    labels = np.repeat([0, 1, 2], [200, 100, 5])
    vectors = unit((centres[labels] + random.normal(size=(len(labels), 8)) * 0.3).astype(np.float32))
    chosen = choose_exemplars(vectors, labels, 7)
    counts = np.bincount((chosen @ centres.T).argmax(axis=1), minlength=3)
    assert counts[2] == 5
    assert (counts[:2] > 1).all()
    assert (counts <= PER_CLASS).all()
    np.testing.assert_array_equal(chosen, choose_exemplars(vectors, labels, 7))
    other = unit((np.eye(8, dtype=np.float32)[[5] * 40] * 5 + random.normal(size=(40, 8)) * 0.3).astype(np.float32))
    known = Exemplars(chosen, 0.0)
    assert known.familiarity(vectors).min() > known.familiarity(other).max()
