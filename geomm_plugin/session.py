"""What the dock works with, without a widget: engine, queue, runs, layers. Joins them and keeps the project in step."""

from __future__ import annotations

import dataclasses
from typing import Optional, Set, Tuple

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from . import paths, runs
from .client import contract
from .client.engine_client import EngineClient
from .error_texts import ErrorTexts
from .install.locate import find_engine
from .layers import Target
from .result_layers import ResultLayers
from .run_queue import RunQueue
from .settings import Settings


class Session(QObject):
    """Owns the engine of the dock. ``runs_changed`` comes after every change of the list."""

    runs_changed = pyqtSignal()
    run_published = pyqtSignal(object)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.settings = Settings()
        self.texts = ErrorTexts()
        self.client = EngineClient(lambda: find_engine(self.settings), self)
        self.queue = RunQueue(self.client, self)
        self.store = runs.RunStore()
        self.layers = ResultLayers()
        self._orphan = ""
        self._given_dirs: Set[str] = set()
        self.queue.partial_arrived.connect(self._on_partial)
        self.queue.succeeded.connect(self._on_succeeded)
        self.queue.failed.connect(self._on_failed)
        QgsProject.instance().readProject.connect(self.load)
        QgsProject.instance().cleared.connect(self._on_cleared)
        self.load()

    def load(self, *_document: object) -> None:
        """Takes the runs of the project that is open now."""
        self.store.load()
        self.runs_changed.emit()

    def _on_cleared(self) -> None:
        """The project is gone: its runs must not end up in the next one, not even one that a cancel comes too late for."""
        self._orphan = self.queue.run_id
        self.queue.cancel()
        self.load()

    def dispose(self) -> None:
        QgsProject.instance().readProject.disconnect(self.load)
        QgsProject.instance().cleared.disconnect(self._on_cleared)
        self.client.dispose()

    def model_name(self, model: str) -> str:
        """A model's name for people; the first model is the default one."""
        models: Tuple[contract.ModelSummary, ...] = self.client.hello.models if self.client.hello else ()
        chosen = next((item for item in models if item.id == model), models[0] if models else None)
        return f"{chosen.name} {chosen.version}" if chosen else model

    def add_model(self, model: contract.ModelSummary) -> None:
        """A model that the engine has learnt since it said hello."""
        hello = self.client.hello
        if hello is not None:
            others = tuple(item for item in hello.models if item.id != model.id)
            self.client.hello = dataclasses.replace(hello, models=(*others, model))
            self.client.state_changed.emit(self.client.state)

    # --- starting runs

    def classify(
        self,
        target: Target,
        classes: Tuple[contract.ClassEntry, ...],
        area: contract.Area,
        view: contract.Area,
        model: str,
        options: "dict[str, bool]",
    ) -> None:
        words = ", ".join(("!" if entry.is_negative else "") + entry.name for entry in classes)
        params = contract.ClassifyParams(
            source=target.source,
            classes=classes,
            output_dir=self._new_dir(words),
            model=model,
            area=area,
            view=view,
            device=self.settings.device,
            **options,
        )
        self._start("classify", words, target.name, params)

    def search(
        self, target: Target, text: str, not_text: str, area: contract.Area, view: contract.Area, model: str
    ) -> None:
        words = f"{text} − {not_text}" if not_text else text
        params = contract.SearchParams(
            text=text,
            output_dir=self._new_dir(words),
            source=target.source,
            not_text=not_text,
            model=model,
            area=area,
            view=view,
            device=self.settings.device,
            top_k=200,
        )
        self._start("search", words, target.name, params)

    def locate(
        self, target: Target, priors: contract.LocatePriors, area: contract.Area, gsd_m: float, date: str
    ) -> None:
        words = QCoreApplication.translate("Session", "Where is this?")
        params = contract.LocateParams(
            source=target.source,
            output_dir=self._new_dir(f"{words} {target.name}"),
            area=area,
            priors=priors,
            gsd_m=gsd_m,
            date=date,
        )
        self._start("locate", words, target.name, params)

    def repeat(self, run: runs.Run) -> None:
        """The same question again, into a new folder."""
        values = {**contract.encode(run.params), "output_dir": self._new_dir(run.words)}
        self._start(run.kind, run.words, run.layer_name, contract.decode(contract.JOBS[run.kind][0], values))

    def _start(self, kind: str, words: str, layer_name: str, params: object) -> None:
        self.queue.add(runs.new_run(kind, words, layer_name, params))

    def _new_dir(self, words: str) -> str:
        """A folder of its own also for a run that waits: the engine makes it only when the run begins."""
        chosen = paths.run_dir(paths.results_dir(self.settings.results_dir), words, self._given_dirs)
        self._given_dirs.add(chosen)
        return chosen

    def remove(self, run_id: str) -> None:
        self.layers.remove(run_id)
        self.store.remove(run_id)
        self.runs_changed.emit()

    # --- what the queue says

    def _on_partial(self, run: runs.Run, note: contract.PartialNote) -> None:
        if run.id == self._orphan:
            return
        self.layers.publish_partial(run, note.path)

    def _on_succeeded(self, run: runs.Run) -> None:
        if run.id == self._orphan:
            return
        self.layers.model_name = run.result.model if run.kind == "locate" else self.model_name(run.params.model)
        self.layers.engine_version = self.client.hello.engine_version if self.client.hello else ""
        self.layers.publish(run)
        self.store.put(run)
        self.runs_changed.emit()
        self.run_published.emit(run)

    def _on_failed(self, run: runs.Run, _failure: object) -> None:
        self.layers.drop_partial(run)
        self.layers.drop_if_empty(run)
