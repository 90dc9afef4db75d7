"""A bar, what is being done, how fast, how long still, and Cancel. Knows ProgressNote, nothing of jobs."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ..client.contract import ProgressNote
from . import look


class ProgressStrip(QWidget):
    """Visible only while something runs. ``keeps`` says whether a run that is cancelled leaves what it has done."""

    cancel_asked = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None, *, keeps: bool = True) -> None:
        super().__init__(parent)
        self.setObjectName("geommProgress")
        self._title = ""
        self._stopping = self.tr("stopping … what is done is kept") if keeps else self.tr("stopping …")
        self._bar = QProgressBar(self)
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(12)
        self._bar.setAccessibleName(self.tr("Progress"))
        self._text = QLabel(self)
        self._text.setObjectName("geommProgressText")
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._cancel = QPushButton(self.tr("Cancel"), self)
        self._cancel.setObjectName("geommCancel")
        self._cancel.clicked.connect(lambda _checked=False: self._ask_cancel())
        row = QHBoxLayout()
        row.addWidget(self._bar, 1)
        row.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(look.MARGIN, 2, look.MARGIN, 2)
        column.setSpacing(3)
        column.addWidget(self._text)
        column.addLayout(row)
        self.setVisible(False)

    def begin(self, title: str, waiting: int) -> None:
        """A run starts; its length is not known yet."""
        self._title = title if not waiting else self.tr("{0} ({1} more waiting)").format(title, waiting)
        self._bar.setRange(0, 0)
        self._text.setText(self.tr("{0}: starting …").format(self._title))
        self._cancel.setEnabled(True)
        self.setVisible(True)

    def show_waiting(self, why: str) -> None:
        """The run that began is not at work yet; its first note takes the place of this line."""
        self._text.setText(self.tr("{0}: waits, {1}").format(self._title, why))

    def show_note(self, note: ProgressNote) -> None:
        if not self._cancel.isEnabled():
            return
        self._bar.setRange(0, max(0, note.total))
        self._bar.setValue(note.done)
        self._text.setText(self.words(note))
        self._text.setToolTip(self._title)

    def words(self, note: ProgressNote) -> str:
        """One line: "embedding 1,340 of 2,116 · 412 tiles/s · 2 s left"."""
        parts = [self.tr("{0} {1:,} of {2:,}").format(self._stage(note.stage), note.done, note.total)]
        if note.rate > 0 and note.stage == "train":
            parts.append(self.tr("{0:.1f}/s").format(note.rate))
        elif note.rate > 0:
            parts.append(
                self.tr("{0:,.0f} tiles/s").format(note.rate)
                if note.rate >= 10
                else self.tr("{0:.1f} tiles/s").format(note.rate)
            )
        if note.eta_s >= 0:
            parts.append(self.tr("{0} left").format(look.duration(note.eta_s)))
        return " · ".join(parts)

    def _stage(self, stage: str) -> str:
        names = {
            "embed": self.tr("looking at tiles"),
            "score": self.tr("comparing with your words"),
            "classify": self.tr("comparing with your words"),
            "smooth": self.tr("smoothing"),
            "preview": self.tr("first look"),
            "map": self.tr("drawing the map"),
            "write": self.tr("writing"),
            "export": self.tr("writing"),
            "read": self.tr("reading"),
            "teach": self.tr("asking the teacher"),
            "train": self.tr("learning, step"),
            "measure": self.tr("measuring"),
        }
        return names.get(stage, stage)

    def _ask_cancel(self) -> None:
        self._cancel.setEnabled(False)
        self._text.setText(self._stopping)
        self.cancel_asked.emit()

    def end(self) -> None:
        self.setVisible(False)
