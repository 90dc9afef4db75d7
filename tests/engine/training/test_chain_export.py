"""The student as a model: words work on it at once, bands may be missing where its card says so, and the card is honest."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geomm_engine.cli import bridge_table, main
from geomm_engine.contract import (
    ClassEntry,
    ClassifyParams,
    EmbedParams,
    ErrorCode,
    RasterSource,
    SearchParams,
    TeachParams,
)
from geomm_engine.encoders.card import Card, read_card, write_card
from geomm_engine.encoders.registry import find_model, list_models, user_models_folder
from geomm_engine.errors import EngineError
from geomm_engine.pipeline.classify import classify
from geomm_engine.pipeline.embed import embed
from geomm_engine.pipeline.prepare import prepare
from geomm_engine.pipeline.search import search
from geomm_engine.progress import run
from geomm_engine.training import bridge as bridges
from geomm_engine.training.chain import train_chain
from geomm_engine.training.chain_config import BandJitter, RasterPair
from geomm_engine.training.chain_data import Lessons
from geomm_engine.training.chain_export import export_student
from geomm_engine.training.teach import model_id_of, teach
from tests.engine.tiny_model import write_tiny_model
from tests.engine.training import chain_scenes as scenes


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, tiny_model: str) -> Path:
    """A folder with a model "student" of five optical bands, its run and the raster that it learnt from."""
    folder = tmp_path_factory.mktemp("élève à lunettes")
    classes = scenes.layout(160, 200)
    path = str(scenes.optical(folder / "cinq.tif", classes))
    pair = RasterPair((path,), (path,), labels=str(scenes.labels(folder / "vérité.tif", classes)))
    config = scenes.config(tiny_model, pair, steps=120, jitter=BandJitter(absent=0.5, fewest_bands=2))
    lessons = Lessons(config, folder)
    run(train_chain(lessons, folder / "run"))
    exported = export_student(lessons, folder / "run", folder / "student")
    assert exported.image_deviation <= 1e-4
    return folder


def test_card_is_of_the_teachers_space(taught: Path, tiny_model: str) -> None:
    card, teacher = read_card(taught / "student").card, read_card(Path(tiny_model)).card
    assert (card.space_id, card.dim, card.text) == (teacher.space_id, teacher.dim, teacher.text)
    assert card.lineage is not None
    assert (card.lineage.teacher, card.hops) == ("tiny", 1)
    assert [band.role for band in card.bands] == ["red", "green", "blue", "nir", "swir1"]
    assert [band.wavelength_nm for band in card.bands] == [665.0, 560.0, 490.0, 842.0, 1610.0]
    assert not card.radiometry.takes_pictures
    assert [item.unit for item in card.radiometry.calibrations] == ["surface_reflectance"]
    assert card.bands_needed == 2
    assert read_card(taught / "student").damaged_files() == []


def test_a_student_knows_its_own_ground_and_tells_strange_ground(taught: Path, folder: Path) -> None:
    entries = tuple(ClassEntry(word) for word in scenes.WORDS)
    strange = folder / "bruit.tif"
    with rasterio.open(taught / "cinq.tif") as raster, rasterio.open(strange, "w", **raster.profile) as noise:
        values = np.random.default_rng(3).uniform(0, 2 * raster.read().max(), (raster.count, *raster.shape))
        noise.write(values.astype(raster.dtypes[0]))
        noise.descriptions = raster.descriptions
        noise.update_tags(**raster.tags())
    shares = {}
    for path in (taught / "cinq.tif", strange):
        asked = ClassifyParams(RasterSource((str(path),)), entries, str(folder / path.stem), str(taught / "student"))
        shares[path.stem] = run(classify(asked)).unfamiliar_share
    assert shares["cinq"] < 0.5
    assert shares["bruit"] > 0.9


def test_bridge_report_is_in_the_card_and_beside_the_run(taught: Path) -> None:
    bridge = read_card(taught / "student").card.bridge
    assert bridge is not None
    assert json.loads((taught / "run" / "bridge.json").read_text(encoding="utf-8"))["tiles"] == bridge.tiles
    blind = {row.metric for row in bridge.rows if row.route == "nir, swir1 alone → words"}
    assert blind >= {bridges.RIGHT, bridges.AGREEMENT}
    rows = {(row.model, row.metric): row for row in bridge.rows if "alone" not in row.route}
    assert {model for model, _ in rows} == {"tiny", "student"}
    right = rows["student", bridges.RIGHT]
    assert right.value > right.chance
    for row in bridge.rows:
        assert row.interval_95[0] - 1e-9 <= row.value <= row.interval_95[1] + 1e-9
    difference = rows["student", bridges.DIFFERENCE].value
    assert difference == pytest.approx(right.value - rows["tiny", bridges.RIGHT].value, abs=1e-3)
    assert sum(bridge.class_tiles) == right.tiles
    header, lines = bridge_table.numbers(bridge)
    assert all(len(line) == len(header) for line in lines)
    assert bridge_table.classes(bridge)[0][-1] == "nir, swir1 alone"


def test_the_card_is_shown_with_its_bridge(taught: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", str(taught / "student")]) == 0
    shown = capsys.readouterr().out
    assert "taught by      tiny 1.0.0, 1 hop from the words" in shown
    assert bridges.AGREEMENT in shown


def test_typed_words_work_on_the_student(taught: Path, folder: Path) -> None:
    source = RasterSource((str(taught / "cinq.tif"),))
    entries = tuple(ClassEntry(word) for word in scenes.WORDS)
    result = run(
        classify(ClassifyParams(source, entries, str(folder / "carte"), str(taught / "student"), has_unknown=False))
    )
    assert len(result.classes) >= 3
    found = run(
        search(SearchParams("water", str(folder / "recherche"), source, model=str(taught / "student"), top_k=3))
    )
    best = found.hits[0]
    classes = scenes.layout(160, 200)
    assert classes[min(159, best.row * 16 + 8), min(199, best.col * 16 + 8)] == scenes.WORDS.index("water")


def test_missing_bands_are_said_and_borne(taught: Path, folder: Path) -> None:
    classes = scenes.layout(160, 200)
    three = str(scenes.optical(folder / "trois.tif", classes, bands=("red", "green", "nir")))
    prepared = prepare(RasterSource((three,)), str(taught / "student"))
    assert prepared.band_places == (0, 1, 3)
    assert prepared.notes[0].code == "bands_lacking"
    assert "blue, swir1" in prepared.notes[0].text
    assert run(embed(EmbedParams(RasterSource((three,)), str(taught / "student")))).tiles_embedded > 0
    one = str(scenes.optical(folder / "une.tif", classes, bands=("nir",)))
    with pytest.raises(EngineError, match="red") as caught:
        prepare(RasterSource((one,)), str(taught / "student"))
    assert caught.value.code is ErrorCode.BANDS_MISSING


def test_a_picture_is_no_reflectance(taught: Path, landscape: Path) -> None:
    with pytest.raises(EngineError, match="8-bit picture") as caught:
        prepare(RasterSource((str(landscape),)), str(taught / "student"))
    assert caught.value.code is ErrorCode.UNIT_UNKNOWN


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """A models folder with the tiny teacher in it."""
    monkeypatch.setenv("GEOMM_MODELS", str(folder / "modèles"))
    write_tiny_model(user_models_folder() / "tiny")
    return user_models_folder()


@pytest.fixture
def radar(folder: Path) -> tuple[str, str]:
    classes = scenes.layout()
    return str(scenes.optical(folder / "optique.tif", classes)), str(scenes.radar(folder / "radar é.tif", classes))


def test_teaching_is_a_job_that_installs_a_model(installed: Path, folder: Path, radar: tuple[str, str]) -> None:
    params = TeachParams(
        "Radar é", RasterSource((radar[1],)), RasterSource((radar[0],)), teacher="tiny", words=scenes.WORDS, steps=30
    )
    result = run(teach(params))
    assert result.model.id == "radar"
    assert result.model.hops == 1
    assert result.bridge
    model = find_model("radar")
    assert model.card.text_from == "tiny"
    assert {path.name for path in model.path.iterdir()} == {"card.json", "image.onnx", "exemplars.npz"}
    assert run(embed(EmbedParams(RasterSource((radar[1],)), "radar"))).tiles_embedded > 0
    with pytest.raises(EngineError, match="already"):
        run(teach(params))
    with pytest.raises(EngineError, match="no name"):
        run(teach(replace(params, name="é à")))


def test_a_student_outlives_better_words_but_not_another_space(
    installed: Path, folder: Path, radar: tuple[str, str]
) -> None:
    run(teach(TeachParams("pupil", RasterSource((radar[1],)), RasterSource((radar[0],)), "tiny", (), scenes.WORDS, 4)))
    card = read_card(installed / "tiny").card

    def with_other(role: str) -> Card:
        return replace(
            card, files=tuple(replace(item, sha256="0" * 64) if item.role == role else item for item in card.files)
        )

    templates = ("{} as it is called now",)
    write_card(replace(with_other("text"), text=replace(card.text, templates=templates)), installed / "tiny")
    assert find_model("pupil").text_folder.path == installed / "tiny"
    assert find_model("pupil").card.text.templates == templates
    for other in (with_other("image"), replace(card, space_id="elsewhere")):
        write_card(other, installed / "tiny")
        with pytest.raises(EngineError, match="another version of tiny"):
            find_model("pupil")
    assert "pupil" not in {model.card.id for model in list_models()}
    shutil.rmtree(installed / "tiny")
    with pytest.raises(EngineError, match="no model “tiny”"):
        find_model("pupil")


def test_a_second_hop_warns(installed: Path, folder: Path, radar: tuple[str, str]) -> None:
    run(teach(TeachParams("first", RasterSource((radar[0],)), RasterSource((radar[0],)), "tiny", (), scenes.WORDS, 4)))
    second = run(
        teach(TeachParams("second", RasterSource((radar[1],)), RasterSource((radar[0],)), "first", (), scenes.WORDS, 4))
    )
    assert second.model.hops == 2
    assert "hops" in {note.code for note in second.notes}
    assert find_model("second").card.text_from == "tiny"
    prepared = prepare(RasterSource((radar[1],)), "second")
    assert "hops" in {note.code for note in prepared.notes}


def test_a_cancelled_lesson_leaves_no_model(installed: Path, radar: tuple[str, str]) -> None:
    job = teach(TeachParams("half", RasterSource((radar[1],)), RasterSource((radar[0],)), "tiny", (), scenes.WORDS, 30))
    for item in job:
        if item.stage == "train":
            break
    job.close()
    assert {path.name for path in installed.iterdir()} == {"tiny"}


def test_linear_backscatter_and_decibel_are_one(installed: Path, folder: Path, radar: tuple[str, str]) -> None:
    import rasterio

    with rasterio.open(radar[1]) as dataset:
        decibel = dataset.read()
    linear = scenes.write(folder / "linéaire.tif", 10 ** (decibel / 10), ("VV", "VH"))
    run(teach(TeachParams("both", RasterSource((radar[1],)), RasterSource((radar[0],)), "tiny", (), scenes.WORDS, 4)))
    values = []
    for path in (radar[1], str(linear)):
        prepared = prepare(RasterSource((path,)), "both")
        with prepared.reading() as reader:
            values.append(prepared.radiometry.apply(reader.read(0, 0, 64, 64).values))
    np.testing.assert_allclose(values[0], values[1], atol=1e-4)


def test_names_become_ids() -> None:
    assert model_id_of(" Radar VV/VH 2 ") == "radar-vv-vh-2"
