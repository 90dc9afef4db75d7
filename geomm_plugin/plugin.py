"""Makes the parts, joins them to QGIS, and undoes all of it in ``unload``. The only user of ``iface``."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from qgis.core import QgsApplication, QgsMapLayerType
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from . import paths
from .processing.provider import GeommProvider
from .settings import Settings


class GeommPlugin(QObject):
    """``iface`` is None under ``qgis_process``: then there is only the provider."""

    def __init__(self, iface: Any) -> None:
        super().__init__()
        self._iface = iface
        self._provider: Optional[GeommProvider] = None
        self._action: Optional[QAction] = None
        self._layer_action: Optional[QAction] = None
        self._factory: Any = None
        self._session: Any = None
        self.dock: Any = None

    # --- QGIS calls these

    def initProcessing(self) -> None:
        self._provider = GeommProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        self.initProcessing()
        from .gui.options_page import OptionsFactory

        self._action = QAction(QIcon(paths.resource("icons", "geomm.svg")), self.tr("GeoMM"), self._iface.mainWindow())
        self._action.setObjectName("geommAction")
        self._action.setCheckable(True)
        self._action.setToolTip(self.tr("GeoMM: class maps and search by words"))
        self._action.triggered.connect(self.show_dock)
        self._iface.addToolBarIcon(self._action)
        self._iface.addPluginToRasterMenu("GeoMM", self._action)
        self._layer_action = QAction(
            self._action.icon(), self.tr("Classify or search with GeoMM"), self._action.parent()
        )
        self._layer_action.setObjectName("geommLayerAction")
        self._layer_action.triggered.connect(self._on_layer)
        self._iface.addCustomActionForLayerType(self._layer_action, "", QgsMapLayerType.RasterLayer, True)
        self._factory = OptionsFactory(self._devices, self._on_options)
        self._iface.registerOptionsWidgetFactory(self._factory)
        if Settings().is_dock_open:
            self.show_dock(True)

    def unload(self) -> None:
        if self.dock is not None:
            self._remove_dock()
        if self._factory is not None:
            self._iface.unregisterOptionsWidgetFactory(self._factory)
            self._factory = None
        if self._layer_action is not None:
            self._iface.removeCustomActionForLayerType(self._layer_action)
            self._layer_action.deleteLater()
            self._layer_action = None
        if self._action is not None:
            self._iface.removeToolBarIcon(self._action)
            self._iface.removePluginRasterMenu("GeoMM", self._action)
            self._action.deleteLater()
            self._action = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None

    # --- the dock

    def show_dock(self, is_shown: bool = True) -> None:
        """The dock is made when it is first wanted; nothing of it costs QGIS's start."""
        if self.dock is None and is_shown:
            self._make_dock()
        if self.dock is not None:
            self.dock.setUserVisible(is_shown)

    def _on_layer(self, _is_checked: bool = False) -> None:
        """From the layer's own menu: the dock, with this layer ticked."""
        layer = self._iface.activeLayer()
        self.show_dock()
        if layer is not None:
            self.dock.choose_layer(layer.id())

    def _make_dock(self) -> None:
        from .gui.dock import GeommDock
        from .session import Session

        self._session = Session(self)
        self.dock = GeommDock(self._session, self._iface.mapCanvas(), self._iface.mainWindow())
        self.dock.options_asked.connect(self._open_options)
        self.dock.visibilityChanged.connect(self._on_visibility)
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)

    def _remove_dock(self) -> None:
        self.dock.visibilityChanged.disconnect(self._on_visibility)
        Settings().is_dock_open = self.dock.isVisible()
        self.dock.dispose()
        self._iface.removeDockWidget(self.dock)
        self.dock.deleteLater()
        self._session.dispose()
        self._session.deleteLater()
        self.dock = self._session = None

    def _on_visibility(self, is_visible: bool) -> None:
        if self._action is not None:
            self._action.setChecked(is_visible)
        Settings().is_dock_open = not self.dock.isHidden()

    # --- options

    def _open_options(self) -> None:
        self._iface.showOptionsDialog(self._iface.mainWindow(), "geommOptions")

    def _devices(self) -> Tuple[Tuple[str, str], ...]:
        hello = self._session.client.hello if self._session is not None else None
        return tuple((device.id, device.name) for device in hello.devices) if hello else ()

    def _on_options(self, is_other_engine: bool) -> None:
        if self.dock is None:
            return
        if is_other_engine:
            self.dock.look_again()
        else:
            self.dock.refresh()
