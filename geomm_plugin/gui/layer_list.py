"""The images of the project, to tick: several at once mean one run after the other. Knows the project's layers only."""

from __future__ import annotations

from typing import List, Optional, Set

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QWidget

from .. import layers

_ID = Qt.ItemDataRole.UserRole
ROWS_SHOWN = 4


class LayerList(QListWidget):
    """Follows the project; the first image is ticked by itself."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommLayers")
        self.setAccessibleName(self.tr("Layers to work on"))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.refresh)
        self._signals = (
            QgsProject.instance().layersAdded,
            QgsProject.instance().layersRemoved,
            QgsProject.instance().cleared,
        )
        for signal in self._signals:
            signal.connect(self._refresh_soon)
        self.itemChanged.connect(lambda _item: self.changed.emit())
        self.refresh()

    def _refresh_soon(self, *_what: object) -> None:
        self._timer.start()

    def refresh(self) -> None:
        """Lists what is in the project now; ticks stay."""
        ticked = self.ticked_ids()
        order = QgsProject.instance().layerTreeRoot().layerOrder()
        rasters = [
            layer
            for layer in order
            if isinstance(layer, QgsRasterLayer) and not layer.customProperty(layers.KIND_PROPERTY)
        ]
        if rasters and not ticked & {layer.id() for layer in rasters}:
            ticked = {next((layer.id() for layer in rasters if layers.is_usable(layer)), "")}
        self.blockSignals(True)
        self.clear()
        for layer in rasters:
            self.addItem(self._item(layer, layer.id() in ticked))
        self.blockSignals(False)
        self._fit()
        self.changed.emit()

    def _item(self, layer: QgsRasterLayer, is_ticked: bool) -> QListWidgetItem:
        bands = self.tr("1 band") if layer.bandCount() == 1 else self.tr("{0} bands").format(layer.bandCount())
        item = QListWidgetItem(f"{layer.name()}  ({bands})")
        item.setData(_ID, layer.id())
        item.setToolTip(f"{layer.name()}\n{layer.source()}")
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked)
        return item

    def _fit(self) -> None:
        """As high as its rows, up to a few."""
        rows = min(max(self.count(), 1), ROWS_SHOWN)
        row_height = self.sizeHintForRow(0) if self.count() else self.fontMetrics().height() + 4
        self.setFixedHeight(rows * row_height + 2 * self.frameWidth() + 2)

    def ticked_ids(self) -> Set[str]:
        items = [self.item(place) for place in range(self.count())]
        return {item.data(_ID) for item in items if item.checkState() == Qt.CheckState.Checked}

    def tick(self, layer_ids: Set[str]) -> None:
        """Ticks exactly these."""
        for place in range(self.count()):
            item = self.item(place)
            item.setCheckState(Qt.CheckState.Checked if item.data(_ID) in layer_ids else Qt.CheckState.Unchecked)

    def ticked_layers(self) -> List[QgsMapLayer]:
        """In the order of the list."""
        ids = [self.item(place).data(_ID) for place in range(self.count())]
        ticked = self.ticked_ids()
        found = [QgsProject.instance().mapLayer(layer_id) for layer_id in ids if layer_id in ticked]
        return [layer for layer in found if layer is not None]

    def dispose(self) -> None:
        for signal in self._signals:
            signal.disconnect(self._refresh_soon)
        self._timer.stop()
