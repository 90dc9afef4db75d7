"""``geomm`` as people and scripts call it: one JSON object on stdout, causes and cures on stderr, honest exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine

from geomm_engine.cli import main
from tests.data import make
from tests.engine.pipeline.asking import drawn
from tests.engine.raster.drawing import random_bands, write, write_damaged
from tests.engine.rpc.talking import ENGINE

Capture = pytest.CaptureFixture[str]


def asked(capsys: Capture, *arguments: object, status: int = 0) -> Any:
    """The object that a verb prints with --json; stdout must hold nothing else."""
    capsys.readouterr()
    assert main([str(item) for item in (*arguments, "--json")]) == status
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, *arguments: object) -> dict[str, str]:
    """The refusal of a verb; the same cause and cure stand on stderr."""
    capsys.readouterr()
    assert main([str(item) for item in (*arguments, "--json")]) == 1
    said = capsys.readouterr()
    error = json.loads(said.out)["error"]
    assert error["text"] in said.err
    assert error["cure"] in said.err
    assert "Traceback" not in said.err
    return error


def test_classify_writes_what_it_says(landscape: Path, tiny_model: str, folder: Path, capsys: Capture) -> None:
    output = folder / "résultats"
    result = asked(
        capsys, "classify", landscape, "--classes", "forest, water, town", "--output", output, "--model", tiny_model
    )
    assert [item["name"] for item in result["classes"]] == ["forest", "water", "town"]
    names = {path.name for path in output.iterdir()}
    assert names >= {"class.tif", "confidence.tif", "tiles.gpkg", "summary.json", "map.png"}
    assert result["class_path"] == str(output / "class.tif")
    assert (drawn(output / "class.tif")[:60, :60] == 1).all()


def test_classify_tells_people_in_tables(landscape: Path, tiny_model: str, folder: Path, capsys: Capture) -> None:
    arguments = [
        "classify",
        str(landscape),
        "--classes",
        "forest,water,town",
        "--output",
        str(folder / "out"),
        "--model",
        tiny_model,
    ]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "hectares" in said.out
    assert str(folder / "out" / "class.tif") in said.out
    assert "embedding tiles" in said.err


def test_options_of_classify(landscape: Path, tiny_model: str, folder: Path, capsys: Capture) -> None:
    result = asked(
        capsys, "classify", landscape, "--classes", "forest,water,town", "--output", folder / "out", "--model", tiny_model,
        "--class-scores", "--no-smooth", "--no-unknown", "--threshold", "2", "--no-picture", "--index", folder / "index",
        "--exact-text",
    )  # fmt: skip
    assert Path(result["scores_path"]).is_file()
    assert not (folder / "out" / "map.png").exists()
    assert result["index_dir"] == str(folder / "index")
    assert 255 not in drawn(result["class_path"])


def test_a_class_list_from_a_file(landscape: Path, tiny_model: str, folder: Path, capsys: Capture) -> None:
    path = folder / "classes é.csv"
    path.write_text(
        "name,synonyms,color,negative\nbosquet,forest,#123456,\nlac,water,,\nneige,snow,,yes\n", encoding="utf-8"
    )
    result = asked(capsys, "classify", landscape, "--classes", path, "--output", folder / "out", "--model", tiny_model)
    first = result["classes"][0]
    assert (first["name"], first["color"]) == ("bosquet", "#123456")


def test_an_area_from_a_file_in_another_crs(landscape: Path, tiny_model: str, folder: Path, capsys: Capture) -> None:
    with rasterio.open(landscape) as raster:
        left, bottom, right, top = rasterio.warp.transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
    middle = (left + right) / 2
    ring = [[left, bottom], [middle, bottom], [middle, top], [left, top], [left, bottom]]
    area = {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}],
    }
    (folder / "zone é.geojson").write_text(json.dumps(area), encoding="utf-8")
    result = asked(
        capsys, "classify", landscape, "--classes", "forest,water,town", "--output", folder / "out", "--model", tiny_model,
        "--aoi", folder / "zone é.geojson",
    )  # fmt: skip
    values = drawn(result["class_path"])
    assert (values[:, :75] > 0).all()
    assert not values[:, 85:].any()


def test_embed_then_search(landscape: Path, tiny_model: str, folder: Path, capsys: Capture) -> None:
    embedded = asked(capsys, "embed", landscape, "--index", folder / "index é", "--model", tiny_model)
    assert (embedded["tiles_embedded"], embedded["tiles_total"]) == (320, 320)
    found = asked(
        capsys,
        "search",
        folder / "index é",
        "--text",
        "lake",
        "--not",
        "town",
        "--top-k",
        5,
        "--output",
        folder / "out",
        "--model",
        tiny_model,
    )
    assert len(found["hits"]) == 5
    assert drawn(folder / "out" / "score.tif").shape == (128, 160)
    assert len(pyogrio.raw.read(folder / "out" / "hits.gpkg")[2]) == 5
    again = asked(capsys, "embed", landscape, "--index", folder / "index é", "--model", tiny_model)
    assert again["tiles_reused"] == 320


def test_a_folder_of_bands_is_one_layer(tiny_model: str, folder: Path, capsys: Capture) -> None:
    inside = make.single_bands(folder)
    stacked = asked(capsys, "embed", inside, "--index", folder / "a", "--model", tiny_model)
    named = asked(
        capsys,
        "embed",
        *(inside / f"{name}.tif" for name in ("B02", "B03", "B04")),
        "--index",
        folder / "b",
        "--model",
        tiny_model,
    )
    assert stacked["tiles_embedded"] == named["tiles_embedded"] == 256


@pytest.mark.parametrize("bands", ["3,2,1", "red=3,green=2,blue=1", " red = 3, blue=1 ,green=2"])
def test_bands_by_number_and_by_name(tiny_model: str, folder: Path, capsys: Capture, bands: str) -> None:
    path = write(folder / "bgr.tif", make.rgb()[::-1], photometric="minisblack")
    asked(capsys, "embed", path, "--index", folder / "index", "--model", tiny_model, "--bands", bands)
    manifest = json.loads((folder / "index" / "zarr.json").read_text(encoding="utf-8"))["attributes"]["geomm"]
    assert manifest["roles"] == ["0:3:red", "0:2:green", "0:1:blue"]


def test_one_grey_band_may_stand_for_all_colours(tiny_model: str, folder: Path, capsys: Capture) -> None:
    path = write(folder / "grey.tif", random_bands(1))
    asked(capsys, "embed", path, "--index", folder / "index", "--model", tiny_model, "--bands", "1,1,1")
    manifest = json.loads((folder / "index" / "zarr.json").read_text(encoding="utf-8"))["attributes"]["geomm"]
    assert manifest["roles"] == ["0:1:red", "1:1:green", "2:1:blue"]


BAD_BANDS = [
    "1,2",
    "1,2,3,4",
    "1,1,1",
    "2,2,2",
    "1,2,9",
    "0,1,2",
    "red,green,blue",
    "red=1,green=2",
    "a=1,b=2,c=3",
    "1,x,3",
    "-1,2,3",
]


@pytest.mark.parametrize("bands", BAD_BANDS)
def test_bands_that_make_no_sense_are_refused(
    landscape: Path, tiny_model: str, folder: Path, capsys: Capture, bands: str
) -> None:
    error = refused(capsys, "embed", landscape, "--index", folder / "index", "--model", tiny_model, f"--bands={bands}")
    assert error["code"] == "bands_missing"
    assert not (folder / "index").exists()


def scene(path: Path, bands: int) -> Path:
    """Sentinel-2's numbers in bands without names."""
    values = np.random.default_rng(2).integers(300, 3000, (bands, 200, 200)).astype(np.uint16)
    return write(path, values, photometric="minisblack")


def test_a_student_takes_any_three_of_its_bands(folder: Path, capsys: Capture) -> None:
    path = scene(folder / "quatre.tif", 4)
    arguments = ("--index", folder / "index", "--model", "geomm-s2-ten", "--unit", "reflectance_e4")
    result = asked(capsys, "embed", path, *arguments, "--bands", "red=4,green=3,blue=2")
    assert "bands_lacking" in {note["code"] for note in result["notes"]}
    manifest = json.loads((folder / "index" / "zarr.json").read_text(encoding="utf-8"))["attributes"]["geomm"]
    assert sorted(manifest["roles"]) == ["0:2:blue", "0:3:green", "0:4:red"]
    refusal = refused(capsys, "embed", path, *arguments, "--bands", "red=4,green=3")
    assert "at least 3" in refusal["text"]


@pytest.mark.parametrize(
    ("bands", "model", "typed"),
    [(4, "geomm-s2-ten", ()), (5, "tiny", ()), (1, "tiny", ()), (5, "tiny", ("--bands", "x")),
     (10, "geomm-s2-ten", ("--bands", "4,3,2"))],
)  # fmt: skip
def test_the_bands_that_a_cure_names_are_accepted(
    tiny_model: str, folder: Path, capsys: Capture, bands: int, model: str, typed: tuple[str, ...]
) -> None:
    options = ("--model", tiny_model if model == "tiny" else model, "--unit", "reflectance_e4")
    path = scene(folder / "scène.tif", bands)
    cure = refused(capsys, "embed", path, "--index", folder / "none", *options, *typed)["cure"]
    proposed = [part.split()[0].strip("),.") for part in cure.split("--bands ")[1:]]
    assert len(proposed) == (2 if typed else 1)
    for at, text in enumerate(proposed):
        asked(capsys, "embed", path, "--index", folder / f"{at}", *options, "--bands", text)


def test_too_few_bands_are_not_to_be_named(tiny_model: str, folder: Path, capsys: Capture) -> None:
    path = write(folder / "two.tif", random_bands(2))
    error = refused(capsys, "embed", path, "--index", folder / "index", "--model", tiny_model)
    assert "--bands" not in error["cure"]
    assert "2 bands" in error["cure"]


def test_refusals_name_cause_and_cure(landscape: Path, tiny_model: str, folder: Path, capsys: Capture) -> None:
    output = folder / "out"
    plain = ["classify", landscape, "--classes", "forest,water", "--output", output]
    assert refused(capsys, *plain, "--model", "no such model")["code"] == "model_unknown"
    assert (
        refused(
            capsys, "classify", folder / "gone.tif", "--classes", "forest", "--output", output, "--model", tiny_model
        )["code"]
        == "raster_missing"
    )
    assert (
        refused(capsys, "classify", landscape, "--classes", " ", "--output", output, "--model", tiny_model)["code"]
        == "class_list_empty"
    )
    assert refused(capsys, *plain, "--model", tiny_model, "--aoi", folder / "gone.gpkg")["code"] == "area_invalid"
    assert refused(capsys, *plain, "--model", tiny_model, "--device", "abacus")["code"] == "device_unavailable"
    assert (
        refused(capsys, "search", folder / "none", "--text", "lake", "--output", output, "--model", tiny_model)["code"]
        == "index_missing"
    )
    assert (
        refused(capsys, "classify", folder, "--classes", "forest", "--output", output, "--model", tiny_model)["code"]
        == "raster_missing"
    )
    assert not output.exists()


def test_a_table_of_a_prior_needs_its_raster(landscape: Path, tiny_model: str, folder: Path, capsys: Capture) -> None:
    table = folder / "table é.csv"
    table.write_text("value,forest,water\n1,0.9,0.1\n", encoding="utf-8")
    arguments = ("--classes", "forest,water", "--output", folder / "out", "--model", tiny_model)
    error = refused(capsys, "classify", landscape, *arguments, "--prior-table", table)
    assert "--prior RASTER" in error["cure"]
    assert not (folder / "out").exists()


def test_remarks_on_the_classes_and_the_picture_are_in_the_answer(
    landscape: Path, tiny_model: str, folder: Path, capsys: Capture
) -> None:
    arguments = ("classify", landscape, "--classes", "corine", "--output", folder / "out")
    result = asked(capsys, *arguments, "--model", tiny_model)
    assert result["picture_path"] == str(folder / "out" / "map.png")
    summary = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["notes"] == result["notes"]
    assert "preset_meant" in {note["code"] for note in summary["notes"]}
    assert asked(capsys, *arguments, "--model", tiny_model, "--no-picture")["picture_path"] == ""


def test_a_hit_in_degrees_has_enough_digits(tiny_model: str, folder: Path, capsys: Capture) -> None:
    transform = Affine(1e-4, 0, 15.0, 0, -1e-4, 45.0)
    path = write(folder / "degrés.tif", random_bands(3), photometric="rgb", crs="EPSG:4326", transform=transform)
    asked(capsys, "embed", path, "--index", folder / "index", "--model", tiny_model)
    searching = ("search", folder / "index", "--text", "forest", "--output", folder / "out", "--model", tiny_model)
    hit = asked(capsys, *searching)["hits"][0]
    assert main([str(item) for item in searching]) == 0
    row = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("1 "))
    assert [float(item) for item in row[3:]] == pytest.approx(hit["bounds_xyxy"], abs=1e-6)


def test_a_damaged_raster_has_a_map_all_the_same(tiny_model: str, folder: Path, capsys: Capture) -> None:
    path = write_damaged(folder / "abîmé.tif", side=512)
    result = asked(
        capsys, "classify", path, "--classes", "forest,water", "--output", folder / "out", "--model", tiny_model
    )
    assert result["embed"]["tiles_failed"] > 0
    assert "tiles_failed" in {note["code"] for note in result["notes"]}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["divine"],
        ["classify"],
        ["classify", "x.tif"],
        ["embed", "x.tif", "--unit", "furlong"],
        ["search", "x"],
        *(["locate", "x.tif", "--output", "y", "--gsd-km", size] for size in ("-3", "nan", "0", "inf", "far")),
        *(["chips", "x.tif", "--output", "y", "--zoom", zoom] for zoom in ("-7", "25", "x")),
        *(["chips", "x.tif", "--output", "y", "--date", day] for day in ("foo", "2024-13-01")),
        ["chips", "x.tif", "--output", "y", "--matrix", "utm", "--gsd", "-1"],
    ],
)
def test_a_wrong_command_line_is_status_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_models(tiny_model: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("GEOMM_MODELS", str(Path(tiny_model).parent))
    assert "tiny" in {item["id"] for item in asked(capsys, "models", "list")["models"]}
    shown = asked(capsys, "models", "show", "tiny")
    assert shown["card"]["id"] == "tiny"
    assert shown["damaged_files"] == []
    assert main(["models", "list"]) == main(["models", "show", "tiny"]) == 0
    assert "Tiny 1.0.0" in capsys.readouterr().out


def test_the_expert_is_a_model_like_any_other(capsys: Capture) -> None:
    summary = next(item for item in asked(capsys, "models", "list")["models"] if item["id"] == "geomm-where")
    assert (summary["bands"], summary["size_mb"]) == (["red", "green", "blue"], pytest.approx(4.2, abs=0.5))
    shown = asked(capsys, "models", "show", "geomm-where")
    assert (shown["card"]["kind"], shown["damaged_files"]) == ("geographic-expert", [])
    assert asked(capsys, "models", "show", shown["path"]) == shown
    assert main(["models", "show", "geomm-where"]) == 0
    said = capsys.readouterr().out
    assert "GeoMM Where" in said
    assert "measured on" in said


def test_selfcheck_opens_the_expert(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geomm_engine.geography.expert_card.DEFAULT_EXPERT", "no such expert")
    checks = {check["name"]: check for check in asked(capsys, "selfcheck", status=1)["checks"]}
    assert "geomm-where" in checks["models"]["detail"]
    assert not checks["places"]["is_ok"]


def test_selfcheck_reports_every_part(capsys: Capture, tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geomm_engine.encoders.registry.DEFAULT_MODEL", tiny_model)
    monkeypatch.setenv("GEOMM_MODELS", str(Path(tiny_model).parent))
    result = asked(capsys, "selfcheck")
    assert result["is_ok"], result
    assert len(result["checks"]) >= 7


def test_selfcheck_fails_when_something_does(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geomm_engine.encoders.registry.DEFAULT_MODEL", "no such model")
    result = asked(capsys, "selfcheck", status=1)
    assert not result["is_ok"]
    broken = {check["name"] for check in result["checks"] if not check["is_ok"]}
    assert "words and pictures" in broken
    assert "libraries" not in broken


@pytest.mark.slow
def test_the_executable_itself(landscape: Path, tiny_model: str, folder: Path, tmp_path: Path) -> None:
    """The installed ``geomm``, from another folder, with relative paths and models found by name."""
    geomm = Path(sys.executable).with_name("geomm")
    if not geomm.exists():
        pytest.skip("the engine is not installed as a package here")
    environment = os.environ | {
        "GEOMM_MODELS": str(Path(tiny_model).parent),
        "GEOMM_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(ENGINE),
    }
    command = [
        geomm,
        "classify",
        landscape.name,
        "--classes",
        "forest,water,town",
        "--output",
        "sortie é",
        "--model",
        "tiny",
        "--json",
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["class_path"] == str(folder / "sortie é" / "class.tif")
    assert np.unique(drawn(folder / "sortie é" / "class.tif")).tolist() == [1, 2, 3]
    failed = subprocess.run(
        [*command[:2], "gone.tif", *command[3:]], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert failed.returncode == 1
    assert b"gone.tif does not exist" in failed.stderr
    assert b"Traceback" not in failed.stderr
