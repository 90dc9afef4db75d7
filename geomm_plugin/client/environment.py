"""The environment of a child process: an allow-list. Knows which variables a plain Python needs, nothing of QGIS's.

QGIS exports ``PYTHONHOME``, ``PYTHONPATH``, ``PROJ_*``, ``GDAL_*`` and library paths of its own; any of them can break
another Python. So nothing passes but what is named here.
"""

from __future__ import annotations

import os
from typing import Dict, Mapping

from qgis.PyQt.QtCore import QProcessEnvironment

_ALLOWED = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP"),
        *("USERNAME", "USERPROFILE", "USERDOMAIN", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA"),
        *("PROGRAMDATA", "PROGRAMFILES", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT"),
        *("NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "OMP_NUM_THREADS"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"),
        *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    }
)
_ALLOWED_PREFIXES = ("LC_", "GEOMM_")
_ALLOWED_TO_INSTALL = frozenset(
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"]
)


def child_variables(parent: Mapping[str, str], *, may_install: bool = False) -> Dict[str, str]:
    """The variables of ``parent`` that a child may see, and the few that it always gets.

    ``may_install`` lets proxy, certificate and pip settings through, which only an installer needs.
    """
    chosen = {}
    for name, value in parent.items():
        upper = name.upper()
        is_allowed = upper in _ALLOWED or upper.startswith(_ALLOWED_PREFIXES)
        if may_install:
            is_allowed = is_allowed or upper in _ALLOWED_TO_INSTALL or upper.startswith("PIP_")
        if is_allowed:
            chosen[name] = value
    chosen["PATH"] = _system_path(parent)
    chosen["PYTHONUTF8"] = "1"
    chosen["PYTHONNOUSERSITE"] = "1"
    return chosen


def _system_path(parent: Mapping[str, str]) -> str:
    """Where system programs lie; QGIS's own folders, and their libraries, stay out."""
    if os.name == "nt":
        root = parent.get("SYSTEMROOT") or parent.get("SystemRoot") or r"C:\Windows"
        return os.pathsep.join([os.path.join(root, "System32"), root])
    folders = parent.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and "qgis" not in folder.lower()) or os.defpath


def child_environment(*, may_install: bool = False) -> QProcessEnvironment:
    """``child_variables`` of this process, as QProcess wants them."""
    environment = QProcessEnvironment()
    for name, value in child_variables(dict(os.environ), may_install=may_install).items():
        environment.insert(name, value)
    return environment
