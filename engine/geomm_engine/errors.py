"""The tree of all errors that a person may see, each bound to one code of the contract.

EngineError
├── WordsError         classes, prompts, presets
├── ModelError         cards, graphs, devices
├── RasterError        reading, georeference, bands, units
├── AreaError          areas of interest
├── StoreError        embeddings on disk
├── OutputError        writing results
└── Cancelled          the person said stop

``text`` says what is wrong, ``cure`` what to do about it; ``facts`` carry the names and numbers for a translation.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geomm_engine.contract import ErrorCode, Fact


class EngineError(Exception):
    """A failure with a name, a cause and a cure."""

    def __init__(self, code: ErrorCode, text: str, cure: str = "", **facts: Fact) -> None:
        super().__init__(f"{text} {cure}".strip())
        self.code = code
        self.text = text
        self.cure = cure
        self.facts: dict[str, Fact] = facts


class WordsError(EngineError):
    """A class list, prompt or preset that cannot be used."""


class ModelError(EngineError):
    """A model that is absent, damaged, or cannot run here."""


class RasterError(EngineError):
    """A raster that cannot be read rightly."""


class AreaError(EngineError):
    """An area of interest that is no polygon or lies elsewhere."""


class StoreError(EngineError):
    """Embeddings on disk that are missing, in use, or of another model or raster."""


class OutputError(EngineError):
    """A result that cannot be written."""


class Cancelled(EngineError):
    """The person said stop; what was committed stays."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.CANCELLED, "The run was cancelled.", "Run again to go on where it stopped.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing ``path`` into an :class:`OutputError` that says what to do."""
    try:
        yield
    except OSError as problem:
        raise output_error(path, problem) from problem


def output_error(path: Path, problem: OSError) -> OutputError:
    """The :class:`OutputError` for an operating system's refusal to write ``path``."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            ErrorCode.DISK_FULL,
            f"The disk that holds {path} is full.",
            "Free some space or choose another folder; embeddings that are already done are kept.",
            path=str(path),
        )
    return OutputError(
        ErrorCode.OUTPUT_NOT_WRITABLE,
        f"Cannot write {path}: {problem.strerror or problem}.",
        "Choose a folder that you may write to.",
        path=str(path),
    )
