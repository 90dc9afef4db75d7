from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import OutputError
from geomm_engine.writers.draft import Draft, explained, publish_with


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_drafts_of_killed_processes_are_swept(folder: Path) -> None:
    left = folder / f".class.{dead_process()}.part.tif.scratch"
    kept = [
        folder / f".class.{os.getppid()}.part.tif",
        folder / ".class.x.part.tif",
        folder / ".class.1.tif",
        folder / "b",
    ]
    for file in (left, *kept):
        file.write_text("x")
    Draft.beside(folder / "class.tif")
    assert sorted(folder.iterdir()) == sorted(kept)


def test_folders_are_made(folder: Path) -> None:
    publish_with(None, {folder / "a é" / "b" / "t.txt": "été"})
    assert (folder / "a é" / "b" / "t.txt").read_text(encoding="utf-8") == "été"
    assert [path.name for path in (folder / "a é" / "b").iterdir()] == ["t.txt"]


def test_texts_appear_together_or_not_at_all(folder: Path) -> None:
    (folder / "taken").mkdir()
    with pytest.raises(OutputError):
        publish_with(None, {folder / "a.txt": "x", folder / "taken": "x"})
    assert [path.name for path in folder.iterdir()] == ["taken"]


def test_a_failure_that_the_system_cannot_explain_keeps_its_words(folder: Path) -> None:
    draft = Draft.beside(folder / "a.tif")
    with pytest.raises(OutputError, match="odd projection") as refused, explained(draft, LookupError):
        raise LookupError("odd projection")
    assert refused.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
    assert list(folder.iterdir()) == []


def test_other_failures_pass(folder: Path) -> None:
    with pytest.raises(KeyError), explained(Draft.beside(folder / "a.tif"), ZeroDivisionError):
        raise KeyError("mine")
