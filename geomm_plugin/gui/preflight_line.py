"""What a run would do, in one line, green, amber or red; and the small choices that mend it. Knows PreflightResult."""

from __future__ import annotations

from typing import Optional, Set

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from ..client.contract import Level, PreflightResult
from ..error_texts import ErrorTexts, Message
from ..units import unit_names
from . import look

_COLORS = {Level.GREEN: look.GREEN, Level.AMBER: look.AMBER, Level.RED: look.RED}
_SIGNS = {Level.GREEN: "✔", Level.AMBER: "⚠", Level.RED: "✖"}
_UNIT_CODES = ("unit_", "offset_")
_BAND_CODES = ("bands_", "band_")
_ORDER_CODES = "_order"


class PreflightLine(QFrame):
    """``unit_chosen`` and ``roles_chosen`` ask for another reading of the layer."""

    unit_chosen = pyqtSignal(str)
    roles_chosen = pyqtSignal(str)

    def __init__(self, texts: ErrorTexts, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommPreflight")
        self._texts = texts
        self.level: Optional[Level] = None
        self.codes: Set[str] = set()
        self._sign = QLabel(self)
        self._text = look.wrapped_label(self, "geommPreflightText")
        self._text.setMinimumHeight(2 * self.fontMetrics().lineSpacing())  # so that little moves when the answer comes
        self._text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.unit_box = QComboBox(self)
        self.unit_box.setObjectName("geommUnit")
        self.unit_box.setAccessibleName(self.tr("What the pixel values are"))
        self.unit_box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for unit, name in unit_names():
            self.unit_box.addItem(name, unit)
        self.unit_box.activated.connect(lambda _index: self.unit_chosen.emit(str(self.unit_box.currentData())))
        self.roles_edit = QLineEdit(self)
        self.roles_edit.setObjectName("geommRoles")
        self.roles_edit.setAccessibleName(self.tr("Bands in order"))
        self.roles_edit.setPlaceholderText(self.tr("bands in order: red, green, blue, nir"))
        self.roles_edit.editingFinished.connect(lambda: self.roles_chosen.emit(self.roles_edit.text()))
        self._unit_row = self._row(self.tr("Values are"), self.unit_box)
        self._roles_row = self._row(self.tr("Bands are"), self.roles_edit)
        first = QHBoxLayout()
        first.setSpacing(look.GAP)
        first.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        first.addWidget(self._text, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(look.MARGIN, 5, look.MARGIN, 5)
        column.setSpacing(4)
        column.addLayout(first)
        column.addWidget(self._unit_row)
        column.addWidget(self._roles_row)
        self.show_idle("")

    def _row(self, name: str, field: QWidget) -> QWidget:
        row = QWidget(self)
        line = QHBoxLayout(row)
        line.setContentsMargins(18, 0, 0, 0)
        label = QLabel(name, row)
        label.setBuddy(field)
        line.addWidget(label)
        line.addWidget(field, 1)
        row.setVisible(False)
        return row

    # --- what it shows

    def show_idle(self, text: str) -> None:
        """Nothing to check: says what is missing."""
        self._show(
            None, "ℹ", text or self.tr("Add a satellite or aerial image to the project and tick it above."), look.GREY
        )
        self._unit_row.setVisible(False)
        self._roles_row.setVisible(False)

    def show_asking(self) -> None:
        if self.level is None:
            self._show(None, "…", self.tr("looking at the layer …"), look.GREY)

    def show_message(self, message: Message) -> None:
        self._show(Level.RED, _SIGNS[Level.RED], message.text, look.RED)

    def show_result(self, result: PreflightResult, unit: str, roles: str, more: int = 0) -> None:
        """``unit`` and ``roles`` are what a person chose for this layer, "" where it was found out."""
        lines = [] if result.level is Level.RED else [self.summary(result, more)]
        lines += [self._texts.note(note) for note in result.notes]
        self._show(result.level, _SIGNS[result.level], "\n".join(lines), _COLORS[result.level])
        codes = self.codes = {note.code for note in result.notes}
        self._unit_row.setVisible(bool(unit) or any(code.startswith(_UNIT_CODES) for code in codes))
        has_band_note = any(code.startswith(_BAND_CODES) or code.endswith(_ORDER_CODES) for code in codes)
        self._roles_row.setVisible(bool(roles) or has_band_note)
        self.unit_box.setCurrentIndex(max(0, self.unit_box.findData(unit)))
        if not self.roles_edit.hasFocus():
            self.roles_edit.setText(roles)

    def _pixels(self, gsd_m: float) -> str:
        if gsd_m < 1000:
            return self.tr("{0:.3g} m pixels").format(gsd_m)
        return self.tr("{0:.3g} km pixels").format(gsd_m / 1000)

    def summary(self, result: PreflightResult, more: int) -> str:
        """ "10 m · B04 B03 B02 as reflectance · 2,116 tiles · about 6 s" """
        parts = [self._pixels(result.gsd_m), result.radiometry]
        left = result.tiles_total - result.tiles_done
        parts.append(self.tr("{0:,} tiles").format(result.tiles_total))
        if result.tiles_done and left:
            parts.append(self.tr("{0:,} of them ready").format(result.tiles_done))
        parts.append(
            self.tr("about {0}").format(look.duration(max(1, result.estimate_s)))
            if left
            else self.tr("all ready: moments")
        )
        if more:
            parts.append(self.tr("and {0} more layers").format(more))
        return " · ".join(part for part in parts if part)

    def _show(self, level: Optional[Level], sign: str, text: str, color: str) -> None:
        self.level = level
        self._sign.setText(sign)
        self._sign.setStyleSheet(f"color: {color}; font-weight: bold")
        self._text.setText(text)
        self._text.setAccessibleName(text)
        self.setStyleSheet(look.tinted("geommPreflight", color, 3))
