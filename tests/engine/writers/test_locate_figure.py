"""The picture of an answer: drawn wherever the answer lies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image

from geomm_engine.contract import Place
from geomm_engine.geography import atlas
from geomm_engine.writers.locate_figure import Bar, Dial, WorldFigure, draw_world, draw_world_figure
from geomm_engine.writers.places import Region
from geomm_engine.writers.recall_figure import draw_recall


def drawn(lat: float, lon: float, outline: shapely.Geometry) -> WorldFigure:
    density = np.zeros((180, 360))
    density[min(int(90 - lat), 179), int(lon + 180) % 360] = 1.0
    return WorldFigure(
        density=density,
        countries=[country.outline for country in atlas.countries()],
        regions=[Region(0.5, outline, 1.0), Region(0.9, outline, 2.0)],
        best=Place(0, lat, lon, "", 0.5, 250.0),
        own=(-lat, lon),
        groups=[Bar("Arid", 0.7, "#f5a500"), Bar("Cold", 0.3, "#37c8ff")],
        climates=[Bar("BWh  Arid, desert, hot", 0.7, "#ff0000")],
        dial=Dial(360, 20.0, 80.0),
        title="été",
        headline="Most likely somewhere. " * 12,
        subtitle="a test",
    )


@pytest.mark.parametrize(
    ("lat", "lon", "outline"),
    [
        (10.0, 179.9, shapely.MultiPolygon([shapely.box(170, 5, 180, 15), shapely.box(-180, 5, -170, 15)])),
        (-89.0, 0.0, shapely.MultiPolygon([shapely.box(-180, -90, 180, -80)])),
        (45.0, 10.0, shapely.MultiPolygon()),
    ],
)
def test_it_is_drawn_at_the_edges_of_the_world(folder: Path, lat: float, lon: float, outline: shapely.Geometry) -> None:
    draw_world_figure(folder / "carte é.png", drawn(lat, lon, outline))
    with Image.open(folder / "carte é.png") as picture:
        assert picture.width > 2 * picture.height
    assert [path.name for path in folder.iterdir()] == ["carte é.png"]


def test_the_world_alone_has_land_sea_and_heat(folder: Path) -> None:
    draw_world(folder / "world.png", drawn(45.0, 10.0, shapely.MultiPolygon([shapely.box(5, 40, 15, 50)])))
    with Image.open(folder / "world.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    for color, least in (((0xEA, 0xF1, 0xF6), 0.3), ((0xD3, 0xD7, 0xD2), 0.12)):
        assert (np.abs(pixels - color) < 6).all(axis=2).mean() > least


def test_curves_are_drawn(folder: Path) -> None:
    draw_recall(folder / "recall.png", [0.001, 0.1, 1.0], {"a": [0.1, 0.5, 1.0], "b": [0.0, 0.1, 1.0]}, subtitle="x")
    with Image.open(folder / "recall.png") as picture:
        assert picture.width > 500


def test_importing_it_does_not_import_matplotlib() -> None:
    code = "import sys, geomm_engine.writers.locate_figure; print('matplotlib' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert ran.stdout.strip() == "False"
