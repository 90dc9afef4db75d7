"""The text tower learns alone beside the image tower of a finished model, which gives the same vectors afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from geomm_engine.encoders.card import read_card, write_card
from geomm_engine.errors import EngineError, ModelError
from geomm_engine.progress import run
from geomm_engine.training.class_folds import evaluate_folds
from geomm_engine.training.config import ContrastiveConfig, Normalisation, find_config, read_config
from geomm_engine.training.contrastive import train_contrastive, trainer_for
from geomm_engine.training.data import Lessons
from geomm_engine.training.export import export_model
from geomm_engine.training.locked_image import locked_tower
from geomm_engine.training.recipe_files import RECIPES
from tests.engine.training.written_recipe import written_recipe

RECIPE = (RECIPES / "drawn.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose towers both learned."""
    folder = tmp_path_factory.mktemp("modèle fini")
    run(train_contrastive(find_config("drawn"), folder / "run", data=folder))
    return export_model(find_config("drawn"), folder / "run", folder / "model", data=folder).folder


def locked_recipe(
    folder: Path, model: Path, steps: int, *, stop_after: int = 0, tellings: int = 1, name: str = "locked.toml"
) -> Path:
    return written_recipe(
        folder / name,
        RECIPE + '\n[card]\nrecipe = "drawn, then locked"\n',
        [
            ('id = "drawn"', f'id = "drawn"\nlocked_image = "{model.as_posix()}"\ntellings = {tellings}'),
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
    assert before.card.training.recipe == "geomm train contrastive drawn"
    assert after.card.training.recipe == "geomm train contrastive drawn, then locked"


@pytest.mark.parametrize("tellings", [1, 2])
def test_resumed_run_is_bit_equal(folder: Path, finished: Path, tellings: int) -> None:
    whole = locked_recipe(folder, finished, 4, tellings=tellings)
    half = locked_recipe(folder, finished, 4, stop_after=2, tellings=tellings, name="half.toml")
    run(train_contrastive(whole, folder / "one", data=folder))
    run(train_contrastive(half, folder / "two", data=folder))
    run(train_contrastive(whole, folder / "two", data=folder, is_resumed=True))
    one, two = (torch.load(folder / name / "checkpoint.pt", weights_only=True) for name in ("one", "two"))
    assert one["step"] == two["step"] == 4
    for part in ("network", "average", "extra"):
        assert all(torch.equal(value, two[part][name]) for name, value in one[part].items()), part


def test_a_batch_is_told_several_times_and_looked_at_once(folder: Path, finished: Path) -> None:
    lessons = Lessons(read_config(locked_recipe(folder, finished, 12, tellings=3)), folder)
    trainer = trainer_for(lessons, folder)
    looks: list[int] = []
    trainer.network.image.stem.register_forward_hook(lambda *_: looks.append(trainer.step))
    batches = []
    for batch in trainer.batches(6):
        trainer.learn(batch)
        batches.append(batch)
    assert looks == [0, 3]
    first, again, _, other, *_ = batches
    assert again.images is first.images
    assert other.images is not first.images
    assert torch.equal(again.labels, first.labels)
    assert not torch.equal(again.relation, first.relation)
    assert again.tokens.shape != first.tokens.shape or not torch.equal(again.tokens, first.tokens)


@pytest.mark.parametrize(
    ("line", "wrong", "said"),
    [
        ("tellings = 2", "tellings = 0", "at least 1"),
        ("tellings = 2", "tellings = 3", "multiples of tellings, which is 3"),
        ("locked_image = ", "start = ", "must be 1 where the image tower learns too"),
    ],
)
def test_tellings_that_do_not_fit_are_refused(folder: Path, finished: Path, line: str, wrong: str, said: str) -> None:
    recipe = locked_recipe(folder, finished, 4, tellings=2).read_text("utf-8")
    with pytest.raises(EngineError, match=said):
        read_config(written_recipe(folder / "wrong.toml", recipe, [(line, wrong)]))


def test_a_run_does_not_go_on_beside_another_tower(folder: Path, finished: Path) -> None:
    model = folder / "model"
    shutil.copytree(finished, model)
    run(train_contrastive(locked_recipe(folder, model, 4, stop_after=2), folder / "run", data=folder))
    stored = load_file(model / "weights.safetensors")
    some = next(name for name, value in stored.items() if value.is_floating_point() and value.ndim == 1)
    save_file(stored | {some: stored[some] + 1}, model / "weights.safetensors")
    with pytest.raises(ModelError, match="begun beside"):
        run(train_contrastive(locked_recipe(folder, model, 4), folder / "run", data=folder, is_resumed=True))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: replace(config, normalisation=Normalisation((0.5,) * 3, (0.2,) * 3)), "normalisation"),
        (lambda config: replace(config, card=replace(config.card, space_id="elsewhere")), "card.space_id"),
        (
            lambda config: replace(
                config, network=replace(config.network, image=replace(config.network.image, width=64))
            ),
            "network.image",
        ),
    ],
)
def test_a_tower_of_another_make_is_refused(
    finished: Path, change: Callable[[ContrastiveConfig], ContrastiveConfig], said: str
) -> None:
    config = replace(read_config(find_config("drawn")), locked_image=str(finished))
    assert locked_tower(config)
    with pytest.raises(ModelError, match=said):
        locked_tower(change(config))


def test_a_model_without_weights_says_so(folder: Path, finished: Path) -> None:
    card = read_card(finished).card
    shutil.copytree(finished, folder / "model")
    write_card(replace(card, files=tuple(item for item in card.files if item.role != "weights")), folder / "model")
    config = replace(read_config(find_config("drawn")), locked_image=str(folder / "model"))
    with pytest.raises(ModelError, match="no weights"):
        locked_tower(config)


def test_no_class_is_unseen_beside_a_tower_that_saw_all(folder: Path, finished: Path) -> None:
    recipe = locked_recipe(folder, finished, 4)
    with pytest.raises(EngineError, match="none would be unseen"):
        next(evaluate_folds([read_config(recipe)], folder, folder / "out"))
    unseen = written_recipe(
        folder / "unseen.toml", recipe.read_text("utf-8"), [("captions = ", 'unseen = ["drawn/lake"]\ncaptions = ')]
    )
    with pytest.raises(EngineError, match="none can be unseen"):
        read_config(unseen)


def test_an_absent_model_stops_before_the_first_step(folder: Path) -> None:
    recipe = locked_recipe(folder, folder / "nowhere", 4)
    with pytest.raises(ModelError):
        next(train_contrastive(recipe, folder / "run", data=folder))
    assert not (folder / "run").exists()
