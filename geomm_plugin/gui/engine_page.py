"""What the dock shows while there is no engine that runs: why, and how to get one. The installing is ``install``'s."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QPlainTextEdit, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from .. import paths
from ..install.locate import VARIABLE, chosen_place, is_startable
from ..install.make_environment import EnvironmentMaker, bundled_wheel
from ..settings import Settings
from . import look


class EnginePage(QWidget):
    """One sentence, one button; the other ways below."""

    engine_made = pyqtSignal()
    options_asked = pyqtSignal()
    look_again_asked = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommEnginePage")
        self._settings = Settings()
        self._maker: Optional[EnvironmentMaker] = None
        self._title = QLabel(self)
        self._title.setWordWrap(True)
        self._cause = look.wrapped_label(self, "geommEngineCause")
        self._choice = look.wrapped_label(self, "geommEngineChoice")
        self._forget = QPushButton(self.tr("Forget this choice"), self)
        self._forget.setObjectName("geommForgetEngine")
        self._forget.clicked.connect(lambda _checked=False: self._forget_choice())
        why = look.wrapped_label(
            self,
            "geommEngineWhy",
            self.tr(
                "GeoMM looks at images with a small program of its own, the engine. It runs on this computer only, needs no "
                "account, and is kept apart from QGIS, so it cannot disturb it."
            ),
        )
        self._install = QPushButton(self.tr("Set up the engine"), self)
        self._install.setObjectName("geommInstall")
        self._install.clicked.connect(lambda _checked=False: self._start_or_cancel())
        self._where = look.wrapped_label(self, "geommEngineWhere", self._where_text())
        self._step = look.wrapped_label(self, "geommInstallStep")
        self._bar = QProgressBar(self)
        self._bar.setRange(0, 0)
        self._bar.setVisible(False)
        self._line = QLabel(self)
        self._line.setObjectName("geommInstallLine")
        self._line.setTextFormat(Qt.TextFormat.PlainText)
        self._line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._line.setVisible(False)
        self._log = QPlainTextEdit(self)
        self._log.setReadOnly(True)
        self._log.setVisible(False)
        self._log.setAccessibleName(self.tr("What the installer wrote"))
        choose = QPushButton(self.tr("Choose an engine …"), self)
        choose.setObjectName("geommChooseEngine")
        choose.clicked.connect(lambda _checked=False: self.options_asked.emit())
        again = QPushButton(self.tr("Look again"), self)
        again.setObjectName("geommLookAgain")
        again.clicked.connect(lambda _checked=False: self.look_again_asked.emit())
        column = QVBoxLayout(self)
        column.setSpacing(look.GAP + 2)
        for widget in (
            self._title,
            self._cause,
            why,
            self._choice,
            self._forget,
            self._install,
            self._where,
            self._step,
            self._bar,
            self._line,
            self._log,
            choose,
            again,
        ):
            column.addWidget(widget)
        column.addStretch(1)
        self.explain("")

    def explain(self, cause: str) -> None:
        """Why an engine that is there does not run, "" where there is none; and which place was chosen, if one was."""
        title = self.tr("The engine does not run") if cause else self.tr("One step before the first map")
        self._title.setText(f"<h3>{title}</h3>")
        self._cause.setText(cause)
        self._cause.setVisible(bool(cause))
        path, origin = chosen_place(self._settings)
        self._choice.setText(self._choice_text(path, origin))
        self._choice.setVisible(bool(path))
        self._forget.setVisible(origin == "setting")

    def _choice_text(self, path: str, origin: str) -> str:
        if origin == "environment":
            text = self.tr("The environment variable {1} names {0} as the engine. No other is used as long as it does.")
        elif is_startable(path):
            text = self.tr("In the options {0} is chosen as the engine. “Set up the engine” forgets this choice.")
        else:
            text = self.tr(
                "In the options {0} is chosen as the engine, but there is no such program. “Set up the engine” forgets "
                "this choice."
            )
        return text.format(path, VARIABLE)

    def _forget_choice(self) -> None:
        self._settings.engine_path = ""
        self.look_again_asked.emit()

    def _where_text(self) -> str:
        if bundled_wheel():
            return self.tr(
                "Makes a Python environment in {0} and downloads the engine's libraries (about 150 MB). "
                "Needs Python 3.11 or newer. It computes on the processor; once it is ready, its line at the top of this panel "
                "tells whoever points at it how to add a GPU."
            ).format(paths.engine_dir())
        self._install.setEnabled(False)
        return self.tr(
            "This is a development checkout without a packed engine: run “make setup” in it, then “Look again”."
        )

    def _start_or_cancel(self) -> None:
        if self._maker is not None:
            self._maker.cancel()
            return
        self._install.setText(self.tr("Cancel"))
        self._bar.setVisible(True)
        self._line.setVisible(True)
        self._log.setVisible(False)
        self._maker = EnvironmentMaker(self)
        self._maker.step_changed.connect(self._step.setText)
        self._maker.line_written.connect(self._line.setText)
        self._maker.finished.connect(self._on_finished)
        self._maker.failed.connect(self._on_failed)
        self._maker.start()

    def _on_finished(self) -> None:
        """The engine that was just made is the one that is meant, whatever was chosen before."""
        self._end()
        self._settings.engine_path = ""
        self._step.setText(self.tr("The engine is ready."))
        self.engine_made.emit()

    def _on_failed(self, text: str) -> None:
        output = self._maker.output if self._maker else ""
        self._end()
        self._step.setText(text)
        self._log.setPlainText(output)
        self._log.setVisible(bool(output))

    def _end(self) -> None:
        self._bar.setVisible(False)
        self._line.setVisible(False)
        self._line.clear()
        self._install.setText(self.tr("Set up the engine"))
        self._maker = None

    def dispose(self) -> None:
        if self._maker is not None:
            self._maker.cancel()
