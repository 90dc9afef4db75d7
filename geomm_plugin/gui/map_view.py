"""Shows a found tile on the map: a short flash, or a zoom. Knows the canvas and coordinates."""

from __future__ import annotations

import math

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsRectangle
from qgis.gui import QgsMapCanvas

from ..areas import AreaRefused, rectangle_geometry, transformed
from ..client.contract import Hit, LocateResult, Place
from ..runs import Run

ZOOM_FACTOR = 5.0
DEGREE_KM = 111.2
NEAREST_POLE_DEG = 85.0
NEAR_KM = 1000.0


class MapView:
    """Bounds come in the CRS of the raster; the canvas may have another."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas

    def flash(self, run: Run, hit: Hit) -> None:
        crs = QgsCoordinateReferenceSystem(run.result.crs)
        self._canvas.flashGeometries([QgsGeometry.fromRect(QgsRectangle(*hit.bounds_xyxy))], crs)

    def zoom(self, run: Run, hit: Hit) -> None:
        """Centres the tile with some of its surroundings."""
        crs = QgsCoordinateReferenceSystem(run.result.crs)
        target = self._canvas.mapSettings().destinationCrs()
        try:
            box = transformed(QgsGeometry.fromRect(QgsRectangle(*hit.bounds_xyxy)), crs, target).boundingBox()
        except AreaRefused:
            return
        box.scale(ZOOM_FACTOR)
        self._canvas.setExtent(box)
        self._canvas.refresh()
        self.flash(run, hit)

    def flash_place(self, place: Place) -> None:
        """The surroundings of a place in degrees."""
        self._canvas.flashGeometries([QgsGeometry.fromRect(_around(place))], _degrees())

    def zoom_place(self, place: Place) -> None:
        """Shows a place with the distance that its probability was counted in, twice over."""
        self.show_around(place)
        self.flash_place(place)

    def show_around(self, place: Place) -> None:
        """The same without a flash."""
        target = self._canvas.mapSettings().destinationCrs()
        try:
            box = transformed(rectangle_geometry(_around(place)), _degrees(), target).boundingBox()
        except AreaRefused:
            return
        box.scale(2.0)
        self._canvas.setExtent(box)
        self._canvas.refresh()

    def dispose(self) -> None:
        """Nothing stays on the canvas: a flash takes itself away."""


def _degrees() -> QgsCoordinateReferenceSystem:
    return QgsCoordinateReferenceSystem("EPSG:4326")


def _around(place: Place) -> QgsRectangle:
    """A box in degrees round a place, kept where every projection of the world can show it."""
    lat = min(max(place.lat, -NEAREST_POLE_DEG + 3), NEAREST_POLE_DEG - 3)
    high = place.radius_km / DEGREE_KM
    wide = min(high / math.cos(math.radians(lat)), 60.0)
    south, north = max(lat - high, -NEAREST_POLE_DEG), min(lat + high, NEAREST_POLE_DEG)
    return QgsRectangle(max(place.lon - wide, -180.0), south, min(place.lon + wide, 180.0), north)


def worth_seeing_km(result: LocateResult) -> float:
    """Some way round where half of the probability lies; what the 90 % region holds elsewhere is on the small world map."""
    return min(result.radius_90_km, max(3.0 * result.radius_50_km, NEAR_KM))
