"""``geomm train`` from the command line: one command trains, exports and measures; a faulty call says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geomm_engine.cli import main
from geomm_engine.encoders.card import read_card


def test_one_command_trains_and_exports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "contrastive", "drawn", "--output", str(folder / "run"), "--device", "cpu", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    model = read_card(Path(summary["model"]))
    assert model.card.id == "drawn"
    assert summary["best_step"] > 0
    assert max(summary["image_deviation"], summary["text_deviation"]) <= 1e-4


def test_unknown_recipe_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "contrastive", "no such recipe", "--output", str(folder / "run"), "--json"]) == 1
    assert "geomm_nano" in json.loads(capsys.readouterr().out)["error"]["cure"]
    assert not (folder / "run").exists()


def test_export_needs_a_finished_run(folder: Path) -> None:
    assert main(["train", "contrastive", "drawn", "--output", str(folder / "run"), "--export-only"]) == 1
