"""Drawn places: every class is drawn, no two pictures are alike, and the same seed draws the same."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.errors import EngineError
from geomm_engine.training.captions import read_captions
from geomm_engine.training.config import find_config, read_config
from geomm_engine.training.drawing.far import FAR
from geomm_engine.training.drawing.near import NEAR
from geomm_engine.training.drawing.paper import Grounds
from geomm_engine.training.drawing.places import draw_places, grounds_of
from tests.engine.training.plain_grounds import AERIAL, photographs, plain_grounds


@pytest.fixture(scope="module")
def grounds() -> Grounds:
    return plain_grounds()


@pytest.mark.parametrize("name", ["near", "far"])
def test_every_class_is_drawn_anew_each_time_and_alike_with_one_seed(grounds: Grounds, name: str) -> None:
    painters = NEAR if name == "near" else FAR
    gsd_m = 1.3 if name == "near" else 6.0
    drawn = draw_places(name, gsd_m, 48, 2, 5, grounds, painters)
    assert drawn.pixels.shape == (2 * len(painters), 48, 48, 3)
    assert drawn.classes == tuple(f"{name}/{item}" for item in painters)
    assert len(np.unique(drawn.pixels.reshape(len(drawn.pixels), -1), axis=0)) == len(drawn.pixels)
    assert drawn.pixels.reshape(len(drawn.pixels), -1).std(axis=1).min() > 2
    again = draw_places(name, gsd_m, 48, 2, 5, grounds, painters)
    assert np.array_equal(drawn.pixels, again.pixels)


def test_every_drawn_class_has_captions() -> None:
    classes = read_captions().classes
    assert {f"near/{item}" for item in NEAR} | {f"far/{item}" for item in FAR} <= set(classes)


def test_photographs_that_are_drawn_on_must_come_first() -> None:
    with pytest.raises(EngineError, match="“eurosat” with Pasture does not come before"):
        grounds_of([photographs("ucmerced", 0.3, 64, AERIAL)])


def test_a_recipe_may_leave_sets_of_another_out() -> None:
    whole, part = read_config(find_config("geomm_nano")), read_config(find_config("ablation_scale_alibi"))
    left_out = {item.name for item in whole.pictures} - {item.name for item in part.pictures}
    assert left_out == {"near", "far", "squares"}
    assert all(set(size.gsd_m) == {item.name for item in part.pictures} for size in part.sizes)
