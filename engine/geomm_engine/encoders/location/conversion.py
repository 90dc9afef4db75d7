"""From the files that authors publish to tensors of one layout, checked name by name. Runs no pickle, writes no file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import Origin, file_sha256
from geomm_engine.encoders.checkpoint import Tensor, read_checkpoint, tensors
from geomm_engine.encoders.location import layout
from geomm_engine.encoders.location.published import published_file
from geomm_engine.encoders.location.satclip import hidden_layers
from geomm_engine.encoders.location.tower import GEOCLIP, SATCLIP
from geomm_engine.encoders.tensor_file import read_tensors
from geomm_engine.errors import ModelError

Arrays = dict[str, NDArray[np.generic]]

GEOCLIP_PLACES = "location_encoder_weights.pth"
GEOCLIP_SCALE = "logit_scale_weights.pth"
GEOCLIP_MLP = "image_encoder_mlp_weights.pth"
_SATCLIP_PREFIXES = ("model.location.nnet.", "model.nnet.", "location.nnet.", "nnet.")
_LARGEST_LOGIT_SCALE = 1e4


@dataclass(frozen=True)
class Converted:
    """A published model taken apart. ``tower`` names its image tower; ``pictures`` is None where it was not given."""

    encoder: str
    tower: str
    degrees: int
    logit_scale: float
    places: Arrays
    pictures: Arrays | None
    origin: tuple[Origin, ...]


def convert_satclip(path: Path) -> Converted:
    """A SatCLIP checkpoint.

    Raises:
        ModelError: it is none, lacks weights, or was trained with another kind of tower than the published ones.
    """
    content = read_checkpoint(path)
    if not isinstance(content, dict) or "state_dict" not in content:
        raise _unfit(path, "it is no checkpoint of SatCLIP: it has no “state_dict”")
    state = tensors(content["state_dict"], path)
    _check_settings(path, content.get("hyper_parameters"))
    prefix = next((item for item in _SATCLIP_PREFIXES if f"{item}layers.0.weight" in state), None)
    if prefix is None:
        raise _unfit(path, "it holds no location tower (“model.location.nnet.layers.0.weight”)")
    nnet = _without(state, prefix)
    first = nnet["layers.0.weight"].shape
    if len(first) != 2 or math.isqrt(first[1]) ** 2 != first[1]:
        raise _unfit(path, f"its first layer has the shape {first}; a square number of harmonics is expected")
    degrees, hidden = math.isqrt(first[1]), hidden_layers(nnet)
    last = nnet.get("last_layer.weight")
    dim = last.shape[0] if last is not None and last.shape else layout.SATCLIP_DIM
    places = _read(path, nnet, layout.satclip_places(degrees, first[0], hidden, dim))
    visual = _without(
        state, next((item for item in ("model.visual.", "visual.") if _has(state, item)), "model.visual.")
    )
    tower = _satclip_tower(visual)
    pictures = _read(path, visual, layout.image_tower(tower)) if visual else None
    scale = next((state[item] for item in ("model.logit_scale", "logit_scale") if item in state), None)
    if scale is None:
        raise _missing(path, ["model.logit_scale"], 1)
    return Converted(SATCLIP, tower, degrees, _logit_scale(path, scale), places, pictures, (origin(path),))


def convert_geoclip(folder: Path, clip: Path | None = None) -> Converted:
    """The three files of GeoCLIP in a folder, and CLIP ViT-L/14 as safetensors for its pictures.

    Raises:
        ModelError: a file is absent, lacks weights, or is another model's.
    """
    for name in (GEOCLIP_PLACES, GEOCLIP_SCALE):
        if not (folder / name).is_file():
            raise _unfit(folder, f"the file {name} is not there")
    used = [folder / GEOCLIP_PLACES, folder / GEOCLIP_SCALE]
    state = tensors(read_checkpoint(used[0]), used[0])
    places = _read(used[0], state, layout.geoclip_places())
    scale = read_checkpoint(used[1])
    if not isinstance(scale, Tensor):
        raise _unfit(used[1], "it holds no single number")
    pictures: Arrays | None = None
    if clip is not None:
        if not (folder / GEOCLIP_MLP).is_file():
            raise _unfit(folder, f"the file {GEOCLIP_MLP} is not there")
        used += [folder / GEOCLIP_MLP, clip]
        mlp = tensors(read_checkpoint(used[2]), used[2])
        head = _read(used[2], mlp, layout.geoclip_mlp())
        pictures = _chosen(clip, read_tensors(clip), layout.image_tower(layout.CLIP_TOWER))
        pictures |= {f"mlp.{name}": value for name, value in head.items()}
    return Converted(
        GEOCLIP, layout.CLIP_TOWER, 0, _logit_scale(used[1], scale), places, pictures, tuple(map(origin, used))
    )


def origin(path: Path) -> Origin:
    """Where a file comes from, by its SHA-256."""
    digest = file_sha256(path)
    known = published_file(digest)
    return Origin(path.name, known.url if known else "", digest, known is not None)


def _check_settings(path: Path, settings: object) -> None:
    """Refuse what was trained with other formulas: the weights alone do not show it."""
    if not isinstance(settings, dict):
        return
    wanted = {"le_type": "sphericalharmonics", "pe_type": "siren", "harmonics_calculation": "analytic"}
    for name, value in wanted.items():
        if settings.get(name, value) != value:
            raise _unfit(path, f"it was trained with {name} “{settings[name]}”; GeoMM runs “{value}”")


def _satclip_tower(visual: Mapping[str, Tensor]) -> str:
    if "layer1.0.conv3.weight" in visual:
        return layout.RESNET50
    return layout.RESNET18 if "layer1.0.conv1.weight" in visual else layout.VIT


def _has(state: Iterable[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in state)


def _without(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _read(path: Path, found: Mapping[str, Tensor], wanted: layout.Layout) -> Arrays:
    _check_layout(path, {name: item.shape for name, item in found.items()}, wanted)
    return {name: _finite(path, name, found[name].read()) for name in wanted}


def _chosen(path: Path, found: Mapping[str, NDArray[np.generic]], wanted: layout.Layout) -> Arrays:
    _check_layout(path, {name: item.shape for name, item in found.items()}, wanted)
    return {name: found[name] for name in wanted}


def _check_layout(path: Path, found: Mapping[str, tuple[int, ...]], wanted: layout.Layout) -> None:
    missing = [name for name in wanted if name not in found]
    if missing:
        raise _missing(path, missing, len(wanted))
    for name, shape in wanted.items():
        if found[name] != shape:
            raise _unfit(path, f"“{name}” has the shape {found[name]}, not {shape}")


def _finite(path: Path, name: str, value: NDArray[np.generic]) -> NDArray[np.generic]:
    if value.dtype.kind == "f" and not np.isfinite(np.asarray(value, np.float64)).all():
        raise _unfit(path, f"“{name}” holds values that are no numbers")
    return value


def _logit_scale(path: Path, log_scale: Tensor) -> float:
    values = np.asarray(log_scale.read(), np.float64).ravel()
    if values.size == 1 and abs(values[0]) <= math.log(_LARGEST_LOGIT_SCALE):
        return math.exp(float(values[0]))
    raise _unfit(path, "its logit scale is no single sensible number")


def _missing(path: Path, names: list[str], count: int) -> ModelError:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return _unfit(path, f"of the {count} tensors that its layout has, “{names[0]}”{more} cannot be found")


def _unfit(path: Path, problem: str) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_INVALID,
        f"{path} cannot be added: {problem}.",
        "Take the files as their authors publish them; “geomm models add” without a file lists them.",
        path=str(path),
    )
