"""What every plugin test needs: a private home, an offscreen Qt, engines to talk to."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ROOT / "tests" / "bad_engines"
SYSTEM_PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable

# QGIS leaves folders in the temporary directory, and reads its settings from the home: give it its own, with a hard name.
_HOME = Path(tempfile.mkdtemp(prefix="geomm plugin é "))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["TMPDIR"] = str(_HOME)
tempfile.tempdir = str(_HOME)
os.environ["XDG_DATA_HOME"] = str(_HOME / "data")
os.environ["XDG_CONFIG_HOME"] = str(_HOME / "config")
os.environ["XDG_CACHE_HOME"] = str(_HOME / "cache")
os.environ["QGIS_CUSTOM_CONFIG_PATH"] = str(_HOME / "qgis")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.pop("GEOMM_ENGINE", None)
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402

from geomm_plugin.client.engine_client import EngineClient  # noqa: E402
from geomm_plugin.client.engine_process import EngineCommand  # noqa: E402


def engine_command(name: str) -> EngineCommand:
    return EngineCommand(SYSTEM_PYTHON, (str(ENGINES / f"{name}.py"), "serve"), "test")


@pytest.fixture
def make_client(qgis_app, qtbot):
    """``make_client("dies_at_start")``: a client of a fake engine, gone after the test."""
    clients = []

    def make(name: str) -> EngineClient:
        client = EngineClient(lambda: engine_command(name))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.dispose()


@pytest.fixture
def work_dir(tmp_path):
    """A folder whose name has a space and an accent."""
    folder = tmp_path / "œuvre é 1"
    folder.mkdir()
    return folder
