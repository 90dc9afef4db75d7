"""The geographic trainer on a drawn planet: it learns, resumes bit by bit, survives the sea, exports, refuses faults."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geomm_engine.errors import EngineError
from geomm_engine.geography.expert import open_expert
from geomm_engine.progress import run
from geomm_engine.training.blocks import Part
from geomm_engine.training.drawn_earth import draw_world
from geomm_engine.training.geographic import Trainer, read_world, train_geographic
from geomm_engine.training.geographic_config import (
    GEOGRAPHIC_RECIPES,
    find_geographic_config,
    read_geographic_config,
)
from geomm_engine.training.geographic_export import export_expert
from geomm_engine.training.places import Batch, Widths, draw_pool, ground_squares
from tests.engine.training.written_recipe import written_recipe

RECIPE = (GEOGRAPHIC_RECIPES / "drawn.toml").read_text(encoding="utf-8")


def recipe(folder: Path, *changes: tuple[str, str], name: str = "recette é.toml") -> Path:
    return written_recipe(
        folder / name, RECIPE, (("pool = 512", "pool = 96"), ("validation = 48", "validation = 12"), *changes)
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("école é")
    file = recipe(folder, ("held_out = 96", "held_out = 12"), ("lattice = 300", "lattice = 120"))
    run(train_geographic(file, folder / "run", data=folder))
    return folder


def test_the_loss_falls(trained: Path) -> None:
    history = json.loads((trained / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert [item["step"] for item in history] == [10, 20, 30]
    assert history[-1]["loss"] < history[0]["loss"] - 0.5
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    for name in ("config.toml", "environment.json", "checkpoint.pt", "best.pt", "curves.png"):
        assert (trained / "run" / name).stat().st_size > 0


def test_export_gives_a_measured_expert(trained: Path) -> None:
    exported = export_expert(trained / "recette é.toml", trained / "run", trained / "model", data=trained)
    assert exported.deviation < 0.02
    expert = open_expert(str(trained / "model"))
    assert not expert.folder.damaged_files()
    metrics = {item.metric for item in expert.card.measured if item.dataset == "held-out blocks"}
    assert metrics >= {"median error (km)", "within 2000 km", "in the 90% region", "Köppen fine", "hemisphere"}
    assert any("nearest training embedding" in item.protocol for item in expert.card.measured)
    assert "with coast, median error (km)" in metrics
    for size in (1, 16, 40):
        answer = expert.answer(np.full((2, 3, size, size), 0.4, np.float32), 6000.0)
        assert np.isfinite(answer.log_weights).all()
        assert np.isfinite(answer.season).all()
        assert answer.land.shape == (2, 16, 16)
        assert ((answer.land >= 0) & (answer.land <= 1)).all()
        np.testing.assert_allclose(answer.climates.sum(axis=1), np.ones((2, 8, 8)), atol=1e-6)


def test_the_expert_holds_the_maps_of_its_own_planet(trained: Path) -> None:
    config = read_geographic_config(trained / "recette é.toml")
    export_expert(trained / "recette é.toml", trained / "run", trained / "mapped", data=trained)
    maps, world = open_expert(str(trained / "mapped")).maps, read_world(config, trained)
    assert maps is not None
    lat, lon = np.array([41.1, -10.3, 72.6]), np.array([10.1, -60.4, 150.2])
    rows, columns = ((90 - lat) * 4).astype(int), ((lon + 180) * 4).astype(int)
    assert (maps.land[rows, columns] > 0.5).tolist() == world.land.at(lat, lon).tolist()
    assert maps.climate[rows, columns].tolist() == world.koppen.at(lat, lon).tolist()
    (trained / "mapped" / "maps.npz").write_bytes(b"PK" + bytes((trained / "mapped" / "maps.npz").stat().st_size - 2))
    with pytest.raises(EngineError, match=r"maps\.npz cannot be read"):
        open_expert(str(trained / "mapped"))


def test_squares_follow_the_picture(folder: Path) -> None:
    world = draw_world(1)
    pool = draw_pool(world, 24, Widths((400, 600), (400, 600)), Part.TRAINING, np.random.default_rng(0))
    neither, all_of_them = np.zeros(24, bool), np.ones(24, bool)
    land, climates = ground_squares(world, pool, neither)
    mirrored, other = ground_squares(world, pool, all_of_them)
    assert torch.equal(mirrored, land.flip(2))
    for number in range(31):
        assert torch.equal((other == number).float().mean(dim=1), (climates == number).float().mean(dim=1).flip(2))
    np.testing.assert_allclose(land.mean(dim=(1, 2)).numpy(), pool.land, atol=0.05)


def test_resumed_run_is_bit_equal(folder: Path) -> None:
    changes = (("check_every = 10", "check_every = 2"), ("lattice = 300", "lattice = 60"))
    whole = recipe(folder, ("steps = 30", "steps = 4"), *changes, name="whole.toml")
    half = recipe(folder, ("steps = 30", "steps = 4\nstop_after = 3"), *changes, name="half.toml")
    run(train_geographic(whole, folder / "one", data=folder))
    run(train_geographic(half, folder / "two", data=folder))
    run(train_geographic(whole, folder / "two", data=folder, is_resumed=True))
    one, two = (torch.load(folder / name / "checkpoint.pt", weights_only=True) for name in ("one", "two"))
    assert one["step"] == two["step"] == 4
    for part in ("network", "average"):
        assert all(torch.equal(value, two[part][name]) for name, value in one[part].items())
    assert [item["validation_loss"] for item in json.loads(one["history"])] == [
        item["validation_loss"] for item in json.loads(two["history"])
    ]


def test_an_all_sea_batch_is_finite_and_teaches_to_abstain(folder: Path) -> None:
    config = read_geographic_config(recipe(folder, ("lattice = 300", "lattice = 60")))
    trainer = Trainer(config, read_world(config, folder), "cpu")
    batch = trainer.lessons.at(0)
    none = torch.zeros_like(batch.is_land)
    sea: Batch = replace(batch, is_land=none, is_dated=none, is_seen=none)
    assert np.isfinite(trainer.learn(sea))
    assert all(torch.isfinite(item).all() for item in trainer.network.parameters())
    assert np.isfinite(trainer.learn(batch))


def test_batches_depend_on_seed_and_step_alone(folder: Path) -> None:
    config = read_geographic_config(recipe(folder, ("lattice = 300", "lattice = 60")))
    lessons = Trainer(config, read_world(config, folder), "cpu").lessons
    first, again, other = lessons.at(7), lessons.at(7), lessons.at(8)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert 0 <= float(first.images.min()) <= float(first.images.max()) <= 1
    assert torch.allclose(first.climate.sum(dim=1), torch.ones(len(first.climate)), atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("steps = 30", "steps = 0", "at least 1"),
        ("px = 16", 'px = "many"', "px"),
        ("std = [0.25, 0.25, 0.25]", "std = [0.25, 0.0, 0.25]", "above 0"),
        ("strides = [2, 2]", "strides = [2]", "equally many"),
        ('mosaics = "drawn"', 'mosaics = "absent"', "one picture YYYYMM.jpg a month"),
        ("threads = 1", 'threads = 1\nstart = "absent.tflite"', "network to start from"),
    ],
)
def test_faulty_run_is_refused_before_it_starts(folder: Path, old: str, new: str, reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        run(train_geographic(recipe(folder, (old, new)), folder / "run", data=folder))
    assert not (folder / "run").exists()


def test_nothing_to_resume_or_export_is_said(folder: Path) -> None:
    with pytest.raises(EngineError, match="no checkpoint"):
        run(train_geographic(recipe(folder), folder / "run", data=folder, is_resumed=True))
    with pytest.raises(EngineError, match="no trained expert"):
        export_expert(recipe(folder), folder / "run", folder / "model", data=folder)
    with pytest.raises(EngineError, match="geomm_where"):
        find_geographic_config("no such recipe")


def test_shipped_recipes_are_valid() -> None:
    assert {path.stem for path in GEOGRAPHIC_RECIPES.glob("*.toml")} == {"geomm_where", "drawn"}
    for path in GEOGRAPHIC_RECIPES.glob("*.toml"):
        read_geographic_config(path)
