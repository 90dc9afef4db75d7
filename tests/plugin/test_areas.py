"""Extents and polygons as the contract carries them."""

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsFeature, QgsGeometry, QgsRectangle

from geomm_plugin import areas


def test_a_rectangle_stays_true_to_its_outline_in_another_crs(qgis_app):
    geometry = areas.rectangle_geometry(QgsRectangle(5, 45, 15, 55))
    utm, geographic = QgsCoordinateReferenceSystem("EPSG:32632"), QgsCoordinateReferenceSystem("EPSG:4326")
    assert areas.transformed(geometry, geographic, utm).constGet().nCoordinates() > 40


def test_an_area_has_wkt_and_crs(qgis_app):
    found = areas.area(areas.rectangle_geometry(QgsRectangle(0, 0, 1, 1)), QgsCoordinateReferenceSystem("EPSG:4326"))
    assert found.crs == "EPSG:4326"
    assert found.wkt.upper().startswith("POLYGON")


def test_polygons_are_merged(qgis_app):
    features = []
    for left in (0, 2):
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, 0, left + 1, 1)))
        features.append(feature)
    assert areas.union(features).area() == pytest.approx(2)


def test_no_polygon_is_said(qgis_app):
    with pytest.raises(areas.AreaRefused, match="no polygons"):
        areas.union([QgsFeature()])
