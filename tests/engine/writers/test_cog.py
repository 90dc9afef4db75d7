from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import OutputError
from geomm_engine.writers.cog import CogWriter
from tests.engine.writers.making import CATEGORIES, PROVENANCE, UTM, asked_of_gdal, pixel_grid

VALIDATE = """
import json, sys
from osgeo_utils.samples.validate_cloud_optimized_geotiff import validate
warnings, errors, _ = validate(sys.argv[1], full_check=True)
print(json.dumps([warnings, errors]))
"""

READ_NAMES = """
import json, sys
from osgeo import gdal
raster = gdal.Open(sys.argv[1])
band = raster.GetRasterBand(1)
table = band.GetDefaultRAT()
columns = range(table.GetColumnCount())
rows = [[table.GetValueAsString(row, column) for column in columns] for row in range(table.GetRowCount())]
print(json.dumps([band.GetCategoryNames(), rows, [table.GetUsageOfCol(column) for column in columns]]))
"""


def classes(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(5).choice(np.array([0, 1, 2, 255], np.uint8), (height, width))


def write_classes(path: Path, values: NDArray[np.uint8], *, crs_wkt: str = UTM) -> None:
    height, width = values.shape
    with CogWriter(
        path,
        pixel_grid(height, width, crs_wkt),
        band_names=["class"],
        dtype=np.uint8,
        nodata=0,
        provenance=PROVENANCE,
        categories=CATEGORIES,
        style_qml="<qgis/>",
    ) as writer:
        for y in range(0, height, 128):
            for x in range(0, width, 128):
                writer.write(y, x, values[None, y : y + 128, x : x + 128])


def write_noise(path: Path, height: int, width: int, *, fail_with: BaseException | None = None) -> None:
    values = np.random.default_rng(1).random((1, height, width), np.float32)
    with CogWriter(
        path,
        pixel_grid(height, width),
        band_names=["score"],
        dtype=np.float32,
        nodata=float("nan"),
        provenance=PROVENANCE,
        style_qml="<qgis/>",
    ) as writer:
        writer.write(0, 0, values)
        if fail_with:
            raise fail_with


def test_classes_come_back_with_grid_colours_and_provenance(folder: Path) -> None:
    values = classes(300, 520)
    write_classes(folder / "class.tif", values)
    with rasterio.open(folder / "class.tif") as raster:
        assert np.array_equal(raster.read(1), values)
        assert raster.transform == pixel_grid(300, 520).transform
        assert raster.crs == CRS.from_wkt(UTM)
        assert raster.nodata == 0
        assert raster.descriptions == ("class",)
        assert raster.colormap(1)[2] == (0x21, 0x66, 0xAC, 255)
        assert raster.tags(1)["CLASS_1"] == "forêt & <lande>"
        assert json.loads(raster.tags()["GEOMM_PROVENANCE"])["model"]["id"] == "geomm-nano"
        assert raster.tags()["TIFFTAG_SOFTWARE"] == "GeoMM 0.1.0"
    assert sorted(path.name for path in folder.iterdir()) == ["class.qml", "class.tif", "class.tif.aux.xml"]


def test_overviews_of_classes_hold_only_classes(folder: Path) -> None:
    write_classes(folder / "class.tif", classes(1100, 700))
    with rasterio.open(folder / "class.tif", overview_level=0) as overview:
        assert set(np.unique(overview.read(1))) <= {0, 1, 2, 255}


@pytest.mark.parametrize("shape", [(1, 1), (300, 520), (1100, 700)])
def test_is_a_valid_cloud_optimized_geotiff(folder: Path, shape: tuple[int, int]) -> None:
    write_classes(folder / "class é.tif", classes(*shape))
    write_noise(folder / "score é.tif", *shape)
    assert asked_of_gdal(VALIDATE, folder / "class é.tif") == [[], []]
    assert asked_of_gdal(VALIDATE, folder / "score é.tif") == [[], []]


def test_gdal_reads_names_and_counts(folder: Path) -> None:
    values = classes(90, 70)
    write_classes(folder / "class.tif", values)
    names, rows, usages = asked_of_gdal(READ_NAMES, folder / "class.tif")
    assert [names[0], names[1], names[2], names[255]] == ["no data", "forêt & <lande>", "water", "unknown"]
    assert rows[0] == ["1", "forêt & <lande>", "27", "120", "55", str(int((values == 1).sum()))]
    assert [row[0] for row in rows] == ["1", "2", "255"]
    assert usages == [5, 2, 6, 7, 8, 1]


def test_statistics_are_those_of_the_valid_pixels(folder: Path) -> None:
    values = np.random.default_rng(2).normal(3, 2, (1, 200, 150)).astype(np.float32)
    values[0, :20] = np.nan
    with CogWriter(
        folder / "s.tif",
        pixel_grid(200, 150),
        band_names=["s"],
        dtype=np.float32,
        nodata=float("nan"),
        provenance=PROVENANCE,
    ) as writer:
        for y in range(0, 200, 64):
            writer.write(y, 0, values[:, y : y + 64])
    with rasterio.open(folder / "s.tif") as raster:
        tags = raster.tags(1)
    assert float(tags["STATISTICS_MEAN"]) == pytest.approx(np.nanmean(values, dtype=float), abs=1e-6)
    assert float(tags["STATISTICS_STDDEV"]) == pytest.approx(np.nanstd(values, dtype=float), abs=1e-6)
    assert float(tags["STATISTICS_MAXIMUM"]) == pytest.approx(float(np.nanmax(values)))
    assert float(tags["STATISTICS_VALID_PERCENT"]) == 90


def test_what_is_not_written_is_nodata(folder: Path) -> None:
    with CogWriter(
        folder / "s.tif",
        pixel_grid(300, 300),
        band_names=["a", "b"],
        dtype=np.float32,
        nodata=float("nan"),
        provenance=PROVENANCE,
    ) as writer:
        writer.write(128, 128, np.ones((2, 128, 128), np.float32))
    with rasterio.open(folder / "s.tif") as raster:
        values = raster.read()
    assert np.isfinite(values).sum() == 2 * 128 * 128
    assert np.all(values[:, 128:256, 128:256] == 1)


def test_equal_runs_give_equal_bytes(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir()
        write_classes(folder / name / "class.tif", classes(700, 300))
    for name in ("class.tif", "class.tif.aux.xml", "class.qml"):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()


def test_a_reference_system_without_a_code_is_kept(folder: Path) -> None:
    wkt = CRS.from_proj4("+proj=laea +lat_0=51.3 +lon_0=7.7 +ellps=bessel +units=m").to_wkt()
    write_classes(folder / "class.tif", classes(20, 20), crs_wkt=wkt)
    with rasterio.open(folder / "class.tif") as raster:
        assert raster.crs.to_dict()["lat_0"] == 51.3
        assert raster.crs.to_dict()["ellps"] == "bessel"


@pytest.mark.parametrize("problem", [ValueError("broken"), KeyboardInterrupt(), GeneratorExit()])
def test_failure_leaves_nothing(folder: Path, problem: BaseException) -> None:
    with pytest.raises(type(problem)):
        write_noise(folder / "score.tif", 300, 300, fail_with=problem)
    assert list(folder.iterdir()) == []


def test_failure_keeps_the_earlier_result(folder: Path) -> None:
    write_classes(folder / "class.tif", classes(30, 30))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match="broken"):
        write_noise(folder / "class.tif", 300, 300, fail_with=ValueError("broken"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_under_a_file_is_refused(folder: Path) -> None:
    (folder / "file").write_text("x")
    with pytest.raises(OutputError) as refused:
        write_noise(folder / "file" / "score.tif", 30, 30)
    assert refused.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
    assert refused.value.facts["path"] == str(folder / "file" / "score.tif")


def test_a_folder_as_target_is_refused(folder: Path) -> None:
    (folder / "score.tif").mkdir()
    with pytest.raises(OutputError) as refused:
        write_noise(folder / "score.tif", 30, 30)
    assert refused.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
    assert [path.name for path in folder.iterdir()] == ["score.tif"]


@pytest.mark.parametrize("side", [550, 700, 1000])
def test_a_full_disk_is_named(small_disk: Path, side: int) -> None:
    """Full at the end of the final file (550), while it is begun (700), or while blocks are written (1000)."""
    with pytest.raises(OutputError) as refused:
        write_noise(small_disk / "score.tif", side, side)
    assert refused.value.code is ErrorCode.DISK_FULL
    assert list(small_disk.iterdir()) == []


FILE_TOO_LARGE = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500000, 1500000))
from pathlib import Path
from geomm_engine.errors import OutputError
from {module} import write_noise
try:
    write_noise(Path(sys.argv[1]), 800, 800)
except OutputError as refused:
    print(refused.code.value, refused.text)
"""


def test_a_file_beyond_the_limit_is_refused(folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FILE_TOO_LARGE.format(module=__name__), str(folder / "score.tif")],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert "output_not_writable" in ran.stdout
    assert "File too large" in ran.stdout
    assert list(folder.iterdir()) == []


def test_categories_need_one_byte_band() -> None:
    with pytest.raises(ValueError, match="single uint8 band"):
        CogWriter(
            Path("class.tif"),
            pixel_grid(1, 1),
            band_names=["class"],
            dtype=np.uint16,
            nodata=0,
            provenance=PROVENANCE,
            categories=CATEGORIES,
        )
