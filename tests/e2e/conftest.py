"""A desktop with the drawn sample landscape and the real engine, for each test of this folder."""

import os
import subprocess
from pathlib import Path

import pytest

from .desktop import ROOT, Desktop, missing_programs

ENGINE = ROOT / ".venv" / "engine" / "bin" / "geomm"


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    """The drawn landscape that the engine ships, or the image named by GEOMM_E2E_IMAGE."""
    if os.environ.get("GEOMM_E2E_IMAGE"):
        return Path(os.environ["GEOMM_E2E_IMAGE"])
    if not ENGINE.exists():
        pytest.skip("no engine: run make setup")
    folder = tmp_path_factory.mktemp("sample é 1")
    subprocess.run([str(ENGINE), "sample", str(folder)], check=True, capture_output=True)
    return folder / "sample.tif"


@pytest.fixture
def desktop(sample, tmp_path):
    if missing_programs():
        pytest.skip(f"a desktop needs {', '.join(missing_programs())}")
    folder = tmp_path / "désk top"
    folder.mkdir()
    found = Desktop(folder, sample, str(ENGINE))
    try:
        found.start()
        yield found
    finally:
        found.close()
