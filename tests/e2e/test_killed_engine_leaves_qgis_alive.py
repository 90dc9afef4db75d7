"""kill -9 on the engine in the middle of a run: QGIS lives, says what happened, and the next run works."""

import os
import signal

import pytest

pytestmark = pytest.mark.desktop


def test_killed_engine_leaves_qgis_alive(desktop):
    desktop.wait(lambda: desktop.state().get("preflight") in ("green", "amber"), 60, "the preflight")
    desktop.click("geommClassifyButton")
    desktop.wait(lambda: desktop.state()["is_busy"], 20, "the run")
    os.kill(desktop.state()["engine_pid"], signal.SIGKILL)
    desktop.wait(lambda: "stopped unexpectedly" in desktop.state()["notice"], 20, "the message")
    desktop.screenshot("killed")
    assert desktop.qgis.poll() is None
    assert not desktop.state()["progress"]
    desktop.click("geommClassifyButton")
    desktop.wait(lambda: len(desktop.state()["runs"]) == 1, 90, "the next run")
    assert desktop.state()["notice"] == ""


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_killed_qgis_leaves_no_engine(desktop):
    pid = desktop.state()["engine_pid"]
    os.kill(desktop.qgis.pid, signal.SIGKILL)
    desktop.wait(lambda: is_gone(pid), 20, "the engine's end")


def test_qgis_closed_in_the_middle_of_a_run_leaves_no_engine(desktop):
    desktop.wait(lambda: desktop.state().get("preflight") in ("green", "amber"), 60, "the preflight")
    desktop.click("geommClassifyButton")
    desktop.wait(lambda: desktop.state()["progress"], 20, "the run")
    pid = desktop.state()["engine_pid"]
    desktop.end_qgis()
    desktop.wait(lambda: is_gone(pid), 20, "the engine's end")
