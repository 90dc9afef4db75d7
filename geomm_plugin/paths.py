"""Where things lie: the plugin's own files, the engine's known place, the folders of runs. Touches no file."""

from __future__ import annotations

import os
import re
from typing import Container

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QDateTime, QStandardPaths

PLUGIN_DIR = os.path.dirname(os.path.abspath(__file__))


def resource(*parts: str) -> str:
    """A file of the plugin's ``resources`` folder."""
    return os.path.join(PLUGIN_DIR, "resources", *parts)


def countries() -> str:
    """The outlines of the countries, a GeoJSON file in degrees."""
    return resource("geography", "countries.geojson")


def bundled_engine_dir() -> str:
    """Where an installed plugin carries the engine's wheel; a checkout has no such folder."""
    return os.path.join(PLUGIN_DIR, "engine")


def data_dir() -> str:
    """A folder of the person's own that no profile, project or other QGIS version shares."""
    base = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return os.path.join(base, "geomm")


def engine_dir() -> str:
    """The known place of the engine's Python environment."""
    return os.path.join(data_dir(), "engine")


def results_dir(chosen: str = "") -> str:
    """Where runs are kept: the chosen folder, else beside the saved project, else the person's data folder."""
    if chosen:
        return chosen
    project_file = QgsProject.instance().absoluteFilePath()
    if project_file:
        return os.path.join(os.path.dirname(project_file), "geomm_results")
    return os.path.join(data_dir(), "results")


def run_dir(base: str, words: str, taken: Container[str] = ()) -> str:
    """A new folder name for one run: time and words, safe on every file system; none that exists or is ``taken``."""
    stamp = QDateTime.currentDateTime().toString("yyyyMMdd-HHmmss")
    slug = re.sub(r"[^\w-]+", "_", words, flags=re.UNICODE).strip("_")[:40]
    path = os.path.join(base, f"{stamp}_{slug}" if slug else stamp)
    number, unique = 2, path
    while os.path.exists(unique) or unique in taken:
        unique, number = f"{path}_{number}", number + 1
    return unique
