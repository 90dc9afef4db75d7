"""What a job yields while it runs: how far it is, how fast, and first results. Knows no job."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """``rate`` is units a second; ``eta_s`` is negative while unknown."""

    stage: str
    done: int
    total: int
    rate: float = 0.0
    eta_s: float = -1.0


@dataclass(frozen=True)
class Partial:
    """A first result for the person to look at while the rest is computed."""

    kind: str
    path: Path


Job = Generator[Progress | Partial, None, Result]


class Stopwatch:
    """Counts units of one stage; the rate counts only work done in this run, not work found done."""

    def __init__(self, stage: str, total: int, done: int = 0) -> None:
        self.stage = stage
        self.total = total
        self.done = done
        self._found_done = done
        self._started_s = time.monotonic()

    def step(self, count: int = 1) -> Progress:
        self.done += count
        elapsed_s = time.monotonic() - self._started_s
        rate = (self.done - self._found_done) / elapsed_s if elapsed_s > 0 else 0.0
        eta_s = (self.total - self.done) / rate if rate > 0 else -1.0
        return Progress(self.stage, self.done, self.total, rate, eta_s)


def run(job: Job[Result]) -> Result:
    """Drive a job to its end and give its result; for callers that need no progress."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            result: Result = end.value
            return result
