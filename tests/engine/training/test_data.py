"""Batches: balanced classes, captions that fit, and which pairs count as wrong answers across sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geomm_engine.training.captions import CAPTIONS_FILE
from geomm_engine.training.clouds import draw_clouds
from geomm_engine.training.config import ContrastiveConfig, find_config, read_config
from geomm_engine.training.data import Lessons


@pytest.fixture
def config() -> ContrastiveConfig:
    return read_config(find_config("drawn"))


def test_batch_is_balanced_and_every_caption_fits(config: ContrastiveConfig, folder: Path) -> None:
    lessons = Lessons(replace(config, gsd_lie_share=0.0), folder)
    random = np.random.default_rng(0)
    counts = np.zeros(4, dtype=int)
    for _ in range(20):
        batch = lessons.batch(random)
        assert batch.images.shape == (32, 3, 32, 32)
        assert batch.relation.shape == (32, 32)
        own = batch.relation.diagonal()
        assert ((own >= batch.own_share - 1e-6) | (own < 0) & (batch.own_share < 1)).all()
        assert (batch.own_share < 1).any()
        assert ((batch.gsd_m > 7.0 * 0.8) & (batch.gsd_m < 14.0 * 1.2)).all()
        counts += np.bincount(batch.labels, minlength=4)
    assert counts.min() > 0.15 * counts.sum()


def test_absent_captions_answer_to_no_picture(config: ContrastiveConfig, folder: Path) -> None:
    lessons = Lessons(replace(config, absent_captions=5), folder)
    lessons.absent = ("volcano",)
    batch = lessons.batch(np.random.default_rng(0))
    assert batch.relation.shape == (32, 37)
    assert (batch.relation[:, 32:] == 0).all()
    assert (batch.shows[32:] == 0).all()
    assert batch.tokens.shape[0] == 37


def test_clouds_are_mostly_cloud_and_repeat() -> None:
    pictures = draw_clouds("clouds", 10.0, 32, 40, 3)
    assert np.array_equal(pictures.pixels, draw_clouds("clouds", 10.0, 32, 40, 3).pixels)
    grey = np.ptp(pictures.pixels.astype(int), axis=3).mean()
    assert pictures.pixels.mean() > 110
    assert grey < 40
    assert pictures.classes == ("clouds/Cloud",)


ELSEWHERE = """
[[concept]]
id = "elsewhere"
is = ["other/field", "other/forest", "other/town", "other/water"]
words = ["elsewhere"]
"""


@pytest.mark.parametrize(("group", "relation"), [("", -1), ("drawn", 0)])
def test_groups_decide_what_nobody_looked_for(
    config: ContrastiveConfig, folder: Path, group: str, relation: int
) -> None:
    shipped = (CAPTIONS_FILE.parent / "captions_drawn.toml").read_text(encoding="utf-8")
    names = "".join(f'"other/{item}" = "{item}"\n' for item in ("field", "forest", "town", "water"))
    captions = folder / "captions.toml"
    captions.write_text(shipped.replace("[classes]\n", "[classes]\n" + names) + ELSEWHERE, encoding="utf-8")
    other = replace(config.pictures[0], name="other", group=group)
    size = replace(config.sizes[0], gsd_m={"drawn": (7.0, 14.0), "other": (7.0, 14.0)})
    lessons = Lessons(
        replace(config, captions=str(captions), pictures=(config.pictures[0], other), sizes=(size,)), folder
    )
    # No picture of the set "other" is said to show a field: within one group it shows none, else nobody looked.
    field, water = lessons.classes.index("drawn/field"), lessons.classes.index("other/water")
    shows = lessons.batch(np.random.default_rng(0)).shows
    asks_for_field = (shows[:, field] == 1) & (shows[:, lessons.classes.index("drawn/forest")] == 0)
    assert asks_for_field.any()
    assert set(shows[asks_for_field, water].tolist()) == {relation}
