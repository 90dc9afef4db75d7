"""A file that appears whole or not at all: written under a hidden name beside its target, then put in place at once.

Raster and vector libraries lose the operating system's reason when a write fails, so :func:`explained` asks the folder
again in plain terms. Knows no format.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import OutputError, output_error, writing

PROBE_BYTES = 1 << 20
_DAY_S = 86_400


@dataclass(frozen=True)
class Draft:
    """``path`` is where to write; what a library puts beside it under a name that begins alike belongs to it."""

    target: Path
    path: Path

    @classmethod
    def beside(cls, target: Path) -> Draft:
        """A draft for ``target``; makes its folder.

        Raises:
            OutputError: the folder cannot be made or written to, the disk is full, or the target is a folder.
        """
        path = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _sweep(target)
            _probe(path, PROBE_BYTES)
        if target.is_dir():
            raise OutputError(
                ErrorCode.OUTPUT_NOT_WRITABLE,
                f"Cannot write {target}: it is a folder.",
                "Choose another name.",
                path=str(target),
            )
        return cls(target, path)

    def publish(self) -> None:
        with writing(self.target):
            self.path.replace(self.target)

    def discard(self) -> None:
        """Remove everything that was written under the hidden name."""
        for leftover in self._files():
            leftover.unlink(missing_ok=True)

    def size(self) -> int:
        """Bytes on disk under the hidden name."""
        return sum(file.stat().st_size for file in self._files())

    def _files(self) -> list[Path]:
        return [file for file in self.path.parent.iterdir() if file.name.startswith(self.path.name)]


def publish_with(main: Draft | None, texts: Mapping[Path, str]) -> None:
    """Put ``main`` in place together with small UTF-8 files: all are written before the first appears.

    Raises:
        OutputError: one of them cannot be written.
    """
    drafts: list[Draft] = []
    try:
        for target, text in texts.items():
            drafts.append(Draft.beside(target))
            with writing(target):
                drafts[-1].path.write_text(text, encoding="utf-8")
        for draft in ([main] if main else []) + drafts:
            draft.publish()
    finally:
        for draft in drafts:
            draft.discard()


@contextmanager
def explained(draft: Draft, *failures: type[Exception], wanted_bytes: int = 0) -> Iterator[None]:
    """Turn a refusal or a library's ``failures`` while it writes ``draft`` into the narrow :class:`OutputError`.

    ``wanted_bytes`` is about what the library needs beyond what lies there: many remove what they wrote before they
    report that there was no room for it.
    """
    try:
        yield
    except OSError as problem:
        if problem.errno is not None:
            raise output_error(draft.target, problem) from problem
        raise _reason(draft, problem, wanted_bytes) from problem
    except failures as problem:
        raise _reason(draft, problem, wanted_bytes) from problem


def _reason(draft: Draft, problem: Exception, wanted_bytes: int) -> OutputError:
    try:
        _probe(draft.path.with_name(f"{draft.path.name}.probe"), PROBE_BYTES + max(draft.size(), wanted_bytes))
    except OSError as refusal:
        return output_error(draft.target, refusal)
    return OutputError(
        ErrorCode.OUTPUT_NOT_WRITABLE,
        f"Cannot write {draft.target}: {problem}.",
        "Choose another folder; if that does not help, the log has the details.",
        path=str(draft.target),
    )


def _sweep(target: Path) -> None:
    """Remove drafts of this target whose process was killed."""
    begin, end = f".{target.stem}.", f".part{target.suffix}"
    for file in target.parent.iterdir():
        process, found, _ = file.name.removeprefix(begin).partition(end)
        if file.name.startswith(begin) and found and process.isdecimal() and not _is_running(int(process), file):
            file.unlink(missing_ok=True)


def _is_running(process: int, file: Path) -> bool:
    """Whether a process may still write ``file``; where signal 0 would end it (Windows), whether the file is of today."""
    if os.name != "posix":
        return time.time() - file.stat().st_mtime < _DAY_S
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _probe(path: Path, size: int) -> None:
    """Write and remove as many bytes, so that a full or closed folder answers with its own error."""
    block = bytes(PROBE_BYTES)
    try:
        with path.open("wb") as file:
            for start in range(0, size, PROBE_BYTES):
                file.write(block[: size - start])
            file.flush()
            os.fsync(file.fileno())
    finally:
        if path.parent.is_dir():
            path.unlink(missing_ok=True)
