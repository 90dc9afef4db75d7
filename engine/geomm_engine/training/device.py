"""Which device a training runs on, and whether torch can compile for it."""

from __future__ import annotations

import torch

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError


def choose_device(asked: str, *, is_compiled: bool = False) -> str:
    """The device asked for; "auto" is CUDA (ROCm is CUDA to torch), else Apple's GPU, else the CPU.

    Raises:
        EngineError: the run is to be compiled, and torch cannot do that for the device.
    """
    device = asked
    if asked == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if is_compiled:
        _need_compiler(device)
    return device


def _need_compiler(device: str) -> None:
    """Compile one small sum, so that what is missing is said before anything is learned."""
    try:
        torch.compile(lambda values: values.sin() + 1.0)(torch.ones(8, device=device))
    except (RuntimeError, ImportError, OSError) as problem:
        first = next(iter(str(problem).strip().splitlines()), type(problem).__name__)
        raise EngineError(
            ErrorCode.DEPENDENCY_MISSING,
            f"Torch cannot compile for “{device}” here: {first}",
            "Leave --compile away, or install what it misses: a C++ compiler for the CPU, Triton for CUDA.",
        ) from problem
