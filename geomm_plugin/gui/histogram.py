"""How many tiles score how much, and a cut that can be dragged. Knows counts and a range, nothing of searches."""

from __future__ import annotations

import math
from typing import Optional, Tuple

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

HEIGHT = 74
STEPS = 200


def tiles_above(counts: Tuple[int, ...], low: float, high: float, threshold: float) -> float:
    """How many tiles score at least ``threshold``; inside a bin they are taken as evenly spread."""
    if not counts or high <= low:
        return float(sum(counts)) if threshold <= low else 0.0
    place = (threshold - low) / (high - low) * len(counts)
    if place <= 0:
        return float(sum(counts))
    if place >= len(counts):
        return 0.0
    first = int(place)
    return counts[first] * (1 - (place - first)) + sum(counts[first + 1 :])


class Histogram(QWidget):
    """Bars with a handle: mouse or arrow keys move the cut, and ``threshold_changed`` follows at once."""

    threshold_changed = pyqtSignal(float)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommHistogram")
        self.setAccessibleName(self.tr("Cut: how alike a tile must be"))
        self.setToolTip(self.tr("Drag the line, or use the arrow keys: tiles to its right are shown"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self._counts: Tuple[int, ...] = ()
        self._low, self._high, self._threshold = 0.0, 1.0, 0.5

    def sizeHint(self) -> QSize:
        return QSize(300, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, HEIGHT)

    @property
    def threshold(self) -> float:
        return self._threshold

    def show_counts(self, counts: Tuple[int, ...], low: float, high: float, threshold: float) -> None:
        self._counts, self._low, self._high = counts, low, max(high, low + 1e-9)
        self._threshold = min(max(threshold, self._low), self._high)
        self.update()

    def set_threshold(self, value: float) -> None:
        value = min(max(value, self._low), self._high)
        if value != self._threshold:
            self._threshold = value
            self.update()
            self.threshold_changed.emit(value)

    def tiles(self) -> float:
        """About how many tiles pass."""
        return tiles_above(self._counts, self._low, self._high, self._threshold)

    def total(self) -> int:
        return sum(self._counts)

    # --- drawing

    def _plot(self) -> QRectF:
        return QRectF(self.rect()).adjusted(7, 4, -7, -10)

    def _x_of(self, value: float) -> float:
        plot = self._plot()
        return plot.left() + (value - self._low) / (self._high - self._low) * plot.width()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        plot = self._plot()
        self._paint_bars(painter, plot)
        line = self.palette().color(QPalette.ColorRole.WindowText)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Mid), 1))
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        x = self._x_of(self._threshold)
        painter.setPen(QPen(line, 2))
        painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
        painter.setBrush(self.palette().color(QPalette.ColorRole.Highlight) if self.hasFocus() else line)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawPolygon(
            QPolygonF(
                [QPointF(x, plot.bottom() - 1), QPointF(x - 6, plot.bottom() + 9), QPointF(x + 6, plot.bottom() + 9)]
            )
        )
        painter.end()

    def _paint_bars(self, painter: QPainter, plot: QRectF) -> None:
        """Heights are square roots, so that the few good tiles on the right can be seen at all."""
        if not self._counts:
            return
        highest = math.sqrt(max(self._counts)) or 1.0
        width = plot.width() / len(self._counts)
        quiet, loud = self.palette().color(QPalette.ColorRole.Mid), QColor("#f0a020")
        painter.setPen(Qt.PenStyle.NoPen)
        edge = self._x_of(self._threshold)
        for place, count in enumerate(self._counts):
            height = plot.height() * math.sqrt(count) / highest
            left = plot.left() + place * width
            painter.setBrush(loud if left + width / 2 >= edge else quiet)
            painter.drawRect(QRectF(left, plot.bottom() - height, max(width - 0.6, 0.6), height))

    # --- moving the cut

    def _move_to(self, event: QMouseEvent) -> None:
        x = event.position().x() if hasattr(event, "position") else event.localPos().x()
        plot = self._plot()
        self.set_threshold(self._low + (x - plot.left()) / plot.width() * (self._high - self._low))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._counts:
            self._move_to(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and self._counts:
            self._move_to(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = (self._high - self._low) / STEPS
        moves = {
            Qt.Key.Key_Left: -step,
            Qt.Key.Key_Right: step,
            Qt.Key.Key_PageDown: -10 * step,
            Qt.Key.Key_PageUp: 10 * step,
        }
        if event.key() in moves and self._counts:
            self.set_threshold(self._threshold + moves[event.key()])
        else:
            super().keyPressEvent(event)


def words_for_cut(histogram: Histogram, text: str) -> str:
    """ "top 2.0 % (42 tiles)" in the words of ``text``, which has {share}, {tiles} and {score}."""
    tiles = histogram.tiles()
    share = tiles / histogram.total() if histogram.total() else 0.0
    return text.format(share=share, tiles=look_count(tiles), score=histogram.threshold)


def look_count(value: float) -> str:
    return f"{round(value):,}"
