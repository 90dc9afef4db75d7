"""Ends that no verb asks for: a mistake of the engine, a closed pipe, an area file without polygons or CRS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from geomm_engine import cli
from geomm_engine.contract import ErrorCode
from geomm_engine.errors import AreaError, WordsError
from geomm_engine.pipeline.area import read_area
from geomm_engine.scoring.class_list import read_class_list


def test_a_mistake_of_the_engine_is_said_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.models, "run_list", lambda args: 1 / 0)
    assert cli.main(["models", "list", "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["code"] == "internal"
    assert "Traceback" not in said.err


def test_a_closed_pipe_is_no_mistake() -> None:
    shell = f"{sys.executable} -m geomm_engine models show | true"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


def write_geojson(path: Path, coordinates: list[list[list[float]]]) -> Path:
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for ring in coordinates
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def test_an_area_of_crossing_rings_is_mended(folder: Path) -> None:
    bows = [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]], [[0.5, 0], [1.5, 1], [1.5, 0], [0.5, 1], [0.5, 0]]]
    assert read_area(write_geojson(folder / "bows.geojson", bows)).wkt


def test_a_table_is_no_area(folder: Path) -> None:
    (folder / "table.csv").write_text("name,size\na,1\n", encoding="utf-8")
    with pytest.raises(AreaError) as refusal:
        read_area(folder / "table.csv")
    assert refusal.value.code is ErrorCode.AREA_INVALID


@pytest.mark.parametrize("text", ["/nowhere/classes.nix", "./classes"])
def test_a_file_of_another_kind_is_no_class(text: str) -> None:
    with pytest.raises(WordsError) as refusal:
        read_class_list(text)
    assert refusal.value.code is ErrorCode.CLASS_LIST_INVALID


def test_a_word_like_a_presets_id_is_remarked() -> None:
    entries, notes = read_class_list("corine")
    assert [entry.name for entry in entries] == ["corine"]
    assert [note.code for note in notes] == ["preset_meant"]
    assert not read_class_list("forest")[1]


def test_an_earlier_runs_extras_do_not_stay(folder: Path, landscape: Path, tiny_model: str) -> None:
    base = ["classify", str(landscape), "--model", tiny_model, "--output", str(folder / "out")]
    assert cli.main([*base, "--classes", "forest, water", "--class-scores"]) == 0
    assert (folder / "out" / "scores.tif").exists()
    assert (folder / "out" / "map.png").exists()
    assert cli.main([*base, "--classes", "forest, town", "--no-picture"]) == 0
    assert not (folder / "out" / "scores.tif").exists()
    assert not (folder / "out" / "map.png").exists()


def test_a_refused_run_leaves_no_folders(folder: Path, landscape: Path, tiny_model: str) -> None:
    far = write_geojson(folder / "far.geojson", [[[100, 0], [101, 0], [101, 1], [100, 1], [100, 0]]])
    arguments = ["classify", str(landscape), "--model", tiny_model, "--classes", "forest, water"]
    assert cli.main([*arguments, "--aoi", str(far), "--output", str(folder / "a" / "b" / "c")]) == 1
    assert not (folder / "a").exists()
