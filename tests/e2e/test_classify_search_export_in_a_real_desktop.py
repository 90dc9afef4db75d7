"""The whole path with mouse and keyboard: classes typed, a map, a search, a cut, a file; and no engine left behind."""

import os

import pytest

pytestmark = pytest.mark.desktop


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_classify_search_export(desktop):
    desktop.wait(lambda: desktop.state().get("preflight") in ("green", "amber"), 60, "the preflight")
    desktop.click("geommAddClass")
    desktop.type("orchard")
    desktop.key("Return")
    desktop.wait(lambda: "orchard" in desktop.state()["classes"], 10, "the typed class")
    desktop.click("geommClassifyButton")
    desktop.wait(lambda: len(desktop.state()["runs"]) == 1, 180, "the class map")
    desktop.screenshot("classified")
    state = desktop.state()
    assert len(state["groups"]) == 1
    assert "forest" in state["groups"][0]
    assert any(name.startswith("Classes:") for name in state["layers"])
    assert state["notice"] == ""

    desktop.click("tab1")
    desktop.click_into("geommSearchText")
    desktop.type("a lake")
    desktop.key("Return")
    desktop.wait(lambda: len(desktop.state()["runs"]) == 2, 120, "the search")
    before = desktop.state()
    assert before["hits"] > 0
    desktop.drag("geommHistogram", 0.5, 0.7)
    desktop.wait(lambda: desktop.state()["threshold"] != before["threshold"], 10, "the cut")
    desktop.click("geommHits", 0.3, 0.3, times=2)
    desktop.wait(lambda: desktop.state()["scale"] < before["scale"] / 2, 10, "the zoom")
    desktop.screenshot("searched")

    path = desktop.folder / "found.gpkg"
    desktop.click("geommSearchExport")
    desktop.wait(lambda: desktop.state()["dialog"], 15, "the file dialog")
    desktop.key("ctrl+a")
    desktop.type(str(path.name))
    desktop.key("Return")
    desktop.wait(lambda: "tiles written" in desktop.state()["notice"], 60, "the export")
    assert len(list(desktop.folder.rglob("found.gpkg"))) == 1
    desktop.screenshot("exported")

    pid = desktop.state()["engine_pid"]
    assert is_alive(pid)
    desktop.end_qgis()
    desktop.wait(lambda: not is_alive(pid), 10, "the engine's end")
