"""The first line of the dock: what the engine computes on, and what a GPU needs."""

import pytest

from geomm_plugin.client.contract import Device
from geomm_plugin.client.engine_client import EngineState
from geomm_plugin.gui.engine_bar import used_device
from geomm_plugin.settings import Settings

from .conftest import LONG_MS

GPU, CPU = Device("cuda", "NVIDIA GPU", True), Device("cpu", "CPU, 2 threads")


@pytest.fixture
def settings(qgis_app):
    yield Settings()
    Settings().device = "auto"


def ready(dock, qtbot):
    qtbot.waitUntil(lambda: dock.session.client.state is EngineState.READY, timeout=LONG_MS)
    return dock.bar


@pytest.mark.parametrize(
    ("devices", "chosen", "used"),
    [
        ((GPU, CPU), "auto", GPU),
        ((GPU, CPU), "cpu", CPU),
        ((CPU, GPU), "cuda", GPU),
        ((CPU, GPU), "mps", CPU),
        ((CPU,), "auto", CPU),
        ((), "cpu", None),
    ],
)
def test_the_device_that_is_used(devices, chosen, used):
    assert used_device(devices, chosen) is used


def test_the_bar_names_the_chosen_device(make_dock, qtbot, fake_engine, settings):
    fake_engine("has_gpu")
    settings.device = "cpu"
    dock = make_dock()
    bar = ready(dock, qtbot)
    assert bar._text.text() == "ready · CPU"
    assert "torch" not in bar.toolTip()
    settings.device = "auto"
    dock.refresh()
    assert bar._text.text() == "ready · NVIDIA GPU"


def test_an_engine_without_a_gpu_says_what_one_needs(make_dock, qtbot, fake_engine):
    fake_engine("well_behaved")
    bar = ready(make_dock(), qtbot)
    assert bar._text.text() == "ready · CPU, 2 threads"
    assert "-m pip install torch" in bar.toolTip()
