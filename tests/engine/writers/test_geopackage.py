from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import OutputError
from geomm_engine.writers import geopackage
from geomm_engine.writers.geopackage import TileWriter
from tests.engine.writers.making import PROVENANCE, UTM, asked_of_gdal

FIELDS = {"row": np.int32, "class": str, "score": np.float32, "is_hit": np.bool_}
STYLE = "<!DOCTYPE qgis><qgis version='3.22.0'/>"
LAEA = CRS.from_proj4("+proj=laea +lat_0=51.3 +lon_0=7.7 +ellps=bessel +units=m").to_wkt()

VALIDATE = """
import json, sys
from osgeo_utils.samples.validate_gpkg import check
print(json.dumps(check(sys.argv[1], abort_at_first_error=False, extra_checks=True)))
"""


def boxes(count: int) -> NDArray[np.float64]:
    west = 399960.0 + 320 * (np.arange(count) % 100)
    north = 4800000.0 - 320 * (np.arange(count) // 100)
    return np.stack([west, north - 320, west + 320, north], axis=1)


def write_tiles(path: Path, count: int, *, crs_wkt: str = UTM, batch: int = 700, fail: bool = False) -> None:
    bounds = boxes(count)
    with TileWriter(path, "tiles", crs_wkt, FIELDS, PROVENANCE, style_qml=STYLE) as writer:
        for start in range(0, count, batch):
            part = bounds[start : start + batch]
            number = np.arange(start, start + len(part))
            names = np.array(["forêt", "water"], object)[number % 2]
            writer.write(part, {"row": number, "class": names, "score": number / count, "is_hit": number % 3 == 0})
        if fail:
            raise ValueError("broken")


def rows_of(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def test_tiles_come_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geopackage, "BATCH", 1000)
    write_tiles(folder / "tiles é.gpkg", 2500)
    meta, _, geometry, columns = pyogrio.raw.read(folder / "tiles é.gpkg", layer="tiles")
    fields = dict(zip(meta["fields"], columns, strict=True))
    assert np.array_equal(shapely.bounds(shapely.from_wkb(geometry)), boxes(2500))
    assert np.array_equal(fields["row"], np.arange(2500))
    assert list(fields["class"][:2]) == ["forêt", "water"]
    assert fields["score"].dtype == np.float32
    assert fields["is_hit"].sum() == 834
    assert CRS.from_user_input(meta["crs"]) == CRS.from_wkt(UTM)
    assert [path.name for path in folder.iterdir()] == ["tiles é.gpkg"]


@pytest.mark.parametrize("crs_wkt", [UTM, LAEA, ""], ids=["coded", "custom", "undefined"])
@pytest.mark.parametrize("count", [0, 1500])
def test_is_a_valid_geopackage(folder: Path, count: int, crs_wkt: str) -> None:
    write_tiles(folder / "tiles.gpkg", count, crs_wkt=crs_wkt)
    assert asked_of_gdal(VALIDATE, folder / "tiles.gpkg") == []
    assert pyogrio.read_info(folder / "tiles.gpkg", layer="tiles")["features"] == count


def test_a_custom_reference_system_is_kept(folder: Path) -> None:
    write_tiles(folder / "tiles.gpkg", 3, crs_wkt=LAEA)
    assert (
        CRS.from_user_input(pyogrio.read_info(folder / "tiles.gpkg", layer="tiles")["crs"]).to_dict()["lat_0"] == 51.3
    )


def test_windows_find_tiles_through_the_spatial_index(folder: Path) -> None:
    write_tiles(folder / "tiles.gpkg", 1500)
    assert rows_of(folder / "tiles.gpkg", "SELECT count(*) FROM rtree_tiles_geom") == [(1500,)]
    west, south, east, north = boxes(1500)[730]
    found = pyogrio.raw.read(folder / "tiles.gpkg", layer="tiles", bbox=(west + 1, south + 1, east - 1, north - 1))
    assert found[3][0].tolist() == [730]


def test_the_style_is_the_default_one(folder: Path) -> None:
    write_tiles(folder / "tiles.gpkg", 3)
    sql = "SELECT f_table_name, f_geometry_column, styleName, styleQML, useAsDefault FROM layer_styles"
    assert rows_of(folder / "tiles.gpkg", sql) == [("tiles", "geom", "GeoMM", STYLE, 1)]


def test_provenance_is_metadata_of_the_table(folder: Path) -> None:
    write_tiles(folder / "tiles.gpkg", 3)
    sql = """SELECT metadata, mime_type, reference_scope, table_name, timestamp FROM gpkg_metadata
             JOIN gpkg_metadata_reference ON md_file_id = gpkg_metadata.id"""
    [(text, *rest)] = rows_of(folder / "tiles.gpkg", sql)
    assert json.loads(str(text)) == json.loads(PROVENANCE.to_json())
    assert rest == ["application/json", "table", "tiles", "2026-11-20T20:48:00.000Z"]


def test_equal_runs_give_equal_bytes(folder: Path) -> None:
    for name in ("one.gpkg", "two.gpkg"):
        write_tiles(folder / name, 900)
    assert (folder / "one.gpkg").read_bytes() == (folder / "two.gpkg").read_bytes()


def test_failure_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geopackage, "BATCH", 100)
    with pytest.raises(ValueError, match="broken"):
        write_tiles(folder / "tiles.gpkg", 900, fail=True)
    assert list(folder.iterdir()) == []


def test_an_earlier_result_is_replaced_whole(folder: Path) -> None:
    write_tiles(folder / "tiles.gpkg", 900)
    write_tiles(folder / "tiles.gpkg", 5)
    assert pyogrio.read_info(folder / "tiles.gpkg", layer="tiles")["features"] == 5


def test_a_folder_under_a_file_is_refused(folder: Path) -> None:
    (folder / "file").write_text("x")
    with pytest.raises(OutputError) as refused:
        write_tiles(folder / "file" / "tiles.gpkg", 3)
    assert refused.value.code is ErrorCode.OUTPUT_NOT_WRITABLE


@pytest.mark.parametrize("count", [8_300, 8_450, 9_000, 20_000])
def test_a_full_disk_is_named(small_disk: Path, count: int) -> None:
    """Full in the spatial index, which GDAL then leaves out in silence (8,450), or anywhere else."""
    with pytest.raises(OutputError) as refused:
        write_tiles(small_disk / "tiles.gpkg", count)
    assert refused.value.code is ErrorCode.DISK_FULL
    assert list(small_disk.iterdir()) == []


def test_a_missing_column_is_a_mistake_of_the_caller(folder: Path) -> None:
    with (
        pytest.raises(ValueError, match="expected of"),
        TileWriter(folder / "t.gpkg", "t", UTM, {"row": np.int32}, PROVENANCE) as writer,
    ):
        writer.write(boxes(3), {})
