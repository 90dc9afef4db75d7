"""Loading and unloading: nothing at start, nothing left behind."""

import gc
import os
import sys
import time

import pytest
from qgis.core import QgsApplication, QgsMapLayerType, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEvent, QObject
from qgis.PyQt.QtWidgets import QApplication

from geomm_plugin import classFactory
from geomm_plugin.client import contract
from geomm_plugin.client.engine_client import EngineState
from geomm_plugin.gui.options_page import OptionsPage
from geomm_plugin.settings import Settings

from .conftest import draw_raster
from .fake_iface import FakeIface

LONG_MS = 20_000


@pytest.fixture
def iface(qgis_app, project):
    Settings().is_dock_open = False
    found = FakeIface()
    yield found
    found.window.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def settle():
    """Lets deferred deletions happen."""
    for _ in range(3):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()


def test_start_opens_nothing_and_starts_nothing(iface):
    begun = time.perf_counter()
    plugin = classFactory(iface)
    plugin.initGui()
    assert time.perf_counter() - begun < 2  # the aim is 50 ms; a loaded machine is forgiven
    assert plugin.dock is None
    assert QgsApplication.processingRegistry().providerById("geomm") is not None
    plugin.unload()
    assert iface.left_behind == []
    assert QgsApplication.processingRegistry().providerById("geomm") is None


def test_under_qgis_process_there_is_only_the_provider(qgis_app):
    plugin = classFactory(None)
    plugin.initProcessing()
    assert QgsApplication.processingRegistry().algorithmById("geomm:classifylayer") is not None
    plugin.unload()
    assert QgsApplication.processingRegistry().providerById("geomm") is None


def test_unload_twenty_times_with_a_running_job_leaves_nothing(iface, qtbot, fake_engine, raster_path):
    fake_engine("slow")
    written = QgsProject.instance().writeProject
    pids, objects, listeners = [], [], QgsProject.instance().receivers(written)
    for round_ in range(20):
        plugin = classFactory(iface)
        plugin.initGui()
        plugin.show_dock(True)
        session = plugin.dock.session
        call = session.client.send("embed", contract.EmbedParams(contract.RasterSource((str(raster_path),))))
        if round_ % 4 == 0:
            with qtbot.waitSignal(call.progressed, timeout=LONG_MS):
                pass
            pids.append(session.client.pid())
        plugin.unload()
        plugin.deleteLater()
        del call, session, plugin
        settle()
        objects.append(len(iface.window.findChildren(QObject)))
        assert iface.left_behind == []
    qtbot.waitUntil(lambda: not any(is_alive(pid) for pid in pids), timeout=LONG_MS)
    assert objects[-1] <= objects[1]
    assert QgsProject.instance().receivers(written) == listeners


def test_the_interpreter_is_as_it_was(iface, qtbot, fake_engine):
    fake_engine("well_behaved")
    path, environment, modules = list(sys.path), dict(os.environ), set(sys.modules)
    plugin = classFactory(iface)
    plugin.initGui()
    iface.window.show()
    plugin.show_dock(True)
    qtbot.waitUntil(lambda: plugin.dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    plugin.unload()
    new = {name for name in set(sys.modules) - modules if not name.startswith("geomm_plugin")}
    assert sys.path == path
    assert dict(os.environ) == environment
    assert all(name.split(".")[0] in sys.stdlib_module_names or name.startswith("qgis") for name in new), new


def test_the_dock_comes_back_where_it_was_open(iface, fake_engine):
    fake_engine("well_behaved")
    plugin = classFactory(iface)
    plugin.initGui()
    iface.window.show()
    plugin.show_dock(True)
    plugin.unload()
    again = classFactory(iface)
    again.initGui()
    assert again.dock is not None
    again.unload()
    Settings().is_dock_open = False


def test_an_ok_in_the_options_that_changes_nothing_leaves_engine_and_device_alone(iface):
    Settings().device = "cpu"
    told = []
    page = OptionsPage((), told.append)
    page.apply()
    assert told == [False]
    assert Settings().device == "cpu"
    page.engine.setFilePath("/somewhere/geomm")
    page.apply()
    assert told == [False, True]
    Settings().engine_path, Settings().device = "", "auto"
    page.deleteLater()


def test_a_layers_own_menu_opens_the_dock_on_it(iface, fake_engine, raster_layer, work_dir, project):
    fake_engine("well_behaved")
    other = QgsRasterLayer(str(draw_raster(work_dir / "other.tif")), "other")
    project.addMapLayer(other)
    plugin = classFactory(iface)
    plugin.initGui()
    (action,) = (item[-1] for item in iface.left_behind if QgsMapLayerType.RasterLayer in item)
    for layer in (other, raster_layer):
        iface.layer = layer
        action.trigger()
        assert plugin.dock.target.layer_list.ticked_layers() == [layer]
    plugin.unload()
    settle()
    assert iface.left_behind == []
