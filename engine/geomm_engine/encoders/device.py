"""Which processors can run a model here, found without importing any model library."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from geomm_engine.contract import Device, ErrorCode
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.encoder import ImageEncoder
from geomm_engine.errors import ModelError

CPU = "cpu"
AUTO = "auto"


def devices() -> tuple[Device, ...]:
    """The CPU always; a GPU where both torch and a driver are installed. Cheap: looks for files, loads nothing."""
    found = []
    if importlib.util.find_spec("torch") is not None:
        if _has_nvidia() or _has_rocm():
            found.append(Device("cuda", "NVIDIA GPU" if _has_nvidia() else "AMD GPU", is_default=True))
        elif sys.platform == "darwin" and platform.machine() == "arm64":
            found.append(Device("mps", "Apple GPU", is_default=True))
    return (*found, Device(CPU, "CPU", is_default=not found))


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _has_rocm() -> bool:
    return Path("/dev/kfd").exists()


def chosen_device(device: str = AUTO) -> str:
    """The id of the device to try first: as asked for, or the default for "auto"."""
    return next(item.id for item in devices() if item.is_default) if device == AUTO else device


def open_image_encoder(folder: ModelFolder, device: str = AUTO, bands: Sequence[int] = ()) -> ImageEncoder:
    """The image tower on the device asked for ("auto": a GPU when there is one), else on the CPU with the reason.

    ``bands`` are the card's bands that the images will have, by number; none given: all of them.

    Raises:
        ModelError: the device is none that GeoMM knows, or the model is damaged.
    """
    if device not in (AUTO, CPU, "cuda", "mps"):
        raise ModelError(
            ErrorCode.DEVICE_UNAVAILABLE,
            f"“{device}” is no device that GeoMM knows.",
            "Choose auto, cpu, cuda or mps.",
            device=device,
        )
    wanted = chosen_device(device)
    reason = ""
    if wanted != CPU:
        reason = _why_no_gpu(folder)
        if not reason:
            from geomm_engine.encoders.torch_encoder import TorchImageEncoder

            return TorchImageEncoder(folder, wanted)
    if folder.card.location is not None and not folder.has_file("image"):
        return _open_published(folder)
    from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder

    return OnnxImageEncoder(folder, fallback_reason=reason, bands=bands)


def _open_published(folder: ModelFolder) -> ImageEncoder:
    """The image tower of a location model on the processor: these run in torch only.

    Raises:
        ModelError: torch is not installed, or the model was added without its image tower.
    """
    folder.file("weights")
    if importlib.util.find_spec("torch") is None:
        raise ModelError(
            ErrorCode.DEPENDENCY_MISSING,
            f"The image tower of {folder.card.name} needs torch, which is not installed in the engine’s environment.",
            "Install the engine with its “torch” extra, or choose another model.",
            model=folder.card.id,
        )
    from geomm_engine.encoders.torch_encoder import TorchImageEncoder

    return TorchImageEncoder(folder, CPU)


def _why_no_gpu(folder: ModelFolder) -> str:
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed in the engine's environment"
    if not folder.has_file("weights"):
        return f"the model {folder.card.id} has no weights for torch"
    return ""
