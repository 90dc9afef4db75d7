"""Cause and cure in the dock, instead of a dialog in the way. Knows how to show a message, not where it came from."""

from __future__ import annotations

from typing import Callable, Optional

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from . import look

_COLORS = {"error": look.RED, "warning": look.AMBER, "success": look.GREEN, "info": look.BLUE}
_SIGNS = {"error": "✖", "warning": "⚠", "success": "✔", "info": "ℹ"}


class NoticeBar(QFrame):
    """One message at a time; stays until it is closed or replaced."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommNotice")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._sign = QLabel(self)
        self._text = look.wrapped_label(self, "geommNoticeText")
        self._text.setTextFormat(Qt.TextFormat.RichText)
        self._action = QPushButton(self)
        self._action.setObjectName("geommNoticeAction")
        self._details_button = QPushButton(self.tr("Details"), self)
        self._details_button.setObjectName("geommNoticeDetails")
        self._details_button.setCheckable(True)
        close = look.tool_button(self, "geommNoticeClose", self.tr("Close this message"), self.clear, "/mIconClose.svg")
        self._details = QPlainTextEdit(self)
        self._details.setReadOnly(True)
        self._details.setMaximumHeight(110)
        self._details.setAccessibleName(self.tr("Details"))
        self._details_button.toggled.connect(self._details.setVisible)
        self._on_action: Optional[Callable[[], None]] = None
        self._action.clicked.connect(lambda _checked=False: self._do_action())
        first = QHBoxLayout()
        first.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        first.addWidget(self._text, 1)
        first.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        second = QHBoxLayout()
        second.addStretch(1)
        second.addWidget(self._action)
        second.addWidget(self._details_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(look.MARGIN, 6, 4, 6)
        column.setSpacing(4)
        column.addLayout(first)
        column.addLayout(second)
        column.addWidget(self._details)
        self.clear()

    def clear(self) -> None:
        self.setVisible(False)
        self._text.clear()

    @property
    def text(self) -> str:
        return self._text.text()

    def show_message(
        self,
        kind: str,
        cause: str,
        cure: str = "",
        details: str = "",
        action: str = "",
        on_action: Optional[Callable[[], None]] = None,
    ) -> None:
        """``kind`` is "error", "warning", "success" or "info"."""
        color = _COLORS[kind]
        self._sign.setText(_SIGNS[kind])
        self._sign.setStyleSheet(f"color: {color}; font-weight: bold")
        self.setStyleSheet(look.tinted("geommNotice", color, 4))
        self._text.setText(f"<b>{_escaped(cause)}</b> {_escaped(cure)}")
        self._text.setAccessibleName(f"{cause} {cure}")
        self._details_button.setChecked(False)
        self._details_button.setVisible(bool(details))
        self._details.setPlainText(details)
        self._details.setVisible(False)
        self._action.setText(action)
        self._action.setVisible(bool(action))
        self._on_action = on_action
        self.setVisible(True)

    def _do_action(self) -> None:
        if self._on_action is not None:
            self._on_action()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")
