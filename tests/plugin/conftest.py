"""What every plugin test needs: a private home, an offscreen Qt, engines to talk to."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ROOT / "tests" / "bad_engines"
SYSTEM_PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable

# QGIS leaves folders in the temporary directory, and reads its settings from the home: give it its own, with a hard name.
_HOME = Path(tempfile.mkdtemp(prefix="geomm plugin é "))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["TMPDIR"] = str(_HOME)
tempfile.tempdir = str(_HOME)
os.environ["XDG_DATA_HOME"] = str(_HOME / "data")
os.environ["XDG_CONFIG_HOME"] = str(_HOME / "config")
os.environ["XDG_CACHE_HOME"] = str(_HOME / "cache")
os.environ["QGIS_CUSTOM_CONFIG_PATH"] = str(_HOME / "qgis")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.pop("GEOMM_ENGINE", None)
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402

from geomm_plugin.client.engine_client import EngineClient  # noqa: E402
from geomm_plugin.client.engine_process import EngineCommand  # noqa: E402


def engine_command(name: str) -> EngineCommand:
    return EngineCommand(SYSTEM_PYTHON, (str(ENGINES / f"{name}.py"), "serve"), "test")


@pytest.fixture
def make_client(qgis_app, qtbot):
    """``make_client("dies_at_start")``: a client of a fake engine, gone after the test."""
    clients = []

    def make(name: str) -> EngineClient:
        client = EngineClient(lambda: engine_command(name))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.dispose()


@pytest.fixture
def work_dir(tmp_path):
    """A folder whose name has a space and an accent."""
    folder = tmp_path / "œuvre é 1"
    folder.mkdir()
    return folder


ENGINE = ROOT / ".venv" / "engine" / "bin" / "geomm"


@pytest.fixture
def real_engine(monkeypatch):
    """The engine of this checkout, for whoever looks for one."""
    if not ENGINE.exists():
        pytest.skip("no engine: run make setup")
    monkeypatch.setenv("GEOMM_ENGINE", str(ENGINE))
    monkeypatch.setenv("GEOMM_CACHE_DIR", str(_HOME / "engine cache é"))
    return str(ENGINE)


@pytest.fixture
def fake_engine(monkeypatch):
    """``fake_engine("slow")``: the plugin finds this fake instead of an engine."""

    def use(name: str) -> None:
        monkeypatch.setattr("geomm_plugin.session.find_engine", lambda _settings=None: engine_command(name))

    return use


def draw_raster(
    path: Path,
    *,
    size=256,
    bands=("red", "green", "blue"),
    origin=(500_000.0, 5_600_000.0),
    pixel_m=10.0,
    is_strange=False,
) -> Path:
    """A byte GeoTIFF in UTM 32N: a lake in a field, with described bands; or stripes of 60 m, black and white."""
    from osgeo import gdal, osr

    gdal.UseExceptions()
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    raster = gdal.GetDriverByName("GTiff").Create(str(path), size, size, len(bands), gdal.GDT_Byte)
    raster.SetGeoTransform((origin[0], pixel_m, 0, origin[1], 0, -pixel_m))
    raster.SetProjection(crs.ExportToWkt())
    for number, name in enumerate(bands, 1):
        band = raster.GetRasterBand(number)
        band.SetDescription(name)
        field, lake = (90, 130, 60)[(number - 1) % 3], (20, 40, 70)[(number - 1) % 3]
        for row in range(size):
            line = bytes(lake if col < size // 2 else field + (7 * row + 3 * col) % 11 for col in range(size))
            if is_strange:
                line = bytes(255 * (col // 6 % 2) for col in range(size))
            band.WriteRaster(0, row, size, 1, line)
    raster = None
    return path


@pytest.fixture
def raster_path(work_dir):
    return draw_raster(work_dir / "image é.tif")


@pytest.fixture
def project(qgis_app):
    """An empty project, empty again afterwards."""
    from qgis.core import QgsProject

    QgsProject.instance().clear()
    yield QgsProject.instance()
    QgsProject.instance().clear()


@pytest.fixture
def raster_layer(project, raster_path):
    from qgis.core import QgsRasterLayer

    layer = QgsRasterLayer(str(raster_path), "image é")
    project.addMapLayer(layer)
    return layer
