"""The verbs around places on the command line: what can be added, what is asked, and refusals with a cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from geomm_engine.cli import main
from tests.engine.cli.test_main import asked, refused
from tests.engine.pipeline.asking import embedded
from tests.engine.placed_model import write_placed_model


def test_what_can_be_added_is_listed_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    models = {item["id"]: item for item in asked(capsys, "models", "add")["published"]}
    assert set(models) >= {"geoclip", "satclip-vit16-l40", "satclip-resnet18-l10"}
    for model in models.values():
        assert model["licence"]["name"] == "MIT"
        for file in model["files"]:
            assert file["url"].startswith("https://")
            assert len(file["sha256"]) in (0, 64)
            assert file["size_bytes"] > 0
    assert main(["models", "add"]) == 0
    assert "downloads nothing" in capsys.readouterr().out


def test_refusals_have_a_cure(
    folder: Path, capsys: pytest.CaptureFixture[str], landscape: Path, tiny_model: str
) -> None:
    assert "does not exist" in refused(capsys, "models", "add", folder / "nowhere.ckpt")["text"]
    absent = refused(capsys, "gallery", landscape, "--model", "satclip-vit16-l40")
    assert "satclip-vit16-l40.ckpt from https://huggingface.co/microsoft/SatCLIP-ViT16-L40" in absent["cure"]
    assert "knows no places" in refused(capsys, "gallery", landscape, "--model", tiny_model)["text"]
    with pytest.raises(SystemExit) as end:
        main(["search", str(folder), "--place", "north", "--output", str(folder / "out")])
    assert end.value.code == 2
    with pytest.raises(SystemExit):
        main(["search", str(folder), "--place=1,2", "--text", "forest", "--output", str(folder / "out")])


def test_a_place_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str], landscape: Path) -> None:
    model = str(write_placed_model(folder / "placed"))
    embedded(landscape, model, folder / "index")
    found = asked(
        capsys, "search", folder / "index", "--place=60,25", "--model", model, "--output", folder / "out", "--top-k", 3
    )
    assert len(found["hits"]) == 3
    assert all(hit["col"] <= 10 and hit["row"] <= 10 for hit in found["hits"])
    shown = asked(capsys, "models", "show", model)
    assert shown["card"]["location"]["encoder"] == "satclip"


def test_every_verb_that_reads_a_layer_takes_its_crs(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("classify", "embed", "locate", "anomaly", "gallery"):
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        assert "--crs" in capsys.readouterr().out, verb


def test_a_place_is_looked_for_on_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str], landscape: Path
) -> None:
    answer = asked(capsys, "locate", landscape, "--gsd-km", "1", "--output", folder / "where")
    assert Path(answer["heatmap_path"]).exists()
