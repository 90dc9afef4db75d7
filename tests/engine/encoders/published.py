"""Files as the authors of GeoCLIP and SatCLIP write them, with random numbers: written by torch.save itself."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

from geomm_engine.encoders.location import layout


def random_weights(shapes: layout.Layout, *, seed: int, dtype: torch.dtype = torch.float32) -> OrderedDict[str, Tensor]:
    """Tensors of a size that keeps the network's outputs apart from zero; variances and scales are above it."""
    generator = torch.Generator().manual_seed(seed)
    found: OrderedDict[str, Tensor] = OrderedDict()
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            found[name] = torch.tensor(7)
            continue
        value = torch.randn(shape, generator=generator, dtype=torch.float64)
        if len(shape) > 1:
            value /= math.sqrt(math.prod(shape[1:]))
        elif "norm" in name or "bn" in name or "downsample.1" in name or name.endswith("running_var"):
            value = 0.5 + value.abs() if name.endswith(("weight", "running_var")) else 0.1 * value
        else:
            value *= 0.1
        found[name] = value.to(dtype)
    return found


def satclip_checkpoint(
    path: Path, *, degrees: int = 10, kind: str = layout.VIT, width: int = 512, **changes: object
) -> dict:
    """A Lightning checkpoint with the published names: the tower twice (nnet, location.nnet), the picture tower, the scale."""
    places = random_weights(layout.satclip_places(degrees, width), seed=1, dtype=torch.float64)
    places["layers.0.weight"] /= 30.0
    pictures = random_weights(layout.image_tower(kind), seed=2)
    state: OrderedDict[str, Tensor] = OrderedDict()
    state["model.logit_scale"] = torch.tensor(math.log(20.0))
    state.update({f"model.visual.{name}": value for name, value in pictures.items()})
    state.update({f"model.nnet.{name}": value for name, value in places.items()})
    state.update({f"model.location.nnet.{name}": value for name, value in places.items()})
    settings = {
        "embed_dim": 256, "image_resolution": 256, "vision_layers": "moco_vit16", "le_type": "sphericalharmonics",
        "pe_type": "siren", "legendre_polys": degrees, "harmonics_calculation": "analytic", "num_hidden_layers": 2,
        "capacity": width, "eval_downstream": False,
    }  # fmt: skip
    content = {
        "epoch": 3, "global_step": 12, "pytorch-lightning_version": "2.0.0", "state_dict": state,
        "hyper_parameters": settings | changes, "loops": {"fit_loop": {"state_dict": {}}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.99)}]}],
    }  # fmt: skip
    torch.save(content, path)
    return content


def geoclip_files(folder: Path) -> dict[str, OrderedDict[str, Tensor] | Tensor]:
    """The three files of GeoCLIP's repository, with its frequencies of σ 1, 16 and 256."""
    folder.mkdir(parents=True, exist_ok=True)
    places = random_weights(layout.geoclip_places(), seed=3)
    for at, sigma in enumerate((1.0, 16.0, 256.0)):
        places[f"LocEnc{at}.capsule.0.b"] = torch.randn(256, 2, generator=torch.Generator().manual_seed(at)) * sigma
    mlp = random_weights(layout.geoclip_mlp(), seed=4)
    scale = torch.nn.Parameter(torch.tensor(math.log(15.0)))
    torch.save(places, folder / "location_encoder_weights.pth")
    torch.save(mlp, folder / "image_encoder_mlp_weights.pth")
    torch.save(scale, folder / "logit_scale_weights.pth")
    return {"places": places, "mlp": mlp, "scale": scale.detach()}
