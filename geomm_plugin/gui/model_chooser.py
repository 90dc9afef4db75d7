"""Which model looks at the image, and what its card says. Knows ModelSummary."""

from __future__ import annotations

from typing import Optional, Tuple

from qgis.PyQt.QtCore import QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from .. import paths
from ..client.contract import ModelSummary
from . import look

CARD_WIDTH = 440
MEASURED_SHOWN = 5


class ModelChooser(QWidget):
    """Model box and an ⓘ that opens the card's facts."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._models: Tuple[ModelSummary, ...] = ()
        self._wanted = ""
        self.box = QComboBox(self)
        self.box.setObjectName("geommModel")
        self.box.setAccessibleName(self.tr("Model"))
        self.box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.box.currentIndexChanged.connect(self._on_chosen)
        self._info = look.tool_button(self, "geommModelInfo", self.tr("What is known of this model"), self._show_card)
        self._info.setIcon(QIcon(paths.resource("icons", "info.svg")))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.box, 1)
        row.addWidget(self._info)
        self.show_models(())

    @property
    def model(self) -> str:
        """Id of the chosen model, "" while none is known."""
        return str(self.box.currentData() or "")

    @property
    def models(self) -> Tuple[ModelSummary, ...]:
        return self._models

    def choose(self, model: str) -> None:
        """Chooses a model now, or as soon as it is known."""
        self._wanted = model
        if model and self._models:
            self._name_missing()
            self.box.setCurrentIndex(self.box.findData(model))

    def _on_chosen(self, _index: int) -> None:
        self._wanted = self.model
        self.changed.emit()

    def _name_missing(self) -> None:
        """A project's model that is not installed here is shown as such: another one must not stand in silently."""
        if self._wanted and self.box.findData(self._wanted) < 0:
            self.box.addItem(self.tr("{0} · not installed here").format(self._wanted), self._wanted)

    def show_models(self, models: Tuple[ModelSummary, ...]) -> None:
        chosen = self._wanted or self.model
        self._models = models
        self.box.blockSignals(True)
        self.box.clear()
        for model in models:
            self.box.addItem(self._line(model), model.id)
        if not models:
            self.box.addItem(self.tr("(the engine's models appear here)"), "")
        else:
            self._name_missing()
        place = self.box.findData(chosen)
        self.box.setCurrentIndex(max(0, place))
        self.box.blockSignals(False)
        self._info.setEnabled(bool(models))
        self.box.setEnabled(bool(models))
        self.changed.emit()

    def _line(self, model: ModelSummary) -> str:
        builtin = self.tr("built in") if model.is_builtin else model.licence
        return f"{model.name} {model.version} · {builtin} · {model.gsd_min_m:g}–{model.gsd_max_m:g} m"

    def _show_card(self) -> None:
        model = next((item for item in self._models if item.id == self.model), None)
        if model is None:
            return
        popup = QFrame(self, Qt.WindowType.Popup)
        popup.setObjectName("geommCard")
        popup.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        popup.setFrameShape(QFrame.Shape.StyledPanel)
        label = QLabel(self.card_text(model), popup)
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.RichText)
        label.setFixedWidth(CARD_WIDTH)
        column = QVBoxLayout(popup)
        column.addWidget(label)
        popup.adjustSize()
        corner = self.mapToGlobal(QPoint(self.width() - popup.width(), self.height()))
        popup.move(corner)
        popup.show()

    def card_text(self, model: ModelSummary) -> str:
        """The card's facts as a small table."""
        rows = [
            (self.tr("Licence"), model.licence),
            (self.tr("Ground pixel"), self.tr("{0:g} to {1:g} m").format(model.gsd_min_m, model.gsd_max_m)),
            (self.tr("Bands"), ", ".join(model.bands)),
            (self.tr("Size"), self.tr("{0:.1f} MB, {1} numbers a tile").format(model.size_mb, model.dim)),
        ]
        if model.hops:
            steps = self.tr("by another model, without labels; {0} step(s) from the words").format(model.hops)
            rows.append((self.tr("Taught"), steps))
        measured = [_small_print(text) for text in model.measured[:MEASURED_SHOWN]]
        if len(model.measured) > MEASURED_SHOWN:
            measured.append(self.tr("and {0} more in the model's card").format(len(model.measured) - MEASURED_SHOWN))
        rows += [(self.tr("Measured") if not place else "", text) for place, text in enumerate(measured)]
        cells = "".join(
            f"<tr><td><b>{name.replace(' ', '&nbsp;')}</b>&nbsp;&nbsp;&nbsp;</td><td width='100%'>{text}</td></tr>"
            for name, text in rows
        )
        return f"<b>{model.name} {model.version}</b><p>{model.description}</p><table>{cells}</table>"


def _small_print(text: str) -> str:
    """The number in normal letters, how it was measured in small ones."""
    value, opening, how = text.partition(" (")
    return f"{value}<br><small>{how.rstrip(')')}</small>" if opening else text
