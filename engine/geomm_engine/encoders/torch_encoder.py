"""The image tower in torch, for graphics processors; on the CPU too. The only encoder module that imports torch.

Half precision on a GPU, single on the CPU. The batch size is found by memory: halved whenever the device runs out, and
remembered. When the device cannot be used, the CPU is, and ``fallback_reason`` says why.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.contract import ContractError, ErrorCode, decode
from geomm_engine.encoders.card import ModelFolder, settings_of
from geomm_engine.encoders.published_towers import TOWERS, load_published_tower
from geomm_engine.errors import ModelError
from geomm_engine.networks.scene_tower import SceneTower, SceneTowerSettings
from geomm_engine.networks.two_towers import ARCHITECTURE, TwoTowersSettings
from geomm_engine.networks.views import ready

_FIRST_BATCH = 512
_CPU_BATCH = 64


def load_image_tower(folder: ModelFolder) -> nn.Module:
    """The image tower that the card describes, with its weights, in single precision on the CPU.

    Raises:
        ModelError: the architecture is unknown, or the weights do not fit it.
    """
    card = folder.card
    if card.architecture.name in TOWERS:
        return load_published_tower(folder)
    if card.architecture.name != ARCHITECTURE:
        raise _invalid(folder, f"its architecture “{card.architecture.name}” is none that GeoMM builds")
    return ready(load_scene_tower(folder), scene_tower_settings(folder))


def has_scene_tower(folder: ModelFolder) -> bool:
    """Whether the image tower is one of this project's, with weights for torch beside it."""
    return folder.card.architecture.name == ARCHITECTURE and folder.has_file("weights")


def scene_tower_settings(folder: ModelFolder) -> SceneTowerSettings:
    """What the image tower of such a model is built by; reads the card alone.

    Raises:
        ModelError: the card does not say it.
    """
    try:
        return decode(TwoTowersSettings, settings_of(folder.card), "architecture").image
    except (ContractError, ValueError) as problem:
        raise _invalid(folder, f"its architecture cannot be read: {problem}") from problem


def load_scene_tower(folder: ModelFolder) -> SceneTower:
    """The image tower of a model of this project's own architecture.

    Raises:
        ModelError: the weights are absent or do not fit the card.
    """
    path = folder.file("weights")
    tower = SceneTower(scene_tower_settings(folder))
    try:
        tower.load_state_dict(_unpacked(load_file(path)))
    except (SafetensorError, RuntimeError, ValueError) as problem:
        raise _invalid(folder, f"{path.name} cannot be used: {problem}") from problem
    return tower.eval().requires_grad_(False)


def _unpacked(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Single precision again: halves widened, bytes times the "name.scale" beside them."""
    scales = {name.removesuffix(".scale") for name in stored if name.endswith(".scale")}
    return {
        name: value.float() * stored[f"{name}.scale"] if name in scales else value.float()
        for name, value in stored.items()
        if not name.endswith(".scale")
    }


def _invalid(folder: ModelFolder, problem: str) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_INVALID,
        f"The model {folder.card.id} cannot run in torch: {problem}.",
        "Install the model again, or choose the CPU.",
        model=folder.card.id,
    )


class TorchImageEncoder:
    """The image tower on "cuda" (AMD's ROCm is cuda to torch), "mps" or "cpu"."""

    def __init__(self, folder: ModelFolder, device: str = "cpu") -> None:
        self._tower = load_image_tower(folder)
        self._has_gsd_input = folder.card.has_gsd_input
        self._dim = folder.card.dim
        self._probe_px = folder.card.scales[0].tile_px
        bands = len(folder.card.bands)
        self._mean = torch.tensor(folder.card.radiometry.mean).view(1, bands, 1, 1)
        self._std = torch.tensor(folder.card.radiometry.std).view(1, bands, 1, 1)
        self.fallback_reason = ""
        self.batch = _CPU_BATCH
        self._place = torch.device("cpu")
        if device != "cpu":
            self._move(device)

    @property
    def device(self) -> str:
        if self._place.type == "cuda":
            return f"{torch.cuda.get_device_name(self._place)}, half precision"
        if self._place.type == "mps":
            return "Apple GPU, half precision"
        count = torch.get_num_threads()
        return f"CPU, {count} thread{'s' if count > 1 else ''}"

    def embed_images(self, images: NDArray[np.float32], gsd_m: float) -> NDArray[np.float32]:
        """See :meth:`ImageEncoder.embed_images`.

        Raises:
            ModelError: not even a single tile fits into the memory.
        """
        parts: list[NDArray[np.float32]] = []
        at = 0
        while at < len(images):
            part = np.ascontiguousarray(images[at : at + self.batch], dtype=np.float32)
            try:
                parts.append(self._embed(part, gsd_m))
            except RuntimeError as problem:
                self._answer(problem)
                continue
            at += len(part)
        return np.concatenate(parts) if parts else np.empty((0, self._dim), dtype=np.float32)

    def _embed(self, images: NDArray[np.float32], gsd_m: float) -> NDArray[np.float32]:
        with torch.inference_mode():
            pixels = (torch.from_numpy(images) - self._mean) / self._std
            kind = self._kind()
            pixels = pixels.to(self._place, kind, memory_format=torch.channels_last)
            ground = torch.full((len(images),), gsd_m, device=self._place, dtype=torch.float32)
            vectors: Tensor = self._tower(pixels, ground)
            return functional.normalize(vectors.float(), dim=1).cpu().numpy()

    def _kind(self) -> torch.dtype:
        return torch.float32 if self._place.type == "cpu" else torch.float16

    def _move(self, device: str) -> None:
        """To the GPU, and one tile through it; where that fails, back to the CPU with the reason."""
        try:
            self._place = torch.device(device)
            self._tower = self._tower.to(self._place, self._kind())
            bands = self._mean.shape[1]
            self._embed(np.zeros((1, bands, self._probe_px, self._probe_px), dtype=np.float32), 10.0)
        except (RuntimeError, AssertionError, NotImplementedError) as problem:
            self._fall_back(f"{device} cannot be used: {_first_line(problem)}")
        else:
            self.batch = _FIRST_BATCH

    def _answer(self, problem: RuntimeError) -> None:
        """After a failed batch: halve it when memory ran out, else leave the GPU; on the CPU give up."""
        if _is_out_of_memory(problem) and self.batch > 1:
            self.batch //= 2
            if self._place.type == "cuda":
                torch.cuda.empty_cache()
        elif self._place.type != "cpu":
            self._fall_back(f"the GPU failed: {_first_line(problem)}")
        elif _is_out_of_memory(problem):
            raise ModelError(
                ErrorCode.OUT_OF_MEMORY,
                "A single tile does not fit into the memory.",
                "Close other programs and try again.",
            ) from problem
        else:
            raise problem

    def _fall_back(self, reason: str) -> None:
        self._place = torch.device("cpu")
        self._tower = self._tower.to(self._place, torch.float32)
        self.batch = _CPU_BATCH
        self.fallback_reason = reason


def _is_out_of_memory(problem: RuntimeError) -> bool:
    """Torch raises its own class on CUDA; on MPS and the CPU only the message tells."""
    return (
        isinstance(problem, torch.OutOfMemoryError)
        or "out of memory" in str(problem)
        or "can't allocate" in str(problem)
    )


def _first_line(problem: BaseException) -> str:
    return str(problem).strip().split("\n")[0][:200]
