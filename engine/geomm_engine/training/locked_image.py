"""The image tower of a finished model, beside which a text tower learns alone (locked-image tuning: Zhai et al. 2022)."""

from __future__ import annotations

from dataclasses import replace

import torch

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.registry import find_model
from geomm_engine.encoders.torch_encoder import has_scene_tower, load_scene_tower, scene_tower_settings
from geomm_engine.errors import ModelError
from geomm_engine.networks.scene_tower import SceneTower
from geomm_engine.training.config import ContrastiveConfig


def locked_tower(config: ContrastiveConfig) -> SceneTower:
    """The image tower of the installed model that the recipe names.

    Raises:
        ModelError: there is no such model, it has no weights for torch, or they are not of the tower, the pictures and the
            space that the recipe describes.
    """
    model = find_model(config.locked_image)
    if not has_scene_tower(model):
        raise _cannot_be_kept(model, "has no weights for torch", "Name one that “geomm train contrastive” made.")
    card, normalisation, wanted = model.card, config.normalisation, config.network.image
    # How the finished tower is looked through is free: that trains nothing.
    as_built = replace(scene_tower_settings(model), views=wanted.views, view_px=wanted.view_px)
    for is_other, part in (
        (as_built != wanted, "network.image"),
        ((card.radiometry.mean, card.radiometry.std) != (normalisation.mean, normalisation.std), "normalisation"),
        (card.space_id != config.card.space_id, "card.space_id"),
    ):
        if is_other:
            raise _cannot_be_kept(model, f"was made with another “{part}” than the recipe's", "Give both the same.")
    return load_scene_tower(model)


def check_unchanged(tower: SceneTower, config: ContrastiveConfig) -> None:
    """Refuse to go on beside another image tower than a run was begun with.

    Raises:
        ModelError: the locked model was replaced meanwhile.
    """
    installed = locked_tower(config).state_dict()
    if any(not torch.equal(value.cpu(), installed[name]) for name, value in tower.state_dict().items()):
        model = find_model(config.locked_image)
        raise _cannot_be_kept(model, "is not the one that this run was begun beside", "Start a new run.")


def _cannot_be_kept(model: ModelFolder, problem: str, cure: str) -> ModelError:
    text = f"The image tower of {model.card.name} cannot be kept: it {problem}."
    return ModelError(ErrorCode.MODEL_INVALID, text, cure, model=model.card.id)
