from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from geomm_engine.errors import OutputError
from geomm_engine.writers.figure import LegendRow, draw_class_figure, round_length_m

LEGEND = (LegendRow(1, "forest", "#1b7837", 0.5, 1234.5), LegendRow(2, "water", "#2166ac", 0.5, 1234.5))


def rgb(height: int = 400, width: int = 400) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 255, (height, width, 3), np.uint8)


def test_class_figure_shows_both_classes_and_stays_small(folder: Path) -> None:
    classes = np.repeat(np.array([[1, 2]], np.uint8), 2, axis=0)
    draw_class_figure(folder / "carte é.png", rgb(), classes, LEGEND, title="A map", subtitle="by a test", pixel_m=10)
    with Image.open(folder / "carte é.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    for color in ((0x1B, 0x78, 0x37), (0x21, 0x66, 0xAC)):
        assert np.all(np.abs(pixels.astype(int) - color) < 8, axis=-1).sum() > 10_000
    assert (folder / "carte é.png").stat().st_size < 400_000
    assert [path.name for path in folder.iterdir()] == ["carte é.png"]


def test_a_picture_of_few_colours_keeps_them(folder: Path) -> None:
    flat = np.full((50, 50, 3), 128, np.uint8)
    draw_class_figure(folder / "f.png", flat, np.ones((2, 2), np.uint8), LEGEND[:1], title="A map")
    with Image.open(folder / "f.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert np.all(pixels == (0x1B, 0x78, 0x37), axis=-1).sum() > 10_000
    assert np.all(pixels == 128, axis=-1).sum() > 10_000


def test_a_closed_folder_is_refused(folder: Path) -> None:
    (folder / "file").write_text("x")
    with pytest.raises(OutputError):
        draw_class_figure(folder / "file" / "f.png", rgb(), np.ones((2, 2), np.uint8), LEGEND, title="A map")


@pytest.mark.parametrize(("longest_m", "length_m"), [(1000, 1000), (999, 500), (3840, 2000), (70, 50), (0.25, 0.2)])
def test_scale_bars_have_round_lengths(longest_m: float, length_m: float) -> None:
    assert round_length_m(longest_m) == pytest.approx(length_m)


def test_importing_it_does_not_import_matplotlib() -> None:
    code = "import sys, geomm_engine.writers.figure; print('matplotlib' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert ran.stdout.strip() == "False"
