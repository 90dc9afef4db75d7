from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from geomm_engine.writers import styles
from geomm_engine.writers.cog import CogWriter
from geomm_engine.writers.geopackage import TileWriter
from tests.engine.writers.making import CATEGORIES, PROVENANCE, UTM, asked_of_qgis, pixel_grid
from tests.engine.writers.test_geopackage import boxes

LEGENDS = """
import os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import QgsApplication, QgsRasterLayer, QgsVectorLayer
application = QgsApplication([], False)
application.initQgis()
legends = {}
for name in ("class", "score", "confidence"):
    layer = QgsRasterLayer(os.path.join(sys.argv[1], name + ".tif"), name)
    rows = [[label, color.name(), color.alpha()] for label, color in layer.legendSymbologyItems()]
    legends[name] = [layer.renderer().type(), rows]
for name in ("tiles", "hits"):
    layer = QgsVectorLayer(os.path.join(sys.argv[1], name + ".gpkg") + "|layername=tiles", name)
    items = [(item.label(), item.symbol().color()) for item in layer.renderer().legendSymbolItems()]
    rows = [[label, color.name(), color.alpha()] for label, color in items]
    legends[name] = [layer.renderer().type(), rows]
tell(legends)
"""

ALL = {
    "class raster": styles.class_raster_style(CATEGORIES),
    "score raster": styles.score_raster_style(-0.2, 0.9, fade_below=0.3),
    "confidence raster": styles.confidence_raster_style(),
    "class tiles": styles.class_tile_style(CATEGORIES),
    "score tiles": styles.score_tile_style(0.0, 1.0, threshold=0.4),
}


@pytest.mark.parametrize("name", ALL)
def test_is_well_formed(name: str) -> None:
    assert ElementTree.fromstring(ALL[name]).tag == "qgis"


def test_score_cuts_cover_all_values_without_gaps() -> None:
    root = ElementTree.fromstring(styles.score_tile_style(0.1, 0.9, threshold=0.4))
    cuts = [(float(row.get("lower", "")), float(row.get("upper", ""))) for row in root.iter("range")]
    assert cuts[0][0] < 0.1
    assert cuts[-1][1] > 0.9
    assert all(first[1] == second[0] for first, second in itertools.pairwise(cuts))


def test_a_threshold_above_all_scores_hides_everything() -> None:
    root = ElementTree.fromstring(styles.score_tile_style(0.1, 0.2, threshold=0.5))
    assert float(next(root.iter("range")).get("upper", "")) == pytest.approx(0.5)


def test_one_score_makes_a_ramp() -> None:
    items = list(ElementTree.fromstring(styles.score_raster_style(0.5, 0.5)).iter("item"))
    assert float(items[0].get("value", "")) < float(items[-1].get("value", ""))


def test_qgis_opens_results_with_their_styles(folder: Path) -> None:
    looks = {"score": styles.score_raster_style(0, 1, fade_below=0.3), "confidence": styles.confidence_raster_style()}
    for name, look in looks.items():
        with CogWriter(
            folder / f"{name}.tif",
            pixel_grid(20, 20),
            band_names=[name],
            dtype=np.float32,
            nodata=float("nan"),
            provenance=PROVENANCE,
            style_qml=look,
        ) as raster:
            raster.write(0, 0, np.linspace(0, 1, 400, dtype=np.float32).reshape(1, 20, 20))
    with CogWriter(
        folder / "class.tif",
        pixel_grid(20, 20),
        band_names=["class"],
        dtype=np.uint8,
        nodata=0,
        provenance=PROVENANCE,
        categories=CATEGORIES,
        style_qml=styles.class_raster_style(CATEGORIES),
    ) as raster:
        raster.write(0, 0, np.ones((1, 20, 20), np.uint8))
    tile_looks = {"tiles": styles.class_tile_style(CATEGORIES), "hits": styles.score_tile_style(0, 1, threshold=0.4)}
    for name, look in tile_looks.items():
        fields = {"class": str, "score": np.float32}
        with TileWriter(folder / f"{name}.gpkg", "tiles", UTM, fields, PROVENANCE, style_qml=look) as tiles:
            names = np.array(["water", "unknown", "water"], object)
            tiles.write(boxes(3), {"class": names, "score": np.array([0.1, 0.5, 0.9])})

    legends = asked_of_qgis(LEGENDS, folder)

    rows = [[category.name, category.color] for category in CATEGORIES]
    assert legends["class"] == ["paletted", [[*row, 255] for row in rows]]
    kind, items = legends["tiles"]
    assert (kind, [item[:2] for item in items]) == ("categorizedSymbol", rows)
    kind, items = legends["score"]
    assert (kind, items[0][0], items[0][2], items[-1]) == (
        "singlebandpseudocolor",
        "none",
        0,
        ["strongest", "#fde725", 255],
    )
    assert [item[0] for item in legends["confidence"][1]] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
    kind, items = legends["hits"]
    assert (kind, items[0][0], items[0][2], items[-1][0]) == ("graduatedSymbol", "below the threshold", 0, "strongest")
