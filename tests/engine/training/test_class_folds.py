"""Classes that leave training: their pictures, and every caption that speaks of them alone, are gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from geomm_engine.progress import run
from geomm_engine.training.class_folds import evaluate_folds, folds
from geomm_engine.training.config import find_config, read_config
from geomm_engine.training.data import Lessons


def test_every_class_is_left_out_once_and_namesakes_together() -> None:
    captions = {"a/forest": "forest", "b/forest": "forest", "a/river": "river", "b/road": "road", "a/town": "town"}
    dealt = folds(captions, 3, 1)
    assert sorted(item for fold in dealt for item in fold) == sorted(captions)
    assert all(("a/forest" in fold) == ("b/forest" in fold) for fold in dealt)


def test_unseen_class_gives_neither_picture_nor_caption(folder: Path) -> None:
    config = replace(read_config(find_config("drawn")), unseen=("drawn/water",))
    lessons = Lessons(config, folder)
    gone = lessons.classes.index("drawn/water")
    own = [place for place, item in enumerate(lessons.captions.concept) if set(item.shows) == {"drawn/water"}]
    words = {word for place in own for word in lessons.captions.concept[place].words}
    random = np.random.default_rng(0)
    for _ in range(10):
        batch = lessons.batch(random)
        assert gone not in batch.labels
        assert gone not in batch.other_labels
    assert words
    assert not words & set(lessons._encoded)
    assert (lessons.validation[0].labels == gone).any()


def test_folds_are_trained_and_measured(folder: Path) -> None:
    config = read_config(find_config("drawn"))
    config = replace(config, schedule=replace(config.schedule, steps=3))
    table = run(evaluate_folds(config, folder, folder / "out", count=2))
    assert (folder / "out" / "class_folds.json").is_file()
    assert {row.fold for row in table.rows} == {0, 1}
    hidden = sum(row.pictures for row in table.rows)
    assert hidden == len(Lessons(config, folder).validation[0].labels)
    assert 0 <= table.pooled["drawn"]["among unseen names"][0] <= 1
