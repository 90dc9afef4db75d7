"""The run loop, driven in this process over real pipes: short requests, one job at a time, cancelling, mishaps."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from geomm_engine import contract
from geomm_engine.contract import EmbedParams, Empty, ErrorCode, ModelParams, RasterSource
from geomm_engine.errors import EngineError
from geomm_engine.progress import Partial, Progress
from geomm_engine.rpc.channel import Channel
from geomm_engine.rpc.dispatcher import Dispatcher

PARAMS = contract.encode(EmbedParams(RasterSource(("/a é.tif",))))


class Line:
    """A dispatcher at the other end of two pipes."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[Any], Any]] = {
            "shutdown": lambda _: Empty(),
            "models/list": lambda _: contract.ModelsResult(()),
        }
        self.jobs: dict[str, Callable[[Any], Any]] = {}
        to_engine, self._write = os.pipe()
        self._read, from_engine = os.pipe()
        self._lines = os.fdopen(self._read, "rb")
        self._incoming = os.fdopen(to_engine, "rb", buffering=0)
        self._outgoing = os.fdopen(from_engine, "wb", buffering=0)
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        Dispatcher(Channel(self._incoming, self._outgoing), self.handlers, self.jobs).serve()
        self._outgoing.close()

    def start(self) -> None:
        self._thread.start()

    def raw(self, data: bytes) -> None:
        os.write(self._write, data)

    def send(self, id_: object, method: object, params: object = None) -> None:
        self.raw(json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params or {}}).encode() + b"\n")

    def cancel(self, id_: int) -> None:
        self.raw(contract.line(contract.notification(contract.CANCEL, contract.CancelParams(id_))))

    def next(self) -> dict[str, Any]:
        line = self._lines.readline()
        assert line, "the line was closed"
        return json.loads(line)

    def answer(self, id_: int | None) -> dict[str, Any]:
        while True:
            message = self.next()
            if message.get("id", "none") == id_ and "method" not in message:
                return message

    def code(self, id_: int | None) -> str:
        return self.answer(id_)["error"]["data"]["code"]

    def end(self) -> list[dict[str, Any]]:
        """Close the engine's side; what it still said."""
        if self._write >= 0:
            os.close(self._write)
            self._write = -1
        rest = [json.loads(line) for line in self._lines]
        self._thread.join()
        return rest


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.end()
    made._lines.close()
    made._incoming.close()


def counting(steps: int, result: object = None, *, ended: list[str] | None = None):
    def job(_: object) -> Iterator[Progress]:
        try:
            for at in range(steps):
                yield Progress("embed", at, steps)
        finally:
            if ended is not None:
                ended.append("ended")
        return result or contract.ExportResult("/out é.gpkg", steps)

    return job


def endless(ended: list[str]):
    def job(_: object) -> Iterator[Progress]:
        try:
            while True:
                yield Progress("embed", 1, 2)
        finally:
            ended.append("ended")

    return job


@pytest.mark.parametrize(
    "garbage",
    [b"hello\n", b"{\n", b"[]\n", b"17\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b'{"id": 1e999}\n', b"null\n"],
)
def test_garbage_is_answered_and_survived(line: Line, garbage: bytes) -> None:
    line.start()
    line.raw(garbage)
    assert line.code(None) == ErrorCode.MESSAGE_INVALID
    line.send(1, "models/list")
    assert line.answer(1)["result"] == {"models": []}


@pytest.mark.parametrize("id_", ["1", None, True, 1.5, [1]])
def test_an_id_must_be_a_whole_number(line: Line, id_: object) -> None:
    line.start()
    line.send(id_, "models/list")
    assert line.code(None) == ErrorCode.MESSAGE_INVALID


def test_empty_lines_say_nothing(line: Line) -> None:
    line.start()
    line.raw(b"\n  \n\r\n")
    line.send(1, "models/list")
    assert line.next()["id"] == 1


def test_a_message_in_pieces_is_one_message(line: Line) -> None:
    line.start()
    for byte in b'{"id":1,"method":"models/list","params":{}}\n':
        line.raw(bytes([byte]))
    assert line.next()["id"] == 1


def test_an_unknown_method_is_named(line: Line) -> None:
    line.start()
    line.send(1, "divine")
    error = line.answer(1)["error"]
    assert error["data"]["code"] == ErrorCode.METHOD_UNKNOWN
    assert "divine" in error["message"]
    assert error["data"]["facts"] == {"method": "divine"}
    assert error["data"]["cure"]


def test_a_name_that_is_no_text_is_survived(line: Line) -> None:
    line.start()
    line.raw(b'{"id":1,"method":"caf\\udce9"}\n')
    assert line.code(1) == ErrorCode.METHOD_UNKNOWN


def test_wrong_parameters_name_the_field(line: Line) -> None:
    line.jobs["embed"] = counting(1)
    line.start()
    line.send(1, "embed", {"source": {"paths": [3]}})
    error = line.answer(1)["error"]
    assert error["data"]["code"] == ErrorCode.MESSAGE_INVALID
    assert "params.source.paths[0]" in error["message"]


def test_an_engine_error_crosses_with_cause_cure_and_facts(line: Line) -> None:
    def refuse(_: ModelParams) -> None:
        raise EngineError(ErrorCode.MODEL_UNKNOWN, "There is no “é”.", "Choose another.", model="é", count=3)

    line.handlers["models/show"] = refuse
    line.start()
    line.send(1, "models/show", {"model": "é"})
    error = line.answer(1)["error"]
    assert error["message"] == "There is no “é”."
    assert error["data"] == {"code": "model_unknown", "cure": "Choose another.", "facts": {"model": "é", "count": 3}}


@pytest.mark.parametrize(
    ("problem", "code"), [(RuntimeError("oops"), ErrorCode.INTERNAL), (MemoryError(), ErrorCode.OUT_OF_MEMORY)]
)
def test_a_mistake_in_a_request_or_a_job_is_answered(line: Line, problem: Exception, code: ErrorCode) -> None:
    def fail(_: object) -> None:
        raise problem

    def fail_later(_: object) -> Iterator[Progress]:
        yield Progress("embed", 0, 1)
        raise problem

    line.handlers["models/list"], line.jobs["embed"] = fail, fail_later
    line.start()
    line.send(1, "models/list")
    assert line.code(1) == code
    line.send(2, "embed", PARAMS)
    assert line.code(2) == code


@pytest.mark.parametrize("result", [float("nan"), {1, 2}], ids=["NaN", "a set"])
def test_a_result_that_is_no_json_is_a_mistake_not_the_end(line: Line, result: object) -> None:
    line.handlers["models/show"] = lambda _: result
    line.jobs["embed"] = counting(1, result)
    line.start()
    line.send(1, "models/show", {"model": ""})
    assert line.code(1) == ErrorCode.INTERNAL
    line.send(2, "embed", PARAMS)
    assert line.code(2) == ErrorCode.INTERNAL
    line.send(3, "models/list")
    assert "result" in line.answer(3)


def test_a_job_tells_its_progress_and_its_first_result(line: Line) -> None:
    def job(_: object) -> Iterator[Progress | Partial]:
        yield Progress("embed", 0, 2, 12.345, 6.789)
        yield Partial("class_map", Path("/été.tif"))
        yield Progress("embed", 2, 2)
        return contract.ExportResult("/out", 2)

    line.jobs["embed"] = job
    line.start()
    line.send(7, "embed", PARAMS)
    said = [line.next() for _ in range(4)]
    assert [message.get("method") for message in said] == [contract.PROGRESS, contract.PARTIAL, contract.PROGRESS, None]
    note = contract.decode(contract.ProgressNote, said[0]["params"])
    assert (note.id, note.stage, note.done, note.total, note.rate, note.eta_s) == (7, "embed", 0, 2, 12.35, 6.79)
    assert contract.decode(contract.PartialNote, said[1]["params"]) == contract.PartialNote(7, "class_map", "/été.tif")
    assert said[3]["result"] == {"output_path": "/out", "tiles": 2, "notes": []}


def test_progress_does_not_flood_the_line_and_ends_at_the_end(line: Line) -> None:
    line.jobs["embed"] = counting(5000)
    line.start()
    line.send(1, "embed", PARAMS)
    said = []
    while "result" not in (message := line.next()):
        said.append(message)
    assert 1 <= len(said) < 500


def test_short_requests_are_answered_during_a_job(line: Line) -> None:
    ended: list[str] = []
    line.jobs["embed"] = endless(ended)
    line.start()
    line.send(1, "embed", PARAMS)
    assert line.next()["method"] == contract.PROGRESS
    line.send(2, "models/list")
    assert "result" in line.answer(2)
    assert not ended
    line.cancel(1)
    assert line.code(1) == ErrorCode.CANCELLED
    assert ended == ["ended"]


def test_jobs_run_one_after_another(line: Line) -> None:
    order: list[int] = []

    def job(params: EmbedParams) -> Iterator[Progress]:
        for _ in range(3):
            order.append(len(params.model))
            yield Progress("embed", 0, 3)
        return contract.ExportResult("", 0)

    line.jobs["embed"] = job
    line.start()
    line.send(1, "embed", PARAMS | {"model": "a"})
    line.send(2, "embed", PARAMS | {"model": "bb"})
    line.answer(1)
    line.answer(2)
    assert order == [1, 1, 1, 2, 2, 2]


def test_a_waiting_job_can_be_cancelled_before_it_starts(line: Line) -> None:
    ended: list[str] = []
    line.jobs["embed"] = endless(ended)
    line.start()
    line.send(1, "embed", PARAMS)
    line.next()
    line.send(2, "embed", PARAMS)
    line.cancel(2)
    assert line.code(2) == ErrorCode.CANCELLED
    line.cancel(1)
    assert line.code(1) == ErrorCode.CANCELLED
    assert ended == ["ended"]


def test_cancelling_what_is_not_there_is_nothing(line: Line) -> None:
    line.start()
    line.cancel(99)
    line.raw(b'{"method":"$/cancelRequest","params":{"id":"x"}}\n')
    assert line.code(None) == ErrorCode.MESSAGE_INVALID
    line.send(1, "models/list")
    assert "result" in line.answer(1)


def test_a_job_that_fails_as_it_is_cancelled_is_cancelled(line: Line) -> None:
    def job(_: object) -> Iterator[Progress]:
        try:
            while True:
                yield Progress("embed", 1, 2)
        finally:
            raise OSError("the disk is gone")

    line.jobs["embed"] = job
    line.start()
    line.send(1, "embed", PARAMS)
    line.next()
    line.cancel(1)
    assert line.code(1) == ErrorCode.CANCELLED
    line.send(2, "models/list")
    assert "result" in line.answer(2)


@pytest.mark.parametrize("how", ["shutdown", "closed"])
def test_the_end_ends_the_job(line: Line, how: str) -> None:
    ended: list[str] = []
    line.jobs["embed"] = endless(ended)
    line.start()
    line.send(1, "embed", PARAMS)
    line.next()
    if how == "shutdown":
        line.send(2, "shutdown")
        assert line.answer(2)["result"] == {}
    line.end()
    assert ended == ["ended"]
