"""An image over a made-up place: the tab Locate says where it may lie, and the world opens on the map."""

import os
from pathlib import Path

import pytest

from .desktop import ROOT, Desktop, missing_programs

pytestmark = pytest.mark.desktop

ENGINE = ROOT / ".venv" / "engine" / "bin" / "geomm"
EXPERT = ROOT / "resources" / "models" / "geomm-where" / "expert.json"


def draw_image(path: Path) -> Path:
    """A sandy plain of 600 km with a green edge, in the Sahara."""
    from osgeo import gdal, osr

    gdal.UseExceptions()
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(4326)
    size = 300
    raster = gdal.GetDriverByName("GTiff").Create(str(path), size, size, 3, gdal.GDT_Byte)
    raster.SetGeoTransform((5.0, 0.02, 0, 27.0, 0, -0.02))
    raster.SetProjection(crs.ExportToWkt())
    for number, base in enumerate((214, 180, 124), 1):
        for row in range(size):
            grain = [(row * 13 + col * 7 + row * col) % 23 for col in range(size)]
            shade = [base - value - (60 if row > 270 else 0) for value in grain]
            raster.GetRasterBand(number).WriteRaster(0, row, size, 1, bytes(shade))
    raster = None
    return path


@pytest.fixture
def desktop(tmp_path):
    if missing_programs():
        pytest.skip(f"a desktop needs {', '.join(missing_programs())}")
    if not ENGINE.exists():
        pytest.skip("no engine: run make setup")
    if not EXPERT.exists():
        pytest.skip("the geographic expert is not here: run geomm train geographic geomm_where")
    folder = tmp_path / "désk top"
    folder.mkdir()
    image = os.environ.get("GEOMM_E2E_LOCATE") or draw_image(folder / "plain é.tif")
    found = Desktop(folder, Path(image), str(ENGINE))
    try:
        found.start()
        yield found
    finally:
        found.close()


def test_locate(desktop):
    desktop.click("tab2")
    desktop.wait(lambda: "geommLocateButton" in desktop.state()["widgets"], 20, "the tab")
    desktop.wait(lambda: desktop.state().get("preflight") in ("green", "amber"), 60, "the preflight")
    desktop.screenshot("locate_before")
    desktop.click("geommLocateButton")
    desktop.wait(lambda: len(desktop.state()["runs"]) == 1, 180, "the answer")
    state = desktop.state()
    assert {"Likely places", "Credible regions", "Probability", "Countries"} <= set(state["layers"])
    assert state["notice"] == ""
    desktop.screenshot("located")
    before = state["scale"]
    desktop.click("geommPlaces", 0.4, 0.6, times=2)
    desktop.wait(lambda: desktop.state()["scale"] != before, 20, "the zoom")
    desktop.screenshot("located_zoomed")
