"""One job on an engine of its own, waited for: what a Processing algorithm needs, on any thread.

The client and its process are made in the calling thread and live in a local event loop; nothing is shared with the dock.
"""

from __future__ import annotations

from typing import Any, Callable, List

from qgis.PyQt.QtCore import QEventLoop, QTimer

from . import contract
from .engine_client import EngineClient
from .engine_process import EngineCommand
from .failure import Failure, JobFailed

POLL_MS = 100


def run_blocking(
    command: EngineCommand,
    method: str,
    params: Any,
    *,
    on_progress: Callable[[contract.ProgressNote], None],
    is_cancelled: Callable[[], bool],
) -> Any:
    """The result of one request.

    Raises:
        JobFailed: the engine refused, died, or the job was cancelled.
    """
    loop = QEventLoop()
    client = EngineClient(lambda: command)
    outcome: List[Any] = []
    problem: List[Failure] = []
    call = client.send(method, params)
    call.progressed.connect(on_progress)
    call.succeeded.connect(outcome.append)
    call.succeeded.connect(lambda _result: loop.quit())
    call.failed.connect(problem.append)
    call.failed.connect(lambda _failure: loop.quit())
    poll = QTimer()
    poll.setInterval(POLL_MS)
    poll.timeout.connect(lambda: call.cancel() if is_cancelled() else None)
    poll.start()
    loop.exec()
    poll.stop()
    _end(client)
    if problem:
        raise JobFailed(problem[0])
    return outcome[0]


def _end(client: EngineClient) -> None:
    """Waits for the engine's end, so that its QProcess does not outlive this thread's loop."""
    if client.pid() == 0:
        return
    loop = QEventLoop()
    client.state_changed.connect(lambda _state: loop.quit())
    client.stop()
    loop.exec()
