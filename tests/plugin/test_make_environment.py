"""The engine's environment is made step by step, beside QGIS's Python."""

import os
import zipfile
from pathlib import Path

import pytest
from qgis.core import QgsNetworkAccessManager, QgsSettings

from geomm_plugin import paths
from geomm_plugin.install import locate, make_environment
from geomm_plugin.install.make_environment import EnvironmentMaker
from geomm_plugin.install.proxy import proxy_variables

from .conftest import SYSTEM_PYTHON

LONG_MS = 180_000


def tiny_wheel(folder: Path) -> Path:
    """A package of one module with a program ``geomm``, and nothing else."""
    path = folder / "geomm_engine-0.0.1-py3-none-any.whl"
    info = "geomm_engine-0.0.1.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("geomm_engine.py", "def main():\n    print('hello')\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: geomm-engine\nVersion: 0.0.1\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngeomm = geomm_engine:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def places(qgis_app, work_dir, monkeypatch):
    """A known place and a bundle of the test's own."""
    bundle = work_dir / "bundle é"
    bundle.mkdir()
    monkeypatch.setattr(paths, "engine_dir", lambda: str(work_dir / "engine é"))
    monkeypatch.setattr(paths, "bundled_engine_dir", lambda: str(bundle))
    return bundle


def outcome(maker, qtbot):
    got, steps = [], []
    maker.finished.connect(lambda: got.append("finished"))
    maker.failed.connect(got.append)
    maker.step_changed.connect(steps.append)
    maker.start()
    qtbot.waitUntil(lambda: bool(got), timeout=LONG_MS)
    return got[0], steps


def test_the_bundled_wheel_becomes_an_engine(places, qtbot):
    tiny_wheel(places)
    maker, lines = EnvironmentMaker(), []
    maker.line_written.connect(lines.append)
    found, steps = outcome(maker, qtbot)
    if found.startswith("No Python"):
        pytest.skip(found)
    assert found == "finished"
    assert len(steps) == 3
    assert any("geomm-engine" in line for line in lines)
    assert os.access(locate.program_in(paths.engine_dir()), os.X_OK)


def test_a_failed_step_says_what_failed(places, qtbot):
    (places / "geomm_engine-1-py3-none-any.whl").write_bytes(b"no wheel at all")
    found, _steps = outcome(EnvironmentMaker(), qtbot)
    if found.startswith("No Python"):
        pytest.skip(found)
    assert found.startswith("The installation failed")


def test_without_a_python_it_says_where_to_get_one(places, qtbot, monkeypatch):
    monkeypatch.setattr(make_environment, "python_candidates", list)
    found, _steps = outcome(EnvironmentMaker(), qtbot)
    assert "python.org" in found


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_a_python_without_venv_is_named(places, qtbot, monkeypatch):
    """As Debian's is: the version is right, ensurepip is not there."""
    hide = "import sys; sys.modules['ensurepip'] = None; exec(sys.argv.pop(2))"
    bare = script(places / "python3", f'#!/bin/sh\nexec {SYSTEM_PYTHON} -c "{hide}" "$@"\n')
    monkeypatch.setattr(make_environment, "NEEDED", (3, 0))
    monkeypatch.setattr(make_environment, "python_candidates", lambda: [bare, "/nowhere/python3"])
    found, _steps = outcome(EnvironmentMaker(), qtbot)
    assert "python3-venv" in found
    assert "its venv module is not" in found


@pytest.fixture
def qgis_proxy(qgis_app, monkeypatch):
    """``qgis_proxy(user, password, exceptions)``: QGIS goes through a proxy of this kind."""
    network, settings = QgsNetworkAccessManager.instance(), QgsSettings()
    for name in [name for name in os.environ if name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)

    def use(user="", password="", exceptions=()):
        values = {"Enabled": True, "Type": "HttpProxy", "Host": "proxy.corp", "Port": "3128"}
        for name, value in {**values, "User": user, "Password": password}.items():
            settings.setValue(f"proxy/proxy{name}", value)
        settings.setValue("proxy/noProxyUrls", list(exceptions))
        network.setupDefaultProxyAndCache()

    yield use
    settings.remove("proxy")
    network.setupDefaultProxyAndCache()


def test_qgis_proxy_reaches_the_installer_and_no_password_its_output(places, qtbot, monkeypatch, qgis_proxy):
    qgis_proxy("me@corp", "s:cr/t", ["https://intranet.corp/pypi", "other.corp"])
    kept = places / "seen"
    installer = script(places / "python3", f"#!/bin/sh\nenv > '{kept}'\necho \"cannot use $HTTPS_PROXY\"\nexit 1\n")
    monkeypatch.setattr(make_environment, "python_candidates", lambda: [installer])
    maker = EnvironmentMaker()
    outcome(maker, qtbot)
    seen = dict(line.split("=", 1) for line in kept.read_text().splitlines() if "=" in line)
    assert seen["HTTPS_PROXY"] == seen["HTTP_PROXY"] == "http://me%40corp:s:cr%2Ft@proxy.corp:3128"
    assert {"intranet.corp", "other.corp"} <= set(seen["NO_PROXY"].split(","))
    assert maker.output.strip() == "cannot use http://proxy.corp:3128"


def test_a_proxy_of_the_environment_wins(qgis_proxy):
    qgis_proxy()
    assert proxy_variables({})["HTTPS_PROXY"] == "http://proxy.corp:3128"
    assert proxy_variables({"https_proxy": "http://mine:1"}) == {}


def test_what_qgis_reaches_directly_needs_no_proxy(qgis_proxy):
    qgis_proxy(exceptions=["https://pypi.org", "http://pypi.org"])
    assert proxy_variables({}) == {}


def test_cancel_ends_it(places, qtbot):
    tiny_wheel(places)
    maker = EnvironmentMaker()
    got = []
    maker.failed.connect(got.append)
    maker.start()
    maker.cancel()
    qtbot.waitUntil(lambda: bool(got), timeout=LONG_MS)
    assert got == ["Cancelled."]


def test_pythons_of_qgis_are_no_candidates(qgis_app, monkeypatch):
    monkeypatch.setattr(make_environment.QStandardPaths, "findExecutable", lambda name: f"/opt/QGIS 3/bin/{name}")
    assert make_environment.python_candidates() == []
