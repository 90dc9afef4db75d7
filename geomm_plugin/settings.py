"""What a person sets once, in the QGIS profile. Knows the keys and their defaults."""

from __future__ import annotations

from qgis.core import QgsSettings

_PREFIX = "geomm/"


class Settings:
    """Reads and writes through QgsSettings; nothing is kept here."""

    @property
    def engine_path(self) -> str:
        """The engine's program or its Python; "" means: look for it."""
        return self._text("engine_path")

    @engine_path.setter
    def engine_path(self, value: str) -> None:
        self._write("engine_path", value.strip())

    @property
    def device(self) -> str:
        return self._text("device") or "auto"

    @device.setter
    def device(self, value: str) -> None:
        self._write("device", value)

    @property
    def results_dir(self) -> str:
        """Where runs are kept; "" means: beside the project."""
        return self._text("results_dir")

    @results_dir.setter
    def results_dir(self, value: str) -> None:
        self._write("results_dir", value.strip())

    @property
    def is_dock_open(self) -> bool:
        return bool(QgsSettings().value(_PREFIX + "is_dock_open", False, type=bool))

    @is_dock_open.setter
    def is_dock_open(self, value: bool) -> None:
        QgsSettings().setValue(_PREFIX + "is_dock_open", value)

    def _text(self, key: str) -> str:
        return str(QgsSettings().value(_PREFIX + key, "") or "")

    def _write(self, key: str, value: str) -> None:
        QgsSettings().setValue(_PREFIX + key, value)
