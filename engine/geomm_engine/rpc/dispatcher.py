"""The run loop: answers short requests at once, steps one job at a time, cancels. Knows the contract, not the service."""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from geomm_engine import contract
from geomm_engine.contract import CancelParams, ContractError, ErrorCode, PartialNote, ProgressNote
from geomm_engine.errors import Cancelled, EngineError
from geomm_engine.progress import Job, Partial, Progress
from geomm_engine.rpc.channel import Channel, Malformed, Message

log = logging.getLogger(__name__)

_PROGRESS_EVERY_S = 0.1

Handler = Callable[[Any], Any]
Starter = Callable[[Any], Job[Any]]


@dataclass
class RunningJob:
    """A job and how to answer for it."""

    id: int
    steps: Job[Any]
    told_s: float = 0.0
    told_stage: str = ""


class Dispatcher:
    """Serves a channel until the other side is gone or says "shutdown"."""

    def __init__(self, channel: Channel, handlers: Mapping[str, Handler], jobs: Mapping[str, Starter]) -> None:
        self._channel = channel
        self._handlers = handlers
        self._starters = jobs
        self._jobs: deque[RunningJob] = deque()
        self._is_over = False

    def serve(self) -> None:
        try:
            while not self._is_over:
                self._take_messages()
                if self._jobs and not self._is_over:
                    self._step(self._jobs[0])
        finally:
            for job in self._jobs:
                _close(job)

    def _take_messages(self) -> None:
        while not self._is_over:
            try:
                message = self._channel.receive(is_patient=not self._jobs)
            except queue.Empty:
                return
            if message is None:
                self._is_over = True
            elif isinstance(message, Malformed):
                self._fail(None, ErrorCode.MESSAGE_INVALID, f"The line is no JSON object: {message}.")
            else:
                self._take(message)

    def _take(self, message: Message) -> None:
        method, id_ = message.get("method"), message.get("id")
        if method == contract.CANCEL:
            self._cancel(message)
            return
        if not isinstance(id_, int) or isinstance(id_, bool) or not isinstance(method, str):
            self._fail(None, ErrorCode.MESSAGE_INVALID, "A request needs a method and a whole number as id.")
            return
        try:
            params = self._params(method, message)
            if method in self._starters:
                self._jobs.append(RunningJob(id_, self._starters[method](params)))
            else:
                self._channel.send(contract.response(id_, self._handlers[method](params)))
                self._is_over = method == "shutdown"
        except Exception as problem:  # noqa: BLE001 - the dispatcher answers for everything that a request can do
            self._answer_failure(id_, problem)

    def _params(self, method: str, message: Message) -> Any:
        if method not in self._starters and method not in self._handlers:
            raise EngineError(
                ErrorCode.METHOD_UNKNOWN,
                f"This engine does not know “{method}”.",
                "Install plugin and engine of the same version.",
                method=method,
            )
        return contract.decode(contract.METHODS[method][0], message.get("params", {}))

    def _cancel(self, message: Message) -> None:
        try:
            wanted = contract.decode(CancelParams, message.get("params", {})).id
        except ContractError as problem:
            self._fail(None, ErrorCode.MESSAGE_INVALID, str(problem))
            return
        for job in [job for job in self._jobs if job.id == wanted]:
            self._jobs.remove(job)
            _close(job)
            self._answer_failure(job.id, Cancelled())

    def _step(self, job: RunningJob) -> None:
        try:
            item = next(job.steps)
        except StopIteration as end:
            self._jobs.popleft()
            self._answer(job.id, end.value)
        except Exception as problem:  # noqa: BLE001 - the dispatcher answers for everything that a job can do
            self._jobs.popleft()
            self._answer_failure(job.id, problem)
        else:
            self._tell(job, item)

    def _tell(self, job: RunningJob, item: Progress | Partial) -> None:
        if isinstance(item, Partial):
            note = PartialNote(job.id, item.kind, str(item.path))
            self._channel.send(contract.notification(contract.PARTIAL, note))
            return
        now_s = time.monotonic()
        if item.stage == job.told_stage and now_s - job.told_s < _PROGRESS_EVERY_S and item.done < item.total:
            return
        job.told_s, job.told_stage = now_s, item.stage
        progress = ProgressNote(job.id, item.stage, item.done, item.total, round(item.rate, 2), round(item.eta_s, 2))
        self._channel.send(contract.notification(contract.PROGRESS, progress))

    def _answer(self, id_: int, result: Any) -> None:
        try:
            self._channel.send(contract.response(id_, result))
        except (TypeError, ValueError) as problem:  # a result that is no JSON must not end the engine
            self._answer_failure(id_, problem)

    def _answer_failure(self, id_: int, problem: Exception) -> None:
        if isinstance(problem, EngineError):
            self._fail(id_, problem.code, problem.text, problem.cure, problem.facts)
        elif isinstance(problem, ContractError):
            self._fail(id_, ErrorCode.MESSAGE_INVALID, str(problem), "Install plugin and engine of the same version.")
        elif isinstance(problem, MemoryError):
            self._fail(
                id_, ErrorCode.OUT_OF_MEMORY, "The memory is full.", "Close other programs, or choose a smaller area."
            )
        else:
            log.error("request %s failed", id_, exc_info=problem)
            self._fail(id_, ErrorCode.INTERNAL, f"The engine made a mistake: {problem!r}.")

    def _fail(
        self, id_: int | None, code: ErrorCode, text: str, cure: str = "", facts: contract.Facts | None = None
    ) -> None:
        self._channel.send(contract.error_response(id_, code, text, cure, facts))


def _close(job: RunningJob) -> None:
    """End a job; what goes wrong as it cleans up is logged, since there is nobody left to tell."""
    try:
        job.steps.close()
    except Exception:
        log.exception("job %s failed while it was ended", job.id)
