"""What to work on: layers, extent, model, and the preflight of the choice. Asks the engine through Preflight."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from qgis.core import QgsMapLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from ..areas import AreaRefused
from ..client import contract
from ..client.failure import Failure
from ..layers import ROLES_PROPERTY, UNIT_PROPERTY, LayerRefused, Target, targets
from ..preflight import Preflight
from ..session import Session
from . import look
from .area_chooser import AreaChooser
from .layer_list import LayerList
from .model_chooser import ModelChooser
from .preflight_line import PreflightLine


class TargetPanel(QWidget):
    """The upper half of the dock, the same for every verb."""

    def __init__(self, session: Session, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommTarget")
        self._session = session
        self.is_active = False
        self.layer_list = LayerList(self)
        self.area_chooser = AreaChooser(canvas, self)
        self.model_chooser = ModelChooser(self)
        self.line = PreflightLine(session.texts, self)
        self._preflight = Preflight(session.client, self._question, self)
        grid = QGridLayout()
        grid.setHorizontalSpacing(look.MARGIN)
        grid.setVerticalSpacing(look.GAP)
        grid.setColumnStretch(1, 1)
        rows = (
            (self.tr("La&yers"), self.layer_list, self.layer_list),
            (self.tr("E&xtent"), self.area_chooser, self.area_chooser.mode_box),
            (self.tr("Model"), self.model_chooser, self.model_chooser.box),
        )
        for place, (name, widget, buddy) in enumerate(rows):
            label = QLabel(name, self)
            label.setBuddy(buddy)
            label.setContentsMargins(0, 4, 0, 0)
            grid.addWidget(label, place, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(widget, place, 1)
            self._model_label = label
        column = QVBoxLayout(self)
        column.setContentsMargins(look.MARGIN, 4, look.MARGIN, 4)
        column.setSpacing(look.GAP)
        column.addLayout(grid)
        column.addWidget(self.line)
        self.words: Callable[[], Tuple[str, ...]] = tuple
        """What is asked now: a word that the model has not learned is said before the run."""
        self.verb = ""
        self._connect()

    def _connect(self) -> None:
        for signal in (self.layer_list.changed, self.area_chooser.changed, self.model_chooser.changed):
            signal.connect(self.refresh)
        self._preflight.asked.connect(self.line.show_asking)
        self._preflight.arrived.connect(self._on_arrived)
        self._preflight.failed.connect(self._on_failed)
        self.line.unit_chosen.connect(lambda unit: self._set_property(UNIT_PROPERTY, unit))
        self.line.roles_chosen.connect(self._on_roles)

    # --- the choice

    def targets(self) -> List[Target]:
        """One a run.

        Raises:
            LayerRefused: a ticked layer cannot be used.
        """
        return targets(self.layer_list.ticked_layers())

    def area(self) -> contract.Area:
        return self.area_chooser.area()

    def view(self) -> contract.Area:
        return self.area_chooser.view()

    @property
    def model(self) -> str:
        return self.model_chooser.model

    def _asked_layers(self) -> List[QgsMapLayer]:
        """The layers of the first target: the preflight's questions are about it alone."""
        try:
            chosen = self.targets()
        except LayerRefused:
            chosen = []
        ids = chosen[0].layer_ids if chosen else ()
        return [layer for layer in self.layer_list.ticked_layers() if layer.id() in ids]

    def _chosen_property(self, name: str) -> str:
        layers = self._asked_layers()
        return str(layers[0].customProperty(name, "") or "") if layers else ""

    def _set_property(self, name: str, value: str) -> None:
        for layer in self._asked_layers():
            if value:
                layer.setCustomProperty(name, value)
            else:
                layer.removeCustomProperty(name)
        self.refresh()

    def _on_roles(self, text: str) -> None:
        roles = ",".join(word.strip() for word in text.replace(";", ",").split(","))
        if roles != self._chosen_property(ROLES_PROPERTY):
            self._set_property(ROLES_PROPERTY, roles)

    # --- preflight

    def refresh(self) -> None:
        """The choice changed."""
        if self.is_active:
            self._preflight.refresh()

    def _question(self) -> Optional[contract.PreflightParams]:
        try:
            chosen = self.targets()
            area = self.area()
        except (LayerRefused, AreaRefused) as problem:
            self.line.show_idle(str(problem))
            return None
        if not chosen:
            self.line.show_idle("")
            return None
        if self.verb:
            return contract.PreflightParams(chosen[0].source, area=area, verb=self.verb)
        return contract.PreflightParams(
            chosen[0].source, self.model, area, words=self.words(), device=self._session.settings.device
        )

    def _on_arrived(self, result: contract.PreflightResult) -> None:
        more = max(0, self._target_count() - 1)
        self.line.show_result(result, self._chosen_property(UNIT_PROPERTY), self._chosen_property(ROLES_PROPERTY), more)

    def _target_count(self) -> int:
        try:
            return len(self.targets())
        except LayerRefused:
            return 0

    def _on_failed(self, failure: Failure) -> None:
        if failure.code != contract.ErrorCode.CANCELLED.value:
            self.line.show_message(self._session.texts.failure(failure))

    def show_verb(self, verb: str) -> None:
        """The preflight asks for this job: "" for those that embed, "locate" for the one that has a model of its own."""
        self.verb = verb
        self.model_chooser.setVisible(not verb)
        self._model_label.setVisible(not verb)
        self.refresh()

    # --- keeping

    def state(self) -> Dict[str, Any]:
        return {"layers": sorted(self.layer_list.ticked_ids()), "area": self.area_chooser.state(), "model": self.model}

    def restore(self, state: Dict[str, Any]) -> None:
        self.layer_list.refresh()
        if state.get("layers"):
            self.layer_list.tick(set(state["layers"]))
        self.area_chooser.restore(state.get("area") or {})
        self.model_chooser.choose(str(state.get("model") or ""))

    def show_models(self, models: Tuple[contract.ModelSummary, ...]) -> None:
        self.model_chooser.show_models(models)

    def dispose(self) -> None:
        self._preflight.stop()
        self.layer_list.dispose()
        self.area_chooser.dispose()
