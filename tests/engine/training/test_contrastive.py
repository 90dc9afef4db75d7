"""The trainer on drawn pictures: it starts at ln N, learns, goes on exactly where it stopped, and refuses faulty runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geomm_engine.errors import EngineError
from geomm_engine.progress import Progress, run
from geomm_engine.training.config import Fall, Schedule, find_config, read_config
from geomm_engine.training.contrastive import Trainer, train_contrastive
from geomm_engine.training.data import Lessons
from geomm_engine.training.losses import contrastive_loss
from geomm_engine.training.recipe_files import RECIPES
from tests.engine.training.written_recipe import written_recipe

RECIPE = (RECIPES / "drawn.toml").read_text(encoding="utf-8")


def recipe(folder: Path, *changes: tuple[str, str], name: str = "recipe é.toml") -> Path:
    return written_recipe(folder / name, RECIPE, changes)


def test_untrained_network_loses_ln_n(folder: Path) -> None:
    config = read_config(recipe(folder, ("batch = 32", "batch = 256")))
    trainer = Trainer(config, Lessons(config, folder), "cpu")
    batch = trainer.lessons.batch(trainer.random)
    network = trainer.network
    images, texts = network.image_vectors(batch.images, batch.gsd_m), network.text_vectors(batch.tokens)
    loss = contrastive_loss(images, texts, network.scale, torch.eye(256))
    assert float(loss.detach()) == pytest.approx(math.log(256), rel=0.05)


def test_drawn_recipe_learns(folder: Path) -> None:
    steps = list(_items(train_contrastive(find_config("drawn"), folder / "run", data=folder)))
    progress = [item for item in steps if isinstance(item, Progress)]
    assert (progress[-1].done, progress[-1].total) == (60, 60)
    history = json.loads((folder / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert history[0]["loss"] < math.log(32) * 1.1
    # Eight pictures of a class share a target, so that even the best loss is near ln 8.
    assert history[-1]["loss"] < math.log(32) - 0.4
    assert history[-1]["text_metric"] > 0.4
    for name in ("curves.png", "config.toml", "environment.json", "checkpoint.pt", "best.pt"):
        assert (folder / "run" / name).stat().st_size > 0


def _items(job):
    """Everything that a job yields."""
    yield from job


def test_resumed_run_is_bit_equal(folder: Path) -> None:
    whole = recipe(folder, ("steps = 60", "steps = 6"), ("check_every = 20", "check_every = 2"), name="whole.toml")
    half = recipe(
        folder, ("steps = 60", "steps = 6\nstop_after = 3"), ("check_every = 20", "check_every = 2"), name="half.toml"
    )
    run(train_contrastive(whole, folder / "one", data=folder))
    run(train_contrastive(half, folder / "two", data=folder))
    run(train_contrastive(whole, folder / "two", data=folder, is_resumed=True))
    one, two = (torch.load(folder / name / "checkpoint.pt", weights_only=True) for name in ("one", "two"))
    assert one["step"] == two["step"] == 6
    for part in ("network", "average"):
        for name, value in one[part].items():
            assert torch.equal(value, two[part][name]), (part, name)
    assert torch.equal(one["extra"]["anchors"], two["extra"]["anchors"])
    assert one["numpy_random"] == two["numpy_random"]
    assert [item["loss"] for item in json.loads(one["history"])] == [
        item["loss"] for item in json.loads(two["history"])
    ]


def test_same_seed_gives_the_same_run(folder: Path) -> None:
    file = recipe(folder, ("steps = 60", "steps = 2"))
    for name in ("one", "two"):
        run(train_contrastive(file, folder / name, data=folder))
    one, two = (torch.load(folder / name / "checkpoint.pt", weights_only=True) for name in ("one", "two"))
    assert all(torch.equal(value, two["network"][name]) for name, value in one["network"].items())


def test_batch_of_one_trains(folder: Path) -> None:
    file = recipe(
        folder, ("batch = 32", "batch = 1"), ("steps = 60", "steps = 3"), ("check_every = 20", "check_every = 3")
    )
    result = run(train_contrastive(file, folder / "run", data=folder))
    assert np.isfinite([item.loss for item in result.history]).all()


def test_patience_ends_a_run_that_stands_still(folder: Path) -> None:
    file = recipe(
        folder,
        ("learning_rate = 5e-3", "learning_rate = 1e-12"),
        ("check_every = 20", "check_every = 1\npatience = 3"),
        ("batch = 32", "batch = 4"),
    )
    result = run(train_contrastive(file, folder / "run", data=folder))
    assert result.history[-1].step < 20


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("steps = 60", "steps = 0", "at least 1"),
        ("steps = 60", 'steps = "many"', "schedule.steps"),
        ("steps = 60", "steps = 60\nfalls = [{ steps = 0, learning_rate = 1e-4 }]", "at least 1"),
        ("gsd_m = { drawn", "gsd_m = { other", "ground pixel range"),
        ("mean = [0.4, 0.4, 0.4]", "mean = [0.4]", "3 bands"),
        ('file = "drawn"', 'file = "absent.zip"', "cannot be read"),
        ('name = "drawn"\n', 'name = "strange"\n', "ground pixel range"),
        ("vocabulary = 514", "vocabulary = 99", "514 tokens"),
        ('captions = "captions_drawn.toml"', 'captions = "captions.toml"', "do not know the classes"),
        ('captions = "captions_drawn.toml"', 'captions = "absent.toml"', "absent.toml"),
    ],
)
def test_faulty_run_is_refused_before_it_starts(folder: Path, old: str, new: str, reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        run(train_contrastive(recipe(folder, (old, new)), folder / "run", data=folder))
    assert not (folder / "run").exists()


def test_the_last_network_is_kept_where_the_recipe_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks get worse and worse: the best of them is the first, unless the last is wanted."""
    monkeypatch.setattr(Trainer, "rank", lambda _, check: (-float(check.step),))
    short = ("steps = 60", "steps = 4"), ("check_every = 20", "check_every = 2")
    chosen, last = (
        run(train_contrastive(recipe(folder, *short, *more, name=f"{name}.toml"), folder / name, data=folder))
        for name, more in (("best", ()), ("last", (("check_every = 2", "check_every = 2\nkeeps_last = true"),)))
    )
    assert (chosen.best_step, last.best_step) == (2, 4)
    kept = torch.load(folder / "last" / "best.pt", weights_only=True)
    average = torch.load(folder / "last" / "checkpoint.pt", weights_only=True)["average"]
    assert kept["step"] == 4
    assert all(torch.equal(value, average[name]) for name, value in kept["network"].items())


def test_nothing_to_resume_is_said(folder: Path) -> None:
    with pytest.raises(EngineError, match="no checkpoint"):
        run(train_contrastive(recipe(folder), folder / "run", data=folder, is_resumed=True))
    with pytest.raises(EngineError, match="geomm_nano"):
        find_config("no such recipe")


def test_shipped_recipes_are_valid() -> None:
    assert {path.stem for path in RECIPES.glob("*.toml")} >= {"geomm_nano", "drawn"}
    for path in RECIPES.glob("*.toml"):
        read_config(path)


def test_recipes_that_are_compared_are_short_and_alike() -> None:
    """They build on the built-in model's recipe, and take over whatever they do not say."""
    compared = [read_config(path) for path in RECIPES.glob("ablation_*.toml")]
    assert len(compared) == 6
    assert {config.schedule for config in compared} == {compared[0].schedule}
    assert compared[0].schedule.all_steps == 250


def test_learning_rate_warms_up_falls_and_cools() -> None:
    schedule = Schedule(
        steps=100, learning_rate=1.0, warmup=10, weight_decay=0.0, averaging=0.9, check_every=10,
        falls=(Fall(50, 0.2), Fall(20, 0.1, is_in_natural_light=True)),
    )  # fmt: skip
    assert schedule.all_steps == 170
    assert [schedule.rate_at(step) for step in (0, 9, 10, 55)] == pytest.approx([0.1, 1.0, 1.0, 0.505])
    assert schedule.rate_at(99) == pytest.approx(0.01, abs=1e-3)
    assert schedule.rate_at(100) == pytest.approx(0.2)
    assert schedule.rate_at(149) == pytest.approx(0.002, abs=1e-3)
    assert schedule.rate_at(150) == pytest.approx(0.1)
    assert [schedule.is_in_natural_light(step) for step in (0, 99, 100, 149, 150, 169)] == [False] * 4 + [True] * 2


def test_natural_light_leaves_low_sun_and_tint_away(folder: Path) -> None:
    config = read_config(recipe(folder))
    lit = replace(config, jitter=replace(config.jitter, low_sun_share=1.0, tint_share=1.0))
    plain = replace(config, jitter=replace(config.jitter, low_sun_share=0.0, tint_share=0.0))
    one, other, changed = (
        Lessons(item, folder).batch(np.random.default_rng(1), is_in_natural_light=is_natural).images
        for item, is_natural in ((lit, True), (plain, False), (lit, False))
    )
    assert torch.equal(one, other)
    assert not torch.equal(one, changed)


def test_a_checkpoint_of_another_recipe_is_refused(folder: Path) -> None:
    short = ("steps = 60", "steps = 4\nstop_after = 2")
    run(train_contrastive(recipe(folder, short), folder / "run", data=folder))
    other = recipe(folder, short, ("seed = 1", "seed = 2"), name="other.toml")
    with pytest.raises(EngineError, match="another recipe"):
        run(train_contrastive(other, folder / "run", data=folder, is_resumed=True))
