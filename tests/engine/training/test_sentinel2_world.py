"""Sentinel-2 ground named by eye: every named square is read, as one place; a missing band is said before training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geomm_engine.errors import EngineError
from geomm_engine.training.config import data_folder
from geomm_engine.training.pictures import split
from geomm_engine.training.sentinel2_world import PLAIN_FOLDER, read_cells, read_patches


@pytest.mark.shared_data
def test_named_squares_are_one_place_and_all_for_learning() -> None:
    if not (data_folder() / PLAIN_FOLDER).is_dir():
        pytest.skip(f"the shared data is absent: no {data_folder() / PLAIN_FOLDER}")
    found = read_cells("plain", data_folder())
    assert found.pixels.shape == (93, 64, 64, 3)
    assert found.classes == tuple(f"plain/{name}" for name in ("Fields", "Forest", "Lake", "River", "Town", "Wetland"))
    assert np.bincount(found.labels).min() >= 5
    assert len(np.unique(found.pixels.reshape(93, -1), axis=0)) == 93
    training, validation = split(found, 0.15, 2026)
    assert (len(training.labels), len(validation.labels)) == (93, 0)


def test_a_missing_file_is_said_before_training(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"B04\.tif cannot be read"):
        read_cells("plain", tmp_path)
    with pytest.raises(EngineError, match=r"patch_\d+\.tif cannot be read"):
        read_patches("world", tmp_path)
