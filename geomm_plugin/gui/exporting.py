"""Asks for a file name and has results written there: hits by the engine, tiles of a class map as a copy."""

from __future__ import annotations

import os
import shutil
from typing import Optional, Sequence

from qgis.core import QgsApplication, QgsProject, QgsTask, QgsVectorLayer
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QFileDialog, QWidget

from .. import paths
from ..client import contract
from ..client.failure import Failure
from ..runs import Run
from ..session import Session
from .notice_bar import NoticeBar


class CopyTask(QgsTask):
    """Copies one file beside the GUI thread."""

    def __init__(self, source: str, destination: str, description: str) -> None:
        super().__init__(description, QgsTask.Flag.CanCancel)
        self.source = source
        self.destination = destination
        self.problem = ""

    def run(self) -> bool:
        try:
            shutil.copyfile(self.source, self.destination)
        except OSError as problem:
            self.problem = problem.strerror or str(problem)
            return False
        return True


class Exporter(QObject):
    """Says how it went in the notice bar."""

    def __init__(self, session: Session, notice: NoticeBar, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._notice = notice
        self._window = window
        self._task: Optional[CopyTask] = None

    def export_hits(self, run: Run, threshold: float) -> None:
        """Every tile right of the cut, by the engine."""
        path = self._ask_path(run)
        if not path:
            return
        params = contract.ExportParams(
            index_dir=run.index_dir,
            text=run.params.text,
            output_path=path,
            threshold=threshold,
            not_text=run.params.not_text,
            is_exact_text=run.params.is_exact_text,
            area=run.params.area,
        )
        self._notice.show_message("info", self.tr("Writing {0} …").format(path))
        call = self._session.client.send("export", params)
        call.succeeded.connect(lambda result: self._on_written(result.output_path, result.tiles, result.notes))
        call.failed.connect(self._on_failed)

    def export_tiles(self, run: Run) -> None:
        """The tiles of a class map: a copy of the run's own file."""
        path = self._ask_path(run)
        if not path:
            return
        task = self._task = CopyTask(run.result.tiles_path, path, self.tr("Export GeoPackage"))
        task.taskCompleted.connect(lambda: self._on_written(path, _tiles_in(path)))
        task.taskTerminated.connect(lambda: self._on_not_copied(task))
        QgsApplication.taskManager().addTask(task)

    def _ask_path(self, run: Run) -> str:
        folder = QgsProject.instance().homePath() or os.path.expanduser("~")
        name = os.path.basename(paths.run_dir(folder, run.words)) + ".gpkg"
        title = self.tr("Export GeoPackage")
        path, _filter = QFileDialog.getSaveFileName(
            self._window, title, os.path.join(folder, name), "GeoPackage (*.gpkg)"
        )
        return path if not path or path.lower().endswith(".gpkg") else path + ".gpkg"

    def _on_written(self, path: str, tiles: int, notes: Sequence[contract.Note] = ()) -> None:
        text = " ".join([self.tr("{0:,} tiles written.").format(tiles), *map(self._session.texts.note, notes)])
        self._notice.show_message(
            "warning" if notes else "success",
            text,
            path,
            action=self.tr("Add to map"),
            on_action=lambda: self._add(path),
        )

    def _add(self, path: str) -> None:
        layer = QgsVectorLayer(path, os.path.splitext(os.path.basename(path))[0], "ogr")
        if layer.isValid():
            QgsProject.instance().addMapLayer(layer)
        self._notice.clear()

    def _on_failed(self, failure: Failure) -> None:
        message = self._session.texts.failure(failure)
        self._notice.show_message("error", message.cause, message.cure, message.details)

    def _on_not_copied(self, task: CopyTask) -> None:
        text = self.tr("The tiles could not be written: {0}.").format(task.problem)
        self._notice.show_message(
            "error", text, self.tr("Choose another folder, or run again if the result's files are gone.")
        )


def _tiles_in(path: str) -> int:
    layer = QgsVectorLayer(path, "", "ogr")
    return int(layer.featureCount()) if layer.isValid() else 0
