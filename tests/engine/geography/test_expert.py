"""The runner on the tiny expert: places, climates, gaps, abstaining; damaged folders are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from geomm_engine import sphere
from geomm_engine.errors import ModelError
from geomm_engine.geography import koppen
from geomm_engine.geography.expert import Expert, open_expert
from geomm_engine.geography.expert_card import find_expert, list_experts
from tests.engine.tiny_expert import PLACES, SEA_COLOR, write_tiny_expert


@pytest.fixture
def expert(folder: Path) -> Expert:
    return open_expert(str(write_tiny_expert(folder / "tiny expert é")))


def picture(color: tuple[float, float, float], size: int = 16) -> np.ndarray:
    return np.broadcast_to(np.array(color, np.float32)[:, None, None], (3, size, size)).copy()


def test_every_place_is_found_where_it_lies(expert: Expert) -> None:
    answer = expert.answer(np.stack([picture(color) for color, *_ in PLACES.values()]), 4000.0)
    density = expert.mixture(answer.log_weights)
    for row, (name, (_, lat, lon, code)) in enumerate(PLACES.items()):
        here = sphere.unit_vectors(lat, lon)
        best = expert.centres[answer.log_weights[row].argmax()]
        assert float(sphere.distance_km(best, here)) < 1, name
        assert koppen.CODES[answer.climate_log_p[row].argmax()] == code
        assert density.log_density(here[None])[row] > density.log_density(-here[None])[row] + 5
    assert answer.abstain.max() < 0.1
    assert np.exp(answer.log_weights).sum(axis=1) == pytest.approx(np.ones(len(PLACES)))
    assert np.linalg.norm(answer.embedding, axis=1) == pytest.approx(np.ones(len(PLACES)), abs=1e-5)


def test_sea_is_abstained_from_and_stays_finite(expert: Expert) -> None:
    answer = expert.answer(picture(SEA_COLOR)[None], 4000.0)
    assert answer.abstain[0] > 0.9
    assert koppen.CODES[answer.climate_log_p[0].argmax()] == "sea"
    assert np.isfinite(answer.log_weights).all()


def test_gaps_take_the_mean_colour(expert: Expert) -> None:
    image = picture(PLACES["ice"][0])
    whole = expert.answer(image[None], 4000.0)
    valid = np.ones((1, 16, 16), bool)
    valid[:, :6] = False
    image[:, :3] = np.nan
    image[:, 3:6] = 0
    gappy = expert.answer(image[None], [4000.0], valid)
    assert gappy.log_weights == pytest.approx(whole.log_weights, abs=1e-3)
    assert gappy.abstain[0] < 0.1


def test_nothing_valid_abstains(expert: Expert) -> None:
    answer = expert.answer(np.full((2, 3, 16, 16), np.nan, np.float32), 4000.0)
    assert (answer.abstain == 1).all()
    assert np.isfinite(answer.log_weights).all()
    assert len(expert.answer(np.empty((0, 3, 8, 8), np.float32), 4000.0).abstain) == 0


def test_one_pixel_and_many_pictures(expert: Expert) -> None:
    assert np.isfinite(expert.answer(picture(PLACES["ice"][0], 1)[None], 4000.0).log_weights).all()
    many = np.stack([picture(PLACES["desert"][0])] * 70)
    answer = expert.answer(many, np.full(70, 2000.0))
    assert answer.log_weights == pytest.approx(np.repeat(answer.log_weights[:1], 70, axis=0))


def test_calibration_softens(folder: Path) -> None:
    path = write_tiny_expert(folder / "soft")
    card = json.loads((path / "expert.json").read_text(encoding="utf-8"))
    sharp = open_expert(str(path)).answer(picture((0.5, 0.5, 0.4))[None], 4000.0)
    card["calibration"] |= {"place_temperature": 10.0, "climate_temperature": 10.0, "season_scale": 0.5}
    (path / "expert.json").write_text(json.dumps(card), encoding="utf-8")
    soft = open_expert(str(path)).answer(picture((0.5, 0.5, 0.4))[None], 4000.0)
    assert soft.log_weights.max() < sharp.log_weights.max()
    assert soft.season == pytest.approx(sharp.season * 0.5)


def test_experts_are_found_by_id_and_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOMM_MODELS", str(folder))
    write_tiny_expert(folder / "mine")
    assert "tiny-expert" in {item.card.id for item in list_experts()}
    assert find_expert("tiny-expert").damaged_files() == []
    with pytest.raises(ModelError, match="no geographic expert"):
        find_expert("nobody")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "other"}, "kind"),
        ({"mean": [0.1]}, "three numbers"),
        ({"std": [0.0, 1.0, 1.0]}, "above zero"),
        ({"places": 7}, "7 centres"),
        ({"dim": "three"}, "dim"),
    ],
)
def test_damaged_cards_are_refused(folder: Path, change: dict[str, object], reason: str) -> None:
    path = write_tiny_expert(folder / "bad")
    card = json.loads((path / "expert.json").read_text(encoding="utf-8")) | change
    (path / "expert.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=reason):
        open_expert(str(path))


def test_damaged_files_are_refused(folder: Path) -> None:
    path = write_tiny_expert(folder / "bad")
    graph = path / "expert.onnx"
    graph.write_bytes(bytes(len(graph.read_bytes())))
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_expert(str(path))
    graph.unlink()
    with pytest.raises(ModelError, match="missing or damaged"):
        open_expert(str(path))
