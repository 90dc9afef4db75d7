"""Every way to say where, as the contract's area."""

import json

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsFeature, QgsGeometry, QgsRectangle, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsMapToolPan

from geomm_plugin import areas
from geomm_plugin.areas import AreaRefused
from geomm_plugin.client.contract import Area
from geomm_plugin.gui.area_chooser import DRAWN, LAYER, POLYGONS, VIEW, AreaChooser


@pytest.fixture
def canvas(qgis_app, project, qtbot):
    found = QgsMapCanvas()
    qtbot.addWidget(found)
    found.resize(200, 200)
    found.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    found.setExtent(QgsRectangle(500_000, 5_600_000, 502_000, 5_602_000))
    return found


@pytest.fixture
def chooser(canvas, qtbot):
    found = AreaChooser(canvas)
    qtbot.addWidget(found)
    yield found
    found.dispose()


def choose(chooser, mode):
    chooser.mode_box.setCurrentIndex(chooser.mode_box.findData(mode))


def bounds(area):
    return QgsGeometry.fromWkt(area.wkt).boundingBox()


def test_the_whole_layer_is_no_area(chooser):
    choose(chooser, LAYER)
    assert chooser.area() == Area()


def test_the_view_is_what_the_canvas_shows(chooser, canvas):
    choose(chooser, VIEW)
    area = chooser.area()
    assert area.crs == "EPSG:32632"
    assert bounds(area).toString(0) == canvas.extent().toString(0)


def test_drawing_takes_the_map_tool_and_gives_it_back(chooser, canvas, qtbot):
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    choose(chooser, DRAWN)
    assert canvas.mapTool() != pan
    with pytest.raises(AreaRefused, match="No rectangle"):
        chooser.area()
    with qtbot.waitSignal(chooser.changed):
        canvas.mapTool().extentChanged.emit(QgsRectangle(500_100, 5_600_100, 500_200, 5_600_300))
    assert canvas.mapTool() == pan
    assert bounds(chooser.area()) == QgsRectangle(500_100, 5_600_100, 500_200, 5_600_300)


def test_polygons_and_selected_polygons(chooser, project):
    choose(chooser, POLYGONS)
    with pytest.raises(AreaRefused, match="no polygon layer"):
        chooser.area()
    layer = QgsVectorLayer("Polygon?crs=EPSG:4326", "parcels", "memory")
    for left in (8, 9):
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, 50, left + 0.5, 51)))
        layer.dataProvider().addFeature(feature)
    project.addMapLayer(layer)
    assert bounds(chooser.area()) == QgsRectangle(8, 50, 9.5, 51)
    assert chooser.area().crs == "EPSG:4326"
    chooser._selected.setChecked(True)
    with pytest.raises(AreaRefused, match="no polygons"):
        chooser.area()
    layer.selectByIds([2])
    assert bounds(chooser.area()) == QgsRectangle(9, 50, 9.5, 51)
    again = AreaChooser(chooser._canvas)
    again.restore(chooser.state())
    assert again.area() == chooser.area()
    again.dispose()


def polygon_layer(project, *wkts):
    layer = QgsVectorLayer("Polygon?crs=EPSG:32632", "fields", "memory")
    features = []
    for wkt in wkts:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    project.addMapLayer(layer)
    return layer


SQUARE = "POLYGON((0 0,10 0,10 10,0 10,0 0))"
BOW_TIE = "POLYGON((20 0,30 10,30 0,20 10,20 0))"


def test_a_polygon_that_crosses_itself_does_not_hide_the_others(chooser, project):
    polygon_layer(project, SQUARE, BOW_TIE)
    choose(chooser, POLYGONS)
    assert QgsGeometry.fromWkt(chooser.area().wkt).area() == pytest.approx(100 + 50)


def test_polygons_are_united_once_until_they_change(chooser, project, monkeypatch):
    layer = polygon_layer(project, SQUARE)
    choose(chooser, POLYGONS)
    first = chooser.area()
    made = []
    union = areas.union
    monkeypatch.setattr(areas, "union", lambda features: made.append(1) or union(features))
    assert chooser.area() is first
    assert made == []
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromWkt("POLYGON((50 0,60 0,60 10,50 10,50 0))"))
    layer.startEditing()
    assert layer.addFeature(feature)
    assert QgsGeometry.fromWkt(chooser.area().wkt).area() == pytest.approx(200)
    layer.rollBack()
    assert QgsGeometry.fromWkt(chooser.area().wkt).area() == pytest.approx(100)
    project.removeMapLayer(layer.id())
    with pytest.raises(AreaRefused):
        chooser.area()


def test_the_drawn_rectangle_is_kept_with_the_project_and_takes_no_tool(chooser, canvas):
    pan = QgsMapToolPan(canvas)
    choose(chooser, DRAWN)
    canvas.mapTool().extentChanged.emit(QgsRectangle(500_100, 5_600_100, 500_200, 5_600_300))
    kept = json.loads(json.dumps(chooser.state()))
    canvas.setMapTool(pan)
    chooser.restore({})
    assert chooser.area() == Area()
    chooser.restore(kept)
    assert bounds(chooser.area()) == QgsRectangle(500_100, 5_600_100, 500_200, 5_600_300)
    chooser.forget_drawn()
    with pytest.raises(AreaRefused, match="No rectangle"):
        chooser.area()
    chooser.restore({"mode": DRAWN})
    assert canvas.mapTool() == pan
