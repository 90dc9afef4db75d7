"""The tab "Locate": from a click to the world on the map, and what it says of the layer's own coordinates."""

from types import SimpleNamespace

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QPixmap
from qgis.PyQt.QtWidgets import QPushButton

from geomm_plugin import layers
from geomm_plugin.client import contract
from geomm_plugin.client.engine_client import EngineState
from geomm_plugin.gui.locate_charts import SeasonChart, WorldPicture, spans
from geomm_plugin.gui.locate_panel import country_names
from geomm_plugin.gui.map_view import worth_seeing_km

from .conftest import LONG_MS, notice


@pytest.fixture
def dock(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    dock.tabs.setCurrentWidget(dock.locate)
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    return dock


def run_and_wait(qtbot, dock):
    with qtbot.waitSignal(dock.session.run_published, timeout=LONG_MS) as published:
        qtbot.mouseClick(dock.findChild(QPushButton, "geommLocateButton"), Qt.MouseButton.LeftButton)
    return published.args[0]


def test_a_click_puts_the_world_on_the_map(dock, qtbot):
    run = run_and_wait(qtbot, dock)
    group = dock.session.layers.group(run.id)
    kinds = [node.layer().customProperty(layers.KIND_PROPERTY) for node in group.findLayers()]
    assert kinds == ["places", "regions", "heat"]
    root = QgsProject.instance().layerTreeRoot()
    lowest = root.findLayers()[-1].layer()
    assert lowest.customProperty(layers.KIND_PROPERTY) == "world"
    assert lowest.featureCount() > 150
    assert "16,000 km" in dock.locate.verdict.text()
    assert notice(dock) == ""  # the panel has said it
    table = dock.locate.table
    assert [table.item(row, 1).text() for row in range(table.rowCount())] == ["Fiji", "Kazakhstan"]
    assert table.item(0, 3).text() == "80%"
    assert "late December" in dock.locate.season.accessibleName()
    assert "Aw 90%" in dock.locate.climate.accessibleName()


def test_the_countries_are_added_once_and_not_over_a_basemap(dock, qtbot):
    first = run_and_wait(qtbot, dock)
    run_and_wait(qtbot, dock)
    kinds = [item.customProperty(layers.KIND_PROPERTY) for item in QgsProject.instance().mapLayers().values()]
    assert kinds.count("world") == 1
    dock.session.remove(first.id)
    assert dock.session.layers.group(first.id) is None


def test_priors_and_date_reach_the_engine(dock, qtbot, project):
    polygons = QgsVectorLayer("Polygon?crs=EPSG:4326", "box", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(0, 0, 10, 10)))
    polygons.dataProvider().addFeature(feature)
    project.addMapLayer(polygons)
    dock.locate.polygons.setLayer(polygons)
    dock.locate.country.setText("Fiji")
    dock.locate.is_land_only.setChecked(False)
    dock.locate.date.setText("2004-07-15")
    dock.locate.gsd_km.setValue(1.5)
    params = run_and_wait(qtbot, dock).params
    assert params.priors.country == "Fiji"
    assert not params.priors.is_land_only
    assert params.priors.area.crs == "EPSG:4326"
    assert params.priors.area.wkt.startswith("Polygon")
    assert params.date == "2004-07-15"
    assert params.gsd_m == pytest.approx(1500)


def test_what_is_no_date_is_said(dock, qtbot):
    dock.locate.date.setText("15.7.2004")
    qtbot.mouseClick(dock.locate.button, Qt.MouseButton.LeftButton)
    assert "is no date" in notice(dock)
    assert not dock.session.queue.is_busy


def test_the_preflight_asks_for_the_verb_and_hides_the_model(dock, qtbot):
    assert dock.target.verb == "locate"
    assert not dock.target.model_chooser.isVisible()
    dock.tabs.setCurrentWidget(dock.search)
    assert dock.target.verb == ""
    assert dock.target.model_chooser.isVisible()


def test_a_place_is_shown_and_zoomed_to(dock, qtbot):
    run_and_wait(qtbot, dock)
    dock.locate.table.selectRow(1)
    dock.locate.table.itemActivated.emit(dock.locate.table.item(1, 0))
    canvas = dock.map_view._canvas
    extent = canvas.extent()
    assert extent.width() < 360
    dock.map_view.zoom_place(contract.Place(1, 89.9, 10.0, "", 0.5, 250.0))


def test_it_is_kept_with_the_project(dock, qtbot, work_dir):
    run = run_and_wait(qtbot, dock)
    dock.locate.country.setText("Fiji")
    file = str(work_dir / "project é.qgz")
    assert QgsProject.instance().write(file)
    QgsProject.instance().clear()
    assert dock.locate.run is None
    dock.locate.country.clear()
    assert QgsProject.instance().read(file)
    assert [found.id for found in dock.session.store.runs] == [run.id]
    assert dock.locate.country.text() == "Fiji"
    dock.runs_list.shown.emit(run.id)
    assert dock.locate.run.id == run.id
    assert isinstance(dock.session.layers.layer(run.id, "heat"), QgsRasterLayer)


def test_cancel_leaves_no_group(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("slow")
    dock = make_dock()
    dock.tabs.setCurrentWidget(dock.locate)
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    with qtbot.waitSignal(dock.session.queue.started, timeout=LONG_MS):
        qtbot.mouseClick(dock.locate.button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(dock.session.queue.failed, timeout=LONG_MS):
        dock.session.queue.cancel()
    assert QgsProject.instance().layerTreeRoot().findGroups() == []
    assert dock.locate.run is None


def test_the_countries_are_named():
    names = country_names()
    assert len(names) > 150
    assert "Antarctica" in names


@pytest.mark.parametrize(
    ("day", "half", "expected"),
    [
        (183, 36.5, [(0.4, 0.6)]),
        (1, 36.5, [(0.0, 0.1), (0.9, 1.0)]),
        (100, 182.6, [(0.0, 1.0)]),
    ],
)
def test_spans_of_the_year(day, half, expected):
    found = spans(day, half)
    assert len(found) == len(expected)
    for pair, wanted in ((found[at], expected[at]) for at in range(len(expected))):
        assert pair == pytest.approx(wanted, abs=0.002)


def test_charts_draw_themselves(qgis_app, qtbot, work_dir):
    from qgis.PyQt.QtWidgets import QWidget

    parent = QWidget()
    qtbot.addWidget(parent)
    season = SeasonChart(parent)
    season.show_season(contract.Season(360, "late December", 20.0, 60.0))
    season.resize(300, 57)
    assert not season.grab().isNull()
    picture = QPixmap(200, 100)
    picture.fill(Qt.GlobalColor.red)
    picture.save(str(work_dir / "world.png"))
    world = WorldPicture(parent)
    world.show_file(str(work_dir / "world.png"))
    assert world.is_filled
    assert world.heightForWidth(300) == 150
    world.show_file(str(work_dir / "no.png"))
    assert not world.is_filled


@pytest.mark.parametrize(
    ("half_km", "most_km", "shown_km"), [(38, 9000, 1000), (800, 9000, 2400), (4000, 9000, 9000), (100, 400, 400)]
)
def test_the_map_shows_where_half_of_the_probability_lies(half_km, most_km, shown_km):
    result = SimpleNamespace(radius_50_km=half_km, radius_90_km=most_km)
    assert worth_seeing_km(result) == shown_km
