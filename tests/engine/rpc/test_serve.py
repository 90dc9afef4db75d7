"""A real ``geomm serve``: quick to greet, deaf to noise, answers while it works, stops when asked, dies when alone."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from affine import Affine

from geomm_engine import contract
from geomm_engine.contract import (
    PROTOCOL,
    ClassifyParams,
    Empty,
    ErrorCode,
    ExportParams,
    InitializeParams,
    ModelParams,
    PreflightParams,
    SearchParams,
)
from geomm_engine.index.store import EmbeddingIndex
from tests.engine.pipeline.asking import LAND, classes, drawn, source
from tests.engine.raster.drawing import random_bands, write
from tests.engine.rpc.talking import Engine

HELLO = InitializeParams(PROTOCOL, "test é")
HEAVY = ("numpy", "onnxruntime", "torch", "rasterio", "zarr", "scipy", "shapely", "pyogrio", "tokenizers")


@pytest.fixture(scope="module")
def shared_engine(tmp_path_factory: pytest.TempPathFactory, tiny_model: str) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("cache é"), GEOMM_MODELS=str(Path(tiny_model).parent))
    yield engine
    engine.close()


@pytest.fixture
def engine(tmp_path: Path, tiny_model: str) -> Iterator[Engine]:
    engine = Engine(tmp_path / "cache é", GEOMM_MODELS=str(Path(tiny_model).parent))
    yield engine
    engine.close()


def large(folder: Path) -> Path:
    return write(folder / "grand.tif", random_bands(3, 1600, 1600), photometric="rgb")


def test_the_handshake_names_what_there_is(shared_engine: Engine) -> None:
    result = shared_engine.result("initialize", HELLO)
    assert result.protocol == PROTOCOL
    assert result.pid == shared_engine.process.pid
    assert result.python_version == sys.version.split()[0]
    assert sum(device.is_default for device in result.devices) == 1
    assert "cpu" in {device.id for device in result.devices}
    tiny = next(model for model in result.models if model.id == "tiny")
    assert tiny.bands == ("red", "green", "blue")
    assert not tiny.is_builtin


def test_the_handshake_comes_before_any_model_library(tmp_path: Path) -> None:
    """What the engine has imported when it has greeted; told by itself as it ends."""
    code = (
        "import sys, json; from geomm_engine.cli import main; main(['serve']); "
        "print(json.dumps(sorted(name for name in sys.modules if '.' not in name)), file=sys.stderr)"
    )
    engine = Engine(tmp_path, code=code)
    engine.result("initialize", HELLO)
    engine.hang_up()
    imported = set(json.loads(engine.said_aside.splitlines()[-1]))
    assert "geomm_engine" in imported
    heavy = [name for name in HEAVY if name != "numpy" and name in imported]
    assert not heavy
    engine.close()


def test_another_protocol_is_refused_with_both_numbers(shared_engine: Engine) -> None:
    error = shared_engine.answer("initialize", InitializeParams(PROTOCOL + 1))["error"]
    assert error["data"]["code"] == ErrorCode.PROTOCOL_MISMATCH
    assert error["data"]["facts"] == {"plugin": PROTOCOL + 1, "engine": PROTOCOL}


def test_models_and_presets(shared_engine: Engine) -> None:
    assert "tiny" in {model.id for model in shared_engine.result("models/list").models}
    card = shared_engine.result("models/show", ModelParams("tiny"))
    assert json.loads(card.card_json)["id"] == "tiny"
    assert shared_engine.answer("models/show", ModelParams("none"))["error"]["data"]["code"] == ErrorCode.MODEL_UNKNOWN
    assert len(shared_engine.result("presets/list").presets) >= 5


def test_garbage_lines_are_answered(shared_engine: Engine) -> None:
    shared_engine.raw(b"GET / HTTP/1.1\r\n\r\n")
    message = shared_engine.next()
    assert message["id"] is None
    assert message["error"]["data"]["code"] == ErrorCode.MESSAGE_INVALID
    assert "result" in shared_engine.answer("models/list")


def test_stray_prints_do_not_reach_the_line(tmp_path: Path) -> None:
    """From Python, from C, and from a child process."""
    noise = "print('noise'); sys.stdout.flush(); os.write(1, b'noise\\n'); os.system('echo noise')"
    code = (
        "import os, sys, builtins; from geomm_engine import service; from geomm_engine.rpc.channel import Channel; "
        "from geomm_engine.rpc.dispatcher import Dispatcher\n"
        f"def noisy(_):\n    {noise}\n    assert sys.stdin.read() == ''\n    return service.models_list(_)\n"
        "Dispatcher(Channel.over_stdio(), service.handlers() | {'models/list': noisy}, {}).serve()"
    )
    engine = Engine(tmp_path, code=code)
    engine.raw(contract.line(contract.request(1, "models/list", Empty())))
    assert "result" in engine.next()
    assert engine.hang_up() == 0
    assert engine.said_aside.count("noise") == 3
    engine.close()


def test_a_preflight_says_what_a_run_would_do(
    shared_engine: Engine, landscape: Path, tiny_model: str, folder: Path
) -> None:
    params = PreflightParams(source(landscape), "tiny", words=("forest",))
    before = shared_engine.result("preflight", params)
    assert (before.level, before.bands, before.gsd_m, before.tile_m) == (
        contract.Level.GREEN,
        ("red", "green", "blue"),
        10,
        320,
    )
    assert (before.tiles_total, before.tiles_done) == (320, 0)
    assert before.estimate_s > 0
    shared_engine.result("classify", ClassifyParams(source(landscape), classes(*LAND), str(folder / "out"), "tiny"))
    after = shared_engine.result("preflight", params)
    assert (after.tiles_total, after.tiles_done, after.estimate_s) == (320, 320, 0)
    assert after.index_dir == before.index_dir


def test_a_preflight_says_one_size_for_pixels_that_are_not_square(shared_engine: Engine, folder: Path) -> None:
    path = write(folder / "oblong.tif", random_bands(3), photometric="rgb", transform=Affine(5, 0, 5e5, 0, -20, 5e6))
    assert shared_engine.result("preflight", PreflightParams(source(path), "tiny")).gsd_m == pytest.approx(10)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"source": contract.RasterSource(("/no such.tif",))}, ErrorCode.RASTER_MISSING),
     ({"model": "none"}, ErrorCode.MODEL_UNKNOWN),
     ({"words": ("forest " * 20,)}, ErrorCode.TEXT_TOO_LONG),
     ({"area": contract.Area("POLYGON ((0 0, 1 0, 1 1, 0 0))")}, ErrorCode.AREA_OUTSIDE)],
)  # fmt: skip
def test_a_preflight_of_what_would_be_refused_is_red(
    shared_engine: Engine, landscape: Path, changes: dict, code: ErrorCode
) -> None:
    result = shared_engine.result(
        "preflight", PreflightParams(**({"source": source(landscape), "model": "tiny"} | changes))
    )
    assert result.level is contract.Level.RED
    assert [note.code for note in result.notes] == [code]
    assert result.notes[0].text


def test_a_whole_session(shared_engine: Engine, landscape: Path, folder: Path) -> None:
    """Classify, search, export: progress on the way, files at the end, one inference for all."""
    id_ = shared_engine.ask(
        "classify", ClassifyParams(source(landscape), classes(*LAND), str(folder / "classes"), "tiny")
    )
    answer, notes = shared_engine.notes(id_)
    classified = contract.decode(contract.ClassifyResult, answer["result"])
    assert set((drawn(classified.class_path))[:60, :60].ravel()) == {1}
    told = [
        contract.decode(contract.ProgressNote, note["params"]) for note in notes if note["method"] == contract.PROGRESS
    ]
    assert {note.id for note in told} == {id_}
    assert {note.stage for note in told} >= {"embed", "map"}
    found = shared_engine.result(
        "search", SearchParams("lake", str(folder / "search"), source(landscape), model="tiny")
    )
    assert found.embed.tiles_embedded == 0
    params = ExportParams(found.index_dir, "lake", str(folder / "lakes é.gpkg"), found.threshold, model="tiny")
    assert shared_engine.result("export", params).tiles >= 1
    assert (folder / "lakes é.gpkg").is_file()


def test_short_requests_are_answered_during_a_job_and_it_can_be_cancelled(engine: Engine, folder: Path) -> None:
    job = engine.ask(
        "classify",
        ClassifyParams(
            source(large(folder)), classes(*LAND), str(folder / "out"), "tiny", index_dir=str(folder / "index")
        ),
    )
    while engine.next().get("method") != contract.PROGRESS:
        pass
    short = engine.ask("models/list")
    answer, notes = engine.notes(short)
    assert "result" in answer
    assert job not in {note.get("id") for note in notes}
    engine.cancel(job)
    answer, _ = engine.notes(job)
    assert answer["error"]["data"]["code"] == ErrorCode.CANCELLED
    assert not (folder / "out").exists()
    done = EmbeddingIndex.open(folder / "index").done()
    assert len(done) < 49
    assert engine.hang_up() == 0
    assert "Traceback" not in engine.said_aside


@pytest.mark.parametrize("is_busy", [False, True])
def test_an_engine_that_is_left_alone_ends(engine: Engine, folder: Path, *, is_busy: bool) -> None:
    engine.result("initialize", HELLO)
    if is_busy:
        engine.ask("classify", ClassifyParams(source(large(folder)), classes(*LAND), str(folder / "out"), "tiny"))
        while engine.next().get("method") != contract.PROGRESS:
            pass
    assert engine.hang_up() == 0
    assert not (folder / "out").exists()


def test_an_engine_whose_listener_is_gone_ends(engine: Engine, folder: Path) -> None:
    """QGIS is killed: both pipes break at once."""
    engine.ask("classify", ClassifyParams(source(large(folder)), classes(*LAND), str(folder / "out"), "tiny"))
    engine.next()
    engine.process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        engine.process.stdin.close()
    assert engine.process.wait(timeout=60) == 0
    assert not (folder / "out").exists()


def test_shutdown_is_answered(engine: Engine) -> None:
    assert engine.answer("shutdown")["result"] == {}
    assert engine.process.wait(timeout=60) == 0
