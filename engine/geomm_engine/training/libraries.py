"""Whether this environment can train. Imports nothing that it looks for."""

from __future__ import annotations

import importlib.util
import sys

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import ModelError

NEEDED = ("torch", "safetensors", "onnx", "tflite")


def need_libraries() -> None:
    """Say which library is missing, and how to get it.

    Raises:
        ModelError: a library that training needs is not installed.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(
            ErrorCode.DEPENDENCY_MISSING,
            f"Training needs {', '.join(missing)}, which the engine's environment lacks.",
            f"In a terminal run: {sys.executable} -m pip install {' '.join(missing)} "
            "(200 MB; in a checkout, `make setup` does it).",
            missing=", ".join(missing),
        )
