"""Sentinel-2 ground named by eye: every named square is read, as one place; a missing band is said before training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geomm_engine.errors import EngineError
from geomm_engine.training.captions import read_captions
from geomm_engine.training.config import data_folder
from geomm_engine.training.pictures import split
from geomm_engine.training.sentinel2_world import PLAIN_FOLDER, read_patches, read_squares


@pytest.fixture
def scenes() -> Path:
    if not (data_folder() / PLAIN_FOLDER).is_dir():
        pytest.skip(f"the shared data is absent: no {data_folder() / PLAIN_FOLDER}")
    return data_folder()


@pytest.mark.shared_data
def test_named_squares_are_one_place_and_all_for_learning(scenes: Path) -> None:
    found = read_squares("squares", scenes)
    assert found.pixels.shape == (162, 64, 64, 3)
    assert set(found.classes) == {name for name in read_captions().classes if name.startswith("squares/")}
    assert np.bincount(found.labels).min() >= 4
    assert len(np.unique(found.pixels.reshape(162, -1), axis=0)) == 162
    training, validation = split(found, 0.15, 2026)
    assert (len(training.labels), len(validation.labels)) == (162, 0)


@pytest.mark.shared_data
def test_no_patch_is_named_both_whole_and_by_square(scenes: Path) -> None:
    whole = read_patches("world", scenes)
    assert whole.pixels.shape == (9, 256, 256, 3)
    assert set(whole.classes) == {name for name in read_captions().classes if name.startswith("world/")}
    corners = {item[:64, :64].tobytes() for item in whole.pixels}
    assert corners.isdisjoint(item.tobytes() for item in read_squares("squares", scenes).pixels)


def test_a_missing_file_is_said_before_training(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"B04\.tif cannot be read"):
        read_squares("squares", tmp_path)
    with pytest.raises(EngineError, match=r"patch_\d+\.tif cannot be read"):
        read_patches("world", tmp_path)
