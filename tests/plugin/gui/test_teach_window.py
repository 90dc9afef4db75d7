"""The window “Teach a new sensor”: from two layers to a model in the list, and what it says when it cannot."""

import os
import signal

import pytest
from qgis.core import QgsRasterLayer
from qgis.PyQt.QtWidgets import QPushButton

from geomm_plugin.client.engine_client import EngineState

from ..conftest import draw_raster
from .conftest import LONG_MS


@pytest.fixture
def radar_layer(project, work_dir):
    layer = QgsRasterLayer(str(draw_raster(work_dir / "radar é.tif", bands=("vv", "vh"))), "radar é")
    project.addMapLayer(layer)
    return layer


def opened(dock, qtbot):
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    dock.open_teaching()
    return dock.teach_window


def filled(window, raster_layer, radar_layer):
    window.name.setText("Radar é")
    window.reference.setCurrentIndex(window.reference.findData(raster_layer.id()))
    window.tick((radar_layer.id(),))
    return window


def test_a_lesson_ends_in_the_model_list(make_dock, qtbot, fake_engine, raster_layer, radar_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    window = filled(opened(dock, qtbot), raster_layer, radar_layer)
    with qtbot.waitSignal(window.taught, timeout=LONG_MS) as taught:
        window.button.click()
        assert not window.button.isEnabled()
    assert taught.args == ["taught"]
    qtbot.waitUntil(lambda: dock.target.model_chooser.model == "taught", timeout=LONG_MS)
    assert window.table.rowCount() == 2
    assert "80 %" in window.notice.text
    assert window.button.isEnabled()
    assert window.progress.isHidden()


def test_what_is_missing_is_said(make_dock, qtbot, fake_engine, raster_layer, radar_layer):
    fake_engine("well_behaved")
    window = opened(make_dock(), qtbot)
    window.button.click()
    assert "name" in window.notice.text
    window.name.setText("x")
    window.button.click()
    assert "tick" in window.notice.text


def test_a_lesson_can_be_cancelled(make_dock, qtbot, fake_engine, raster_layer, radar_layer):
    fake_engine("slow")
    window = filled(opened(make_dock(), qtbot), raster_layer, radar_layer)
    window.button.click()
    qtbot.waitUntil(lambda: "learning" in window.progress._text.text(), timeout=LONG_MS)
    window.findChild(QPushButton, "geommCancel").click()
    assert "kept" not in window.progress._text.text()
    qtbot.waitUntil(window.button.isEnabled, timeout=LONG_MS)
    assert "ancelled" in window.notice.text
    assert "first step" in window.notice.text
    assert "go on" not in window.notice.text


def test_a_lesson_that_dies_is_not_said_to_go_on(make_dock, qtbot, fake_engine, raster_layer, radar_layer):
    fake_engine("slow")
    dock = make_dock()
    window = filled(opened(dock, qtbot), raster_layer, radar_layer)
    window.button.click()
    os.kill(dock.session.client.pid(), signal.SIGKILL)
    qtbot.waitUntil(window.button.isEnabled, timeout=LONG_MS)
    assert "stopped unexpectedly" in window.notice.text
    assert "goes on" not in window.notice.text


def test_a_run_behind_a_lesson_says_that_it_waits(make_dock, qtbot, fake_engine, raster_layer, radar_layer):
    fake_engine("slow")
    dock = make_dock()
    window = filled(opened(dock, qtbot), raster_layer, radar_layer)
    window.button.click()
    window.close()
    dock.findChild(QPushButton, "geommClassifyButton").click()
    assert "a lesson is under way" in dock.progress._text.text()
    window.cancel()
    qtbot.waitUntil(lambda: "looking at tiles" in dock.progress._text.text(), timeout=LONG_MS)


def test_a_lesson_behind_a_run_says_that_it_waits(make_dock, qtbot, fake_engine, raster_layer, radar_layer):
    fake_engine("slow")
    dock = make_dock()
    window = filled(opened(dock, qtbot), raster_layer, radar_layer)
    dock.findChild(QPushButton, "geommClassifyButton").click()
    window.button.click()
    assert "the run in the dock comes first" in window.progress._text.text()
    dock.session.queue.cancel()
    qtbot.waitUntil(lambda: "learning" in window.progress._text.text(), timeout=LONG_MS)


def test_the_request_says_what_was_chosen(make_dock, qtbot, fake_engine, raster_layer, radar_layer):
    fake_engine("well_behaved")
    window = filled(opened(make_dock(), qtbot), raster_layer, radar_layer)
    window.bands.setText("vv; vh")
    params = window._params()
    assert params.reference.paths == (raster_layer.source(),)
    assert params.target.paths == (radar_layer.source(),)
    assert params.bands == ("vv", "vh")
    assert params.steps == 800
    assert params.teacher == "fake"
