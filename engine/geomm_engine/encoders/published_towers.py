"""The image towers of published location models, with their weights, in torch; imports torch."""

from __future__ import annotations

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.location import layout
from geomm_engine.errors import ModelError
from geomm_engine.networks.published_towers import published_tower

TOWERS = (layout.VIT, layout.RESNET18, layout.RESNET50, layout.CLIP_TOWER)


def load_published_tower(folder: ModelFolder) -> nn.Module:
    """The image tower that the card names, in single precision on the CPU.

    Raises:
        ModelError: the model was added without it, or its weights do not fit.
    """
    path = folder.file("weights")
    try:
        tower = published_tower(folder.card.architecture.name)
        weights = {
            name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()
        }
        tower.load_state_dict(weights)
    except (SafetensorError, RuntimeError, ValueError) as problem:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The image tower of {folder.card.name} cannot be used: {problem}.",
            "Add the model again from its authors’ files.",
            model=folder.card.id,
        ) from problem
    return tower.eval().requires_grad_(False)
