"""The tab "Locate": what is known of the place, and the answer: world, climate, season, places. Starts nothing itself."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

from qgis.core import QgsMapLayerProxyModel, QgsVectorLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QDate, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QCompleter,
    QDoubleSpinBox,
    QGridLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .. import areas, paths
from ..client import contract
from ..runs import Run
from . import look
from .locate_charts import ClimateChart, SeasonChart, WorldPicture

DATE_FORMAT = "yyyy-MM-dd"
_PLACE = Qt.ItemDataRole.UserRole
_COLORS = {
    contract.Verdict.AGREES: look.GREEN,
    contract.Verdict.POSSIBLE: look.GREEN,
    contract.Verdict.DOUBTFUL: look.AMBER,
    contract.Verdict.DISAGREES: look.RED,
    contract.Verdict.UNKNOWN: look.GREY,
}


class LocatePanel(QWidget):
    """``place_chosen`` and ``place_opened`` carry a contract.Place: show it on the map, zoom there."""

    asked = pyqtSignal()
    place_chosen = pyqtSignal(object)
    place_opened = pyqtSignal(object)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommLocate")
        self._run: Optional[Run] = None
        self.is_land_only = QCheckBox(self.tr("It shows land"), self)
        self.is_land_only.setObjectName("geommLandOnly")
        self.is_land_only.setChecked(True)
        self.country = QLineEdit(self)
        self.country.setObjectName("geommCountry")
        self.country.setPlaceholderText(self.tr("any country"))
        self.country.setClearButtonEnabled(True)
        completer = QCompleter(country_names(), self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        self.country.setCompleter(completer)
        self.polygons = QgsMapLayerComboBox(self)
        self.polygons.setObjectName("geommWithin")
        self.polygons.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.polygons.setAllowEmptyLayer(True, self.tr("anywhere"))
        self.polygons.setLayer(None)
        self.polygons.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.date = QLineEdit(self)
        self.date.setObjectName("geommDate")
        self.date.setPlaceholderText(self.tr("2004-07-15, if it is known"))
        self.gsd_km = QDoubleSpinBox(self)
        self.gsd_km.setObjectName("geommGsd")
        self.gsd_km.setRange(0.0, 100.0)
        self.gsd_km.setDecimals(3)
        self.gsd_km.setSuffix(" km")
        self.gsd_km.setSpecialValueText(self.tr("as the file says"))
        self.button = QPushButton(self.tr("Where is this?"), self)
        self.button.setObjectName("geommLocateButton")
        font = self.button.font()
        font.setBold(True)
        self.button.setFont(font)
        self.button.setMinimumHeight(28)
        self.button.clicked.connect(lambda _checked=False: self.asked.emit())
        self._hint = look.wrapped_label(
            self,
            "geommLocateHint",
            self.tr(
                "Says where on Earth an image may lie, in which climate and season, from the image alone, and whether its "
                "own coordinates fit. For images that show hundreds of kilometres; none of their bands but colour is used."
            ),
        )
        self._results = self._make_results()
        column = QVBoxLayout(self)
        column.setContentsMargins(look.MARGIN, look.MARGIN, look.MARGIN, look.MARGIN)
        column.setSpacing(look.GAP)
        column.addLayout(self._make_form())
        column.addWidget(self._hint)
        column.addWidget(self._results, 1)
        column.addStretch(0)
        self.show_run(None)

    def _make_form(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(look.MARGIN)
        grid.setVerticalSpacing(look.GAP)
        grid.setColumnStretch(1, 1)
        rows = (
            (self.tr("Co&untry"), self.country),
            (self.tr("I&nside"), self.polygons),
            (self.tr("Date"), self.date),
            (self.tr("Pixel si&ze"), self.gsd_km),
        )
        for place, (name, field) in enumerate(rows):
            label = QLabel(name, self)
            label.setBuddy(field)
            grid.addWidget(label, place, 0)
            grid.addWidget(field, place, 1)
        grid.addWidget(self.is_land_only, 0, 2)
        grid.addWidget(self.button, 2, 2, 2, 1)
        return grid

    def _make_results(self) -> QWidget:
        box = QWidget(self)
        self.verdict = look.wrapped_label(box, "geommVerdict")
        self.verdict.setContentsMargins(6, 4, 6, 4)
        self.world = WorldPicture(box)
        self.climate = ClimateChart(box)
        self.season = SeasonChart(box)
        self.table = QTableWidget(0, 4, box)
        self.table.setObjectName("geommPlaces")
        self.table.setTabKeyNavigation(False)
        self.table.setAccessibleName(self.tr("Likely places"))
        self.table.setHorizontalHeaderLabels(
            [self.tr("#"), self.tr("Country"), self.tr("Where"), self.tr("Probability")]
        )
        self.table.setToolTip(self.tr("Click: show on the map. Double-click: zoom there."))
        self.table.verticalHeader().setVisible(False)
        self.table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setAlternatingRowColors(True)
        header = self.table.horizontalHeader()
        for place in (0, 2, 3):
            header.setSectionResizeMode(place, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        header.setHighlightSections(False)
        self.table.itemSelectionChanged.connect(lambda: self._send(self.place_chosen))
        self.table.itemActivated.connect(lambda _item: self._send(self.place_opened))
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(look.GAP)
        for widget in (self.verdict, self.world, self.table, self.climate, self.season):
            column.addWidget(widget)
        column.addStretch(1)
        return box

    # --- what it knows

    def problem(self) -> str:
        """Why there can be no answer, "" if there can."""
        text = self.date.text().strip()
        if text and not QDate.fromString(text, DATE_FORMAT).isValid():
            return self.tr("“{0}” is no date. Write it as year-month-day, such as 2004-07-15.").format(text)
        return ""

    def priors(self) -> contract.LocatePriors:
        """What is known of the place.

        Raises:
            AreaRefused: the polygon layer holds no polygon.
        """
        layer = self.polygons.currentLayer()
        area = contract.Area()
        if isinstance(layer, QgsVectorLayer):
            area = areas.area(areas.union(layer.getFeatures()), layer.crs())
        return contract.LocatePriors(self.is_land_only.isChecked(), area, self.country.text().strip())

    @property
    def gsd_m(self) -> float:
        return 1000.0 * self.gsd_km.value()

    def date_text(self) -> str:
        return self.date.text().strip()

    @property
    def run(self) -> Optional[Run]:
        return self._run

    def show_run(self, run: Optional[Run]) -> None:
        """The answer of a finished run."""
        self._run = run
        self._results.setVisible(run is not None)
        self._hint.setVisible(run is None)
        if run is None:
            return
        result: contract.LocateResult = run.result
        self._show_verdict(result)
        self.world.show_file(result.world_path)
        self.climate.show_climates(result.climates)
        self.season.show_season(result.season)
        self.table.blockSignals(True)
        self.table.setRowCount(len(result.places))
        for row, place in enumerate(result.places):
            cells = (
                str(place.rank),
                place.country or self.tr("open sea"),
                place_text(place),
                f"{place.probability:.0%}",
            )
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setData(_PLACE, row)
                item.setToolTip(self.tr("Probability within {0:.0f} km").format(place.radius_km))
                self.table.setItem(row, column, item)
        self.table.clearSelection()
        self.table.blockSignals(False)
        rows = self.table.verticalHeader().defaultSectionSize() * max(1, len(result.places))
        self.table.setFixedHeight(self.table.horizontalHeader().sizeHint().height() + rows + 4)

    def _show_verdict(self, result: contract.LocateResult) -> None:
        sentences = [check.text for check in (result.check, result.date_check) if check is not None]
        near = self.tr("Half of the probability lies within {0:,.0f} km of {1}.").format(
            result.radius_50_km, place_text(result.best)
        )
        verdicts = [check.verdict for check in (result.check, result.date_check) if check is not None]
        worst = max(verdicts, key=list(contract.Verdict).index, default=None)
        known = [item for item in verdicts if item is not contract.Verdict.UNKNOWN]
        if known:
            worst = max(known, key=list(contract.Verdict).index)
        color = _COLORS[worst] if worst is not None else look.BLUE
        self.verdict.setText(" ".join([*sentences, near]))
        self.verdict.setStyleSheet(look.tinted("geommVerdict", color, 3))

    def _send(self, signal: Any) -> None:
        items = self.table.selectedItems()
        if items and self._run is not None:
            signal.emit(self._run.result.places[items[0].data(_PLACE)])

    # --- keeping

    def state(self) -> Dict[str, Any]:
        return {
            "is_land_only": self.is_land_only.isChecked(),
            "country": self.country.text(),
            "date": self.date.text(),
            "gsd_km": self.gsd_km.value(),
        }

    def restore(self, state: Dict[str, Any]) -> None:
        self.is_land_only.setChecked(bool(state.get("is_land_only", True)))
        self.country.setText(str(state.get("country", self.country.text())))
        self.date.setText(str(state.get("date", self.date.text())))
        self.gsd_km.setValue(float(state.get("gsd_km", self.gsd_km.value())))


def place_text(place: contract.Place) -> str:
    """12.3° N 45.6° W."""
    return (
        f"{abs(place.lat):.1f}° {'N' if place.lat >= 0 else 'S'} {abs(place.lon):.1f}° {'E' if place.lon >= 0 else 'W'}"
    )


def country_names() -> "list[str]":
    """The countries that the engine knows, from the outlines that ship with the plugin."""
    try:
        with open(paths.countries(), encoding="utf-8") as file:
            found = json.load(file)["features"]
    except (OSError, ValueError, KeyError):
        return []
    return sorted(item["properties"]["name"] for item in found)
