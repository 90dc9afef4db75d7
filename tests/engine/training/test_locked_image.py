"""The text tower learns alone beside the image tower of a finished model, which gives the same vectors afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geomm_engine.encoders.card import read_card
from geomm_engine.errors import ModelError
from geomm_engine.progress import run
from geomm_engine.training.config import find_config, read_config
from geomm_engine.training.contrastive import locked_tower, train_contrastive
from geomm_engine.training.export import export_model
from geomm_engine.training.recipe_files import RECIPES
from tests.engine.training.written_recipe import written_recipe

RECIPE = (RECIPES / "drawn.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose towers both learned."""
    folder = tmp_path_factory.mktemp("modèle fini")
    run(train_contrastive(find_config("drawn"), folder / "run", data=folder))
    return export_model(find_config("drawn"), folder / "run", folder / "model", data=folder).folder


def locked_recipe(folder: Path, model: Path, steps: int, *, stop_after: int = 0, name: str = "locked.toml") -> Path:
    return written_recipe(
        folder / name,
        RECIPE,
        [
            ('id = "drawn"', f'id = "drawn"\nlocked_image = "{model}"'),
            ("steps = 60", f"steps = {steps}\nstop_after = {stop_after}"),
            ("check_every = 20", f"check_every = {steps // 2}"),
        ],
    )


def test_words_are_learned_and_pictures_keep_their_vectors(folder: Path, finished: Path) -> None:
    recipe = locked_recipe(folder, finished, 40)
    result = run(train_contrastive(recipe, folder / "run", data=folder))
    assert result.history[-1].loss < result.history[0].loss
    exported = export_model(recipe, folder / "run", folder / "model", data=folder)
    before, after = read_card(finished), read_card(exported.folder)
    for role, is_kept in (("image", True), ("weights", True), ("text", False)):
        assert (before.file(role).read_bytes() == after.file(role).read_bytes()) == is_kept, role


def test_resumed_run_is_bit_equal(folder: Path, finished: Path) -> None:
    whole = locked_recipe(folder, finished, 4)
    half = locked_recipe(folder, finished, 4, stop_after=2, name="half.toml")
    run(train_contrastive(whole, folder / "one", data=folder))
    run(train_contrastive(half, folder / "two", data=folder))
    run(train_contrastive(whole, folder / "two", data=folder, is_resumed=True))
    one, two = (torch.load(folder / name / "checkpoint.pt", weights_only=True) for name in ("one", "two"))
    assert one["step"] == two["step"] == 4
    assert all(torch.equal(value, two["network"][name]) for name, value in one["network"].items())


def test_another_architecture_is_refused(finished: Path) -> None:
    config = read_config(find_config("drawn"))
    other = replace(config.network, image=replace(config.network.image, width=64))
    with pytest.raises(ModelError, match="built otherwise"):
        locked_tower(replace(config, network=other, locked_image=str(finished)))


def test_an_absent_model_stops_before_the_first_step(folder: Path) -> None:
    recipe = locked_recipe(folder, folder / "nowhere", 4)
    with pytest.raises(ModelError):
        next(train_contrastive(recipe, folder / "run", data=folder))
    assert not (folder / "run").exists()


def test_card_names_the_recipe_that_makes_the_model(folder: Path, finished: Path) -> None:
    assert json.loads((finished / "card.json").read_text(encoding="utf-8"))["training"]["recipe"].endswith("drawn")
