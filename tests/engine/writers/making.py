"""Small values that the writers' tests share."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from affine import Affine
from rasterio.crs import CRS

from geomm_engine.grid import PixelGrid
from geomm_engine.writers.categories import Category
from geomm_engine.writers.provenance import ModelMark, Provenance

SYSTEM_PYTHON = "/usr/bin/python3"

CATEGORIES = (
    Category(1, "forêt & <lande>", "#1b7837"),
    Category(2, "water", "#2166ac"),
    Category(255, "unknown", "#9e9e9e"),
)

PROVENANCE = Provenance(
    software="GeoMM",
    version="0.1.0",
    created="2026-11-20T20:48:00Z",
    source_name="scène d'été",
    source_paths=("/data/scène d'été.tif",),
    radiometry="reflectance = DN / 10000",
    model=ModelMark("geomm-nano", "0.1", "ab" * 32),
    prompts={"water": ("a satellite photo of water",)},
    parameters={"stride": 0.5},
)

UTM = CRS.from_epsg(32633).to_wkt()


def pixel_grid(height: int, width: int, crs_wkt: str = UTM) -> PixelGrid:
    return PixelGrid(crs_wkt, Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 4800000.0), (height, width))


def asked_of_gdal(code: str, path: Path) -> Any:
    """What the system's own GDAL, an older one than the engine's, says: ``code`` prints JSON about sys.argv[1]."""
    probe = "import osgeo_utils.samples.validate_cloud_optimized_geotiff, osgeo_utils.samples.validate_gpkg"
    return _asked_of_system(probe, code, path, "the system's Python has no osgeo_utils (python3-gdal)")


def asked_of_qgis(code: str, path: Path) -> Any:
    """What the system's QGIS says: ``code`` calls tell() with a value about sys.argv[1].

    ``tell`` ends the process at once: QGIS may crash when its application is torn down late.
    """
    tell = """
def tell(value):
    import json, os, sys
    sys.stdout.write(json.dumps(value))
    sys.stdout.flush()
    os._exit(0)
"""
    return _asked_of_system("import qgis.core", tell + code, path, "QGIS is not installed (python3-qgis)")


def _asked_of_system(probe: str, code: str, path: Path, reason: str) -> Any:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(path.parent), "LANG": "C.UTF-8"}
    is_there = (
        Path(SYSTEM_PYTHON).exists()
        and subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False, env=env).returncode == 0
    )
    if not is_there:
        pytest.skip(reason)
    asked = subprocess.run([SYSTEM_PYTHON, "-c", code, str(path)], capture_output=True, text=True, check=True, env=env)
    return json.loads(asked.stdout)
