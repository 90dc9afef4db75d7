"""Recipes are compared over the same seeds, at the size of the lessons and at others, and the table is on disk."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from geomm_engine.errors import EngineError
from geomm_engine.progress import Job, run
from geomm_engine.training.compare import compare
from geomm_engine.training.config import find_config, read_config
from geomm_engine.training.data import Lessons
from geomm_engine.training.language import Language, learn_language

pytestmark = pytest.mark.slow


def test_every_recipe_has_every_seed_and_its_own_figures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geomm_engine.training.compare.SMALLEST_PX", 16)
    config = read_config(find_config("drawn"))
    short = replace(config, schedule=replace(config.schedule, steps=2))
    network = replace(short.network, image=replace(short.network.image, position="learned"))
    other = replace(short, id="other", network=network)
    table = run(compare([short, other], folder, folder / "out", seeds=(1, 2)))
    assert {(item.recipe, item.seed) for item in table.figures} == {(r, s) for r in (short.id, "other") for s in (1, 2)}
    assert json.loads((folder / "out" / "comparison.json").read_text(encoding="utf-8"))["steps"] == {
        short.id: 2,
        "other": 2,
    }
    for row in table.summary:
        own = [f.top_1 for f in table.figures if (f.recipe, f.set_name, f.px) == (row.recipe, row.set_name, row.px)]
        assert len(own) == 2
        assert row.mean == pytest.approx(sum(own) / 2, abs=1e-4)
        assert row.is_usual == (row.px == config.sizes[0].px)
        assert row.deviation is not None
        assert (row.agreement == 1.0) >= row.is_usual
        assert (row.cosine > 0.9999) == row.is_usual
    assert len({row.px for row in table.summary}) > 1


def test_a_set_that_a_card_does_not_count_is_compared_too(folder: Path) -> None:
    config = read_config(find_config("drawn"))
    uncounted = tuple(replace(source, is_measured=False) for source in config.pictures)
    short = replace(config, pictures=uncounted, schedule=replace(config.schedule, steps=1))
    table = run(compare([short], folder, folder / "out", seeds=(1,)))
    assert {row.set_name for row in table.summary} == {"drawn"}


def test_recipes_that_speak_alike_learn_their_language_once_a_seed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_config(find_config("drawn"))
    short = replace(config, schedule=replace(config.schedule, steps=1))
    network = replace(short.network, image=replace(short.network.image, position="learned"))
    learned: list[tuple[str, int]] = []

    def learn(lessons: Lessons) -> Job[Language | None]:
        learned.append((lessons.config.id, lessons.config.seed))
        return (yield from learn_language(lessons))

    monkeypatch.setattr("geomm_engine.training.compare.learn_language", learn)
    run(compare([short, replace(short, id="other", network=network)], folder, folder / "out", seeds=(1, 2)))
    assert learned == [(short.id, 1), (short.id, 2)]


def test_two_recipes_of_one_name_are_refused_before_anything_is_trained(folder: Path) -> None:
    config = read_config(find_config("drawn"))
    with pytest.raises(EngineError, match="same id"):
        run(compare([config, config], folder, folder / "out", seeds=(1,)))
    assert not (folder / "out").exists()
