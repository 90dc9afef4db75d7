"""A real engine process, spoken to over its pipes as the plugin does."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from geomm_engine import contract

ENGINE = Path(contract.__file__).resolve().parent.parent


class Engine:
    """``geomm serve`` in a process of its own. Its stderr is kept in ``said_aside``."""

    def __init__(self, cache: Path, *, code: str = "", arguments: tuple[str, ...] = (), **environment: str) -> None:
        command = [sys.executable, *arguments, *(("-c", code) if code else ("-m", "geomm_engine", "serve"))]
        variables = os.environ | {"GEOMM_CACHE": str(cache), "PYTHONPATH": str(ENGINE)} | environment
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables
        )
        self._aside: list[bytes] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._next_id = 0

    def _listen(self) -> None:
        for line in self.process.stderr:
            self._aside.append(line)

    @property
    def said_aside(self) -> str:
        return b"".join(self._aside).decode("utf-8", "replace")

    def raw(self, data: bytes) -> None:
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def ask(self, method: str, params: object = None) -> int:
        """Send a request; gives its id."""
        self._next_id += 1
        self.raw(contract.line(contract.request(self._next_id, method, contract.Empty() if params is None else params)))
        return self._next_id

    def cancel(self, id_: int) -> None:
        self.raw(contract.line(contract.notification(contract.CANCEL, contract.CancelParams(id_))))

    def next(self) -> dict[str, Any]:
        """The next message of any kind."""
        line = self.process.stdout.readline()
        assert line, f"the engine has ended ({self.process.wait()}): {self.said_aside}"
        return json.loads(line)

    def notes(self, id_: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The answer to a request, and the notifications before it."""
        notes = []
        while (message := self.next()).get("id", "none") != id_:
            notes.append(message)
        return message, notes

    def answer(self, method: str, params: object = None) -> dict[str, Any]:
        return self.notes(self.ask(method, params))[0]

    def result(self, method: str, params: object = None) -> Any:
        """The decoded result of a request that is expected to go well."""
        answer = self.answer(method, params)
        assert "result" in answer, answer["error"]
        return contract.decode(contract.METHODS[method][1], answer["result"], "result")

    def hang_up(self) -> int:
        """Close the engine's stdin, as the operating system does when QGIS dies; its exit status."""
        self.process.stdin.close()
        status = self.process.wait(timeout=60)
        self._listener.join()
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._listener.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
