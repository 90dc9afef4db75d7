"""The provider under ``qgis_process``: another process, no window, no project."""

import json
import os
import shutil
import subprocess

import pytest

from ..conftest import ROOT

QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process")


@pytest.fixture
def qgis_process(work_dir, real_engine):
    if QGIS_PROCESS is None:
        pytest.skip("qgis_process is not installed")
    profile = work_dir / "profiles" / "default"
    (profile / "python" / "plugins").mkdir(parents=True)
    (profile / "QGIS").mkdir()
    (profile / "python" / "plugins" / "geomm").symlink_to(ROOT / "geomm_plugin")
    (profile / "QGIS" / "QGIS3.ini").write_text("[PythonPlugins]\ngeomm=true\n")
    environment = {**os.environ, "QGIS_CUSTOM_CONFIG_PATH": str(work_dir), "QT_QPA_PLATFORM": "offscreen"}

    def run(*arguments):
        done = subprocess.run(
            [QGIS_PROCESS, *arguments], env=environment, capture_output=True, timeout=180, check=False
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")

    return run


def test_classify_and_search_run_headless(qgis_process, raster_path, work_dir):
    output = work_dir / "map é.tif"
    code, text = qgis_process(
        "run", "geomm:classifylayer", f"--INPUT={raster_path}", "--CLASSES=water,field", f"--OUTPUT={output}", "--json"
    )
    assert code == 0, text
    found = json.loads(text[text.index("{") :])
    assert found["results"]["OUTPUT"] == str(output)
    assert output.stat().st_size > 0
    hits = work_dir / "hits é.gpkg"
    code, text = qgis_process(
        "run",
        "geomm:searchbytext",
        f"--INPUT={raster_path}",
        "--TEXT=a lake",
        f"--OUTPUT={work_dir / 's.tif'}",
        f"--HITS={hits}",
    )
    assert code == 0, text
    assert hits.stat().st_size > 0


def test_a_refusal_is_a_sentence_not_a_traceback(qgis_process, work_dir, raster_path):
    code, text = qgis_process(
        "run",
        "geomm:classifylayer",
        f"--INPUT={raster_path}",
        "--CLASSES=a,b",
        "--MODEL=none such",
        f"--OUTPUT={work_dir / 'x.tif'}",
    )
    assert code != 0
    assert "none such" in text
    assert "Traceback" not in text
