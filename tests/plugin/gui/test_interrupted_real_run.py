"""Interrupting the real engine on an image that takes a while: cancel keeps it alive, a kill is survived, work goes on."""

import os
import signal
import time

import pytest
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QPushButton

from geomm_plugin.client.engine_client import EngineState

from ..conftest import draw_raster
from .conftest import LONG_MS, notice

SIDE_PX = 1536


@pytest.fixture
def large_layer(project, work_dir):
    layer = QgsRasterLayer(str(draw_raster(work_dir / "large é.tif", size=SIDE_PX)), "large é")
    project.addMapLayer(layer)
    return layer


def begin(dock, qtbot, done):
    """Presses the button and waits until more than ``done`` tiles are looked at."""
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    notes = []
    dock.session.queue.progressed.connect(lambda _run, note: notes.append(note))
    qtbot.mouseClick(dock.findChild(QPushButton, "geommClassifyButton"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(notes) and notes[-1].done > done and notes[-1].done < notes[-1].total, timeout=LONG_MS)


def test_cancel_is_quick_and_keeps_the_engine(make_dock, qtbot, real_engine, large_layer):
    dock = make_dock()
    begin(dock, qtbot, 0)
    pid = dock.session.client.pid()
    asked_s = time.monotonic()
    with qtbot.waitSignal(dock.session.queue.failed, timeout=LONG_MS) as failed:
        qtbot.mouseClick(dock.findChild(QPushButton, "geommCancel"), Qt.MouseButton.LeftButton)
    print(f"cancelled in {time.monotonic() - asked_s:.2f} s")
    assert failed.args[1].code == "cancelled"
    assert "cancelled" in notice(dock)
    assert dock.session.client.pid() == pid
    assert dock.session.client.state is EngineState.READY
    assert len(QgsProject.instance().mapLayers()) == 1


def test_a_killed_run_goes_on_where_it_stopped(make_dock, qtbot, real_engine, large_layer):
    dock = make_dock()
    begin(dock, qtbot, 1100)
    os.kill(dock.session.client.pid(), signal.SIGKILL)
    qtbot.waitUntil(lambda: "stopped unexpectedly" in notice(dock), timeout=LONG_MS)
    with qtbot.waitSignal(dock.session.run_published, timeout=LONG_MS) as published:
        qtbot.mouseClick(dock.findChild(QPushButton, "geommClassifyButton"), Qt.MouseButton.LeftButton)
    embed = published.args[0].result.embed
    assert embed.tiles_reused > 0
    assert embed.tiles_reused + embed.tiles_embedded + embed.tiles_empty == embed.tiles_total
