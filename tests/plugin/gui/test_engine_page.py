"""An engine that does not run can be set up again from the dock, and a wrong choice of it is named and forgotten."""

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QPushButton

from geomm_plugin import paths
from geomm_plugin.client import contract
from geomm_plugin.client.engine_client import EngineState
from geomm_plugin.install import locate
from geomm_plugin.settings import Settings

from ..conftest import ENGINES, SYSTEM_PYTHON
from .conftest import LONG_MS, notice

GONE = "/opt/gone é/geomm"


@pytest.fixture
def known_place(work_dir, monkeypatch):
    """A known place of the test's own, and a plugin that carries an engine."""
    bundle = work_dir / "bundle é"
    bundle.mkdir()
    (bundle / "geomm_engine-1-py3-none-any.whl").write_bytes(b"")
    monkeypatch.setattr(paths, "bundled_engine_dir", lambda: str(bundle))
    monkeypatch.setattr(paths, "engine_dir", lambda: str(work_dir / "engine"))
    return work_dir / "engine"


@pytest.fixture
def settings(qgis_app):
    Settings().engine_path = ""
    yield Settings()
    Settings().engine_path = ""


def put_engine(known_place, text):
    program = known_place / "bin" / "geomm"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(text)
    program.chmod(0o755)


def put_good_engine(known_place):
    put_engine(known_place, f"#!/bin/sh\nexec {SYSTEM_PYTHON} '{ENGINES / 'well_behaved.py'}' serve\n")


def press(qtbot, dock, name):
    button = dock.findChild(QPushButton, name)
    assert button.isVisible()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def state_is(dock, state):
    return lambda: dock.session.client.state is state


def test_an_environment_whose_python_is_gone_is_set_up_again(make_dock, qtbot, known_place, settings):
    put_engine(known_place, "#!/opt/gone/python3.10\n")
    dock = make_dock()
    qtbot.waitUntil(state_is(dock, EngineState.FAILED), timeout=LONG_MS)
    assert "could not be started" in notice(dock)
    press(qtbot, dock, "geommNoticeAction")
    qtbot.waitUntil(dock.engine_page.isVisible, timeout=LONG_MS)
    assert notice(dock) == ""
    assert "could not be started" in dock.engine_page._cause.text()
    assert dock.findChild(QPushButton, "geommInstall").isEnabled()
    put_good_engine(known_place)
    call = dock.session.client.send("models/list", contract.Empty())
    with qtbot.waitSignal(call.failed, timeout=LONG_MS):
        pass
    assert dock.session.client.state is EngineState.ABSENT
    dock.engine_page._on_finished()
    qtbot.waitUntil(state_is(dock, EngineState.READY), timeout=LONG_MS)
    assert not dock.engine_page.isVisible()


@pytest.mark.parametrize("engine", ["wrong_protocol", "dies_at_start", "prints_only_garbage"])
def test_an_engine_that_never_comes_up_can_be_set_up_again(make_dock, qtbot, fake_engine, engine):
    fake_engine(engine)
    dock = make_dock()
    qtbot.waitUntil(lambda: bool(notice(dock)), timeout=LONG_MS)
    assert "Set it up again" in notice(dock)
    press(qtbot, dock, "geommNoticeAction")
    qtbot.waitUntil(dock.engine_page.isVisible, timeout=LONG_MS)
    fake_engine("well_behaved")
    press(qtbot, dock, "geommLookAgain")
    qtbot.waitUntil(state_is(dock, EngineState.READY), timeout=LONG_MS)
    assert not dock.engine_page.isVisible()


def test_a_run_that_finds_a_broken_engine_leads_there_too(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("well_behaved")
    dock = make_dock()
    qtbot.waitUntil(state_is(dock, EngineState.READY), timeout=LONG_MS)
    fake_engine("dies_at_start")
    with qtbot.waitSignal(dock.session.queue.failed, timeout=LONG_MS):
        dock.session.client.stop()
        press(qtbot, dock, "geommClassifyButton")
    press(qtbot, dock, "geommNoticeAction")
    qtbot.waitUntil(dock.engine_page.isVisible, timeout=LONG_MS)


def test_a_run_that_dies_offers_no_set_up(make_dock, qtbot, fake_engine, raster_layer):
    fake_engine("dies_mid_job")
    dock = make_dock()
    qtbot.waitUntil(state_is(dock, EngineState.READY), timeout=LONG_MS)
    with qtbot.waitSignal(dock.session.queue.failed, timeout=LONG_MS):
        press(qtbot, dock, "geommClassifyButton")
    assert "goes on where it stopped" in notice(dock)
    assert not dock.findChild(QPushButton, "geommNoticeAction").isVisible()


def test_a_chosen_engine_that_is_gone_is_named_and_forgotten(make_dock, qtbot, known_place, settings):
    put_good_engine(known_place)
    settings.engine_path = GONE
    dock = make_dock()
    qtbot.waitUntil(dock.engine_page.isVisible, timeout=LONG_MS)
    assert GONE in dock.engine_page._choice.text()
    press(qtbot, dock, "geommForgetEngine")
    qtbot.waitUntil(state_is(dock, EngineState.READY), timeout=LONG_MS)
    assert settings.engine_path == ""


def test_a_set_up_takes_the_place_of_the_chosen_engine(make_dock, qtbot, known_place, settings):
    settings.engine_path = GONE
    dock = make_dock()
    qtbot.waitUntil(dock.engine_page.isVisible, timeout=LONG_MS)
    put_good_engine(known_place)
    dock.engine_page._on_finished()
    qtbot.waitUntil(state_is(dock, EngineState.READY), timeout=LONG_MS)
    assert settings.engine_path == ""
    assert not dock.engine_page.isVisible()


def test_an_engine_that_the_environment_names_cannot_be_forgotten(make_dock, qtbot, settings, monkeypatch):
    monkeypatch.setenv(locate.VARIABLE, GONE)
    dock = make_dock()
    qtbot.waitUntil(dock.engine_page.isVisible, timeout=LONG_MS)
    assert GONE in dock.engine_page._choice.text()
    assert locate.VARIABLE in dock.engine_page._choice.text()
    assert not dock.findChild(QPushButton, "geommForgetEngine").isVisible()
