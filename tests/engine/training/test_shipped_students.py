"""The students that ship: small, whole, of the shipped teacher's space, and honest about how they compare to it."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.encoders.card import BridgeRow, ModelFolder
from geomm_engine.encoders.device import open_image_encoder
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.encoders.registry import BUILTIN_FOLDER, find_model
from geomm_engine.training.bridge import AGREEMENT, BALANCED, RETRIEVAL, RIGHT

STUDENTS = {"geomm-s2-ten": 10, "geomm-s1": 2}
BEATEN = {"geomm-s2-ten": (AGREEMENT, RETRIEVAL, BALANCED), "geomm-s1": (AGREEMENT, RETRIEVAL, BALANCED)}
"""What lies above guessing with its whole interval."""
FALLS_SHORT = pytest.mark.xfail(
    strict=True,
    reason="no grassland and neither forest is named right: the interval reaches down to guessing, one class of four",
)


@pytest.fixture(scope="module", params=STUDENTS)
def student(request: pytest.FixtureRequest) -> ModelFolder:
    if not (BUILTIN_FOLDER / request.param).is_dir():
        pytest.skip(f"{request.param} does not ship: make students")
    return find_model(request.param)


def test_it_is_small_and_whole(student: ModelFolder) -> None:
    assert student.damaged_files() == []
    assert student.has_file("exemplars")
    assert sum(path.stat().st_size for path in student.path.iterdir()) <= 4_000_000
    assert len(student.card.bands) == STUDENTS[student.card.id]


def test_it_speaks_the_words_of_the_shipped_teacher(student: ModelFolder) -> None:
    card, teacher = student.card, find_model("geomm-nano").card
    assert card.lineage is not None
    assert (card.lineage.teacher, card.lineage.teacher_version, card.hops) == ("geomm-nano", teacher.version, 1)
    assert (card.space_id, card.dim, card.text_from) == (teacher.space_id, teacher.dim, "geomm-nano")
    assert OnnxTextEncoder(student).embed_texts(["forest"]).shape == (1, card.dim)


def own_rows(student: ModelFolder) -> dict[str, BridgeRow]:
    """The rows of the student's first way, all of its bands, by metric."""
    assert student.card.bridge is not None
    ways: dict[str, dict[str, BridgeRow]] = {}
    for row in student.card.bridge.rows:
        if row.model == student.card.id:
            ways.setdefault(row.route, {})[row.metric] = row
    return next(iter(ways.values()))


def test_its_bridge_report_beats_guessing(student: ModelFolder) -> None:
    own = own_rows(student)
    for metric in (AGREEMENT, RETRIEVAL):
        assert own[metric].value > own[metric].chance
    assert own[RIGHT].value > 0
    assert student.card.bridge is not None
    assert "geomm-nano" in {row.model for row in student.card.bridge.rows}


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        pytest.param(name, metric, marks=[FALLS_SHORT] if (name, metric) == ("geomm-s1", BALANCED) else [])
        for name, metrics in BEATEN.items()
        for metric in metrics
    ],
)
def test_it_beats_guessing_with_its_whole_interval(name: str, metric: str) -> None:
    if not (BUILTIN_FOLDER / name).is_dir():
        pytest.skip(f"{name} does not ship: make students")
    row = own_rows(find_model(name))[metric]
    assert row.interval_95[0] > row.chance


def test_it_sees_with_the_fewest_bands(student: ModelFolder) -> None:
    fewest = student.card.bands_needed
    tile = np.random.default_rng(0).random((2, fewest, 64, 64), dtype=np.float32)
    vectors = open_image_encoder(student, "cpu", range(fewest)).embed_images(tile, 10.0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
