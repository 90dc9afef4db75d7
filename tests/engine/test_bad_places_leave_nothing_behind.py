"""Where a result cannot be written, the error says so, names the cure, and nothing half-written is left."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from geomm_engine.contract import ErrorCode, ExportParams
from geomm_engine.errors import OutputError
from geomm_engine.pipeline.search import export
from geomm_engine.progress import run
from tests.engine.pipeline.asking import classified, classify_job, embedded, searched, source


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, as on a full disk (the operating system says EFBIG instead of ENOSPC)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.fixture
def blocked(folder: Path) -> Path:
    """A path that cannot become a folder, whoever asks: it lies under a file."""
    (folder / "a file").write_text("text", encoding="utf-8")
    return folder / "a file" / "results é"


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def check(problem: OutputError, place: Path, code: ErrorCode = ErrorCode.OUTPUT_NOT_WRITABLE) -> None:
    assert problem.code is code
    assert str(place) in problem.text
    assert problem.cure
    assert "Traceback" not in problem.text


def test_a_folder_under_a_file(landscape: Path, tiny_model: str, folder: Path, blocked: Path) -> None:
    index = embedded(landscape, tiny_model, folder / "index").index_dir
    before = files_in(folder)
    for attempt in (
        lambda: classified(landscape, tiny_model, blocked, index_dir=index),
        lambda: searched(blocked, "lake", source=source(landscape), model=tiny_model, index_dir=index),
        lambda: run(export(ExportParams(index, "lake", str(blocked / "x.gpkg"), 0.0, model=tiny_model))),
    ):
        with pytest.raises(OutputError) as caught:
            attempt()
        check(caught.value, blocked)
    assert files_in(folder) == before


def test_an_index_under_a_file(landscape: Path, tiny_model: str, folder: Path, blocked: Path) -> None:
    with pytest.raises(OutputError) as caught:
        classified(landscape, tiny_model, folder / "out", index_dir=str(blocked))
    check(caught.value, blocked)
    assert not (folder / "out").exists()


def test_a_cache_under_a_file(
    landscape: Path, tiny_model: str, folder: Path, blocked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOMM_CACHE", str(blocked))
    with pytest.raises(OutputError) as caught:
        classified(landscape, tiny_model, folder / "out")
    check(caught.value, blocked)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(landscape: Path, tiny_model: str, folder: Path) -> None:
    locked = folder / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(OutputError) as caught:
        classified(landscape, tiny_model, locked)
    check(caught.value, locked)
    assert not any(locked.iterdir())


@pytest.mark.parametrize("name", ["class.tif", "confidence.tif", "tiles.gpkg", "summary.json"])
def test_a_result_that_is_in_the_way_as_a_folder(landscape: Path, tiny_model: str, folder: Path, name: str) -> None:
    """Whichever cannot be written, the others do not stay."""
    (folder / "out" / name).mkdir(parents=True)
    with pytest.raises(OutputError) as caught:
        classified(landscape, tiny_model, folder / "out")
    check(caught.value, folder / "out" / name)
    assert files_in(folder / "out") == set()


@pytest.mark.parametrize("size", [4_000, 20_000, 60_000])
def test_a_full_disk_while_results_are_written(landscape: Path, tiny_model: str, folder: Path, size: int) -> None:
    index = embedded(landscape, tiny_model, folder / "index").index_dir
    with largest_file(size), pytest.raises(OutputError) as caught:
        classified(landscape, tiny_model, folder / "out", index_dir=index)
    assert caught.value.code in (ErrorCode.DISK_FULL, ErrorCode.OUTPUT_NOT_WRITABLE)
    assert str(folder / "out") in caught.value.text
    assert not (folder / "out").exists()
    classified(landscape, tiny_model, folder / "out", index_dir=index)


def test_a_full_disk_while_embedding(landscape: Path, tiny_model: str, folder: Path) -> None:
    with largest_file(900), pytest.raises(OutputError) as caught:
        embedded(landscape, tiny_model, folder / "index")
    assert caught.value.code in (ErrorCode.DISK_FULL, ErrorCode.OUTPUT_NOT_WRITABLE)
    assert str(folder / "index") in caught.value.text
    result = embedded(landscape, tiny_model, folder / "index")
    assert result.tiles_embedded + result.tiles_reused == 320


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_that_is_always_full(found_index: str, tiny_model: str, folder: Path) -> None:
    (folder / "hits.gpkg").symlink_to("/dev/full")
    run(export(ExportParams(found_index, "lake", str(folder / "hits.gpkg"), 0.0, model=tiny_model)))
    assert not (folder / "hits.gpkg").is_symlink(), "the file takes the link's place; the device is left alone"


@pytest.fixture
def found_index(landscape: Path, tiny_model: str, folder: Path) -> str:
    return embedded(landscape, tiny_model, folder / "index").index_dir


def test_a_raster_that_vanishes_half_way(landscape: Path, tiny_model: str, folder: Path) -> None:
    """What was opened stays readable; the next run says what is missing."""
    job = classify_job(landscape, tiny_model, folder / "out")
    next(job)
    landscape.unlink()
    try:
        run(job)
    finally:
        job.close()
    from geomm_engine.errors import RasterError

    with pytest.raises(RasterError) as caught:
        classified(landscape, tiny_model, folder / "again")
    assert caught.value.code is ErrorCode.RASTER_MISSING
    assert not (folder / "again").exists()
