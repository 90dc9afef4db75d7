"""Folders of pictures against the names of the folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geomm_engine.contract import ClassEntry, ErrorCode
from geomm_engine.encoders.card import read_card
from geomm_engine.errors import EngineError
from geomm_engine.evaluation.zero_shot import evaluate_zero_shot, spoken, tiles_of
from geomm_engine.progress import run
from tests.engine.tiny_model import COLORS

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def write_picture(path: Path, word: str, size: int = 32) -> None:
    color = (np.array(COLORS[word]) * 255)[:, None, None]
    values = np.clip(color + np.random.default_rng(3).normal(0, 5, (3, size, size)), 0, 255).astype(np.uint8)
    with rasterio.open(path, "w", driver="PNG", width=size, height=size, count=3, dtype="uint8") as dataset:
        dataset.write(values)


@pytest.fixture
def pictures(folder: Path) -> Path:
    """Three forests, two waters and one picture of a town in the folder of water."""
    for name, words in {"Forest": ["forest"] * 3, "Water": ["water", "water", "town"]}.items():
        (folder / "classes" / name).mkdir(parents=True)
        for at, word in enumerate(words):
            write_picture(folder / "classes" / name / f"été {at}.png", word)
    return folder / "classes"


def test_names_of_folders_are_spoken() -> None:
    assert spoken("HerbaceousVegetation") == "herbaceous vegetation"
    assert spoken("dense_residential-area") == "dense residential area"


def test_right_and_wrong_pictures_are_counted(pictures: Path, tiny_model: str) -> None:
    (pictures / "Town").mkdir()
    write_picture(pictures / "Town" / "a.png", "town")
    report = run(evaluate_zero_shot(pictures, gsd_m=10, model=tiny_model))
    assert report.classes == ("Forest", "Town", "Water")
    assert report.confusion == ((3, 0, 0), (0, 1, 0), (0, 1, 2))
    assert report.top1 == pytest.approx(6 / 7)
    assert report.recall[2] == pytest.approx(2 / 3)


def test_a_class_list_gives_other_words(pictures: Path, tiny_model: str) -> None:
    entries = (ClassEntry("forest", ("woodland",)), ClassEntry("WATER", ("lake",)))
    report = run(evaluate_zero_shot(pictures, gsd_m=10, entries=entries, model=tiny_model))
    assert report.prompts == (("forest", "woodland"), ("WATER", "lake"))
    with pytest.raises(EngineError) as refusal:
        run(evaluate_zero_shot(pictures, gsd_m=10, entries=entries[:1], model=tiny_model))
    assert refusal.value.code is ErrorCode.CLASS_LIST_INVALID
    assert "Water" in refusal.value.text


def test_a_broken_picture_is_named_not_counted(pictures: Path, tiny_model: str) -> None:
    (pictures / "Forest" / "broken.png").write_bytes(b"no picture")
    report = run(evaluate_zero_shot(pictures, gsd_m=10, model=tiny_model))
    assert report.images == 6
    assert [Path(path).name for path in report.unreadable] == ["broken.png"]


def test_a_folder_without_classes_is_refused(folder: Path, tiny_model: str) -> None:
    with pytest.raises(EngineError) as refusal:
        run(evaluate_zero_shot(folder / "nowhere", gsd_m=10, model=tiny_model))
    assert refusal.value.code is ErrorCode.FOLDER_INVALID


def test_a_large_picture_is_seen_whole_or_in_tiles(tiny_model: str) -> None:
    card = read_card(Path(tiny_model)).card
    whole, seen_m = tiles_of(np.full((3, 128, 128), 0.5, np.float32), 1.0, card)
    assert whole.shape == (1, 3, 32, 32)
    assert seen_m == pytest.approx(4.0)
    tiles, seen_m = tiles_of(np.full((3, 128, 128), 0.5, np.float32), 15.0, card)
    assert tiles.shape == (16, 3, 32, 32)
    assert seen_m == pytest.approx(15.0)


@pytest.mark.parametrize("gsd_m", [0.0, -5.0, float("nan"), 1000.0])
def test_a_ground_pixel_that_the_model_does_not_read_is_refused(pictures: Path, tiny_model: str, gsd_m: float) -> None:
    with pytest.raises(EngineError) as refusal:
        run(evaluate_zero_shot(pictures, gsd_m=gsd_m, model=tiny_model))
    assert refusal.value.code is ErrorCode.GSD_OUT_OF_RANGE


def test_rasters_that_are_no_pictures_are_left_out_or_refused(folder: Path, tiny_model: str) -> None:
    for name in ("a", "b"):
        (folder / "ms" / name).mkdir(parents=True)
        with rasterio.open(
            folder / "ms" / name / "stack.tif", "w", driver="GTiff", width=8, height=8, count=13, dtype="uint16"
        ) as dataset:
            dataset.write(np.full((13, 8, 8), 900, dtype=np.uint16))
    with pytest.raises(EngineError) as refusal:
        run(evaluate_zero_shot(folder / "ms", gsd_m=10, model=tiny_model))
    assert refusal.value.code is ErrorCode.FOLDER_INVALID
    assert "8-bit" in refusal.value.text


def test_a_row_is_found_by_its_synonym(pictures: Path, tiny_model: str) -> None:
    entries = (ClassEntry("woodland", ("forest",)), ClassEntry("lake", ("water",)))
    assert run(evaluate_zero_shot(pictures, gsd_m=10, entries=entries, model=tiny_model)).images == 6
