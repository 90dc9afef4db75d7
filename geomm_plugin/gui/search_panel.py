"""The tab "Search": words, the cut on a live histogram, the list of what was found. Starts nothing itself."""

from __future__ import annotations

from typing import Any, Dict, Optional

from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..runs import Run
from . import look
from .histogram import Histogram, words_for_cut

RESTYLE_MS = 60
_HIT = Qt.ItemDataRole.UserRole


class SearchPanel(QWidget):
    """``threshold_moved`` comes at most every few hundredths of a second while the cut is dragged."""

    asked = pyqtSignal()
    threshold_moved = pyqtSignal(object, float)
    hit_chosen = pyqtSignal(object, object)
    hit_opened = pyqtSignal(object, object)
    export_asked = pyqtSignal(object, float)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommSearch")
        self._run: Optional[Run] = None
        self.text = self._field("geommSearchText", self.tr("What to look for"), self.tr("solar farm beside a road"))
        self.not_text = self._field("geommNotText", self.tr("But not"), self.tr("nothing to leave out"))
        self.button = QPushButton(self.tr("Search"), self)
        self.button.setObjectName("geommSearchButton")
        font = self.button.font()
        font.setBold(True)
        self.button.setFont(font)
        self.button.setMinimumHeight(28)
        self.button.clicked.connect(lambda _checked=False: self.asked.emit())
        self._results = self._make_results()
        self._hint = look.wrapped_label(
            self,
            "geommSearchHint",
            self.tr(
                "Say in English what it looks like from above. The first search looks at the whole layer; "
                "every later one takes moments."
            ),
        )
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(RESTYLE_MS)
        self._timer.timeout.connect(self._send_threshold)
        grid = QGridLayout()
        grid.setHorizontalSpacing(look.MARGIN)
        grid.setVerticalSpacing(look.GAP)
        for place, (name, field) in enumerate(
            ((self.tr("Loo&k for"), self.text), (self.tr("&But not"), self.not_text))
        ):
            label = QLabel(name, self)
            label.setBuddy(field)
            grid.addWidget(label, place, 0)
            grid.addWidget(field, place, 1)
        grid.addWidget(self.button, 0, 2, 2, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(look.MARGIN, look.MARGIN, look.MARGIN, look.MARGIN)
        column.setSpacing(look.GAP)
        column.addLayout(grid)
        column.addWidget(self._hint)
        column.addWidget(self._results, 1)
        column.addStretch(0)
        self.show_run(None)

    def _field(self, name: str, accessible: str, example: str) -> QLineEdit:
        field = QLineEdit(self)
        field.setObjectName(name)
        field.setAccessibleName(accessible)
        field.setPlaceholderText(example)
        field.setClearButtonEnabled(True)
        field.returnPressed.connect(self.asked.emit)
        return field

    def _make_results(self) -> QWidget:
        box = QWidget(self)
        self.histogram = Histogram(box)
        self.histogram.threshold_changed.connect(self._on_threshold)
        self._cut = QLabel(box)
        self._cut.setObjectName("geommCut")
        self._cut.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._cut.setMinimumWidth(120)
        self.table = QTableWidget(0, 3, box)
        self.table.setObjectName("geommHits")
        self.table.setTabKeyNavigation(False)
        self.table.setAccessibleName(self.tr("Tiles found"))
        self.table.setHorizontalHeaderLabels([self.tr("#"), self.tr("Likeness"), self.tr("Where (centre)")])
        self.table.setToolTip(self.tr("Click: show on the map. Double-click: zoom there."))
        self.table.verticalHeader().setVisible(False)
        self.table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setAlternatingRowColors(True)
        self.table.setMinimumHeight(150)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        header.setHighlightSections(False)
        self.table.itemSelectionChanged.connect(lambda: self._send_hit(self.hit_chosen))
        self.table.itemActivated.connect(lambda _item: self._send_hit(self.hit_opened))
        self.export = QPushButton(self.tr("Export GeoPackage …"), box)
        self.export.setObjectName("geommSearchExport")
        self.export.setToolTip(self.tr("Writes every tile right of the cut to one file"))
        self.export.clicked.connect(lambda _checked=False: self.export_asked.emit(self._run, self.histogram.threshold))
        row = QHBoxLayout()
        row.addWidget(self._cut, 1)
        row.addWidget(self.export)
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(look.GAP)
        column.addWidget(self.histogram)
        column.addLayout(row)
        column.addWidget(self.table, 1)
        return box

    # --- what it knows

    def query(self) -> "tuple[str, str]":
        return self.text.text().strip(), self.not_text.text().strip()

    def words(self) -> "tuple[str, ...]":
        """The sentence, once there is one."""
        return tuple(text for text in self.query()[:1] if text)

    def problem(self) -> str:
        """Why there can be no search, "" if there can."""
        return "" if self.query()[0] else self.tr("Type what to look for, such as “solar farm”.")

    @property
    def run(self) -> Optional[Run]:
        return self._run

    def show_run(self, run: Optional[Run]) -> None:
        """The histogram and the list of a finished search."""
        self._run = run
        self._results.setVisible(run is not None)
        self._hint.setVisible(run is None)
        if run is None:
            return
        result = run.result
        self.histogram.show_counts(result.histogram, result.score_min, result.score_max, result.threshold)
        self.table.blockSignals(True)
        self.table.setRowCount(len(result.hits))
        for place, hit in enumerate(result.hits):
            x0, y0, x1, y1 = hit.bounds_xyxy
            centre = (
                f"{(x0 + x1) / 2:,.1f}  {(y0 + y1) / 2:,.1f}"
                if abs(x0) > 360
                else f"{(x0 + x1) / 2:.5f}  {(y0 + y1) / 2:.5f}"
            )
            for column, text in enumerate((str(hit.rank), f"{hit.score:.3f}", centre)):
                item = QTableWidgetItem(text)
                item.setData(_HIT, place)
                self.table.setItem(place, column, item)
        self.table.clearSelection()
        self.table.blockSignals(False)
        self._show_cut()

    def _on_threshold(self, _value: float) -> None:
        self._show_cut()
        if not self._timer.isActive():
            self._timer.start()

    def _send_threshold(self) -> None:
        if self._run is not None:
            self.threshold_moved.emit(self._run, self.histogram.threshold)

    def _show_cut(self) -> None:
        self._cut.setText(self._words_for_cut())
        self._cut.setToolTip(
            words_for_cut(self.histogram, self.tr("Score of at least {score:.4f}; the best ones are listed below"))
        )
        if self._run is not None:
            for place, hit in enumerate(self._run.result.hits):
                self.table.setRowHidden(place, hit.score < self.histogram.threshold)

    def _words_for_cut(self) -> str:
        """Exact while every tile right of the cut is in the list, else read off the histogram."""
        hits = self._run.result.hits if self._run is not None else ()
        listed = sum(hit.score >= self.histogram.threshold for hit in hits)
        if listed < len(hits):
            share = listed / max(1, self.histogram.total())
            return self.tr("top {0:.1%}: {1:,} tiles").format(share, listed)
        return words_for_cut(self.histogram, self.tr("top {share:.1%}: about {tiles} tiles"))

    def _send_hit(self, signal: Any) -> None:
        items = self.table.selectedItems()
        if items and self._run is not None:
            signal.emit(self._run, self._run.result.hits[items[0].data(_HIT)])

    # --- keeping

    def state(self) -> Dict[str, Any]:
        return {"text": self.text.text(), "not_text": self.not_text.text()}

    def restore(self, state: Dict[str, Any]) -> None:
        self.text.setText(str(state.get("text", self.text.text())))
        self.not_text.setText(str(state.get("not_text", self.not_text.text())))
