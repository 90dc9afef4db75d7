"""Progress: rates count this run's work only; a job's result comes back."""

from __future__ import annotations

import pytest

from geomm_engine import progress
from geomm_engine.progress import Progress, Stopwatch, run


def test_the_rate_leaves_out_what_was_found_done(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    watch = Stopwatch("embed", total=1000, done=400)
    assert watch.step(100) == Progress("embed", 500, 1000, rate=10.0, eta_s=50.0)


def test_nothing_done_is_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.time, "monotonic", lambda: 5.0)
    assert Stopwatch("embed", 10).step(0) == Progress("embed", 0, 10, 0.0, -1.0)


def test_a_job_runs_to_its_result() -> None:
    def job() -> progress.Job[str]:
        yield Progress("embed", 0, 1)
        return "done"

    assert run(job()) == "done"
