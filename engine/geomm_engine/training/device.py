"""Which device a training runs on."""

from __future__ import annotations

import torch


def choose_device(asked: str) -> str:
    """The device asked for; "auto" is CUDA (ROCm is CUDA to torch), else Apple's GPU, else the CPU."""
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
