"""The dock's first line: the engine's state, options, help. Knows the states' names, starts nothing itself."""

from __future__ import annotations

import html
from typing import Optional, Tuple

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from .. import paths
from ..client.contract import Device, InitializeResult
from ..client.engine_client import EngineClient, EngineState
from ..install.locate import python_of
from . import look

_COLORS = {
    EngineState.ABSENT: look.RED,
    EngineState.STOPPED: look.GREY,
    EngineState.STARTING: look.AMBER,
    EngineState.READY: look.GREEN,
    EngineState.WORKING: look.BLUE,
    EngineState.FAILED: look.RED,
}
AUTO, CPU = "auto", "cpu"


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
        self._show(EngineState.STOPPED, "")

    def show_engine(self, client: EngineClient, device: str) -> None:
        """The engine's state, and the device that it uses where ``device`` is chosen."""
        hello, state, name = client.hello, client.state, ""
        if hello is not None and state in (EngineState.READY, EngineState.WORKING):
            used = used_device(hello.devices, device)
            name = used.name if used else ""
            program = client.command.program if client.command else ""
            lines = [self._facts(hello), *self._way_to_a_gpu(hello.devices, program)]
            self.setToolTip("".join(f"<p>{html.escape(line)}</p>" for line in lines))
        self._show(state, name)

    def _facts(self, hello: InitializeResult) -> str:
        return self.tr("Engine {0}, Python {1}, process {2}").format(
            hello.engine_version, hello.python_version, hello.pid
        )

    def _way_to_a_gpu(self, devices: Tuple[Device, ...], program: str) -> Tuple[str, ...]:
        """An engine without torch names no GPU, so whoever has one is told here what is missing."""
        if any(item.id != CPU for item in devices):
            return ()
        text = self.tr(
            "It computes on the processor: a GPU needs torch, which the set-up does not install. To use one, run “{0} -m pip "
            "install torch safetensors” in a terminal (up to 3 GB), then start QGIS again."
        )
        python = python_of(program) or "python"
        return (text.format(f'"{python}"' if " " in python else python),)

    def _show(self, state: EngineState, device: str) -> None:
        words = {
            EngineState.ABSENT: self.tr("engine not installed"),
            EngineState.STOPPED: self.tr("engine stopped"),
            EngineState.STARTING: self.tr("starting …"),
            EngineState.READY: self.tr("ready"),
            EngineState.WORKING: self.tr("working"),
            EngineState.FAILED: self.tr("engine failed"),
        }
        text = f"{words[state]} · {device}" if device else words[state]
        self._dot.setStyleSheet(f"color: {_COLORS[state]}")
        self._text.setText(text)
        self._text.setAccessibleName(self.tr("Engine: {0}").format(text))
        self._restart.setVisible(state in (EngineState.FAILED, EngineState.STOPPED))


def used_device(devices: Tuple[Device, ...], chosen: str) -> Optional[Device]:
    """What the engine computes on: the chosen device, the processor where it has no such device, or its default."""
    wanted = (chosen, CPU) if chosen != AUTO else ()
    by_id = {item.id: item for item in devices}
    found = [by_id[id_] for id_ in wanted if id_ in by_id]
    return next(iter([*found, *(item for item in devices if item.is_default), *devices]), None)
