"""Students are asked on whole places that their lesson left out; the lesson keeps none of that ground, in no raster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geomm_engine.errors import EngineError
from geomm_engine.progress import run
from geomm_engine.training.bridge import AGREEMENT, DIFFERENCE, RIGHT
from geomm_engine.training.chain_config import RasterPair, read_chain_config
from geomm_engine.training.place_folds import evaluate_place_folds
from tests.engine.training import chain_scenes as scenes


@pytest.fixture
def places(folder: Path) -> list[RasterPair]:
    """Two places with labels, 50 km apart, the second one also as another raster of the same ground."""
    pairs = []
    for number, left in enumerate((5e5, 5.5e5, 5.5e5)):
        classes = scenes.layout()
        optical = str(scenes.optical(folder / f"optique {number}.tif", classes, left=left))
        radar = str(scenes.radar(folder / f"radar {number}.tif", classes, left=left))
        labels = str(scenes.labels(folder / f"vérité {number}.tif", classes, left=left)) if number < 2 else ""
        pairs.append(RasterPair((optical,), (radar,), f"place {number}", labels=labels))
    return pairs


def test_each_place_is_asked_of_a_student_that_never_saw_it(
    folder: Path, places: list[RasterPair], tiny_model: str
) -> None:
    bridge = run(evaluate_place_folds(scenes.config(tiny_model, *places, steps=120), folder, folder / "out"))
    taught = [
        {pair.name for pair in read_chain_config(folder / "out" / f"without_{at}" / "config.json").pairs}
        for at in (1, 2)
    ]
    assert taught == [{"place 1", "place 2"}, {"place 0"}]
    whole = 2 * (128 // 32) * (160 // 32)
    assert bridge.blocks == whole
    assert bridge.tiles == 2 * 7 * 9  # half a tile apart; those over two squares have no label
    assert bridge.class_tiles == (8,) * 5
    rows = {(row.model, row.metric): row for row in bridge.rows}
    assert rows["student", AGREEMENT].value > rows["student", AGREEMENT].chance + 0.2
    apart = rows["student", RIGHT].value - rows["tiny", RIGHT].value
    assert rows["student", DIFFERENCE].value == pytest.approx(apart, abs=2e-4)
    assert json.loads((folder / "out" / "place_folds.json").read_text(encoding="utf-8"))["blocks"] == whole


def test_one_labelled_place_is_too_few(folder: Path, places: list[RasterPair], tiny_model: str) -> None:
    with pytest.raises(EngineError, match="at least two"):
        run(evaluate_place_folds(scenes.config(tiny_model, places[0], places[2]), folder, folder / "out"))
    assert not (folder / "out").exists()
