"""What was asked before: time, words, layer; show, repeat, remove. Knows runs, not layers."""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from ..runs import Run
from . import look

_ID = Qt.ItemDataRole.UserRole
ROWS_SHOWN = 3


class RunsList(QWidget):
    """Every signal carries the id of the run."""

    shown = pyqtSignal(str)
    repeat_asked = pyqtSignal(str)
    remove_asked = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommRuns")
        self.list = QListWidget(self)
        self.list.setObjectName("geommRunsList")
        self.list.setAccessibleName(self.tr("Runs"))
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemClicked.connect(lambda item: self.shown.emit(item.data(_ID)))
        self.list.itemActivated.connect(lambda item: self.shown.emit(item.data(_ID)))
        self.list.currentItemChanged.connect(lambda *_items: self._enable())
        title = QLabel(self.tr("Runs"), self)
        self._repeat = look.tool_button(
            self,
            "geommRepeat",
            self.tr("Repeat this run"),
            lambda: self._send(self.repeat_asked),
            "/mActionRefresh.svg",
        )
        self._remove = look.tool_button(
            self,
            "geommRemoveRun",
            self.tr("Remove this run and its layers from the project; its files stay"),
            lambda: self._send(self.remove_asked),
            "/mActionDeleteSelected.svg",
        )
        head = QHBoxLayout()
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(self._repeat)
        head.addWidget(self._remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(look.MARGIN, 0, look.MARGIN, look.MARGIN)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(self.list)
        self.show_runs(())

    def show_runs(self, runs: Sequence[Run]) -> None:
        chosen = self._chosen()
        self.list.clear()
        for run in runs:
            item = QListWidgetItem(f"{run.clock}  {run.words} · {run.layer_name}")
            item.setData(_ID, run.id)
            item.setIcon(look.theme_icon("/mActionAddRasterLayer.svg" if run.kind == "classify" else "/search.svg"))
            item.setToolTip(f"{run.time}\n{run.words}\n{run.layer_name}\n{run.output_dir}")
            self.list.addItem(item)
            if run.id == chosen:
                self.list.setCurrentItem(item)
        rows = min(max(self.list.count(), 1), ROWS_SHOWN)
        row_height = max(self.list.sizeHintForRow(0), self.fontMetrics().height() + 4)
        self.list.setFixedHeight(rows * row_height + 2 * self.list.frameWidth() + 2)
        self.setVisible(bool(runs))
        self._enable()

    def _chosen(self) -> str:
        item = self.list.currentItem()
        return str(item.data(_ID)) if item is not None else ""

    def _enable(self) -> None:
        for button in (self._repeat, self._remove):
            button.setEnabled(self.list.currentItem() is not None)

    def _send(self, signal: pyqtSignal) -> None:
        if self._chosen():
            signal.emit(self._chosen())
