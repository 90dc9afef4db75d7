"""``self.tr()`` for classes that are no QObjects. Knows Qt's translator, nothing else."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication


class Translated:
    """Gives a plain class the ``tr`` that QObject has, with the class name as context."""

    def tr(self, text: str) -> str:
        return QCoreApplication.translate(type(self).__name__, text)
