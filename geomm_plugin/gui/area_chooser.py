"""Where to work: whole layer, map view, a drawn rectangle, polygons of a layer. Gives a contract.Area."""

from __future__ import annotations

from typing import Any, Dict, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsMapLayer,
    QgsMapLayerProxyModel,
    QgsRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsMapLayerComboBox, QgsMapToolExtent, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from .. import areas
from ..client.contract import Area
from . import look

LAYER, VIEW, DRAWN, POLYGONS = "layer", "view", "drawn", "polygons"


class AreaChooser(QWidget):
    """The choice in one box; what it needs appears below it."""

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommArea")
        self._canvas = canvas
        self._drawn: Optional[QgsRectangle] = None
        self._drawn_crs = QgsCoordinateReferenceSystem()
        self._union: Optional[Area] = None
        self._watched: Optional[QgsVectorLayer] = None
        self._band: Optional[QgsRubberBand] = None
        self._tool: Optional[QgsMapToolExtent] = None
        self._tool_before: Any = None
        self.mode_box = QComboBox(self)
        self.mode_box.setObjectName("geommAreaMode")
        self.mode_box.setAccessibleName(self.tr("Extent"))
        self.mode_box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        names = {
            LAYER: self.tr("The whole layer"),
            VIEW: self.tr("What the map shows"),
            DRAWN: self.tr("A rectangle that I draw"),
            POLYGONS: self.tr("Inside the polygons of a layer"),
        }
        for mode, name in names.items():
            self.mode_box.addItem(name, mode)
        self._draw = QPushButton(self.tr("Draw on the map"), self)
        self._draw.setObjectName("geommAreaDraw")
        self._draw.setCheckable(True)
        self._polygons = QgsMapLayerComboBox(self)
        self._polygons.setObjectName("geommAreaLayer")
        self._polygons.setAccessibleName(self.tr("Polygon layer"))
        self._polygons.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self._polygons.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._selected = QCheckBox(self.tr("selected only"), self)
        self._selected.setObjectName("geommAreaSelected")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        for widget, stretch in ((self._draw, 1), (self._polygons, 1), (self._selected, 0)):
            row.addWidget(widget, stretch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.mode_box)
        column.addLayout(row)
        self._connect()
        self._show_mode()

    def _connect(self) -> None:
        self.mode_box.currentIndexChanged.connect(self._on_mode)
        self._draw.clicked.connect(self._toggle_tool)
        self._polygons.layerChanged.connect(self._watch)
        self._selected.toggled.connect(lambda _on: self._forget_union())
        self._watch(self._polygons.currentLayer())
        self._canvas.extentsChanged.connect(self._on_view)

    @property
    def mode(self) -> str:
        return str(self.mode_box.currentData())

    def area(self) -> Area:
        """The chosen area.

        Raises:
            AreaRefused: nothing is drawn, or the layer has no polygon.
        """
        if self.mode == VIEW:
            return self.view()
        if self.mode == DRAWN:
            if self._drawn is None:
                raise areas.AreaRefused(
                    self.tr("No rectangle is drawn yet. Press “Draw on the map” and drag over the map.")
                )
            return areas.area(areas.rectangle_geometry(self._drawn), self._drawn_crs)
        if self.mode == POLYGONS:
            return self._polygon_area()
        return Area()

    def view(self) -> Area:
        """What the map shows now."""
        crs = self._canvas.mapSettings().destinationCrs()
        extent = self._canvas.extent()
        return Area() if extent.isEmpty() or not crs.isValid() else areas.area(areas.rectangle_geometry(extent), crs)

    def _polygon_area(self) -> Area:
        layer = self._polygons.currentLayer()
        if not isinstance(layer, QgsVectorLayer):
            raise areas.AreaRefused(
                self.tr("There is no polygon layer in the project. Add one or choose another extent.")
            )
        if self._union is None:
            features = layer.getSelectedFeatures() if self._selected.isChecked() else layer.getFeatures()
            self._union = areas.area(areas.union(features), layer.crs())
        return self._union

    def _watch(self, layer: Optional[QgsMapLayer]) -> None:
        """The union of many polygons takes seconds: it is made again only when they change."""
        if self._watched is not None and not sip.isdeleted(self._watched):
            for signal in _changes(self._watched):
                signal.disconnect(self._forget_union)
        self._watched = layer if isinstance(layer, QgsVectorLayer) else None
        if self._watched is not None:
            for signal in _changes(self._watched):
                signal.connect(self._forget_union)
        self._forget_union()

    def _forget_union(self, *_what: object) -> None:
        self._union = None
        self.changed.emit()

    # --- keeping

    def state(self) -> Dict[str, Any]:
        layer = self._polygons.currentLayer()
        drawn = [self._drawn.asWktPolygon(), self._drawn_crs.toWkt()] if self._drawn is not None else []
        return {
            "mode": self.mode,
            "polygons": layer.id() if layer else "",
            "selected": self._selected.isChecked(),
            "drawn": drawn,
        }

    def restore(self, state: Dict[str, Any]) -> None:
        """As it was saved; never takes the map tool."""
        self.forget_drawn()
        if state.get("drawn"):
            wkt, crs = state["drawn"]
            self._drawn = QgsGeometry.fromWkt(wkt).boundingBox()
            self._drawn_crs = QgsCoordinateReferenceSystem.fromWkt(crs)
        place = self.mode_box.findData(state.get("mode", LAYER))
        self.mode_box.blockSignals(True)
        self.mode_box.setCurrentIndex(max(0, place))
        self.mode_box.blockSignals(False)
        self._show_mode()
        self._show_band()
        self._selected.setChecked(bool(state.get("selected", False)))
        for place in range(self._polygons.count()):
            layer = self._polygons.layer(place)
            if layer is not None and layer.id() == state.get("polygons"):
                self._polygons.setCurrentIndex(place)
        self.changed.emit()

    # --- drawing

    def forget_drawn(self) -> None:
        """The rectangle belongs to the project that it was drawn in."""
        self._end_tool()
        self._drawn = None
        self._show_band()

    def _on_mode(self, _index: int) -> None:
        self._show_mode()
        if self.mode == DRAWN and self._drawn is None:
            self._draw.setChecked(True)
            self._toggle_tool(True)
        elif self.mode != DRAWN:
            self._end_tool()
        self._show_band()
        self.changed.emit()

    def _show_mode(self) -> None:
        self._draw.setVisible(self.mode == DRAWN)
        self._polygons.setVisible(self.mode == POLYGONS)
        self._selected.setVisible(self.mode == POLYGONS)

    def _on_view(self) -> None:
        if self.mode == VIEW:
            self.changed.emit()

    def _toggle_tool(self, is_on: bool) -> None:
        if not is_on:
            self._end_tool()
            return
        if self._tool is None:
            self._tool = QgsMapToolExtent(self._canvas)
            self._tool.extentChanged.connect(self._on_drawn)
            self._tool.deactivated.connect(lambda: self._draw.setChecked(False))
        self._tool_before = self._canvas.mapTool()
        self._canvas.setMapTool(self._tool)

    def _on_drawn(self, rectangle: QgsRectangle) -> None:
        if rectangle.isEmpty():
            return
        self._drawn = QgsRectangle(rectangle)
        self._drawn_crs = self._canvas.mapSettings().destinationCrs()
        self._end_tool()
        self._show_band()
        self.changed.emit()

    def _end_tool(self) -> None:
        self._draw.setChecked(False)
        if self._tool is not None and self._canvas.mapTool() == self._tool:
            self._tool.clearRubberBand()
            if self._tool_before is not None:
                self._canvas.setMapTool(self._tool_before)
            else:
                self._canvas.unsetMapTool(self._tool)

    def _show_band(self) -> None:
        if self._band is not None:
            self._canvas.scene().removeItem(self._band)
            self._band = None
        if self.mode != DRAWN or self._drawn is None:
            return
        self._band = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setStrokeColor(QColor(look.BLUE))
        self._band.setFillColor(QColor(47, 127, 209, 25))
        self._band.setWidth(2)
        self._band.setToGeometry(QgsGeometry.fromRect(self._drawn), self._drawn_crs)

    def dispose(self) -> None:
        self._canvas.extentsChanged.disconnect(self._on_view)
        self._polygons.layerChanged.disconnect(self._watch)
        self._watch(None)
        self.forget_drawn()
        if self._tool is not None:
            self._tool.deleteLater()
            self._tool = None


def _changes(layer: QgsVectorLayer) -> "tuple[Any, ...]":
    """Signals after which its polygons, or the chosen ones, may be others."""
    return layer.dataChanged, layer.layerModified, layer.selectionChanged, layer.subsetStringChanged, layer.crsChanged
