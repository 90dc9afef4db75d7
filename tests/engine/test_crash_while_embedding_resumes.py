"""kill -9 in the middle: what was committed stays, the next run does the rest, and every bit is as without the crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geomm_engine.contract import EmbedParams
from geomm_engine.index.store import EmbeddingIndex
from tests.engine.pipeline.asking import everything, source
from tests.engine.raster.drawing import random_bands, write
from tests.engine.rpc.talking import ENGINE, Engine


def command(raster: Path, index: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "geomm_engine",
        "embed",
        str(raster),
        "--model",
        "tiny",
        "--index",
        str(index),
        "--json",
    ]


def variables(model: str, cache: Path) -> dict[str, str]:
    return os.environ | {"GEOMM_MODELS": str(Path(model).parent), "GEOMM_CACHE": str(cache), "PYTHONPATH": str(ENGINE)}


def kill_when_some_is_done(process: subprocess.Popen[bytes], index: Path) -> int:
    """Kill the process as soon as a chunk is committed; how many were."""
    shares = index / "valid_share" / "c"
    while process.poll() is None and not (shares.exists() and any(file.is_file() for file in shares.rglob("*[0-9]"))):
        pass
    process.kill()
    process.communicate()
    return len(EmbeddingIndex.open(index).done())


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(folder: Path, tiny_model: str, tmp_path: Path) -> None:
    raster = write(folder / "grand été.tif", random_bands(3, 1600, 1600), photometric="rgb")
    environment = variables(tiny_model, tmp_path / "cache")
    plain = subprocess.run(command(raster, folder / "plain"), env=environment, capture_output=True, check=True)
    assert json.loads(plain.stdout)["tiles_embedded"] == 10_000

    started = subprocess.Popen(
        command(raster, folder / "killed"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    done = kill_when_some_is_done(started, folder / "killed")
    assert 1 <= done < 49

    again = subprocess.run(command(raster, folder / "killed"), env=environment, capture_output=True, check=True)
    result = json.loads(again.stdout)
    assert result["tiles_reused"] >= 256 * min(done, 1)
    assert result["tiles_reused"] + result["tiles_embedded"] == 10_000
    for first, second in zip(
        vars(everything(folder / "killed")).values(), vars(everything(folder / "plain")).values(), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    assert not list(folder.glob(".*"))


def test_a_killed_engine_goes_on_in_the_next(folder: Path, tiny_model: str, tmp_path: Path) -> None:
    """The same over the line to the plugin."""
    raster = write(folder / "grand été.tif", random_bands(3, 800, 800), photometric="rgb")
    params = EmbedParams(source(raster), tiny_model, index_dir=str(folder / "index"))
    engine = Engine(tmp_path / "cache")
    engine.ask("embed", params)
    kill_when_some_is_done(engine.process, folder / "index")
    engine.close()
    assert engine.process.returncode == -9
    engine = Engine(tmp_path / "cache")
    result = engine.result("embed", params)
    assert result.tiles_reused >= 100
    assert result.tiles_reused + result.tiles_embedded == 2500
    assert engine.hang_up() == 0
    engine.close()
