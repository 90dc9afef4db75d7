"""The engine as a process: start, lines in, lines out, end. Knows bytes and exit codes, not what a line means.

A QProcess belongs to the thread that made it; so does this object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from qgis.PyQt.QtCore import QCoreApplication, QObject, QProcess, QTimer, pyqtSignal

from .environment import child_environment

STDERR_KEPT_BYTES = 16_384
LINE_LIMIT_BYTES = 64 * 1024 * 1024
CLOSE_GRACE_MS = 2000


@dataclass(frozen=True)
class EngineCommand:
    """What to run; ``origin`` says in which place it was found ("setting", "environment", …)."""

    program: str
    arguments: Tuple[str, ...] = ("serve",)
    origin: str = ""


@dataclass(frozen=True)
class EngineStop:
    """How the process ended. ``is_wanted`` is true when this side asked for it."""

    exit_code: int
    is_crash: bool
    is_wanted: bool
    has_started: bool
    stderr_tail: str


class EngineProcess(QObject):
    """One run of the engine; make a new object for the next run."""

    line_received = pyqtSignal(object)
    stopped = pyqtSignal(object)

    def __init__(self, command: EngineCommand, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._command = command
        self._buffer = bytearray()
        self._stderr = bytearray()
        self._is_wanted_stop = False
        self._has_ended = False
        self._process = QProcess(self)
        self._process.setProcessEnvironment(child_environment())
        self._process.readyReadStandardOutput.connect(self._read_stdout)
        self._process.readyReadStandardError.connect(self._read_stderr)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)

    def start(self) -> None:
        self._process.start(self._command.program, list(self._command.arguments))

    def pid(self) -> int:
        return int(self._process.processId())

    def stderr_tail(self) -> str:
        return self._stderr.decode("utf-8", "replace").strip()

    def write(self, line: bytes) -> None:
        """Queues a line; QProcess writes it when the pipe takes it."""
        self._process.write(line)

    def close(self) -> None:
        """Asks the engine to end by closing its stdin; kills it after two seconds."""
        self._is_wanted_stop = True
        self._process.closeWriteChannel()
        QTimer.singleShot(CLOSE_GRACE_MS, self.kill)

    def kill(self) -> None:
        self._is_wanted_stop = True
        if not self._has_ended:
            self._process.kill()

    def abandon(self) -> None:
        """Lets the process end on its own without a word to anyone: for a plugin that goes away now."""
        process = self._process
        if self._has_ended or process.state() == QProcess.ProcessState.NotRunning:
            return
        self._has_ended = True
        process.blockSignals(True)
        process.closeWriteChannel()
        process.blockSignals(False)
        for signal in (
            process.readyReadStandardOutput,
            process.readyReadStandardError,
            process.finished,
            process.errorOccurred,
        ):
            signal.disconnect()
        process.setParent(QCoreApplication.instance())
        process.finished.connect(process.deleteLater)
        QTimer.singleShot(CLOSE_GRACE_MS, process.kill)

    def _read_stdout(self) -> None:
        self._buffer += bytes(self._process.readAllStandardOutput())
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines:
            if line.strip():
                self.line_received.emit(bytes(line))
        if len(self._buffer) > LINE_LIMIT_BYTES:
            self._buffer.clear()
            self._process.kill()

    def _read_stderr(self) -> None:
        self._stderr += bytes(self._process.readAllStandardError())
        del self._stderr[:-STDERR_KEPT_BYTES]

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._stderr += self._process.errorString().encode("utf-8")
            self._end(-1, is_crash=True, has_started=False)

    def _on_finished(self, exit_code: int, status: QProcess.ExitStatus) -> None:
        self._read_stdout()
        self._read_stderr()
        self._end(exit_code, is_crash=status == QProcess.ExitStatus.CrashExit, has_started=True)

    def _end(self, exit_code: int, *, is_crash: bool, has_started: bool) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self.stopped.emit(EngineStop(exit_code, is_crash, self._is_wanted_stop, has_started, self.stderr_tail()))
