"""Regions and places in one GeoPackage, as QGIS opens it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pyogrio
import pytest
import shapely

from geomm_engine.contract import Place
from geomm_engine.errors import OutputError
from geomm_engine.writers.places import Region, write_places
from tests.engine.writers.making import PROVENANCE, asked_of_qgis

REGIONS = (
    Region(0.5, shapely.MultiPolygon([shapely.box(175, -20, 180, -15)]), 3e5),
    Region(0.9, shapely.MultiPolygon([shapely.box(170, -25, 180, -10), shapely.box(-180, -25, -175, -10)]), 2e6),
)
PLACES = (Place(1, -17.5, 178.0, "Fiji", 0.7, 250.0), Place(2, 10.0, -3.0, "", 0.1, 250.0))


@pytest.fixture
def written(folder: Path) -> Path:
    path = folder / "lieux é.gpkg"
    write_places(path, REGIONS, PLACES, PROVENANCE)
    return path


def test_both_layers_hold_what_was_given(written: Path) -> None:
    meta, _, shapes, columns = pyogrio.raw.read(written, layer="regions")
    assert meta["crs"] == "EPSG:4326"
    assert meta["geometry_type"] == "MultiPolygon"
    assert [
        shape.equals(region.outline) for shape, region in zip(shapely.from_wkb(shapes), REGIONS[::-1], strict=True)
    ] == [True] * 2
    assert [list(column) for column in columns] == [["90 %", "50 %"], [0.9, 0.5], [2e6, 3e5]]
    meta, _, shapes, columns = pyogrio.raw.read(written, layer="places")
    assert shapely.from_wkb(shapes)[0].equals(shapely.Point(178.0, -17.5))
    assert dict(zip(meta["fields"], (column[1] for column in columns), strict=True)) == {
        "rank": 2, "country": "", "probability": 0.1, "radius_km": 250.0, "lat": 10.0, "lon": -3.0,
    }  # fmt: skip


def test_provenance_speaks_of_both_layers(written: Path) -> None:
    with sqlite3.connect(written) as database:
        (text,) = database.execute("SELECT metadata FROM gpkg_metadata").fetchone()
        rows = database.execute("SELECT table_name FROM gpkg_metadata_reference").fetchall()
    assert json.loads(text)["software"] == "GeoMM"
    assert sorted(name for (name,) in rows) == ["places", "regions"]


def test_qgis_opens_both_layers_with_their_styles(written: Path) -> None:
    code = """
import os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import QgsApplication, QgsVectorLayer
app = QgsApplication([], False); app.initQgis()
regions, places = (QgsVectorLayer(sys.argv[1] + "|layername=" + name, name, "ogr") for name in ("regions", "places"))
tell({
    "regions": [item.label() for item in regions.renderer().categories()],
    "widths": [round(item.symbol().symbolLayer(1).width(), 2) for item in regions.renderer().categories()],
    "rules": [rule.label() for rule in places.renderer().rootRule().children()],
    "labels": [places.labelsEnabled(), places.labeling().settings().fieldName if places.labeling() else ""],
})
"""
    said = asked_of_qgis(code, written)
    assert said["regions"] == ["50 % of the probability", "90 % of the probability"]
    assert said["widths"] == [0.45, 0.45]
    assert said["rules"] == ["other places", "the best place"]
    assert said["labels"][0] is True
    assert "country" in said["labels"][1]


def test_without_a_region_it_is_still_a_file(folder: Path) -> None:
    write_places(folder / "none.gpkg", [Region(0.5, shapely.MultiPolygon(), 0.0)], PLACES[:1], PROVENANCE)
    assert pyogrio.read_info(folder / "none.gpkg", layer="places")["features"] == 1


def test_a_closed_folder_is_refused(folder: Path) -> None:
    (folder / "file").write_text("x")
    with pytest.raises(OutputError):
        write_places(folder / "file" / "p.gpkg", REGIONS, PLACES, PROVENANCE)
