"""The dock with an engine: from a click to a styled layer, and what it says when things go wrong."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QTableWidget, QWidget

from geomm_plugin import layers, runs
from geomm_plugin.client import contract
from geomm_plugin.client.contract import Level
from geomm_plugin.client.engine_client import EngineState
from geomm_plugin.client.failure import Failure

from ..conftest import draw_raster
from .conftest import LONG_MS, notice

MUCH = 0.2
"""From this share of strange tiles on the engine says so."""


def click(qtbot, dock, name):
    qtbot.mouseClick(dock.findChild(QPushButton, name), Qt.MouseButton.LeftButton)


def run_and_wait(qtbot, dock, name="geommClassifyButton"):
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    with qtbot.waitSignal(dock.session.run_published, timeout=LONG_MS) as published:
        click(qtbot, dock, name)
    return published.args[0]


def _said(run):
    """Codes of what the dock has to say of a run."""
    return {note.code for note in run.result.notes if note.level is not Level.GREEN}


@pytest.fixture(params=["well_behaved", "real"])
def any_engine(request, fake_engine):
    """The whole path with the fake and with the engine itself."""
    if request.param == "real":
        request.getfixturevalue("real_engine")
    else:
        fake_engine(request.param)
    return request.param


def test_first_click_gives_a_styled_group(make_dock, qtbot, any_engine, raster_layer):
    dock = make_dock()
    run = run_and_wait(qtbot, dock)
    group = dock.session.layers.group(run.id)
    assert group is QgsProject.instance().layerTreeRoot().children()[0]
    kinds = {node.layer().customProperty(layers.KIND_PROPERTY): node for node in group.findLayers()}
    assert set(kinds) - {"unfamiliar"} == {"tiles", "class", "confidence"}
    class_map = kinds["class"].layer()
    assert isinstance(class_map.renderer(), QgsPalettedRasterRenderer)
    names = {entry.label: entry.color.name() for entry in class_map.renderer().classes()}
    assert {row.name for row in run.result.classes} == set(names)
    chosen = {entry.name: entry.color for entry in dock.classify.classes()}
    assert all(names[name] == color for name, color in chosen.items() if name in names)
    assert kinds["class"].itemVisibilityChecked()
    assert not kinds["tiles"].itemVisibilityChecked()
    assert "forest" in class_map.metadata().abstract()
    assert class_map.customProperty(layers.RUN_PROPERTY) == run.id
    assert Path(run.output_dir, "class.qml").exists()
    assert dock.classify.legend.topLevelItemCount() == len(run.result.classes)
    assert ("unfamiliar" in kinds) == (run.result.unfamiliar_share > 0)
    assert _said(run) == ({"unfamiliar"} if run.result.unfamiliar_share > MUCH else set())
    assert bool(notice(dock)) == bool(_said(run))
    assert dock.session.layers.layer(run.id, "partial") is None


def test_ground_unlike_anything_learned_has_a_veil_and_a_notice(make_dock, qtbot, real_engine, project, work_dir):
    project.addMapLayer(QgsRasterLayer(str(draw_raster(work_dir / "stripes é.tif", is_strange=True)), "stripes"))
    dock = make_dock()
    run = run_and_wait(qtbot, dock)
    assert run.result.unfamiliar_share > MUCH
    veil = dock.session.layers.layer(run.id, "unfamiliar")
    assert veil.renderer().band() == 3
    shader = veil.renderer().shader().rasterShaderFunction()
    threshold = run.result.familiar_threshold
    assert shader.shade(threshold - 0.01)[4] > 0
    assert shader.shade(threshold + 0.01)[4] == 0
    assert not dock.session.layers.group(run.id).findLayer(veil.id()).itemVisibilityChecked()
    assert f"{run.result.unfamiliar_share:.0%}" in notice(dock)


def test_search_threshold_restyles_without_the_engine(make_dock, qtbot, any_engine, raster_layer):
    dock = make_dock()
    dock.search.text.setText("water")
    dock.tabs.setCurrentWidget(dock.search)
    run = run_and_wait(qtbot, dock, "geommSearchButton")
    score, hits = (dock.session.layers.layer(run.id, kind) for kind in ("score", "hits"))
    assert isinstance(score.renderer(), QgsSingleBandPseudoColorRenderer)
    assert dock.search.table.rowCount() == len(run.result.hits)
    sent = []
    dock.session.client.send = lambda *args: sent.append(args)
    middle = (run.result.score_min + run.result.score_max) / 2
    with qtbot.waitSignal(dock.search.threshold_moved, timeout=LONG_MS):
        dock.search.histogram.set_threshold(middle)
    assert score.renderer().classificationMin() == pytest.approx(middle)
    assert repr(middle) in hits.renderer().rootRule().children()[0].filterExpression()
    shown = [row for row in range(dock.search.table.rowCount()) if not dock.search.table.isRowHidden(row)]
    assert len(shown) == sum(hit.score >= middle for hit in run.result.hits)
    assert sent == []
    del dock.session.client.send


def test_export_writes_a_geopackage(make_dock, qtbot, real_engine, raster_layer, work_dir, monkeypatch):
    dock = make_dock()
    dock.search.text.setText("water")
    dock.tabs.setCurrentWidget(dock.search)
    run_and_wait(qtbot, dock, "geommSearchButton")
    path = str(work_dir / "found é.gpkg")
    monkeypatch.setattr("geomm_plugin.gui.exporting.QFileDialog.getSaveFileName", lambda *_args: (path, ""))
    click(qtbot, dock, "geommSearchExport")
    qtbot.waitUntil(lambda: "tiles written" in notice(dock), timeout=LONG_MS)
    assert Path(path).stat().st_size > 0


@pytest.mark.parametrize("name", ["whole.gpkg", "half.gpkg"])
def test_an_export_says_what_its_index_lacks(make_dock, qtbot, fake_engine, raster_layer, work_dir, monkeypatch, name):
    fake_engine("well_behaved")
    dock = make_dock()
    dock.search.text.setText("water")
    dock.tabs.setCurrentWidget(dock.search)
    run_and_wait(qtbot, dock, "geommSearchButton")
    path = str(work_dir / name)
    monkeypatch.setattr("geomm_plugin.gui.exporting.QFileDialog.getSaveFileName", lambda *_args: (path, ""))
    click(qtbot, dock, "geommSearchExport")
    qtbot.waitUntil(lambda: "7 tiles written" in notice(dock), timeout=LONG_MS)
    assert ("7 of the 9 tiles" in notice(dock)) == (name == "half.gpkg")


def test_the_tiles_of_a_class_map_are_copied(make_dock, qtbot, fake_engine, raster_layer, work_dir, monkeypatch):
    fake_engine("well_behaved")
    dock = make_dock()
    run = run_and_wait(qtbot, dock)
    path = work_dir / "tiles é.gpkg"
    monkeypatch.setattr("geomm_plugin.gui.exporting.QFileDialog.getSaveFileName", lambda *_args: (str(path)[:-5], ""))
    click(qtbot, dock, "geommClassifyExport")
    qtbot.waitUntil(lambda: "tiles written" in notice(dock), timeout=LONG_MS)
    assert path.read_bytes() == Path(run.result.tiles_path).read_bytes()


@pytest.mark.parametrize("engine", ["slow", "real"])
def test_a_killed_engine_is_said_and_the_next_run_works(make_dock, qtbot, fake_engine, raster_layer, engine, request):
    if engine == "real":
        request.getfixturevalue("real_engine")
    else:
        fake_engine(engine)
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    with qtbot.waitSignal(dock.session.queue.started, timeout=LONG_MS):
        click(qtbot, dock, "geommClassifyButton")
    os.kill(dock.session.client.pid(), signal.SIGKILL)
    qtbot.waitUntil(lambda: "stopped unexpectedly" in notice(dock), timeout=LONG_MS)
    assert "Run again" in notice(dock)
    assert dock.progress.isHidden()
    if engine == "slow":
        fake_engine("well_behaved")
    with qtbot.waitSignal(dock.session.run_published, timeout=LONG_MS):
        click(qtbot, dock, "geommClassifyButton")
    assert notice(dock) == "" or (engine == "real" and "Unfamiliar ground" in notice(dock))


def test_cancel_leaves_no_empty_group(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("slow")
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    click(qtbot, dock, "geommClassifyButton")
    qtbot.waitUntil(lambda: "of 400" in dock.progress.findChild(QLabel, "geommProgressText").text(), timeout=LONG_MS)
    with qtbot.waitSignal(dock.session.queue.failed, timeout=LONG_MS):
        click(qtbot, dock, "geommCancel")
    assert "cancelled" in notice(dock)
    assert QgsProject.instance().layerTreeRoot().findGroups() == []


def test_a_run_does_not_follow_into_the_next_project(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("slow")
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    click(qtbot, dock, "geommClassifyButton")
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.WORKING, timeout=LONG_MS)
    with qtbot.waitSignal(dock.session.queue.emptied, timeout=LONG_MS):
        QgsProject.instance().clear()
    assert dock.session.store.runs == ()


def test_preflight_asks_for_the_unit_and_takes_the_answer(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    line = dock.target.line
    qtbot.waitUntil(lambda: line.level is Level.AMBER, timeout=LONG_MS)
    assert not line.unit_box.isHidden()
    assert line.unit_box.isVisible()
    line.unit_box.setCurrentIndex(line.unit_box.findData("display"))
    line.unit_box.activated.emit(line.unit_box.currentIndex())
    qtbot.waitUntil(lambda: line.level is Level.GREEN, timeout=LONG_MS)
    assert raster_layer.customProperty(layers.UNIT_PROPERTY) == "display"


def test_no_engine_shows_the_friendly_page(make_dock, qtbot, monkeypatch):
    monkeypatch.setattr("geomm_plugin.session.find_engine", lambda _settings=None: None)
    dock = make_dock()
    qtbot.waitUntil(dock.engine_page.isVisible, timeout=LONG_MS)
    assert dock.session.client.state is EngineState.ABSENT


def test_an_engine_that_dies_at_start_is_explained(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("dies_at_start")
    dock = make_dock()
    qtbot.waitUntil(lambda: "stopped unexpectedly" in notice(dock), timeout=LONG_MS)
    assert dock.findChild(QPushButton, "geommNoticeDetails").isVisible()


def test_nothing_to_do_is_said_not_done(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    dock.classify.table.set_entries(())
    click(qtbot, dock, "geommClassifyButton")
    assert "at least one class" in notice(dock)
    dock.tabs.setCurrentWidget(dock.search)
    click(qtbot, dock, "geommSearchButton")
    assert "Type what to look for" in notice(dock)
    dock.search.text.setText("x")
    dock.target.layer_list.tick(set())
    click(qtbot, dock, "geommSearchButton")
    assert "Tick a layer" in notice(dock)


def test_everything_is_kept_with_the_project(make_dock, qtbot, fake_engine, raster_layer, work_dir):
    fake_engine("well_behaved")
    dock = make_dock()
    run = run_and_wait(qtbot, dock)
    dock.classify.table.set_entries(dock.classify.classes()[:2])
    dock.search.text.setText("harbour")
    file = str(work_dir / "project é.qgz")
    assert QgsProject.instance().write(file)
    QgsProject.instance().clear()
    assert dock.session.store.runs == ()
    dock.search.text.clear()
    assert QgsProject.instance().read(file)
    assert [found.id for found in dock.session.store.runs] == [run.id]
    assert dock.search.text.text() == "harbour"
    assert len(dock.classify.classes()) == 2
    assert isinstance(dock.session.layers.layer(run.id, "class"), QgsRasterLayer)
    with qtbot.waitSignal(dock.session.run_published, timeout=LONG_MS):
        dock.session.repeat(dock.session.store.runs[0])
    assert len(dock.session.store.runs) == 2
    dock.session.remove(run.id)
    assert dock.session.layers.group(run.id) is None


def test_a_crs_that_was_set_in_qgis_is_that_of_the_map(make_dock, qtbot, real_engine, raster_layer):
    raster_layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    dock = make_dock()
    run = run_and_wait(qtbot, dock)
    class_map = dock.session.layers.layer(run.id, "class")
    assert class_map.crs().authid() == "EPSG:32633"
    assert class_map.extent().intersects(raster_layer.extent())


def _two_images(project, work_dir):
    images = [QgsRasterLayer(str(draw_raster(work_dir / f"{name}.tif")), name) for name in ("north", "south")]
    project.addMapLayers(images)
    return images


def test_two_layers_of_one_question_keep_their_own_results(make_dock, qtbot, fake_engine, project, work_dir):
    fake_engine("well_behaved")
    images = _two_images(project, work_dir)
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    dock.target.layer_list.tick({image.id() for image in images})
    found = []
    dock.session.run_published.connect(found.append)
    click(qtbot, dock, "geommClassifyButton")
    qtbot.waitUntil(lambda: len(found) == 2, timeout=LONG_MS)
    assert len({run.output_dir for run in found}) == 2
    assert all(run.result.class_path.startswith(run.output_dir) for run in found)


def test_what_fails_of_several_layers_is_said_by_name(make_dock, qtbot, fake_engine, project, work_dir):
    fake_engine("refuses")
    images = _two_images(project, work_dir)
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    dock.target.layer_list.tick({image.id() for image in images})
    with qtbot.waitSignal(dock.session.queue.emptied, timeout=LONG_MS):
        click(qtbot, dock, "geommClassifyButton")
    assert "north:" in notice(dock)
    assert "south:" in notice(dock)


def test_what_failed_is_still_said_when_another_layer_is_done(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    run = run_and_wait(qtbot, dock)
    dock.run_messages.begin(2)
    dock._on_failed(replace(run, layer_name="north"), Failure(contract.ErrorCode.RASTER_EMPTY.value))
    dock.tabs.setCurrentWidget(dock.search)
    dock._on_published(run)
    assert "north:" in notice(dock)


def test_the_answer_for_one_layer_is_not_given_to_another(make_dock, qtbot, fake_engine, project, work_dir):
    fake_engine("well_behaved")
    images = _two_images(project, work_dir)
    dock = make_dock()
    dock.target.layer_list.tick({image.id() for image in images})
    first = dock.target.targets()[0].layer_ids
    dock.target.line.unit_chosen.emit("display")
    assert [bool(image.customProperty(layers.UNIT_PROPERTY)) for image in images] == [
        image.id() in first for image in images
    ]


def test_a_finished_run_leaves_the_tab_that_is_open(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    with qtbot.waitSignal(dock.session.run_published, timeout=LONG_MS) as published:
        click(qtbot, dock, "geommClassifyButton")
        dock.tabs.setCurrentWidget(dock.search)
        dock.search.text.setFocus()
    assert dock.tabs.currentWidget() is dock.search
    assert "Done" in notice(dock)
    click(qtbot, dock, "geommNoticeAction")
    assert dock.tabs.currentWidget() is dock.classify
    assert dock.classify.run.id == published.args[0].id


def test_choosing_an_earlier_run_shows_its_layers(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    first, second = run_and_wait(qtbot, dock), run_and_wait(qtbot, dock)
    root = QgsProject.instance().layerTreeRoot()
    root.insertGroup(0, "mine").addChildNode(dock.session.layers.group(first.id).clone())
    root.removeChildNode(dock.session.layers.group(first.id))
    dock.runs_list.shown.emit(first.id)
    is_shown = {run.id: dock.session.layers.group(run.id).itemVisibilityChecked() for run in (first, second)}
    assert is_shown == {first.id: True, second.id: False}


def test_a_run_that_a_cancel_comes_too_late_for_stays_out_of_the_next_project(make_dock, fake_engine, raster_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    session = dock.session
    params = contract.SearchParams(text="water", output_dir="/nowhere", source=contract.RasterSource(("a.tif",)))
    run = runs.new_run("search", "water", "a", params)
    session.queue._run = run
    QgsProject.instance().clear()
    session.queue._on_succeeded(run, None)
    assert session.store.runs == ()
    assert QgsProject.instance().mapLayers() == {}


def test_another_engine_waits_for_the_run(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("slow")
    dock = make_dock()
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    click(qtbot, dock, "geommClassifyButton")
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.WORKING, timeout=LONG_MS)
    before = dock.session.client.pid()
    dock.look_again()
    assert "when this run is done" in notice(dock)
    qtbot.wait(300)
    assert dock.session.client.pid() == before
    click(qtbot, dock, "geommCancel")
    qtbot.waitUntil(lambda: dock.session.client.pid() not in (0, before), timeout=LONG_MS)


def test_no_key_of_the_dock_is_one_of_qgis_menus(make_dock, fake_engine):
    fake_engine("well_behaved")
    dock = make_dock()
    texts = [label.text() for label in dock.findChildren(QLabel) if label.buddy() is not None]
    texts += [dock.tabs.tabText(place) for place in range(dock.tabs.count())]
    keys = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
    assert len(set(keys)) == len(keys) >= 6
    assert not set(keys) & set("jevlsporwdmch")


def test_tab_leaves_the_tables(make_dock, fake_engine):
    fake_engine("well_behaved")
    dock = make_dock()
    assert not any(table.tabKeyNavigation() for table in dock.findChildren(QTableWidget))


def test_a_projects_model_that_is_not_installed_is_named(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    dock.target.model_chooser.choose("somebody-elses")
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    assert dock.target.model == "somebody-elses"
    assert "not installed here" in dock.target.model_chooser.box.currentText()


def test_every_control_has_a_name_and_is_reached_by_keyboard(make_dock, fake_engine):
    fake_engine("well_behaved")
    dock = make_dock()
    for widget in dock.findChildren(QPushButton):
        assert widget.objectName(), widget.text()
        assert widget.text() or widget.accessibleName() or widget.objectName() == "geommNoticeAction"
        assert widget.focusPolicy() != Qt.FocusPolicy.NoFocus
    names = [widget.objectName() for widget in dock.findChildren(QWidget) if widget.objectName().startswith("geomm")]
    assert len(names) == len(set(names))
