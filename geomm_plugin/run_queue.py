"""Runs one job after the other on the engine. Knows runs and calls; neither layers nor widgets."""

from __future__ import annotations

from collections import deque
from typing import Deque, Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .client import contract
from .client.engine_client import Call, EngineClient
from .client.failure import Failure
from .runs import Run, finished


class RunQueue(QObject):
    """Every signal carries the run that it is about."""

    started = pyqtSignal(object)
    progressed = pyqtSignal(object, object)
    partial_arrived = pyqtSignal(object, object)
    succeeded = pyqtSignal(object)
    failed = pyqtSignal(object, object)
    emptied = pyqtSignal()

    def __init__(self, client: EngineClient, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._client = client
        self._waiting: Deque[Run] = deque()
        self._run: Optional[Run] = None
        self._call: Optional[Call] = None

    @property
    def is_busy(self) -> bool:
        return self._run is not None

    @property
    def run_id(self) -> str:
        """The run under way, "" without one."""
        return self._run.id if self._run is not None else ""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def add(self, run: Run) -> None:
        self._waiting.append(run)
        if self._run is None:
            self._next()

    def cancel(self) -> None:
        """Ends the run under way and forgets those that wait."""
        self._waiting.clear()
        if self._call is not None:
            self._call.cancel()

    def _next(self) -> None:
        if not self._waiting:
            self.emptied.emit()
            return
        run = self._run = self._waiting.popleft()
        self.started.emit(run)
        call = self._call = self._client.send(run.kind, run.params)
        call.progressed.connect(lambda note: self.progressed.emit(run, note))
        call.partial_arrived.connect(lambda note: self.partial_arrived.emit(run, note))
        call.succeeded.connect(lambda result: self._on_succeeded(run, result))
        call.failed.connect(lambda failure: self._on_failed(run, failure))

    def _on_succeeded(self, run: Run, result: object) -> None:
        self._run = self._call = None
        self.succeeded.emit(finished(run, result))
        self._next()

    def _on_failed(self, run: Run, failure: Failure) -> None:
        self._run = self._call = None
        if (
            failure.code != contract.ErrorCode.CANCELLED.value
            and self._waiting
            and self._client.last_failure is not None
        ):
            self._waiting.clear()
        self.failed.emit(run, failure)
        self._next()
