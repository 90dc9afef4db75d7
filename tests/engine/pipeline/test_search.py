"""A sentence finds its places; the list, the map and the export agree; nothing half-written is left."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio

from geomm_engine.contract import Area, ErrorCode, ExportParams, Level, SearchParams, SearchResult
from geomm_engine.encoders.card import read_card, write_card
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder
from geomm_engine.errors import EngineError, StoreError
from geomm_engine.pipeline.search import export, search
from geomm_engine.progress import run
from geomm_engine.writers.provenance import TAG
from tests.engine.pipeline.asking import classified, drawn, embedded, searched, source
from tests.engine.raster.drawing import random_bands, write
from tests.engine.tiny_model import write_tiny_model


@pytest.fixture
def found(landscape: Path, tiny_model: str, folder: Path) -> SearchResult:
    return searched(
        folder / "out", "lake", source=source(landscape), model=tiny_model, index_dir=str(folder / "index"), top_k=30
    )


def test_the_best_tiles_are_where_it_is(found: SearchResult) -> None:
    assert [hit.rank for hit in found.hits] == list(range(1, 31))
    assert all(hit.col >= 10 and hit.row < 10 for hit in found.hits)
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(found.score_max, abs=1e-5)
    assert found.score_min < found.threshold <= found.score_max
    assert sum(found.histogram) == 320


def test_a_hit_lies_where_its_tile_lies(found: SearchResult) -> None:
    for hit in found.hits:
        left, top = 500_000 + 160 * hit.col, 5_000_000 - 160 * hit.row
        assert hit.bounds_xyxy == pytest.approx((left, top - 160, left + 160, top))
    assert rasterio.CRS.from_wkt(found.crs).to_epsg() == 32633


def test_the_file_holds_the_list(found: SearchResult) -> None:
    meta, _, shapes, columns = pyogrio.raw.read(found.hits_path)
    table = dict(zip(meta["fields"], columns, strict=True))
    assert table["rank"].tolist() == [hit.rank for hit in found.hits]
    np.testing.assert_allclose(table["score"], [hit.score for hit in found.hits], rtol=1e-6)
    assert len(shapes) == 30


def test_the_map_shows_the_scores(found: SearchResult) -> None:
    heat = drawn(found.score_path)
    assert heat.shape == (128, 160)
    assert heat[:70, 90:].min() > heat[:70, :70].max()
    assert np.isfinite(heat).all()
    hit = found.hits[0]
    own = heat[hit.row * 8 : hit.row * 8 + 8, hit.col * 8 : hit.col * 8 + 8]
    assert own.mean() == pytest.approx(hit.score, abs=0.5)


def test_an_index_alone_can_be_searched(found: SearchResult, tiny_model: str, folder: Path) -> None:
    again = searched(folder / "again", "lake", model=tiny_model, index_dir=found.index_dir, top_k=30)
    assert again.hits == found.hits
    assert again.embed is None
    np.testing.assert_array_equal(drawn(again.score_path), drawn(found.score_path))


def test_a_second_search_costs_no_inference(
    landscape: Path, tiny_model: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classified(landscape, tiny_model, folder / "classes")
    monkeypatch.setattr(OnnxImageEncoder, "embed_images", None)
    result = searched(folder / "out", "town", source=source(landscape), model=tiny_model)
    assert result.embed is not None
    assert (result.embed.tiles_reused, result.embed.tiles_embedded) == (320, 0)


@pytest.mark.parametrize("threshold", [-10.0, 0.0, "proposed", "a score", 1e9])
def test_an_export_holds_every_tile_that_reaches_the_threshold(
    found: SearchResult, tiny_model: str, folder: Path, threshold: float | str
) -> None:
    everything = searched(folder / "all", "lake", model=tiny_model, index_dir=found.index_dir, top_k=10_000).hits
    cut = {"proposed": found.threshold, "a score": everything[200].score}.get(threshold, threshold)
    path = folder / "exporté.gpkg"
    result = run(export(ExportParams(found.index_dir, "lake", str(path), cut, model=tiny_model)))
    wanted = [hit for hit in everything if hit.score >= cut]
    meta, _, shapes, columns = pyogrio.raw.read(path)
    table = dict(zip(meta["fields"], columns, strict=True))
    assert result.tiles == len(shapes) == len(wanted)
    assert not result.notes
    assert list(zip(table["row"], table["col"], strict=True)) == [(hit.row, hit.col) for hit in wanted]
    if threshold == -10.0:
        assert len(wanted) == 320


def test_but_not_takes_places_away(landscape: Path, tiny_model: str, folder: Path) -> None:
    index = embedded(landscape, tiny_model, folder / "index").index_dir
    plain = drawn(searched(folder / "plain", "forest", model=tiny_model, index_dir=index).score_path)
    less = drawn(searched(folder / "less", "forest", model=tiny_model, index_dir=index, not_text="water").score_path)
    assert (less[:70, 90:] < plain[:70, 90:] - 0.5).all()
    forest = less[:70, :70] - plain[:70, :70]
    assert less[:70, :70].min() > less[:70, 90:].max()
    assert np.abs(forest).max() < np.abs(less[:70, 90:] - plain[:70, 90:]).min()


def test_only_the_area_is_searched(landscape: Path, tiny_model: str, folder: Path) -> None:
    index = embedded(landscape, tiny_model, folder / "index").index_dir
    west = Area(
        "POLYGON ((500000 5000000, 501270 5000000, 501270 4998730, 500000 4998730, 500000 5000000))", "EPSG:32633"
    )
    result = searched(folder / "out", "lake", model=tiny_model, index_dir=index, area=west, top_k=1000)
    assert {(hit.row, hit.col) for hit in result.hits} == {(row, col) for row in range(8) for col in range(8)}
    heat = drawn(result.score_path)
    assert np.isnan(heat[:, 65:]).all()
    assert np.isnan(heat[65:]).all()


def test_nodata_is_never_a_hit(folder: Path, tiny_model: str) -> None:
    values = random_bands(3, 256, 256)
    values[:, :, 128:] = 0
    path = write(folder / "half.tif", values, photometric="rgb", nodata=0)
    result = searched(folder / "out", "town", source=source(path), model=tiny_model, top_k=1000)
    assert len(result.hits) == 128
    assert {hit.col for hit in result.hits} == set(range(8))
    assert np.isnan(drawn(result.score_path)[:, 64:]).all()


@pytest.mark.parametrize("top_k", [0, -5, 1])
def test_there_is_always_a_best(found: SearchResult, tiny_model: str, folder: Path, top_k: int) -> None:
    assert len(searched(folder / "one", "lake", model=tiny_model, index_dir=found.index_dir, top_k=top_k).hits) == 1


@pytest.mark.parametrize(
    ("text", "code"), [("", ErrorCode.TEXT_EMPTY), ("  ", ErrorCode.TEXT_EMPTY), ("lake " * 9, ErrorCode.TEXT_TOO_LONG)]
)
def test_words_that_cannot_be_searched_leave_no_file(
    found: SearchResult, tiny_model: str, folder: Path, text: str, code: ErrorCode
) -> None:
    with pytest.raises(EngineError) as caught:
        searched(folder / "none", text, model=tiny_model, index_dir=found.index_dir)
    assert caught.value.code is code
    assert not (folder / "none").exists()


def test_no_index_is_missing(folder: Path, tiny_model: str) -> None:
    with pytest.raises(StoreError) as caught:
        searched(folder / "out", "lake", model=tiny_model, index_dir=str(folder / "no index"))
    assert caught.value.code is ErrorCode.INDEX_MISSING
    assert not (folder / "out").exists()


def test_another_models_words_are_refused(found: SearchResult, folder: Path, tmp_path: Path) -> None:
    other = str(write_tiny_model(tmp_path / "other", tile_px=64))
    with pytest.raises(StoreError) as caught:
        searched(folder / "none", "lake", model=other, index_dir=found.index_dir)
    assert caught.value.code is ErrorCode.INDEX_INCOMPATIBLE
    with pytest.raises(StoreError):
        run(export(ExportParams(found.index_dir, "lake", str(folder / "x.gpkg"), 0.0, model=other)))
    assert not (folder / "x.gpkg").exists()


def test_an_index_of_a_model_that_is_gone_says_which(found: SearchResult, folder: Path) -> None:
    with pytest.raises(EngineError) as caught:
        searched(folder / "none", "lake", index_dir=found.index_dir)
    assert caught.value.code is ErrorCode.MODEL_UNKNOWN
    assert "tiny" in caught.value.text


def test_half_an_index_can_be_searched_for_what_it_holds(folder: Path, tiny_model: str) -> None:
    path = write(folder / "noise.tif", random_bands(3, 400, 400), photometric="rgb")
    corner = Area(
        "POLYGON ((500010 4999990, 500100 4999990, 500100 4999900, 500010 4999900, 500010 4999990))", "EPSG:32633"
    )
    embedded(path, tiny_model, folder / "index", area=corner)
    result = searched(folder / "out", "forest", model=tiny_model, index_dir=str(folder / "index"), top_k=10_000)
    assert len(result.hits) == 16 * 16
    note = next(note for note in result.notes if note.code == "index_incomplete")
    assert note.level is Level.AMBER
    assert note.facts == {"done": 256, "total": 625}
    assert "geomm embed" in note.text
    written = run(export(ExportParams(result.index_dir, "forest", str(folder / "x.gpkg"), -10.0, model=tiny_model)))
    assert (written.tiles, written.notes) == (256, (note,))
    there = searched(folder / "there", "forest", model=tiny_model, index_dir=str(folder / "index"), area=corner)
    assert "index_incomplete" not in {note.code for note in there.notes}


def test_a_whole_index_is_not_called_incomplete(found: SearchResult, tiny_model: str, folder: Path) -> None:
    result = searched(folder / "again", "lake", model=tiny_model, index_dir=found.index_dir)
    assert "index_incomplete" not in {note.code for note in (*found.notes, *result.notes)}


def test_cancelling_leaves_nothing_half_written(found: SearchResult, tiny_model: str, folder: Path) -> None:
    job = search(SearchParams("lake", str(folder / "none"), model=tiny_model, index_dir=found.index_dir))
    next(job)
    next(job)
    job.close()
    assert not (folder / "none").exists()


def test_better_words_find_the_vectors_that_are_there(found: SearchResult, tiny_model: str, folder: Path) -> None:
    newer = folder / "newer"
    shutil.copytree(tiny_model, newer)
    card = read_card(newer).card
    words = [replace(item, sha256="0" * 64) if item.role == "text" else item for item in card.files]
    scoring = replace(card.scoring, background_similarity_std=0.5)
    write_card(replace(card, version="2", files=tuple(words), scoring=scoring), newer)
    again = searched(folder / "again", "lake", model=str(newer), index_dir=found.index_dir, top_k=30)
    assert [(hit.row, hit.col) for hit in again.hits] == [(hit.row, hit.col) for hit in found.hits]
    with rasterio.open(again.score_path) as raster:
        told = json.loads(raster.tags()[TAG])
    assert told["model"]["version"] == "2"
    assert told["parameters"]["embedded_by"] == f"{card.id} {card.version}"
    write_card(replace(card, has_gsd_input=not card.has_gsd_input), newer)
    with pytest.raises(StoreError, match="Embed the raster again"):
        searched(folder / "none", "lake", model=str(newer), index_dir=found.index_dir)
