"""The fusion trainer on drawn scenes: starts at ln N, learns to find ground across sensors, resumes bit-equal, refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

from geomm_engine.errors import EngineError
from geomm_engine.progress import Progress, run
from geomm_engine.training.config import data_folder
from geomm_engine.training.fusion import FusionTrainer, load_ground, train_fusion
from geomm_engine.training.fusion_config import FUSION_RECIPES, find_fusion_config, read_fusion_config
from geomm_engine.training.fusion_data import Ground, held_out, windows_within
from geomm_engine.training.fusion_measure import retrieval
from tests.engine.training.written_recipe import written_recipe

RECIPE = (FUSION_RECIPES / "drawn.toml").read_text(encoding="utf-8")
SHORT = (("steps = 30", "steps = 4"), ("check_every = 10", "check_every = 2"), ("batch = 24", "batch = 6"))


def recipe(folder: Path, *changes: tuple[str, str], name: str = "recipe é.toml") -> Path:
    return written_recipe(folder / name, RECIPE, changes)


def test_drawn_recipe_learns_from_ln_n(folder: Path) -> None:
    job = train_fusion(find_fusion_config("drawn"), folder / "run", data=folder)
    steps = []
    while True:
        try:
            steps.append(next(job))
        except StopIteration as end:
            result = end.value
            break
    progress = [item for item in steps if isinstance(item, Progress)]
    assert (progress[-1].done, progress[-1].total) == (30, 30)
    history = json.loads((folder / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert history[0]["loss"] < math.log(24) * 1.1
    assert history[-1]["loss"] < history[0]["loss"] - 0.3
    rows = json.loads((folder / "run" / "retrieval.json").read_text(encoding="utf-8"))
    assert {(row["query"], row["gallery"]) for row in rows} == {
        ("high", "low"), ("low", "high"), ("high", "radar"), ("radar", "high"), ("low", "radar"), ("radar", "low"),
        ("high", "the others fused"), ("low", "the others fused"), ("radar", "the others fused"),
    }  # fmt: skip
    assert all(row["chance"] == 1 / 16 for row in rows)
    assert np.mean([row["recall_1"] for row in rows]) > 3 / 16
    assert np.mean([row["untrained"] for row in rows]) < 2 / 16
    radar = next(row for row in rows if row["query"] == "radar")
    assert (radar["scenes"], rows[0]["scenes"]) == (1, 2), "radar was there in one scene only"
    assert result.step == 30
    for name in ("curves.png", "config.toml", "environment.json", "checkpoint.pt", "best.pt"):
        assert (folder / "run" / name).stat().st_size > 0


def test_untrained_network_loses_ln_n(folder: Path) -> None:
    config, ground, teacher = load_ground(recipe(folder, ("batch = 24", "batch = 64")), folder)
    trainer = FusionTrainer(config, ground, teacher, "cpu")
    tiles = ground.batch(trainer.random)
    tokens = trainer.network.encode(tiles.stack, tiles.gsd_m)
    high, low, _ = trainer.network.alone(tokens)
    logits = trainer.network.scale * high @ low.T
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(64))
    assert float(loss.detach()) == pytest.approx(math.log(64), rel=0.1)


def test_resumed_run_is_bit_equal(folder: Path) -> None:
    whole = recipe(folder, *SHORT, name="whole.toml")
    half = recipe(folder, *SHORT, ("check_every = 2", "check_every = 2\nstop_after = 3"), name="half.toml")
    run(train_fusion(whole, folder / "one", data=folder))
    run(train_fusion(half, folder / "two", data=folder))
    run(train_fusion(whole, folder / "two", data=folder, is_resumed=True))
    one, two = (torch.load(folder / name / "checkpoint.pt", weights_only=True) for name in ("one", "two"))
    assert one["step"] == two["step"] == 4
    for part in ("network", "average"):
        for name, value in one[part].items():
            assert torch.equal(value, two[part][name]), (part, name)
    assert one["numpy_random"] == two["numpy_random"]
    assert (folder / "one" / "retrieval.json").read_bytes() == (folder / "two" / "retrieval.json").read_bytes()


def test_batch_of_one_and_a_sensor_that_is_nowhere_train(folder: Path) -> None:
    file = recipe(folder, *SHORT, ("batch = 6", "batch = 1"), ('name = "drawn-1"', 'name = "drawn-1"\nshare = 0.0'))
    result = run(train_fusion(file, folder / "run", data=folder))
    assert np.isfinite([item.loss for item in result.history]).all()
    network = torch.load(folder / "run" / "best.pt", weights_only=True)["network"]
    assert all(torch.isfinite(value).all() for value in network.values())


def test_training_keeps_clear_of_held_out_ground(folder: Path) -> None:
    config = read_fusion_config(recipe(folder, ("margin_px = 0", "margin_px = 3")))
    ground = Ground(config, folder)
    kept = held_out((128, 128), 32)
    assert kept.mean() == pytest.approx(0.25)
    for side, corners in zip(ground._sides, ground._corners[0], strict=True):
        assert len(corners)
        assert not any(
            kept[max(0, y - 3) : y + side + 3, max(0, x - 3) : x + side + 3].any() for y, x in corners.tolist()
        )
    tiles = ground.held_out_tiles()
    assert len(tiles) == 2 * 4 * 4
    assert np.bincount(tiles.block).tolist() == [4] * 8


def test_tiles_that_share_ground_are_no_wrong_answers(folder: Path) -> None:
    ground = Ground(read_fusion_config(recipe(folder, ("batch = 24", "batch = 80"))), folder)
    relation = ground.batch(np.random.default_rng(0)).relation
    assert torch.equal(torch.diagonal(relation), torch.ones(80, dtype=relation.dtype))
    assert torch.equal(relation, relation.T)
    assert (relation == -1).any()
    assert (relation == 0).any()


def test_bands_left_out_are_zeros_and_no_sensor_is_emptied(folder: Path) -> None:
    file = recipe(folder, ("gain = 0.03", "band_absent = 0.9"))
    tiles = Ground(read_fusion_config(file), folder).batch(np.random.default_rng(0))
    assert (tiles.stack[tiles.present == 0] == 0).all()
    assert (tiles.present.sum(dim=1) < tiles.has_band.sum(dim=1)).any()
    for own in (slice(0, 3), slice(3, 5), slice(5, 7)):
        assert torch.equal(tiles.present[:, own].any(dim=1), tiles.has_band[:, own].any(dim=1))


def test_windows_are_found_by_brute_force() -> None:
    mask = np.random.default_rng(0).random((9, 11)) < 0.8
    wanted = [[mask[y : y + 3, x : x + 3].mean() >= 0.7 for x in range(9)] for y in range(7)]
    assert np.array_equal(windows_within(mask, 3, 0.7), wanted)
    assert windows_within(mask, 12).size == 0


def test_retrieval_counts_within_scenes() -> None:
    vectors = np.eye(10, dtype=np.float32)
    scene, block = np.repeat([0, 1], 5), np.arange(10) // 2
    found = retrieval(("a", "b"), vectors, vectors, scene, block)
    assert found is not None
    assert (found.recall_1, found.chance, found.tiles, found.scenes, found.blocks) == (1.0, 0.2, 10, 2, 5)
    swapped = retrieval(("a", "b"), vectors, np.roll(vectors, 1, axis=0), scene, block)
    assert swapped is not None
    assert swapped.recall_1 == 0.0
    same = np.tile(vectors[:1], (10, 1))
    constant = retrieval(("a", "b"), same, same, scene, block)
    assert constant is not None
    assert constant.recall_1 == 0.0, "equal scores are no find"
    assert retrieval(("a", "b"), vectors[:3], vectors[:3], scene[:3], block[:3]) is None


def write_pair(folder: Path, *, pixel_m: float = 10.0, shift_m: float = 0.0) -> None:
    """A Sentinel-2-like and a radar raster of one place; radar may be shifted, or have other pixels."""
    random = np.random.default_rng(3)
    optical = random.integers(200, 4000, (5, 96, 96)).astype(np.uint16)
    radar = random.normal(-14, 3, (2, 96, 96)).astype(np.float32)
    for name, values, shift in (("S2L2A.tif", optical, 0.0), ("S1RTC.tif", radar, shift_m)):
        transform = Affine(pixel_m, 0, 5e5 + shift, 0, -pixel_m, 5e6)
        profile = {"driver": "GTiff", "height": 96, "width": 96, "count": len(values), "dtype": values.dtype}
        with rasterio.open(folder / name, "w", crs="EPSG:32633", transform=transform, **profile) as dataset:
            dataset.write(values)


FILES = (
    (
        'name = "drawn-1"\npaths = ["drawn"]',
        'name = "files"\npaths = ["S2L2A.tif", "S1RTC.tif"]\n'
        'roles = ["B02", "B03", "B04", "B05", "B06", "vv", "vh"]',
    ),
    ('[[scenes]]\nname = "drawn-2"\npaths = ["drawn"]\nroles = ["B02", "B03", "B04", "B05", "B06"]\n', ""),
)  # fmt: skip


def test_rasters_are_read_in_their_units(folder: Path) -> None:
    write_pair(folder)
    ground = Ground(read_fusion_config(recipe(folder, *FILES)), folder)
    scene = ground.scenes[0]
    with rasterio.open(folder / "S2L2A.tif") as optical, rasterio.open(folder / "S1RTC.tif") as radar:
        assert scene.values[0] == pytest.approx(optical.read(1) / 1e4, abs=1e-5)
        assert scene.values[6] == pytest.approx(np.clip((radar.read(2) + 35) / 45, 0, 1), abs=1e-5)
    assert scene.level == "surface_reflectance"
    assert scene.has_band.all()


@pytest.mark.parametrize(
    ("pair", "reason"),
    [({"pixel_m": 20.0}, "20 m wide"), ({"shift_m": 5e4}, "do not lie on one another"), (None, "does not exist")],
)
def test_faulty_scenes_are_refused_before_the_run_starts(
    folder: Path, pair: dict[str, float] | None, reason: str
) -> None:
    if pair is not None:
        write_pair(folder, **pair)
    with pytest.raises(EngineError, match=reason):
        run(train_fusion(recipe(folder, *FILES), folder / "run", data=folder))
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("steps = 30", "steps = 0", "at least 1"),
        ("patch_px = 8", "patch_px = 6", "divide tile_px"),
        ("patch_px = 8", "patch_px = 1", "target_px must divide"),
        ('"vv", "vh"', '"vv", "B02"', "same band"),
        ("heads = 4", "heads = 5", "heads must divide"),
        ("block_px = 32", "block_px = 8", "at least tile_px"),
        ("threads = 1", "threads = 1\nsurprise = 1", "surprise"),
        ("threads = 1", 'threads = 1\nteacher = "no such model"', "no such model"),
        ("tile_px = 16\nblock_px = 32", "tile_px = 256\nblock_px = 256", "No training tile"),
        ('name = "drawn-1"', 'name = "drawn-1"\neach = "nothing/*"', ""),
    ],
)
def test_faulty_configurations_are_refused(folder: Path, old: str, new: str, reason: str) -> None:
    if not reason:
        new, reason = 'each = "nothing/*"\nname = "x"\npaths = ["{}"]\n#', "Nothing in"
        old = 'name = "drawn-1"\npaths = ["drawn"]'
    with pytest.raises(EngineError, match=reason):
        run(train_fusion(recipe(folder, (old, new)), folder / "run", data=folder))
    assert not (folder / "run").exists()


def test_shipped_recipes_are_valid() -> None:
    assert {path.stem for path in FUSION_RECIPES.glob("*.toml")} >= {"sentinel", "drawn"}
    for path in FUSION_RECIPES.glob("*.toml"):
        read_fusion_config(path)


def test_nothing_to_resume_is_said(folder: Path) -> None:
    with pytest.raises(EngineError, match="no checkpoint"):
        run(train_fusion(recipe(folder), folder / "run", data=folder, is_resumed=True))
    with pytest.raises(EngineError, match="sentinel"):
        find_fusion_config("no such recipe")


@pytest.mark.shared_data
def test_real_scenes_are_read_rightly() -> None:
    """Sentinel-2 in reflectance, Sentinel-1 in decibel, one grid, radar held out at three places."""
    data = data_folder()
    if not (data / "scenes" / "multimodal_sites").is_dir():
        pytest.skip(f"the shared data is absent: no {data / 'scenes' / 'multimodal_sites'}")
    config = read_fusion_config(find_fusion_config("sentinel"))
    ground = Ground(replace(config, scenes=config.scenes[:1]), data)
    assert [scene.values.shape for scene in ground.scenes] == [(12, 224, 224)] * 3
    assert all(scene.has_band.all() and scene.level == "surface_reflectance" for scene in ground.scenes)
    for scene in ground.scenes:
        radar_db = scene.values[10:] * 45 - 35
        assert -20 < radar_db[0].mean() < -5
        assert radar_db[1].mean() < radar_db[0].mean(), "cross-polarised echoes are weaker"
        assert 0.1 < scene.values[3].mean() < 0.5, "near infrared reflectance of land"
    tiles = ground.held_out_tiles()
    assert np.bincount(tiles.scene).tolist() == [14, 14, 14]
