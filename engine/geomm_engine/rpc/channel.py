"""The line to the plugin: one JSON message a line over two file descriptors. Knows no method.

The engine keeps descriptors 0 and 1 for itself and points 0 at the null device and 1 at stderr, so that no stray print
of a library can corrupt the line.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any, BinaryIO

from geomm_engine.contract import line

Message = dict[str, Any]


class Malformed(ValueError):
    """A line that is no JSON object."""


class Channel:
    """Messages in and out. Reading happens in a thread of its own, so that a running job can be interrupted."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._received: queue.SimpleQueue[Message | Malformed | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="geomm-line", daemon=True).start()

    @classmethod
    def over_stdio(cls) -> Channel:
        """Take over stdin and stdout."""
        incoming = os.fdopen(os.dup(0), "rb", buffering=0)
        outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        sys.stdin, sys.stdout = open(0, encoding="utf-8", closefd=False), sys.stderr  # noqa: SIM115
        return cls(incoming, outgoing)

    def _read(self) -> None:
        rest = b""
        try:
            while data := self._incoming.read(65536):
                *lines, rest = (rest + data).split(b"\n")
                for item in lines:
                    if item.strip():
                        self._received.put(_parsed(item))
        except (OSError, ValueError):
            pass
        finally:
            self._received.put(None)

    def receive(self, *, is_patient: bool) -> Message | Malformed | None:
        """The next message; None when the other side is gone.

        Raises:
            queue.Empty: not patient, and nothing has come.
        """
        return self._received.get() if is_patient else self._received.get_nowait()

    def send(self, message: Message) -> None:
        """Write one message; silently nothing when the other side is gone, since reading will say so."""
        data = memoryview(line(message))
        try:
            while data:
                data = data[self._outgoing.write(data) or 0 :]
        except (BrokenPipeError, OSError):
            self._received.put(None)


def _parsed(item: bytes) -> Message | Malformed:
    try:
        message = json.loads(item)
    except (ValueError, RecursionError) as problem:
        return Malformed(str(problem))
    return message if isinstance(message, dict) else Malformed("a JSON object is expected")
