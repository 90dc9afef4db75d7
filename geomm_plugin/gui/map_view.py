"""Shows a found tile on the map: a short flash, or a zoom. Knows the canvas and coordinates."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsRectangle
from qgis.gui import QgsMapCanvas

from ..areas import AreaRefused, transformed
from ..client.contract import Hit
from ..runs import Run

ZOOM_FACTOR = 5.0


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

    def dispose(self) -> None:
        """Nothing stays on the canvas: a flash takes itself away."""
