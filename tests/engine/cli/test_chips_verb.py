"""``geomm chips`` from the command line: names before "=", one JSON object, a reason where it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geomm_engine.cli import main


def test_named_rasters_become_folders_of_chips(
    landscape: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = folder / "chips"
    call = ["chips", f"été={landscape}", str(landscape), "--output", str(target), "--tile-px", "128", "--json"]
    assert main(call) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["files"] == 2 * result["chips"] > 0
    for name in ("été", landscape.stem):
        found = list((target / name / str(result["zoom"])).rglob("*.tif"))
        assert len(found) == result["chips"]
    assert main(call[:-1]) == 0
    assert f"({result['files']} were there)" in capsys.readouterr().out


def test_refusal_says_why(landscape: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chips", str(landscape), "--output", str(folder / "chips"), "--tile-px", "1"]) == 1
    assert "between 16 and 8192" in capsys.readouterr().err


@pytest.mark.parametrize("options", [("--gsd", "20"), ("--matrix", "utm", "--zoom", "12")])
def test_an_option_of_the_other_matrix_is_refused(
    landscape: Path, folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert main(["chips", str(landscape), "--output", str(folder / "chips"), *options]) == 1
    assert f"{options[-2]} means nothing with --matrix" in capsys.readouterr().err
    assert not (folder / "chips").exists()
