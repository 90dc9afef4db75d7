"""How a verb speaks to a person at a terminal: progress on stderr, tables and JSON on stdout."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from geomm_engine.contract import Level, Note, encode
from geomm_engine.progress import Job, Partial, Progress

Result = TypeVar("Result")

_STAGES = {
    "embed": "embedding tiles",
    "preview": "drawing what is in view",
    "map": "drawing the map",
    "score": "scoring tiles",
    "write": "writing files",
    "draw": "drawing the sample",
    "evaluate": "reading images",
    "chips": "cutting chips",
    "anomaly": "rebuilding tiles",
    "read": "reading rasters",
    "teach": "asking the teacher",
    "words": "learning words",
    "train": "training",
    "measure": "measuring",
    "probe": "training on folds",
    "look": "looking at tiles",
}
_BAR = 24
_EVERY_S = 0.1


def above_zero(text: str) -> float:
    """A number above zero, from the command line."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"“{text}” is no number above 0")
    return number


def follow(job: Job[Result]) -> Result:
    """Drive a job to its end, telling its progress on stderr: a bar on a terminal, a line a stage elsewhere."""
    is_terminal = sys.stderr.isatty()
    told_s, told_stage = 0.0, ""
    try:
        while True:
            item = next(job)
            if isinstance(item, Partial):
                continue
            now_s = time.monotonic()
            is_new = item.stage != told_stage
            if is_new or now_s - told_s >= (_EVERY_S if is_terminal else 5.0) or 0 < item.total <= item.done:
                if is_terminal and is_new and told_stage:
                    print(file=sys.stderr)
                told_s, told_stage = now_s, item.stage
                print(_line(item), end="\r" if is_terminal else "\n", file=sys.stderr, flush=True)
    except StopIteration as end:
        if is_terminal and told_stage:
            print(file=sys.stderr)
        result: Result = end.value
        return result
    finally:
        job.close()


def _line(item: Progress) -> str:
    share = item.done / item.total if item.total else 0.0
    bar = ("█" * round(share * _BAR)).ljust(_BAR, "░")
    text = f"{_STAGES.get(item.stage, item.stage):<24} {bar} {item.done:,} of {item.total:,}"
    if item.rate > 0 and item.done < item.total:
        text += f" · {item.rate:,.0f}/s · {duration(item.eta_s)} left"
    return text.ljust(100)


def duration(seconds: float) -> str:
    if seconds < 0:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def say_notes(notes: Sequence[Note]) -> None:
    """Remarks worth a person's attention, on stderr."""
    for note in notes:
        mark = {Level.GREEN: "·", Level.AMBER: "!", Level.RED: "✗"}[note.level]
        print(f" {mark} {note.text}", file=sys.stderr)


def print_json(value: Any) -> None:
    """The one object that ``--json`` promises."""
    print(json.dumps(encode(value), ensure_ascii=False, allow_nan=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Left-aligned first column, the others to the right."""
    widths = [max(len(row[at]) for row in [header, *rows]) for at in range(len(header))]
    for row in [header, *rows]:
        cells = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
