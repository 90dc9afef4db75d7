"""A class map against known classes: tiles of one clear class, other grids, names, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geomm_engine.contract import ClassEntry, ClassifyParams, ErrorCode, RasterSource
from geomm_engine.errors import EngineError
from geomm_engine.evaluation.agreement import evaluate_map, read_names
from geomm_engine.pipeline.classify import classify
from geomm_engine.progress import run

CLASSES = tuple(ClassEntry(name) for name in ("forest", "water", "town"))


def write_truth(path: Path, values: np.ndarray, pixel: float, tags: dict[str, str]) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype="uint8",
        crs="EPSG:32633", transform=Affine(pixel, 0, 5e5, 0, -pixel, 5e6),
    ) as dataset:  # fmt: skip
        dataset.write(values.astype(np.uint8), 1)
        dataset.update_tags(1, **tags)
    return path


@pytest.fixture
def tiles(landscape: Path, folder: Path, tiny_model: str) -> Path:
    """The class map of a landscape that is forest west, water east, town in the south."""
    params = ClassifyParams(RasterSource((str(landscape),)), CLASSES, str(folder / "map"), tiny_model, is_smooth=False)
    return Path(run(classify(params)).tiles_path)


@pytest.fixture
def truth_values() -> np.ndarray:
    """The landscape's classes on a grid of twice its pixel size: 1 forest, 2 water, 3 town."""
    values = np.ones((128, 160), dtype=np.uint8)
    values[:, 80:] = 2
    values[80:, :] = 3
    return values


def test_a_right_map_agrees_on_another_grid(tiles: Path, folder: Path, truth_values: np.ndarray) -> None:
    tags = {"CLASS_1": "forest", "CLASS_2": "water", "CLASS_3": "town"}
    report = evaluate_map(tiles, write_truth(folder / "truth é.tif", truth_values, 20.0, tags))
    assert report.agreement == 1.0
    assert report.clear_tiles == report.tiles == 320
    assert report.agreement_interval_95[0] > 0.98


def test_a_wrong_truth_does_not_agree(tiles: Path, folder: Path, truth_values: np.ndarray) -> None:
    swapped = {"CLASS_1": "water", "CLASS_2": "forest", "CLASS_3": "town"}
    report = evaluate_map(tiles, write_truth(folder / "truth.tif", truth_values, 20.0, swapped))
    town = report.classes.index("town")
    assert report.agreement == pytest.approx(sum(report.confusion[town]) / report.clear_tiles)
    assert report.recall[report.classes.index("water")] == 0.0


def test_values_without_a_name_are_left_out(tiles: Path, folder: Path, truth_values: np.ndarray) -> None:
    truth = write_truth(folder / "truth.tif", truth_values, 20.0, {})
    report = evaluate_map(tiles, truth, {3: "town"})
    assert report.tiles == 120
    assert report.agreement == 1.0


def test_values_of_one_name_count_together_whatever_its_case(
    tiles: Path, folder: Path, truth_values: np.ndarray
) -> None:
    plain = evaluate_map(tiles, write_truth(folder / "plain.tif", truth_values, 20.0, {}), {1: "forest", 2: "water"})
    truth_values[(np.add.outer(np.arange(128), np.arange(160)) % 2 == 0) & (truth_values == 1)] = 7
    mixed = write_truth(folder / "mixed.tif", truth_values, 20.0, {})
    found = evaluate_map(tiles, mixed, {1: "Forest", 7: "forest", 2: "WATER"})
    assert found == plain
    assert found.clear_tiles > 0


def test_a_tile_that_reaches_beyond_the_truth_is_not_clear(tiles: Path, folder: Path, truth_values: np.ndarray) -> None:
    names = {1: "forest", 2: "water", 3: "town"}
    narrow = write_truth(folder / "narrow.tif", truth_values[:, :81], 20.0, {})
    found = evaluate_map(tiles, narrow, names)
    assert found.tiles > found.clear_tiles == 160


def test_names_that_the_map_does_not_know_are_refused(tiles: Path, folder: Path, truth_values: np.ndarray) -> None:
    truth = write_truth(folder / "truth.tif", truth_values, 20.0, {"CLASS_1": "glacier"})
    with pytest.raises(EngineError) as refusal:
        evaluate_map(tiles, truth)
    assert refusal.value.code is ErrorCode.CLASS_LIST_INVALID
    assert "--names" in refusal.value.cure


def test_names_are_read_and_checked(folder: Path) -> None:
    path = folder / "names.json"
    path.write_text(json.dumps({"1": "water", "11": "grassland"}), encoding="utf-8")
    assert read_names(path) == {1: "water", 11: "grassland"}
    path.write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(EngineError):
        read_names(path)
