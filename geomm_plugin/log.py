"""The plugin's lines in QGIS's log panel, under its own tab."""

from __future__ import annotations

from qgis.core import Qgis, QgsMessageLog

TAG = "GeoMM"


def info(text: str) -> None:
    QgsMessageLog.logMessage(text, TAG, Qgis.MessageLevel.Info)


def warning(text: str) -> None:
    """A line for the log only; what a person must see belongs into the dock."""
    QgsMessageLog.logMessage(text, TAG, Qgis.MessageLevel.Warning, False)
