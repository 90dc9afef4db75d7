"""The class table: name, other words, colour, negative. Gives and takes contract.ClassEntry; the grammar is class_list's."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from qgis.gui import QgsColorButton
from qgis.PyQt.QtCore import QEvent, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent, QKeySequence, QPainter, QPaintEvent, QPalette
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from ..class_list import colored, free_color, parse_class_list, split_words
from ..client.contract import ClassEntry

NAME, ALSO, COLOR, NOT = range(4)
ROW_PADDING = 8
ROWS_MIN, ROWS_MAX = 5, 9


class ClassTable(QTableWidget):
    """The last row is always empty: typing there adds a class."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(0, 4, parent)
        self.setObjectName("geommClasses")
        self.setAccessibleName(self.tr("Classes"))
        self.setTabKeyNavigation(False)  # Tab leaves the table; the arrows move in it
        self.setHorizontalHeaderLabels([self.tr("Class"), self.tr("Also called"), self.tr("Colour"), self.tr("Not")])
        self.horizontalHeaderItem(NAME).setToolTip(self.tr("What you want to see in the map, in English words"))
        self.horizontalHeaderItem(ALSO).setToolTip(
            self.tr("Other words for the same thing, separated by commas: they make the class surer")
        )
        self.horizontalHeaderItem(NOT).setToolTip(
            self.tr("Ticked: is recognised, but never shown in the map (clouds, for example)")
        )
        self.verticalHeader().setVisible(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setAlternatingRowColors(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.horizontalHeader()
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(ALSO, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(COLOR, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(NOT, QHeaderView.ResizeMode.ResizeToContents)
        header.setHighlightSections(False)
        self.itemChanged.connect(self._on_item)
        self.set_entries(())

    # --- content

    def entries(self) -> Tuple[ClassEntry, ...]:
        """The rows that have a name, in order."""
        found: List[ClassEntry] = []
        for row in range(self.rowCount()):
            name = self._text(row, NAME)
            if name:
                is_negative = self.item(row, NOT).checkState() == Qt.CheckState.Checked
                found.append(ClassEntry(name, split_words(self._text(row, ALSO)), self._color(row), is_negative))
        return tuple(found)

    def set_entries(self, entries: Sequence[ClassEntry]) -> None:
        self.blockSignals(True)
        self.setRowCount(0)
        for entry in colored(entries):
            self._append(entry)
        self._append_empty()
        self.blockSignals(False)
        self._fit()
        self.changed.emit()

    def add_entries(self, entries: Sequence[ClassEntry]) -> None:
        """Adds the classes whose names are new."""
        have = self.entries()
        names = {entry.name.lower() for entry in have}
        self.set_entries((*have, *(entry for entry in entries if entry.name.lower() not in names)))

    def _append(self, entry: ClassEntry) -> None:
        row = self.rowCount()
        self.insertRow(row)
        self.setItem(row, NAME, QTableWidgetItem(entry.name))
        self.setItem(row, ALSO, QTableWidgetItem(", ".join(entry.synonyms)))
        self.setItem(row, COLOR, QTableWidgetItem())
        self.item(row, COLOR).setFlags(Qt.ItemFlag.ItemIsEnabled)
        box = QTableWidgetItem()
        box.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsSelectable)
        box.setCheckState(Qt.CheckState.Checked if entry.is_negative else Qt.CheckState.Unchecked)
        self.setItem(row, NOT, box)
        button = QgsColorButton(self, self.tr("Colour of the class"))
        button.setAccessibleName(self.tr("Colour of {0}").format(entry.name or self.tr("a new class")))
        button.setColor(QColor(entry.color))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setMinimumSize(QSize(20, 18))
        button.setAutoRaise(True)
        button.colorChanged.connect(lambda _color: self.changed.emit())
        self.setCellWidget(row, COLOR, _centred(button))

    def _append_empty(self) -> None:
        used = {self._color(row) for row in range(self.rowCount())}
        self._append(ClassEntry("", (), free_color(used)))
        row = self.rowCount() - 1
        self._button(row).setVisible(False)
        self.item(row, NAME).setToolTip(self.tr("Type here to add a class"))

    def _text(self, row: int, column: int) -> str:
        item = self.item(row, column)
        return item.text().strip() if item is not None else ""

    def _color(self, row: int) -> str:
        return self._button(row).color().name()

    def _button(self, row: int) -> QgsColorButton:
        return self.cellWidget(row, COLOR).findChild(QgsColorButton)

    def _on_item(self, item: QTableWidgetItem) -> None:
        if item.column() == NAME and item.row() == self.rowCount() - 1 and item.text().strip():
            self._complete_row(item.row())
        self.changed.emit()

    def _complete_row(self, row: int) -> None:
        """A name was typed into the empty row: it gets its colour, and a new empty row follows."""
        taken = [self._color(other) for other in range(row)]
        entry = colored([ClassEntry(self._text(row, NAME))], taken)[0]
        button = self._button(row)
        self.blockSignals(True)
        button.setColor(QColor(entry.color))
        button.setVisible(True)
        self._append_empty()
        self.blockSignals(False)
        self._fit()

    def _fit(self) -> None:
        rows = min(max(self.rowCount(), ROWS_MIN), ROWS_MAX)
        row_height = self.fontMetrics().height() + ROW_PADDING
        self.verticalHeader().setDefaultSectionSize(row_height)
        self.setColumnWidth(COLOR, self.fontMetrics().horizontalAdvance(self.horizontalHeaderItem(COLOR).text()) + 18)
        self.setFixedHeight(rows * row_height + self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth())

    # --- what a person does

    def edit_new(self) -> None:
        """Puts the cursor into the empty row."""
        row = self.rowCount() - 1
        self.setCurrentCell(row, NAME)
        self.setFocus()
        self.editItem(self.item(row, NAME))

    def remove_selected(self) -> None:
        rows = sorted({index.row() for index in self.selectedIndexes()}, reverse=True)
        rows = [row for row in rows if row < self.rowCount() - 1]
        for row in rows:
            self.removeRow(row)
        if rows:
            self._fit()
            self.changed.emit()

    def paste(self) -> None:
        """Takes a list from the clipboard."""
        self.add_entries(parse_class_list(QApplication.clipboard().text()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Paste):
            self.paste()
        elif event.matches(QKeySequence.StandardKey.Delete):
            self.remove_selected()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The empty row says what it is for."""
        super().paintEvent(event)
        row = self.rowCount() - 1
        if row < 0 or self._text(row, NAME) or self.state() == QAbstractItemView.State.EditingState:
            return
        painter = QPainter(self.viewport())
        color = self.palette().color(QPalette.ColorRole.Text)
        color.setAlpha(110)
        painter.setPen(color)
        place = self.visualItemRect(self.item(row, NAME)).adjusted(4, 0, 0, 0)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.tr("add a class …"))
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()


def _centred(button: QgsColorButton) -> QWidget:
    """A cell for a button: a table shows its cell widgets always, so the button is shown and hidden inside one."""
    cell = QWidget()
    row = QHBoxLayout(cell)
    row.setContentsMargins(4, 2, 2, 2)
    row.addWidget(button)
    button.setParent(cell)
    return cell
