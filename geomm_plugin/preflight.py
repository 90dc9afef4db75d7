"""Asks the engine what a run would do, at every change but not too often. Knows timing; the wording is elsewhere."""

from __future__ import annotations

from typing import Callable, Optional

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from .client.contract import PreflightParams
from .client.engine_client import Call, EngineClient

DEBOUNCE_MS = 350


class Preflight(QObject):
    """``describe`` gives the question at the moment of asking, or None while nothing can be asked."""

    asked = pyqtSignal()
    arrived = pyqtSignal(object)
    failed = pyqtSignal(object)

    def __init__(
        self, client: EngineClient, describe: Callable[[], Optional[PreflightParams]], parent: Optional[QObject] = None
    ) -> None:
        super().__init__(parent)
        self._client = client
        self._describe = describe
        self._call: Optional[Call] = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self._ask)

    def refresh(self) -> None:
        """The settings changed: asks a moment later, once."""
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()
        self._call = None

    def _ask(self) -> None:
        params = self._describe()
        if params is None:
            self._call = None
            return
        self.asked.emit()
        call = self._call = self._client.send("preflight", params)
        call.succeeded.connect(lambda result: self._forward(call, self.arrived, result))
        call.failed.connect(lambda failure: self._forward(call, self.failed, failure))

    def _forward(self, call: Call, signal: pyqtSignal, value: object) -> None:
        """Passes an answer on, unless a newer question was asked meanwhile."""
        if call is self._call:
            self._call = None
            signal.emit(value)
