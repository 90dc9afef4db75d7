"""The probability map of the world, as GDAL and QGIS read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp

from geomm_engine.errors import OutputError
from geomm_engine.writers import heatmap
from tests.engine.writers.making import PROVENANCE, asked_of_qgis


def hill(grid_rows: np.ndarray, cols: int) -> np.ndarray:
    mass = np.exp(-((grid_rows[:, None] - 40) ** 2 + (np.linspace(-180, 180, cols)[None] - 20) ** 2) / 200)
    return mass / mass.sum()


@pytest.mark.parametrize("kind", ["degrees", "equal area"])
def test_mass_density_and_place_survive_the_file(folder: Path, kind: str) -> None:
    grid = heatmap.degree_grid((90, 180)) if kind == "degrees" else heatmap.equal_area_grid()
    rows, cols = grid.shape_yx
    lat = heatmap.row_latitudes(grid)
    assert np.all(np.diff(lat) < 0)
    assert lat[0] == pytest.approx(-lat[-1])
    mass, area = hill(lat, cols), np.linspace(100.0, 200.0, rows)
    path = folder / "chaleur é.tif"
    heatmap.write_heatmap(path, grid, mass, area, PROVENANCE)
    with rasterio.open(path) as raster:
        assert raster.crs.to_epsg() == (4326 if kind == "degrees" else 6933)
        assert raster.transform.almost_equals(grid.transform)
        stored, density = raster.read(out_dtype="float64")
        assert raster.descriptions == heatmap.BANDS
        assert "GEOMM_PROVENANCE" in raster.tags()
    assert stored.sum() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(density, mass / area[:, None], rtol=1e-6, atol=1e-12)


def test_the_equal_area_grid_reaches_the_poles_and_the_date_line() -> None:
    grid = heatmap.equal_area_grid()
    to_degrees = rasterio.warp.transform
    left, bottom, right, top = grid.bounds_xyxy
    lon, lat = to_degrees(
        "EPSG:6933", "EPSG:4326", [left, right, 0, 0], [0, 0, top * (1 - 1e-12), bottom * (1 - 1e-12)]
    )
    assert [abs(value) for value in (*lon[:2], *lat[2:])] == pytest.approx([180, 180, 90, 90], abs=1e-3)


def test_the_style_is_clear_where_nothing_is(folder: Path) -> None:
    grid = heatmap.degree_grid((90, 180))
    path = folder / "heat.tif"
    heatmap.write_heatmap(path, grid, hill(heatmap.row_latitudes(grid), 180), np.full(90, 10.0), PROVENANCE)
    code = """
import os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import QgsApplication, QgsRasterLayer
app = QgsApplication([], False); app.initQgis()
layer = QgsRasterLayer(sys.argv[1], "x")
shader = layer.renderer().shader().rasterShaderFunction()
items = shader.colorRampItemList()
tell([layer.renderer().band(), [item.color.alpha() for item in items], [item.label for item in items][-1],
      [item.value for item in items]])
"""
    band, alphas, last, values = asked_of_qgis(code, path)
    assert band == 2
    assert alphas[0] == 0
    assert alphas == sorted(alphas)
    assert last == "the peak"
    assert values == sorted(values)


def test_a_closed_folder_is_refused(folder: Path) -> None:
    (folder / "file").write_text("x")
    with pytest.raises(OutputError):
        heatmap.write_heatmap(
            folder / "file" / "h.tif", heatmap.degree_grid((18, 36)), np.ones((18, 36)) / 648, np.ones(18), PROVENANCE
        )
