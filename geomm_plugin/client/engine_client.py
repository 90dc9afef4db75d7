"""Requests to the engine and their answers. Knows the contract and the engine's states; nothing of layers or widgets."""

from __future__ import annotations

import enum
import json
import time
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Sequence

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from .. import log
from . import contract, failure
from .engine_process import EngineCommand, EngineProcess, EngineStop
from .failure import Failure

HANDSHAKE_TIMEOUT_MS = 60_000
CANCEL_TIMEOUT_MS = 5_000
RESTART_LIMIT = 3
RESTART_WINDOW_S = 300.0
GARBAGE_LIMIT = 200
STDERR_GRACE_MS = 50
"""What the engine wrote to stderr before an answer arrives with it, not always before it."""
DETAILS_KEPT = 4000
CLIENT_NAME = "geomm-qgis"


class EngineState(enum.Enum):
    """Where the engine stands, as the dock's dot shows it."""

    ABSENT = "absent"
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    WORKING = "working"
    FAILED = "failed"


class Call(QObject):
    """One request under way. Exactly one of ``succeeded`` and ``failed`` is sent, once."""

    succeeded = pyqtSignal(object)
    failed = pyqtSignal(object)
    progressed = pyqtSignal(object)
    partial_arrived = pyqtSignal(object)

    def __init__(self, client: "EngineClient", id_: int, method: str, params: Any) -> None:
        super().__init__()
        self.id = id_
        self.method = method
        self.params = params
        self.is_cancelling = False
        self._client = client

    def cancel(self) -> None:
        self._client.cancel(self)


class EngineClient(QObject):
    """Starts the engine when first asked, pairs answers with requests, and survives the engine's death."""

    state_changed = pyqtSignal(object)

    def __init__(self, find_command: Callable[[], Optional[EngineCommand]], parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._find_command = find_command
        self._process: Optional[EngineProcess] = None
        self._state = EngineState.STOPPED
        self._calls: Dict[int, Call] = {}
        self._unsent: List[Call] = []
        self._next_id = 1
        self._garbage = 0
        self._is_disposed = False
        self._is_closing = False
        self._is_restart_wanted = False
        self._is_set_aside = False
        self._crash_times: List[float] = []
        self._pending_failure: Optional[Failure] = None
        self.hello: Optional[contract.InitializeResult] = None
        self.command: Optional[EngineCommand] = None
        self.last_failure: Optional[Failure] = None
        self._handshake_timer = self._timer(HANDSHAKE_TIMEOUT_MS, self._on_handshake_timeout)
        self._cancel_timer = self._timer(CANCEL_TIMEOUT_MS, self._on_cancel_timeout)

    def _timer(self, interval_ms: int, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(slot)
        return timer

    @property
    def state(self) -> EngineState:
        return self._state

    def pid(self) -> int:
        """Process id of the running engine, 0 when there is none."""
        return self._process.pid() if self._process else 0

    def stderr_tail(self) -> str:
        return self._process.stderr_tail() if self._process else ""

    # --- requests

    def send(self, method: str, params: Any) -> Call:
        """Sends a request, starting the engine if need be. The answer comes by the call's signals, never at once.

        A process that is being closed takes nothing any more: the request waits for the next one.
        """
        call = Call(self, self._next_id, method, params)
        self._next_id += 1
        self._calls[call.id] = call
        if self._state in (EngineState.READY, EngineState.WORKING) and not self._is_closing:
            self._write(call)
        else:
            self._unsent.append(call)
            QTimer.singleShot(0, self.start)
        return call

    def cancel(self, call: Call) -> None:
        """Asks for the end of a call; an engine that does not answer in five seconds is closed, then killed."""
        if call.id not in self._calls or call.is_cancelling:
            return
        call.is_cancelling = True
        if call in self._unsent:
            self._fail(call, _cancelled())
            return
        if self._is_closing:
            return
        self._process_write(contract.notification(contract.CANCEL, contract.CancelParams(call.id)))
        self._cancel_timer.start()

    def _write(self, call: Call) -> None:
        self._process_write(contract.request(call.id, call.method, call.params))
        self._refresh_working()

    def _process_write(self, message: Dict[str, Any]) -> None:
        if self._process:
            self._process.write(contract.line(message))

    # --- life of the process

    def start(self) -> None:
        """Starts the engine if it is not running; failures arrive by state and by the waiting calls."""
        if self._process is not None or self._is_disposed:
            return
        now = time.monotonic()
        self._crash_times = [moment for moment in self._crash_times if now - moment < RESTART_WINDOW_S]
        if len(self._crash_times) > RESTART_LIMIT:
            last = self.last_failure or Failure(failure.ENGINE_KEEPS_STOPPING)
            self._fail_all(replace(last, code=failure.ENGINE_KEEPS_STOPPING, text="", cure=""), EngineState.FAILED)
            return
        command = None if self._is_set_aside else self._find_command()
        if command is None:
            self._fail_all(Failure(failure.ENGINE_ABSENT), EngineState.ABSENT)
            return
        self._launch(command)

    def _launch(self, command: EngineCommand) -> None:
        self._garbage = 0
        self._pending_failure = None
        self._is_closing = False
        self._is_restart_wanted = False
        self.command = command
        self._process = EngineProcess(command, self)
        self._process.line_received.connect(self._on_line)
        self._process.stopped.connect(self._on_stopped)
        self._set_state(EngineState.STARTING)
        self._handshake_timer.start()
        self._process.start()
        hello = contract.InitializeParams(protocol=contract.PROTOCOL, client=CLIENT_NAME)
        self._process_write(contract.request(0, "initialize", hello))

    def restart(self) -> None:
        """Starts afresh at a person's wish: past crashes are forgiven, and the next process is asked what waits."""
        self._is_set_aside = False
        self._begin_anew()

    def set_aside(self) -> None:
        """The engine is about to be made again: until :meth:`restart` it is as if there were none."""
        self._is_set_aside = True
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._crash_times.clear()
        if self._process is None:
            self.start()
            return
        self._is_restart_wanted = True
        self.stop()

    def stop(self) -> None:
        """Asks the engine to end; it is killed after two seconds. A call without an answer by then starts the next one."""
        if self._process is not None and not self._is_closing:
            self._is_closing = True
            self._handshake_timer.stop()
            self._process.close()

    def dispose(self) -> None:
        """For unload: waiting calls are dropped in silence, the process ends on its own."""
        self._is_disposed = True
        self._handshake_timer.stop()
        self._cancel_timer.stop()
        self._calls.clear()
        self._unsent.clear()
        if self._process is not None:
            self._process.abandon()
            self._process.deleteLater()
            self._process = None
        self._state = EngineState.STOPPED

    def _on_handshake_timeout(self) -> None:
        self._give_up(Failure(failure.ENGINE_SILENT, details=self.stderr_tail()))

    def _on_cancel_timeout(self) -> None:
        if any(call.is_cancelling for call in self._calls.values()):
            self.stop()

    def _give_up(self, reason: Failure) -> None:
        if self._process is not None:
            self._pending_failure = reason
            self._process.kill()

    def _on_stopped(self, stop: EngineStop) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
        self._handshake_timer.stop()
        self._cancel_timer.stop()
        is_at_start, self.hello = self.hello is None, None
        reason = self._pending_failure or _stop_failure(stop)
        details = reason.details or stop.stderr_tail[-DETAILS_KEPT:]
        reason = replace(reason, details=details, is_at_start=is_at_start)
        is_asked_for = stop.is_wanted and self._pending_failure is None
        if not is_asked_for:
            self._crash_times.append(time.monotonic())
            _log(reason)
        waiting = [call for call in self._calls.values() if is_asked_for and not call.is_cancelling]
        self._fail_all(reason, EngineState.STOPPED if is_asked_for else EngineState.FAILED, waiting)
        if waiting or self._is_restart_wanted:
            self.start()

    # --- answers

    def _on_line(self, line: bytes) -> None:
        try:
            message = json.loads(line.decode("utf-8"))
        except ValueError:
            message = None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            self._count_garbage(line)
        elif "method" in message:
            self._on_notification(message)
        elif message.get("id") == 0:
            self._on_hello(message)
        else:
            self._on_answer(message)

    def _count_garbage(self, line: bytes) -> None:
        self._garbage += 1
        if self._garbage > GARBAGE_LIMIT:
            self._give_up(Failure(failure.ENGINE_GARBLED, details=line[:200].decode("utf-8", "replace")))

    def _on_hello(self, message: Dict[str, Any]) -> None:
        if self._is_closing:
            return
        self._handshake_timer.stop()
        if "error" in message:
            self._give_up(_answer_failure(message["error"]))
            return
        protocol = message["result"].get("protocol") if isinstance(message.get("result"), dict) else None
        if protocol != contract.PROTOCOL:
            facts = {"engine": str(protocol), "plugin": contract.PROTOCOL}
            self._give_up(Failure(contract.ErrorCode.PROTOCOL_MISMATCH.value, facts=facts))
            return
        try:
            self.hello = contract.decode(contract.InitializeResult, message["result"], "result")
        except contract.ContractError as problem:
            self._give_up(Failure(failure.ENGINE_GARBLED, details=str(problem)))
            return
        self.last_failure = None
        self._set_state(EngineState.READY)
        waiting, self._unsent = self._unsent, []
        for call in waiting:
            self._write(call)

    def _on_answer(self, message: Dict[str, Any]) -> None:
        call = self._calls.get(message.get("id"))  # type: ignore[arg-type]
        if call is None:
            return
        if "error" in message:
            self._on_refusal(call, _answer_failure(message["error"]))
            return
        try:
            result = contract.decode(contract.METHODS[call.method][1], message.get("result"), "result")
        except contract.ContractError as problem:
            reason = Failure(failure.ENGINE_GARBLED, details=str(problem))
            _log(reason)
            self._fail(call, reason)
            return
        del self._calls[call.id]
        self._refresh_working()
        call.succeeded.emit(result)

    def _on_refusal(self, call: Call, reason: Failure) -> None:
        """A mistake of the engine's own is explained by what it wrote; every other refusal explains itself."""
        if reason.code == contract.ErrorCode.INTERNAL.value:
            QTimer.singleShot(STDERR_GRACE_MS, lambda: self._fail_with_stderr(call, reason))
            return
        _log(reason)
        self._fail(call, reason)

    def _fail_with_stderr(self, call: Call, reason: Failure) -> None:
        if call.id in self._calls:
            reason = replace(reason, details=self.stderr_tail()[-DETAILS_KEPT:])
            _log(reason)
            self._fail(call, reason)

    def _on_notification(self, message: Dict[str, Any]) -> None:
        shapes = {contract.PROGRESS: contract.ProgressNote, contract.PARTIAL: contract.PartialNote}
        shape = shapes.get(message["method"])
        if shape is None:
            return
        try:
            note = contract.decode(shape, message.get("params"))
        except contract.ContractError:
            return
        call = self._calls.get(note.id)
        if call is None or call.is_cancelling:
            return
        (call.progressed if isinstance(note, contract.ProgressNote) else call.partial_arrived).emit(note)

    # --- ends

    def _fail(self, call: Call, reason: Failure) -> None:
        self._calls.pop(call.id, None)
        if call in self._unsent:
            self._unsent.remove(call)
        if call.is_cancelling and reason.code != contract.ErrorCode.CANCELLED.value:
            reason = _cancelled()
        self._refresh_working()
        call.failed.emit(reason)

    def _fail_all(self, reason: Failure, state: EngineState, waiting: Sequence[Call] = ()) -> None:
        """Every call fails but those that wait for the next process."""
        self.last_failure = reason if state is not EngineState.STOPPED else None
        failed = [call for call in self._calls.values() if call not in waiting]
        self._calls = {call.id: call for call in waiting}
        self._unsent = list(waiting)
        self._set_state(state)
        for call in failed:
            self._fail(call, reason)

    def _refresh_working(self) -> None:
        if self._state in (EngineState.READY, EngineState.WORKING):
            has_job = any(call.method in contract.JOBS for call in self._calls.values())
            self._set_state(EngineState.WORKING if has_job else EngineState.READY)

    def _set_state(self, state: EngineState) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)


def _log(reason: Failure) -> None:
    """What only a report needs stays in QGIS's log panel when the message is closed."""
    if reason.details:
        log.warning(f"{reason.code}: {reason.text}\n{reason.details}")


def _cancelled() -> Failure:
    return Failure(contract.ErrorCode.CANCELLED.value)


def _stop_failure(stop: EngineStop) -> Failure:
    code = failure.ENGINE_STOPPED if stop.has_started else failure.ENGINE_NOT_STARTED
    return Failure(code, facts={"exit_code": stop.exit_code, "is_crash": stop.is_crash})


def _answer_failure(error: Any) -> Failure:
    """An error response as a Failure; a malformed one is said to be so."""
    data = error.get("data") if isinstance(error, dict) else None
    if not isinstance(data, dict) or "code" not in data:
        return Failure(failure.ENGINE_GARBLED, details=json.dumps(error)[:2000])
    facts = data.get("facts") if isinstance(data.get("facts"), dict) else {}
    return Failure(str(data["code"]), str(error.get("message", "")), str(data.get("cure", "")), facts)
