"""Classes that leave training: their pictures, and every caption that speaks of them alone, are gone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geomm_engine.contract import decode
from geomm_engine.errors import EngineError
from geomm_engine.progress import Progress
from geomm_engine.training.captions import read_captions
from geomm_engine.training.class_folds import MEAN_OF_SETS, FoldRow, FoldTable, evaluate_folds, folds, lead_of
from geomm_engine.training.config import find_config, read_config
from geomm_engine.training.data import Lessons


def test_every_class_is_left_out_once_and_namesakes_together() -> None:
    captions = {"a/forest": "forest", "b/forest": "forest", "a/river": "river", "b/road": "road", "a/town": "town"}
    dealt = folds(captions, 3, 1)
    assert sorted(item for fold in dealt for item in fold) == sorted(captions)
    assert all(("a/forest" in fold) == ("b/forest" in fold) for fold in dealt)


def test_every_fold_asks_for_as_many_names_of_a_set() -> None:
    captions = read_captions().classes
    sets = {name: [item for item in captions if item.startswith(name)] for name in ("eurosat/", "ucmerced/")}
    asked = {item: captions[item] for own in sets.values() for item in own}
    deals = [folds(asked, 5, seed) for seed in (1, 2)]
    assert deals[0] != deals[1]
    assert len(sets["eurosat/"]) == 10
    for fold in (fold for dealt in deals for fold in dealt):
        assert sum(item in fold for item in sets["eurosat/"]) == 2
        assert 3 <= sum(item in fold for item in sets["ucmerced/"]) <= 5


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


def test_lessons_without_a_class_are_those_that_never_had_it(folder: Path) -> None:
    config = read_config(find_config("drawn"))
    every = Lessons(config, folder)
    batches = [
        lessons.batch(np.random.default_rng(3))
        for lessons in (every.without(("drawn/water",)), Lessons(replace(config, unseen=("drawn/water",)), folder))
    ]
    for name in ("images", "labels", "tokens", "relation"):
        assert torch.equal(getattr(batches[0], name), getattr(batches[1], name))
    assert every.classes.index("drawn/water") in every.batch(np.random.default_rng(3)).labels


def test_folds_are_trained_and_measured(folder: Path) -> None:
    config = read_config(find_config("drawn"))
    config = replace(config, schedule=replace(config.schedule, steps=3))
    other = replace(config, id="other", schedule=replace(config.schedule, steps=2))
    done = list(evaluate_folds([config, other], folder, folder / "out", count=2, repeats=2))
    table = decode(FoldTable, json.loads((folder / "out" / "class_folds.json").read_text(encoding="utf-8")), "folds")
    trained = [item for item in done if isinstance(item, Progress) and item.stage == "train"]
    assert [item.done for item in trained] == list(range(1, 21))
    assert {item.total for item in trained} == {20}
    assert table.steps == {config.id: 3, "other": 2}
    every = [(recipe, repeat, fold) for repeat in range(2) for recipe in (config.id, "other") for fold in range(2)]
    assert [(row.recipe, row.repeat, row.fold) for row in table.rows] == every
    for recipe in table.steps:
        own = [row for row in table.rows if row.recipe == recipe]
        for repeat in range(2):
            hidden = sum(row.pictures for row in own if row.repeat == repeat)
            assert hidden == len(Lessons(config, folder).validation[0].labels)
        share, low, high = table.shares[recipe]["drawn"]["among unseen names"]
        assert share == pytest.approx(
            sum(row.right_among_unseen for row in own) / sum(row.pictures for row in own), abs=1e-4
        )
        assert low <= share <= high
    shares = [table.shares[recipe]["drawn"]["among unseen names"][0] for recipe in table.steps]
    assert table.lead.keys() == {"other"}
    assert table.lead["other"]["drawn"][0] == pytest.approx(shares[0] - shares[1], abs=2e-4)


def test_lead_is_told_set_by_set_and_as_their_mean() -> None:
    def row(recipe: str, fold: int, name: str, pictures: int, right: int) -> FoldRow:
        return FoldRow(recipe, 0, fold, name, (), pictures, right, 0.5, right, 0.1, 10, 9, 0.5, 0.5)

    rows = [
        row("own", 0, "many", 100, 90),
        row("own", 0, "few", 10, 4),
        row("own", 1, "many", 100, 90),
        row("own", 1, "few", 10, 4),
        row("own", 2, "many", 100, 0),
        row("own", 2, "few", 0, 0),  # no name of this set was left out: the fold does not count
    ]
    rows += [replace(item, recipe="start", right_among_unseen=item.right_among_unseen // 2) for item in rows]
    lead = lead_of(rows)
    assert lead == {
        "start": {
            "many": pytest.approx((0.45, 0.45, 0.45)),
            "few": pytest.approx((0.2, 0.2, 0.2)),
            MEAN_OF_SETS: pytest.approx((0.325, 0.325, 0.325)),
        }
    }
    assert lead_of(rows[:6]) == {}


def test_two_recipes_of_one_name_are_refused(folder: Path) -> None:
    config = read_config(find_config("drawn"))
    with pytest.raises(EngineError, match="same id"):
        next(evaluate_folds([config, config], folder, folder / "out"))
    assert not (folder / "out").exists()
