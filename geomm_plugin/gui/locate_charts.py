"""Small pictures of an answer to "where is this?": the world, climates as bars, the season as a strip. Know no run."""

from __future__ import annotations

from typing import Tuple

from qgis.PyQt.QtCore import QLocale, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPalette, QPen, QPixmap
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ..client.contract import ClimateShare, Season

BARS = 4
ROW_PADDING = 4
DAYS = 365.0
_STRONG, _PALE = QColor("#e8762c"), QColor(243, 167, 18, 80)


class WorldPicture(QWidget):
    """A picture as wide as the dock, its height in proportion."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("geommWorld")
        self.setAccessibleName(self.tr("Map of the world with the probability"))
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._picture = QPixmap()

    def show_file(self, path: str) -> None:
        self._picture = QPixmap(path) if path else QPixmap()
        self.setVisible(not self._picture.isNull())
        self.updateGeometry()
        self.update()

    @property
    def is_filled(self) -> bool:
        return not self._picture.isNull()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        if self._picture.isNull():
            return 0
        return round(width * self._picture.height() / self._picture.width())

    def sizeHint(self) -> QSize:
        return QSize(340, self.heightForWidth(340))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.heightForWidth(max(120, self.width())))

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._picture.isNull():
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        size = self._picture.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter.drawPixmap(QRectF(0, 0, size.width(), size.height()).toRect(), self._picture)
        painter.end()


class ClimateChart(QWidget):
    """The likeliest climates, one bar each, in the colours of the usual maps."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("geommClimate")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._climates: Tuple[ClimateShare, ...] = ()

    def show_climates(self, climates: Tuple[ClimateShare, ...]) -> None:
        self._climates = climates[:BARS]
        words = ", ".join(f"{item.code} {item.probability:.0%}" for item in self._climates)
        self.setAccessibleName(self.tr("Climate: {0}").format(words))
        self.setToolTip(
            "\n".join(f"{item.code} {item.name} ({item.group}): {item.probability:.0%}" for item in climates)
        )
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, _row(self) * (len(self._climates) + 1))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, _row(self) * (len(self._climates) + 1))

    def paintEvent(self, _event: QPaintEvent) -> None:
        row = _row(self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        metrics = QFontMetrics(self.font())
        painter.setPen(ink)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, 0, self.width(), row), left, self.tr("Climate (Köppen–Geiger)"))
        middle = 0.58 * self.width()
        for place, item in enumerate(self._climates, 1):
            top = place * row
            name = metrics.elidedText(f"{item.code}  {item.name}", Qt.TextElideMode.ElideRight, int(middle) - 8)
            painter.setPen(ink)
            painter.drawText(QRectF(0, top, middle - 6, row), left, name)
            room = self.width() - middle - metrics.horizontalAdvance(" 100 %") - 4
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Mid), 0.7))
            painter.setBrush(QColor(item.color or "#888888"))
            painter.drawRect(QRectF(middle, top + 4, max(1.0, room * item.probability), row - 8))
            painter.setPen(ink)
            start = middle + room * item.probability + 5
            painter.drawText(QRectF(start, top, self.width() - start, row), left, f"{item.probability:.0%}")
        painter.end()


class SeasonChart(QWidget):
    """The year as a strip of twelve months; the spans of 50 % and 90 % and a line at the mean, whole over the new year."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("geommSeason")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._season = Season(1, "", DAYS / 2, DAYS / 2)

    def show_season(self, season: Season) -> None:
        self._season = season
        words = self.tr("Season: {0}, ± {1:.0f} days (50 %), ± {2:.0f} days (90 %)").format(
            season.text, season.half_span_50_days, season.half_span_90_days
        )
        self.setAccessibleName(words)
        self.setToolTip(words)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, 3 * _row(self))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 3 * _row(self))

    def paintEvent(self, _event: QPaintEvent) -> None:
        row = _row(self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink, quiet = (self.palette().color(role) for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Mid))
        painter.setPen(ink)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        title = self.tr("Season: {0}, ± {1:.0f} days").format(self._season.text, self._season.half_span_50_days)
        painter.drawText(QRectF(0, 0, self.width(), row), left, title)
        strip = QRectF(0.5, row + 1, self.width() - 1, row - 2)
        painter.setPen(Qt.PenStyle.NoPen)
        for half_span, color in (
            (self._season.half_span_90_days, _PALE),
            (self._season.half_span_50_days, _STRONG),
        ):
            painter.setBrush(color)
            for first, last in spans(self._season.day, half_span):
                painter.drawRect(
                    QRectF(
                        strip.left() + first * strip.width(),
                        strip.top(),
                        (last - first) * strip.width(),
                        strip.height(),
                    )
                )
        painter.setPen(QPen(quiet, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(strip)
        locale = QLocale()
        for month in range(12):
            x = strip.left() + month * strip.width() / 12
            if month:
                painter.drawLine(int(x), int(strip.top()), int(x), int(strip.bottom()))
            cell = QRectF(x, strip.bottom() + 1, strip.width() / 12, row - 2)
            painter.drawText(
                cell,
                Qt.AlignmentFlag.AlignCenter,
                locale.standaloneMonthName(month + 1, QLocale.FormatType.NarrowFormat),
            )
        painter.setPen(QPen(ink, 2))
        x = strip.left() + (self._season.day - 0.5) / DAYS * strip.width()
        painter.drawLine(int(x), int(strip.top()) - 2, int(x), int(strip.bottom()) + 2)
        painter.end()


def _row(widget: QWidget) -> int:
    """Height of a line of text with some room, in pixels: fonts differ."""
    return widget.fontMetrics().height() + ROW_PADDING


def spans(day: int, half_span_days: float) -> "list[tuple[float, float]]":
    """The parts 0–1 of the year from ``half_span_days`` before a day to as many after it; two where it crosses New Year."""
    if half_span_days >= DAYS / 2 - 0.5:
        return [(0.0, 1.0)]
    first, last = (((day - 0.5 + sign * half_span_days) / DAYS) % 1.0 for sign in (-1, 1))
    return [(first, last)] if first <= last else [(0.0, last), (first, 1.0)]
