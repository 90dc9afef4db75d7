"""The dock: its parts, joined to the session. Decides nothing that a panel or the session can decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Optional, Union

from qgis.core import QgsProject
from qgis.gui import QgsDockWidget, QgsMapCanvas
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QFrame, QScrollArea, QSizePolicy, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from .. import runs
from ..areas import AreaRefused
from ..client import contract
from ..client.engine_client import EngineState
from ..client.failure import Failure
from ..error_texts import Message
from ..layers import LayerRefused
from ..session import Session
from .classify_panel import ClassifyPanel
from .engine_bar import EngineBar
from .engine_page import EnginePage
from .engine_trouble import EngineTrouble
from .exporting import Exporter
from .locate_panel import LocatePanel
from .map_view import MapView, worth_seeing_km
from .notice_bar import NoticeBar
from .progress_strip import ProgressStrip
from .run_messages import RunMessages
from .runs_list import RunsList
from .search_panel import SearchPanel
from .target_panel import TargetPanel
from .teach_window import TeachWindow

MIN_WIDTH = 360
SAID_BY_LOCATE = {"place_disagrees", "date_disagrees"}


class GeommDock(QgsDockWidget):
    """Shows the session. The engine starts when the dock is first seen."""

    options_asked = pyqtSignal()

    def __init__(self, session: Session, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__("GeoMM", parent)
        self.setObjectName("GeommDock")
        self.session = session
        self.bar = EngineBar(self)
        self.target = TargetPanel(session, canvas, self)
        self.classify = ClassifyPanel(self)
        self.search = SearchPanel(self)
        self.locate = LocatePanel(self)
        self.progress = ProgressStrip(self)
        self.notice = NoticeBar(self)
        self.run_messages = RunMessages(self.notice)
        self.runs_list = RunsList(self)
        self.engine_page = EnginePage(self)
        self.trouble = EngineTrouble(session, self.notice, self.engine_page)
        self.map_view = MapView(canvas)
        self.exporter = Exporter(session, self.notice, self)
        self.teach_window: Optional[TeachWindow] = None
        self._has_presets = False
        self._is_restart_due = False
        self._lay_out()
        self._connect_panels()
        self._connect_session()
        self.restore()
        self._show_state(session.client.state)
        self._show_runs()

    # --- layout

    def _lay_out(self) -> None:
        self.tabs = QTabWidget(self)
        self.tabs.setObjectName("geommTabs")
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.classify, self.tr("Class&ify"))
        self.tabs.addTab(self.search, self.tr("Se&arch"))
        self.tabs.addTab(self.locate, self.tr("Loca&te"))
        self.tabs.currentChanged.connect(self._size_tabs)
        self._size_tabs(0)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.target)
        column.addWidget(self.tabs, 1)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(_scrolled(inner))
        self._pages.addWidget(_scrolled(self.engine_page))
        body = QWidget(self)
        whole = QVBoxLayout(body)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(2)
        whole.addWidget(self.bar)
        whole.addWidget(self._pages, 1)
        for widget in (self.notice, self.progress, self.runs_list):
            widget.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
            whole.addWidget(widget)
        body.setMinimumWidth(MIN_WIDTH)
        self.setWidget(body)

    def _size_tabs(self, shown: int) -> None:
        """Only the tab that is seen decides how high the tabs are."""
        for place in range(self.tabs.count()):
            height = QSizePolicy.Policy.Preferred if place == shown else QSizePolicy.Policy.Ignored
            self.tabs.widget(place).setSizePolicy(QSizePolicy.Policy.Preferred, height)

    def _connect_panels(self) -> None:
        self.bar.restart_asked.connect(self.session.client.restart)
        self.bar.options_asked.connect(self.options_asked.emit)
        self.bar.help_asked.connect(self._show_help)
        self.bar.teach_asked.connect(self.open_teaching)
        self.engine_page.options_asked.connect(self.options_asked.emit)
        self.engine_page.engine_made.connect(self.look_again)
        self.engine_page.look_again_asked.connect(self.look_again)
        self.classify.changed.connect(self._enable)
        self.target.words = self._asked_words
        for signal in (self.classify.changed, self.search.text.textChanged, self.tabs.currentChanged):
            signal.connect(self.target.refresh)
        self.classify.asked.connect(self._classify)
        self.classify.export_asked.connect(self.exporter.export_tiles)
        self.search.asked.connect(self._search)
        self.search.threshold_moved.connect(self.session.layers.set_threshold)
        self.search.hit_chosen.connect(self.map_view.flash)
        self.search.hit_opened.connect(self.map_view.zoom)
        self.search.export_asked.connect(self.exporter.export_hits)
        self.locate.asked.connect(self._locate)
        self.locate.place_chosen.connect(self.map_view.flash_place)
        self.locate.place_opened.connect(self.map_view.zoom_place)
        self.tabs.currentChanged.connect(self._show_verb)
        self.progress.cancel_asked.connect(self.session.queue.cancel)
        self.runs_list.shown.connect(self._show_run)
        self.runs_list.repeat_asked.connect(lambda run_id: self._with_run(run_id, self.session.repeat))
        self.runs_list.remove_asked.connect(self._remove_run)

    def _asked_words(self) -> "tuple[str, ...]":
        """What the tab that is open asks for; a tab that asks for no words gives none."""
        panel = self.tabs.currentWidget()
        return panel.words() if panel in (self.classify, self.search) else ()

    def _connect_session(self) -> None:
        session = self.session
        session.client.state_changed.connect(self._show_state)
        session.runs_changed.connect(self._show_runs)
        session.run_published.connect(self._on_published)
        session.queue.started.connect(lambda run: self.progress.begin(run.words, session.queue.waiting))
        session.queue.progressed.connect(lambda _run, note: self.progress.show_note(note))
        session.queue.failed.connect(self._on_failed)
        session.queue.emptied.connect(self._on_emptied)
        QgsProject.instance().writeProject.connect(self.keep)
        QgsProject.instance().readProject.connect(self.restore)
        QgsProject.instance().cleared.connect(self.target.area_chooser.forget_drawn)

    # --- engine

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.target.is_active = True
        if self.session.client.state is EngineState.STOPPED:
            self.session.client.start()
        self.target.refresh()

    def look_again(self) -> None:
        """The engine's place may have changed; what is under way is finished first."""
        if self.session.client.state is EngineState.WORKING:
            self._is_restart_due = True
            self.notice.show_message("info", self.tr("The other engine is started when this run is done."))
            return
        self.notice.clear()
        self.session.client.restart()
        self.target.refresh()
        self.engine_page.explain("")

    def choose_layer(self, layer_id: str) -> None:
        """Works on this layer alone."""
        self.target.layer_list.tick({layer_id})

    def refresh(self) -> None:
        """The options changed, and the engine's place did not."""
        self.bar.show_engine(self.session.client, self.session.settings.device)
        self.target.refresh()

    def _show_state(self, state: EngineState) -> None:
        hello = self.session.client.hello
        self.bar.show_engine(self.session.client, self.session.settings.device)
        self._pages.setCurrentIndex(1 if state is EngineState.ABSENT else 0)
        if self._is_restart_due and state is EngineState.READY and not self.session.queue.waiting:
            self._is_restart_due = False
            QTimer.singleShot(0, self.look_again)
        elif state is EngineState.READY and hello is not None:
            if hello.models != self.target.model_chooser.models:
                self.target.show_models(hello.models)
            if not self._has_presets:
                self._ask_presets()
        elif (
            state is EngineState.FAILED
            and self.session.client.last_failure is not None
            and not self.session.queue.is_busy
        ):
            self.trouble.show(self.session.client.last_failure)
        self._enable()

    def _ask_presets(self) -> None:
        self._has_presets = True
        call = self.session.client.send("presets/list", contract.Empty())
        call.succeeded.connect(lambda result: self.classify.show_presets(result.presets))

    # --- runs

    def _classify(self) -> None:
        classes, options = self.classify.classes(), self.classify.options()
        self._start(
            self.classify.problem(),
            lambda target, area, view, model: self.session.classify(target, classes, area, view, model, options),
        )

    def _search(self) -> None:
        text, not_text = self.search.query()
        self._start(
            self.search.problem(),
            lambda target, area, view, model: self.session.search(target, text, not_text, area, view, model),
        )

    def _locate(self) -> None:
        problem, priors = self.locate.problem(), contract.LocatePriors()
        try:
            priors = self.locate.priors()
        except AreaRefused as refusal:
            problem = problem or str(refusal)
        gsd_m, date = self.locate.gsd_m, self.locate.date_text()
        self._start(
            problem,
            lambda target, area, _view, _model: self.session.locate(target, priors, area, gsd_m, date),
        )

    def _show_verb(self, _place: int) -> None:
        self.target.show_verb("locate" if self.tabs.currentWidget() is self.locate else "")

    def _start(self, problem: str, start: Callable[..., None]) -> None:
        """One run for each target; a problem is said instead of done."""
        self.notice.clear()
        try:
            targets, area = self.target.targets(), self.target.area()
        except (LayerRefused, AreaRefused) as refusal:
            problem = problem or str(refusal)
            targets = []
        if not problem and not targets:
            problem = self.tr("Tick a layer above first.")
        if problem:
            self.notice.show_message("warning", problem)
            return
        self.run_messages.begin(len(targets))
        for target in targets:
            start(target, area, self.target.view(), self.target.model)

    def _on_published(self, run: runs.Run) -> None:
        panel = self._panel_of(run)
        panel.show_run(run)
        if panel is not self.tabs.currentWidget() and not self.run_messages.has_any:
            self.notice.show_message(
                "success",
                self.tr("Done: {0}.").format(run.words),
                action=self.tr("Show"),
                on_action=lambda: self._show_run(run.id),
            )
        if isinstance(run.result, contract.LocateResult):
            self.map_view.show_around(replace(run.result.best, radius_km=worth_seeing_km(run.result)))
        # The preflight is about the first layer.
        said_before = set() if self.run_messages.is_batch else self.target.line.codes
        known = said_before | SAID_BY_LOCATE
        notes = [note for note in run.result.notes if note.level is not contract.Level.GREEN and note.code not in known]
        if notes:
            text = " ".join(self.session.texts.note(note) for note in notes)
            self.run_messages.say(run, "warning", Message(self.tr("The map is there, but:"), text))

    def _on_failed(self, run: runs.Run, failure: Failure) -> None:
        if failure.is_at_start:
            self.trouble.show(failure)
            return
        self.run_messages.say(run, _kind(failure), self.session.texts.failure(failure))

    def _on_emptied(self) -> None:
        self.progress.end()
        self.target.refresh()

    def _show_runs(self) -> None:
        self.runs_list.show_runs(self.session.store.runs)
        for panel in (self.classify, self.search, self.locate):
            if panel.run is not None and self.session.store.find(panel.run.id) is None:
                panel.show_run(None)

    def _show_run(self, run_id: str) -> None:
        run = self.session.store.find(run_id)
        if run is None or run.result is None:
            return
        self.notice.clear()
        self.session.layers.show(run.id)
        panel = self._panel_of(run)
        panel.show_run(run)
        self.tabs.setCurrentWidget(panel)

    def _panel_of(self, run: runs.Run) -> "Union[ClassifyPanel, SearchPanel, LocatePanel]":
        return {"classify": self.classify, "locate": self.locate}.get(run.kind, self.search)

    def _with_run(self, run_id: str, act: Callable[[runs.Run], None]) -> None:
        run = self.session.store.find(run_id)
        if run is not None:
            act(run)

    def _remove_run(self, run_id: str) -> None:
        self.session.remove(run_id)

    # --- what can be pressed

    def _enable(self) -> None:
        """An engine that is still starting takes the request and answers when it is up."""
        for button in (self.classify.button, self.search.button, self.locate.button):
            button.setEnabled(self.session.client.state is not EngineState.ABSENT)

    def _show_help(self) -> None:
        self.notice.show_message(
            "info",
            self.tr("How it works:"),
            self.tr(
                "1. Tick an image above. 2. Classify: type what there is, one class a row, and press “Classify layer”. "
                "3. Search: type what you look for and move the line on the histogram. Everything stays on this computer."
            ),
        )

    def open_teaching(self) -> None:
        """The window “Teach a new sensor”, made when it is first wanted."""
        if self.teach_window is None:
            self.teach_window = TeachWindow(self.session, self)
            self.teach_window.taught.connect(self.target.model_chooser.choose)
            self.session.queue.started.connect(self._say_lesson)
        self.teach_window.refresh()
        self.teach_window.show()
        self.teach_window.raise_()

    def _say_lesson(self, _run: runs.Run) -> None:
        """The engine does one job at a time, and a lesson goes on behind its closed window."""
        if self.teach_window is not None and self.teach_window.is_teaching:
            self.progress.show_waiting(self.tr("a lesson is under way (“Teach a new sensor”)"))

    # --- keeping with the project

    def keep(self, *_document: object) -> None:
        state = {"target": self.target.state(), "classify": self.classify.state(), "search": self.search.state()}
        state["locate"] = self.locate.state()
        runs.write_state({**state, "tab": self.tabs.currentIndex()})

    def restore(self, *_document: object) -> None:
        """Fills the fields as they were when the project was saved; what is not understood stays as it is."""
        state: "dict[str, Any]" = runs.read_state()
        try:
            self.target.restore(state.get("target") or {})
            self.classify.restore(state.get("classify") or {})
            self.search.restore(state.get("search") or {})
            self.locate.restore(state.get("locate") or {})
            self.tabs.setCurrentIndex(int(state.get("tab", self.tabs.currentIndex())))
        except (contract.ContractError, TypeError, ValueError, AttributeError) as problem:
            self.notice.show_message(
                "warning", self.tr("The project's GeoMM settings were not understood."), "", str(problem)
            )

    def dispose(self) -> None:
        """Undoes every connection to what outlives the dock."""
        QgsProject.instance().writeProject.disconnect(self.keep)
        QgsProject.instance().readProject.disconnect(self.restore)
        QgsProject.instance().cleared.disconnect(self.target.area_chooser.forget_drawn)
        self.target.dispose()
        self.engine_page.dispose()
        self.map_view.dispose()


def _kind(failure: Failure) -> str:
    return "info" if failure.code == contract.ErrorCode.CANCELLED.value else "error"


def _scrolled(widget: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(widget)
    return area
