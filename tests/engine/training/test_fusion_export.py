"""One command trains, exports and measures; the model takes any sensor through the ordinary way of embedding."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine

from geomm_engine.cli import main
from geomm_engine.contract import EmbedParams, RasterSource
from geomm_engine.encoders.card import read_card
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.errors import EngineError
from geomm_engine.index.store import EmbeddingIndex
from geomm_engine.pipeline.embed import embed
from geomm_engine.progress import run
from geomm_engine.training.fusion_config import FUSION_RECIPES
from geomm_engine.training.fusion_export import export_fusion

ROLES = ("B02", "B03", "B04", "B05", "B06", "vv", "vh")


class Trained(NamedTuple):
    """A recipe of three steps on drawn scenes, its run folder, and what the one command printed."""

    recipe: Path
    run_folder: str
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("fusion é")
    text = (FUSION_RECIPES / "drawn.toml").read_text(encoding="utf-8")
    recipe = folder / "recipe.toml"
    for old, new in (("steps = 30", "steps = 3"), ("check_every = 10", "check_every = 3"), ("batch = 24", "batch = 8")):
        text = text.replace(old, new)
    recipe.write_text(text, encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["train", "fusion", str(recipe), "--output", str(folder / "run"), "--device", "cpu", "--json"]) == 0
    return Trained(recipe, str(folder / "run"), json.loads(printed.getvalue()))


def write_rasters(folder: Path) -> tuple[Path, Path]:
    """An optical raster of 10 m and a radar one of 20 m of the same ground."""
    random = np.random.default_rng(0)
    optical = (0.1 + 0.2 * random.random((5, 64, 64))).astype(np.float32)
    radar = random.normal(-14, 3, (2, 32, 32)).astype(np.float32)
    paths = folder / "optical.tif", folder / "radar.tif"
    for path, values, pixel in zip(paths, (optical, radar), (10.0, 20.0), strict=True):
        profile = {"driver": "GTiff", "height": values.shape[1], "width": values.shape[2], "count": len(values)}
        transform = Affine(pixel, 0, 5e5, 0, -pixel, 5e6)
        with rasterio.open(path, "w", dtype="float32", crs="EPSG:32633", transform=transform, **profile) as dataset:
            dataset.write(values)
            dataset.descriptions = ROLES[:5] if len(values) == 5 else ROLES[5:]
    return paths


def vectors(folder: Path, model: str, source: RasterSource) -> np.ndarray:
    result = run(embed(EmbedParams(source, model, device="cpu", index_dir=str(folder))))
    assert result.tiles_embedded > 0
    return next(EmbeddingIndex.open(folder).blocks())[1].vectors


def test_one_command_trains_and_any_sensor_is_embedded(trained: Trained, folder: Path) -> None:
    summary = trained.summary
    assert summary["step"] == 3
    assert summary["image_deviation"] <= 1e-4
    assert len(summary["retrieval"]) == 9
    card = read_card(Path(summary["model"])).card
    assert tuple(band.role for band in card.bands) == ROLES
    assert card.bands_needed == 2
    assert {item.metric for item in card.measured} == {"recall at 1", "largest cosine deviation"}
    optical, radar = (str(path) for path in write_rasters(folder))
    model = summary["model"]
    both = vectors(folder / "both", model, RasterSource((optical, radar), ROLES))
    one = vectors(folder / "one", model, RasterSource((optical,), ROLES[:5]))
    other = vectors(folder / "other", model, RasterSource((radar,), ROLES[5:]))
    assert np.abs(both - one).max() > 1e-3
    for found in (both, one, other):
        assert np.linalg.norm(found, axis=2) == pytest.approx(1.0, abs=2e-3)
    with pytest.raises(EngineError, match="no file for “text”"):
        OnnxTextEncoder(read_card(Path(model)))


def test_what_the_model_cannot_guess_is_shown(
    trained: Trained, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(Path(trained.run_folder) / "model")
    optical, _ = write_rasters(folder)
    with rasterio.open(optical, "r+") as dataset:
        values = np.full((5, 64, 64), 0.5, dtype=np.float32)
        values[:, :8, :8] = 1.0
        dataset.write(values)
    call = ["anomaly", str(optical), "--model", model, "--output", str(folder / "out")]
    assert main([*call, "--threshold", "0.5", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    with rasterio.open(result["anomaly_path"]) as dataset:
        found = dataset.read(1)
        assert dataset.shape == (8, 8)
        assert dataset.res == (80.0, 80.0)
    assert (found.argmax(), result["tiles"]) == (0, 64)
    assert result["highest"] == pytest.approx(found.max(), abs=1e-5)
    assert (
        pyogrio.read_info(result["tiles_path"], layer="anomalies")["features"]
        == result["strange"]
        == (found >= 0.5).sum()
        > 0
    )
    assert main(["anomaly", str(optical), "--output", str(folder / "none")]) == 1
    assert "does not rebuild" in capsys.readouterr().err
    assert not (folder / "none").exists()


def test_nothing_trained_or_another_network_is_refused(trained: Trained, folder: Path) -> None:
    recipe = trained.recipe
    with pytest.raises(EngineError, match="Train first"):
        export_fusion(recipe, folder / "nothing", folder / "model", data=folder)
    assert not (folder / "model").exists()
    assert not (folder / "model.part").exists()


def test_same_place_gives_the_same_vector_whatever_lies_beside_it(trained: Trained, folder: Path) -> None:
    run_folder = trained.run_folder
    optical, _ = write_rasters(folder)
    model = str(Path(run_folder) / "model")
    whole = vectors(folder / "whole", model, RasterSource((str(optical),), ROLES[:5]))
    with rasterio.open(optical) as dataset:
        part = folder / "part.tif"
        profile = dataset.profile | {"height": 48}
        with rasterio.open(part, "w", **profile) as target:
            target.write(dataset.read()[:, :48])
    cut = vectors(folder / "cut", model, RasterSource((str(part),), ROLES[:5]))
    assert np.abs(whole[:4] - cut[:4]).max() < 2e-3


def test_a_teacher_lends_its_words(
    trained: Trained, tiny_model: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = trained.recipe.read_text(encoding="utf-8")
    recipe = folder / "taught.toml"
    told = text.replace("threads = 1", f"threads = 1\nteacher = {json.dumps(tiny_model)}").replace(
        "gain = 0.03", "gain = 0.03\nteacher = 1.0"
    )
    recipe.write_text(told, encoding="utf-8")
    assert main(["train", "fusion", str(recipe), "--output", str(folder / "run"), "--device", "cpu"]) == 0
    assert "the teacher's word" in capsys.readouterr().out
    model, teacher = read_card(folder / "run" / "model"), read_card(Path(tiny_model))
    assert (model.card.dim, model.card.space_id) == (teacher.card.dim, teacher.card.space_id)
    assert model.card.lineage is not None
    assert (model.card.lineage.teacher, model.card.hops) == ("tiny", 1)
    assert not model.damaged_files()
    words = ["forest", "a photo of water"]
    assert np.array_equal(OnnxTextEncoder(model).embed_texts(words), OnnxTextEncoder(teacher).embed_texts(words))
    shares = [item for item in model.card.measured if item.metric == "share of tiles with the teacher's word"]
    assert [item.dataset.split(", ")[1] for item in shares] == ["all fused", "high", "low", "radar"]
    assert all(len(item.interval_95) == 2 for item in shares)
