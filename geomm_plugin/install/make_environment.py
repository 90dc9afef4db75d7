"""Makes the engine's own Python environment in the known place, by QProcess, step by step, never in QGIS's Python."""

from __future__ import annotations

import glob
import os
from typing import Dict, List, Optional, Tuple

from qgis.PyQt.QtCore import QObject, QProcess, QStandardPaths, pyqtSignal

from .. import paths
from ..client.environment import child_environment
from .locate import program_in, python_in
from .proxy import proxy_variables, without_password

NEEDED = (3, 11)
_PROBE = (
    "import sys; from importlib.util import find_spec; "
    "print(*sys.version_info[:2], int(all(map(find_spec, ('venv', 'ensurepip')))))"
)
"""Debian and Ubuntu leave what an environment needs out of their Python, so it is asked for beside the version."""
_NAMES = ("python3.13", "python3.12", "python3.11", "python3.14", "python3", "python", "py")
OUTPUT_KEPT = 8000


def bundled_wheel() -> str:
    """The engine's wheel inside an installed plugin, "" in a checkout."""
    wheels = sorted(glob.glob(os.path.join(paths.bundled_engine_dir(), "*.whl")))
    return wheels[-1] if wheels else ""


def bundled_requirements() -> str:
    path = os.path.join(paths.bundled_engine_dir(), "requirements.txt")
    return path if os.path.isfile(path) else ""


def python_candidates() -> List[str]:
    """Python programs on the path that do not belong to QGIS, best first; their versions are still unknown."""
    found = []
    for name in _NAMES:
        path = QStandardPaths.findExecutable(name)
        if path and "qgis" not in path.lower() and path not in found:
            found.append(path)
    return found


class EnvironmentMaker(QObject):
    """Finds a Python, makes the environment, installs the engine. Exactly one of the last two signals comes once."""

    step_changed = pyqtSignal(str)
    line_written = pyqtSignal(str)
    finished = pyqtSignal()
    failed = pyqtSignal(str)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._process: Optional[QProcess] = None
        self._pythons: List[str] = []
        self._steps: List[Tuple[str, str, List[str]]] = []
        self._output = ""
        self._is_probing = False
        self._bare_version = ""
        self._proxy: Dict[str, str] = {}

    @property
    def output(self) -> str:
        """The end of what the last program wrote."""
        return self._output

    def start(self) -> None:
        self._pythons = python_candidates()
        self._bare_version = ""
        self._proxy = proxy_variables(os.environ)
        self.step_changed.emit(self.tr("Looking for Python {0}.{1} or newer …").format(*NEEDED))
        self._probe_next()

    def cancel(self) -> None:
        self._steps = []
        self._pythons = []
        if self._process is not None:
            self._process.kill()

    def _probe_next(self) -> None:
        if not self._pythons:
            self.failed.emit(self._why_no_python())
            return
        self._is_probing = True
        self._run(self._pythons[0], ["-c", _PROBE])

    def _why_no_python(self) -> str:
        if self._bare_version:
            text = self.tr(
                "Python {0} is there, but its venv module is not. Install python3-venv (in a terminal: sudo apt install "
                "python{0}-venv), then try again."
            )
            return text.format(self._bare_version)
        text = self.tr(
            "No Python {0}.{1} or newer was found. Install it from python.org or your system's packages, then try again."
        )
        return text.format(*NEEDED)

    def _install_with(self, python: str) -> None:
        place = paths.engine_dir()
        inside = python_in(place)
        requirements = bundled_requirements()
        self._steps = [(self.tr("Making a Python environment …"), python, ["-m", "venv", "--clear", place])]
        if requirements:
            arguments = ["-m", "pip", "install", "--disable-pip-version-check", "-r", requirements]
            self._steps.append((self.tr("Installing the engine's libraries …"), inside, arguments))
        arguments = ["-m", "pip", "install", "--disable-pip-version-check", bundled_wheel()]
        self._steps.append((self.tr("Installing the engine …"), inside, arguments))
        self._next_step()

    def _next_step(self) -> None:
        if self._steps:
            text, program, arguments = self._steps.pop(0)
            self.step_changed.emit(text)
            self._run(program, arguments)
        elif os.path.isfile(program_in(paths.engine_dir())):
            self.finished.emit()
        else:
            self.failed.emit(self.tr("The engine was installed but its program is missing."))

    def _run(self, program: str, arguments: List[str]) -> None:
        self._output = ""
        process = QProcess(self)
        environment = child_environment(may_install=True)
        for name, value in self._proxy.items():
            environment.insert(name, value)
        process.setProcessEnvironment(environment)
        process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        process.readyRead.connect(self._read)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        self._process = process
        process.start(program, arguments)

    def _read(self) -> None:
        if self._process is not None:
            text = without_password(bytes(self._process.readAll()).decode("utf-8", "replace"), self._proxy)
            self._output = (self._output + text)[-OUTPUT_KEPT:]
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines and not self._is_probing:
                self.line_written.emit(lines[-1])

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._on_finished(-1)

    def _on_finished(self, exit_code: int, _status: object = None) -> None:
        self._read()
        process, self._process = self._process, None
        if process is None:
            return
        process.deleteLater()
        if self._is_probing:
            self._after_probe(exit_code)
        elif exit_code == 0:
            self._next_step()
        else:
            self._steps = []
            lines = [line for line in self._output.splitlines() if line.strip()]
            self.failed.emit(self.tr("The installation failed: {0}").format(lines[-1] if lines else exit_code))

    def _after_probe(self, exit_code: int) -> None:
        self._is_probing = False
        if not self._pythons:
            self.failed.emit(self.tr("Cancelled."))
            return
        python = self._pythons.pop(0)
        words = self._output.split()[-3:]
        is_answer = exit_code == 0 and len(words) == 3 and all(word.isdigit() for word in words)
        major, minor, has_venv = map(int, words) if is_answer else (0, 0, 0)
        if (major, minor) >= NEEDED and has_venv:
            self._pythons = []
            self._install_with(python)
            return
        if (major, minor) >= NEEDED:
            self._bare_version = self._bare_version or f"{major}.{minor}"
        self._probe_next()
