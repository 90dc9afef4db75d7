"""The page "GeoMM" of QGIS's options: engine, device, folder of results. Knows Settings, starts nothing."""

from __future__ import annotations

from typing import List, Optional, Tuple

from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from .. import paths
from ..install.locate import find_engine, is_startable
from ..settings import Settings

KEY = "geommOptions"


class OptionsPage(QgsOptionsPageWidget):
    """Written when the person presses OK."""

    def __init__(
        self, devices: Tuple[Tuple[str, str], ...], on_applied: object, parent: Optional[QWidget] = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName(KEY)
        self._settings = Settings()
        self._on_applied = on_applied
        self.engine = self._file_widget(
            "geommEnginePath", QgsFileWidget.StorageMode.GetFile, self._settings.engine_path
        )
        self.engine.lineEdit().setPlaceholderText(self.tr("found by itself"))
        self.engine.fileChanged.connect(lambda _path: self._show_found())
        self._found = QLabel(self)
        self._found.setWordWrap(True)
        self.device = QComboBox(self)
        self.device.setObjectName("geommDevice")
        for device_id, name in (("auto", self.tr("automatic: the fastest")), *devices):
            self.device.addItem(name, device_id)
        if self.device.findData(self._settings.device) < 0:
            self.device.addItem(self._settings.device, self._settings.device)  # no engine runs that could name it
        self.device.setCurrentIndex(self.device.findData(self._settings.device))
        self.results = self._file_widget(
            "geommResultsDir", QgsFileWidget.StorageMode.GetDirectory, self._settings.results_dir
        )
        self.results.lineEdit().setPlaceholderText(self.tr("beside the project, else {0}").format(paths.results_dir()))
        form = QFormLayout()
        form.addRow(self.tr("Engine (geomm or its Python)"), self.engine)
        form.addRow("", self._found)
        form.addRow(self.tr("Computes on"), self.device)
        form.addRow(self.tr("Keep results in"), self.results)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addStretch(1)
        self._show_found()

    def _file_widget(self, name: str, mode: QgsFileWidget.StorageMode, path: str) -> QgsFileWidget:
        widget = QgsFileWidget(self)
        widget.setObjectName(name)
        widget.setStorageMode(mode)
        widget.setFilePath(path)
        return widget

    def _show_found(self) -> None:
        path = self.engine.filePath()
        if path:
            text = (
                self.tr("This program will be used.")
                if is_startable(path)
                else self.tr("This is not a program that can be the engine.")
            )
        else:
            command = find_engine(self._settings) if not self._settings.engine_path else None
            text = (
                self.tr("Found: {0}").format(command.program)
                if command
                else self.tr("Looked for when the dock is opened.")
            )
        self._found.setText(text)

    def apply(self) -> None:
        """QGIS calls this for every OK of its dialog, whatever page was changed."""
        is_other_engine = self.engine.filePath().strip() != self._settings.engine_path
        self._settings.engine_path = self.engine.filePath()
        self._settings.device = str(self.device.currentData())
        self._settings.results_dir = self.results.filePath()
        if callable(self._on_applied):
            self._on_applied(is_other_engine)


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page when the options dialog opens."""

    def __init__(self, devices_of: object, on_applied: object) -> None:
        super().__init__()
        self._devices_of = devices_of
        self._on_applied = on_applied
        self.setTitle("GeoMM")

    def icon(self) -> QIcon:
        return QIcon(paths.resource("icons", "geomm.svg"))

    def path(self) -> List[str]:
        return []

    def createWidget(self, parent: QWidget) -> OptionsPage:
        devices = self._devices_of() if callable(self._devices_of) else ()
        return OptionsPage(devices, self._on_applied, parent)
