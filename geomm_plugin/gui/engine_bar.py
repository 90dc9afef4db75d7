"""The dock's first line: the engine's state, options, help. Knows the states' names, starts nothing itself."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from .. import paths
from ..client.contract import InitializeResult
from ..client.engine_client import EngineState
from . import look

_COLORS = {
    EngineState.ABSENT: look.RED,
    EngineState.STOPPED: look.GREY,
    EngineState.STARTING: look.AMBER,
    EngineState.READY: look.GREEN,
    EngineState.WORKING: look.BLUE,
    EngineState.FAILED: look.RED,
}


class EngineBar(QWidget):
    """● ready · CPU, 2 threads   [Restart] ⚙ ?"""

    restart_asked = pyqtSignal()
    options_asked = pyqtSignal()
    help_asked = pyqtSignal()
    teach_asked = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommEngineBar")
        self._dot = QLabel("●", self)
        self._text = QLabel(self)
        self._text.setObjectName("geommEngineState")
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._restart = QPushButton(self.tr("Restart"), self)
        self._restart.setObjectName("geommRestart")
        self._restart.clicked.connect(lambda _checked=False: self.restart_asked.emit())
        teach = look.tool_button(self, "geommTeachOpen", self.tr("Teach a new sensor"), self.teach_asked.emit)
        teach.setIcon(QIcon(paths.resource("icons", "teach.svg")))
        options = look.tool_button(
            self, "geommOptions", self.tr("GeoMM options"), self.options_asked.emit, "/mActionOptions.svg"
        )
        help_ = look.tool_button(
            self, "geommHelp", self.tr("What to do here"), self.help_asked.emit, "/mActionHelpContents.svg"
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(look.MARGIN, 4, look.MARGIN, 0)
        row.setSpacing(look.GAP)
        row.addWidget(self._dot)
        row.addWidget(self._text, 1)
        for button in (self._restart, teach, options, help_):
            row.addWidget(button)
        self.show_state(EngineState.STOPPED, None)

    def show_state(self, state: EngineState, hello: Optional[InitializeResult]) -> None:
        words = {
            EngineState.ABSENT: self.tr("engine not installed"),
            EngineState.STOPPED: self.tr("engine stopped"),
            EngineState.STARTING: self.tr("starting …"),
            EngineState.READY: self.tr("ready"),
            EngineState.WORKING: self.tr("working"),
            EngineState.FAILED: self.tr("engine failed"),
        }
        text = words[state]
        if hello is not None and state in (EngineState.READY, EngineState.WORKING):
            device = next(
                (item for item in hello.devices if item.is_default), hello.devices[0] if hello.devices else None
            )
            text = f"{text} · {device.name}" if device else text
            self.setToolTip(
                self.tr("Engine {0}, Python {1}, process {2}").format(
                    hello.engine_version, hello.python_version, hello.pid
                )
            )
        self._dot.setStyleSheet(f"color: {_COLORS[state]}")
        self._text.setText(text)
        self._text.setAccessibleName(self.tr("Engine: {0}").format(text))
        self._restart.setVisible(state in (EngineState.FAILED, EngineState.STOPPED))
