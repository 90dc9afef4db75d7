"""Where the engine is looked for, and what is never taken for one."""

import os
import stat

import pytest

from geomm_plugin import paths
from geomm_plugin.install import locate
from geomm_plugin.settings import Settings


@pytest.fixture
def settings(qgis_app, monkeypatch):
    monkeypatch.delenv(locate.VARIABLE, raising=False)
    found = Settings()
    found.engine_path = ""
    yield found
    found.engine_path = ""


def program(folder, name):
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_setting_comes_first(settings, work_dir, monkeypatch):
    monkeypatch.setenv(locate.VARIABLE, program(work_dir, "other"))
    settings.engine_path = program(work_dir, "geomm")
    found = locate.find_engine(settings)
    assert (found.program, found.arguments, found.origin) == (str(work_dir / "geomm"), ("serve",), "setting")


def test_a_wrong_setting_does_not_hide_behind_another_engine(settings, work_dir, monkeypatch):
    monkeypatch.setenv(locate.VARIABLE, program(work_dir, "other"))
    settings.engine_path = str(work_dir / "not there")
    assert locate.find_engine(settings) is None


@pytest.mark.parametrize("name", ["python", "python3", "python3.12", "Python.exe", "pythonw.exe"])
def test_a_python_is_asked_for_the_module(settings, work_dir, monkeypatch, name):
    monkeypatch.setenv(locate.VARIABLE, program(work_dir, name))
    assert locate.find_engine(settings).arguments == ("-m", "geomm_engine", "serve")


@pytest.mark.parametrize("name", ["qgis", "qgis.bin", "QGIS-ltr-bin.exe", "qgis_process"])
def test_qgis_is_never_taken_for_an_engine(settings, work_dir, name):
    settings.engine_path = program(work_dir, name)
    assert locate.find_engine(settings) is None


def test_the_known_place_comes_before_the_checkout(settings, work_dir, monkeypatch):
    monkeypatch.setattr(paths, "engine_dir", lambda: str(work_dir))
    os.makedirs(work_dir / "bin")
    program(work_dir / "bin", "geomm")
    assert locate.find_engine(settings).origin == "known place"


def test_the_python_of_an_engine(settings, work_dir):
    engine, python = program(work_dir, "geomm"), program(work_dir, "python")
    assert locate.python_of(engine) == python
    assert locate.python_of(python) == python
    assert locate.python_of("/nowhere/geomm") == ""


def test_nothing_found_is_none(settings, work_dir, monkeypatch):
    monkeypatch.setattr(paths, "engine_dir", lambda: str(work_dir))
    monkeypatch.setattr(paths, "PLUGIN_DIR", str(work_dir / "plugins" / "geomm"))
    assert locate.find_engine(settings) is None
