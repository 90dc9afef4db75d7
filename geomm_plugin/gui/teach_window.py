"""The window “Teach a new sensor”: which layers, which teacher, how long; then progress, and what was measured."""

from __future__ import annotations

from typing import List, Optional, Tuple

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QFormLayout,
    QHeaderView,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .. import layers
from ..client import contract
from ..client.engine_client import Call
from ..client.failure import Failure
from ..session import Session
from . import look
from .notice_bar import NoticeBar
from .progress_strip import ProgressStrip

STEPS = (400, 800, 2000)
ROWS_SHOWN = 4
WAY_WIDTH = 170


class TeachWindow(QDialog):
    """Starts one lesson at a time on the session's engine. ``taught`` carries the new model's id."""

    taught = pyqtSignal(str)

    def __init__(self, session: Session, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommTeach")
        self.setWindowTitle(self.tr("Teach a new sensor"))
        self.setMinimumWidth(620)
        self._session = session
        self._call: Optional[Call] = None
        self.name = QLineEdit(self)
        self.name.setObjectName("geommTeachName")
        self.name.setPlaceholderText(self.tr("Radar of my valley"))
        self.reference = QComboBox(self)
        self.reference.setObjectName("geommTeachReference")
        self.targets = self._layer_box()
        self.teacher = QComboBox(self)
        self.teacher.setObjectName("geommTeacher")
        self.bands = QLineEdit(self)
        self.bands.setObjectName("geommTeachBands")
        self.bands.setPlaceholderText(self.tr("all that are named; or: vv, vh, B08, height"))
        self.length = QComboBox(self)
        self.length.setObjectName("geommTeachLength")
        names = (self.tr("a first try"), self.tr("normal"), self.tr("long"))
        for place, steps in enumerate(STEPS):
            self.length.addItem(self.tr("{0} ({1:,} steps)").format(names[place], steps), steps)
        self.length.setCurrentIndex(1)
        self.button = QPushButton(self.tr("Teach"), self)
        self.button.setObjectName("geommTeachButton")
        self.button.setDefault(True)
        self.button.clicked.connect(lambda _checked=False: self.start())
        self.progress = ProgressStrip(self, keeps=False)
        self.progress.setObjectName("geommTeachProgress")
        self.progress.cancel_asked.connect(self.cancel)
        self.notice = NoticeBar(self)
        self.notice.setObjectName("geommTeachNotice")
        self.table = self._table()
        self._lay_out()
        self.refresh()

    # --- layout

    def _lay_out(self) -> None:
        explained = look.wrapped_label(
            self,
            "geommTeachHint",
            self.tr(
                "A model that knows red, green and blue teaches another sensor – radar, more bands, heights, heat – to answer "
                "to the same words. Both layers must show the same ground; no labels are needed. The larger and the more "
                "varied the ground, the better: a few square kilometres are a try, hundreds a model."
            ),
        )
        form = QFormLayout()
        form.setVerticalSpacing(look.GAP)
        for text, widget in (
            (self.tr("&Name of the model"), self.name),
            (self.tr("&Picture that the teacher sees"), self.reference),
            (self.tr("New &sensor"), self.targets),
            (self.tr("Its &bands"), self.bands),
            (self.tr("T&eacher"), self.teacher),
            (self.tr("&Length"), self.length),
        ):
            form.addRow(text, widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(look.MARGIN, look.MARGIN, look.MARGIN, look.MARGIN)
        column.setSpacing(look.GAP)
        column.addWidget(explained)
        column.addLayout(form)
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignRight)
        column.addWidget(self.notice)
        column.addWidget(self.progress)
        column.addWidget(self.table, 1)
        column.addStretch(0)

    def _layer_box(self) -> QListWidget:
        box = QListWidget(self)
        box.setObjectName("geommTeachTargets")
        box.setAccessibleName(self.tr("Layers of the new sensor"))
        box.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        box.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        box.setFixedHeight(ROWS_SHOWN * (box.fontMetrics().height() + 8))
        return box

    def _table(self) -> QTableWidget:
        table = QTableWidget(0, 4, self)
        table.setObjectName("geommTeachBridge")
        table.setTabKeyNavigation(False)
        table.setHorizontalHeaderLabels(
            [self.tr("Way"), self.tr("On held-out ground"), self.tr("Value (95 %)"), self.tr("Guessing")]
        )
        table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        table.verticalHeader().setVisible(False)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setMinimumHeight(150)
        table.setVisible(False)
        return table

    # --- what can be chosen

    def refresh(self) -> None:
        """The project's images and the engine's models as they are now; the choice stays where it can."""
        images = [layer for layer in QgsProject.instance().layerTreeRoot().layerOrder() if layers.is_usable(layer)]
        chosen, ticked = self.reference.currentData(), set(self._ticked_ids())
        self.reference.clear()
        self.targets.clear()
        for layer in images:
            self.reference.addItem(layer.name(), layer.id())
            self.targets.addItem(self._item(layer, layer.id() in ticked))
        colour = next((layer.id() for layer in images if layer.bandCount() >= 3), None)
        place = self.reference.findData(chosen)
        self.reference.setCurrentIndex(max(0, place if place >= 0 else self.reference.findData(colour)))
        hello = self._session.client.hello
        teacher = self.teacher.currentData()
        self.teacher.clear()
        for model in hello.models if hello is not None else ():
            more = self.tr(" – was taught itself") if model.hops else ""
            self.teacher.addItem(f"{model.name} {model.version}{more}", model.id)
        self.teacher.setCurrentIndex(max(0, self.teacher.findData(teacher)))

    def _item(self, layer: QgsRasterLayer, is_ticked: bool) -> QListWidgetItem:
        bands = self.tr("1 band") if layer.bandCount() == 1 else self.tr("{0} bands").format(layer.bandCount())
        item = QListWidgetItem(f"{layer.name()}  ({bands})")
        item.setData(Qt.ItemDataRole.UserRole, layer.id())
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked)
        return item

    def _ticked_ids(self) -> List[str]:
        items = [self.targets.item(place) for place in range(self.targets.count())]
        return [
            str(item.data(Qt.ItemDataRole.UserRole)) for item in items if item.checkState() == Qt.CheckState.Checked
        ]

    def tick(self, layer_ids: Tuple[str, ...]) -> None:
        """Ticks exactly these layers of the new sensor."""
        for place in range(self.targets.count()):
            item = self.targets.item(place)
            is_ticked = item.data(Qt.ItemDataRole.UserRole) in layer_ids
            item.setCheckState(Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked)

    # --- a lesson

    def start(self) -> None:
        """Sends the lesson to the engine, or says what is missing."""
        self.notice.clear()
        self.table.setVisible(False)
        try:
            params = self._params()
        except layers.LayerRefused as refusal:
            self.notice.show_message("warning", str(refusal))
            return
        call = self._call = self._session.client.send("teach", params)
        call.progressed.connect(self.progress.show_note)
        call.succeeded.connect(self._on_taught)
        call.failed.connect(self._on_failed)
        self.progress.begin(self.tr("Teaching “{0}”").format(params.name), 0)
        if self._session.queue.is_busy:
            self.progress.show_waiting(self.tr("the run in the dock comes first"))
        self.button.setEnabled(False)

    def _params(self) -> contract.TeachParams:
        """The message.

        Raises:
            LayerRefused: something is missing, or a layer cannot be read by the engine.
        """
        project = QgsProject.instance()
        if not self.name.text().strip():
            raise layers.LayerRefused(self.tr("Give the new model a name."))
        reference = project.mapLayer(str(self.reference.currentData() or ""))
        ticked = [project.mapLayer(layer_id) for layer_id in self._ticked_ids()]
        if reference is None or not ticked:
            raise layers.LayerRefused(
                self.tr("Choose the picture that the teacher sees, and tick the new sensor's layer.")
            )
        words = [word.strip() for word in self.bands.text().replace(";", ",").split(",")]
        return contract.TeachParams(
            name=self.name.text().strip(),
            target=layers.joined(layers.targets([layer for layer in ticked if layer is not None])),
            reference=self._reference_source(reference),
            teacher=str(self.teacher.currentData() or ""),
            bands=tuple(word for word in words if word),
            steps=int(self.length.currentData()),
            device=self._session.settings.device,
        )

    def _reference_source(self, layer: QgsRasterLayer) -> contract.RasterSource:
        """A band file stands for all band files of its place: the teacher needs red, green and blue."""
        if not layers.band_of(layer):
            return layers.joined(layers.targets([layer]))
        images = [item for item in QgsProject.instance().mapLayers().values() if layers.is_usable(item)]
        return layers.joined([target for target in layers.targets(images) if layer.id() in target.layer_ids])

    @property
    def is_teaching(self) -> bool:
        return self._call is not None

    def cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()

    def _end(self) -> None:
        self._call = None
        self.progress.end()
        self.button.setEnabled(True)

    def _on_taught(self, result: contract.TeachResult) -> None:
        self._end()
        self.show_bridge(result.bridge)
        notes = [self._session.texts.note(note) for note in result.notes if note.level is not contract.Level.GREEN]
        text = self.tr("“{0}” has learnt: the same word as its teacher for {1:.0f} % of the held-out ground.")
        self.notice.show_message(
            "warning" if notes else "success",
            text.format(result.model.name, 100 * result.agreement),
            self.tr("It is in the model list now.") + (" " + " ".join(notes) if notes else ""),
        )
        self._session.add_model(result.model)
        self.taught.emit(result.model.id)

    def show_bridge(self, bridge: Tuple[contract.BridgeLine, ...]) -> None:
        """The report, a row a number."""
        self.table.setRowCount(len(bridge))
        for row, line in enumerate(bridge):
            value = f"{line.value:.2f} ({line.low:.2f}–{line.high:.2f})"
            for column, text in enumerate((line.route, line.metric, value, f"{line.chance:.2f}")):
                item = QTableWidgetItem(text)
                item.setToolTip(
                    self.tr("{0} ({1}): {2}, {3} tiles").format(line.route, line.model, line.metric, line.tiles)
                )
                self.table.setItem(row, column, item)
        self.table.setColumnWidth(0, WAY_WIDTH)
        for column in (2, 3):
            self.table.resizeColumnToContents(column)
        self.table.setVisible(bool(bridge))

    def _on_failed(self, failure: Failure) -> None:
        self._end()
        message = self._session.texts.failure(failure, "teach")
        kind = "info" if failure.code == contract.ErrorCode.CANCELLED.value else "error"
        self.notice.show_message(kind, message.cause, message.cure, message.details)
