"""Looks for the engine: setting, environment variable, known place, development checkout. Starts nothing.

``sys.executable`` inside QGIS is QGIS, so it is never a candidate; nor is any program whose name starts with "qgis".
"""

from __future__ import annotations

import os
import re
from typing import Iterator, Optional, Tuple

from .. import paths
from ..client.engine_process import EngineCommand
from ..settings import Settings

VARIABLE = "GEOMM_ENGINE"
_SCRIPTS, _SUFFIX = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
_PYTHON = re.compile(r"^python[\d.]*w?(\.exe)?$", re.IGNORECASE)


def program_in(environment_dir: str) -> str:
    """The engine's program in a Python environment."""
    return os.path.join(environment_dir, _SCRIPTS, "geomm" + _SUFFIX)


def python_in(environment_dir: str) -> str:
    return os.path.join(environment_dir, _SCRIPTS, "python" + _SUFFIX)


def python_of(program: str) -> str:
    """The Python that an engine's program runs in, "" where none lies beside it."""
    if _PYTHON.match(os.path.basename(program)):
        return program
    path = os.path.join(os.path.dirname(program), "python" + _SUFFIX)
    return path if os.path.isfile(path) else ""


def find_engine(settings: Optional[Settings] = None) -> Optional[EngineCommand]:
    """How to start the engine, or None where there is none.

    A place that a person chose is taken or nothing: an error there must show, not hide behind another engine.
    """
    for path, origin, is_chosen in _candidates(settings or Settings()):
        if is_startable(path):
            return command_for(path, origin)
        if is_chosen:
            return None
    return None


def chosen_place(settings: Settings) -> Tuple[str, str]:
    """The path that is used before every other, and who named it ("setting", "environment"); "" where nobody did."""
    return next(((path, origin) for path, origin, is_chosen in _candidates(settings) if is_chosen), ("", ""))


def _candidates(settings: Settings) -> Iterator[Tuple[str, str, bool]]:
    if settings.engine_path:
        yield settings.engine_path, "setting", True
    if os.environ.get(VARIABLE):
        yield os.environ[VARIABLE], "environment", True
    yield program_in(paths.engine_dir()), "known place", False
    checkout = os.path.dirname(os.path.realpath(paths.PLUGIN_DIR))
    yield program_in(os.path.join(checkout, ".venv", "engine")), "checkout", False


def is_startable(path: str) -> bool:
    """Whether a path is a program that may be the engine."""
    name = os.path.basename(path).lower()
    return os.path.isfile(path) and os.access(path, os.X_OK) and not name.startswith("qgis")


def command_for(path: str, origin: str) -> EngineCommand:
    """``geomm serve``, or ``python -m geomm_engine serve`` when the path is a Python."""
    if _PYTHON.match(os.path.basename(path)):
        return EngineCommand(path, ("-m", "geomm_engine", "serve"), origin)
    return EngineCommand(path, ("serve",), origin)
