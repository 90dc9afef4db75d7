"""Colours and small parts that all panels share. Follows the palette, so that dark themes stay dark."""

from __future__ import annotations

from typing import Callable

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPixmap
from qgis.PyQt.QtWidgets import QLabel, QSizePolicy, QToolButton, QWidget

GREEN, AMBER, RED, GREY, BLUE = "#2e9e5b", "#d98e04", "#d0433b", "#8a8a8a", "#2f7fd1"
MARGIN, GAP = 8, 6


def theme_icon(name: str) -> QIcon:
    return QgsApplication.getThemeIcon(name)


def swatch(color: str, side: int = 14) -> QIcon:
    """A small filled square with a thin outline that shows on dark and light ground."""
    pixmap = QPixmap(QSize(side, side))
    pixmap.fill(QColor(color))
    painter = QPainter(pixmap)
    painter.setPen(QColor(128, 128, 128))
    painter.drawRect(0, 0, side - 1, side - 1)
    painter.end()
    return QIcon(pixmap)


def tool_button(parent: QWidget, name: str, text: str, clicked: Callable[[], None], icon: str = "") -> QToolButton:
    """A flat button with an icon or a short text; ``text`` is its tooltip and accessible name."""
    button = QToolButton(parent)
    button.setObjectName(name)
    button.setToolTip(text)
    button.setAccessibleName(text)
    button.setAutoRaise(True)
    if icon:
        button.setIcon(theme_icon(icon))
    button.clicked.connect(lambda _checked=False: clicked())
    return button


def wrapped_label(parent: QWidget, name: str, text: str = "") -> QLabel:
    """Text that breaks into lines instead of widening the dock."""
    label = QLabel(text, parent)
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.LinksAccessibleByMouse
    )
    return label


def tinted(name: str, color: str, border_px: int) -> str:
    """A style sheet for the widget called ``name``: a coloured edge, and the colour thinly behind a theme's own text."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"#{name} {{ border-left: {border_px}px solid {color}; background: rgba({red}, {green}, {blue}, 28) }}"


def duration(seconds: float) -> str:
    """A time that is easy to grasp: "6 s", "3 min", "1 h 20 min"."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
