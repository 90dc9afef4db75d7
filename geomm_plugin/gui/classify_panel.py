"""The tab "Classify": class table, options, the button, and what was found. Starts nothing itself."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from qgis.gui import QgsCollapsibleGroupBoxBasic
from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..client import contract
from ..runs import Run
from . import look
from .class_table import ClassTable

_DEFAULT = (
    contract.ClassEntry("forest", ("woodland", "trees")),
    contract.ClassEntry("water", ("lake", "river", "sea")),
    contract.ClassEntry("crops", ("farmland", "fields")),
    contract.ClassEntry("grassland", ("meadow", "pasture")),
    contract.ClassEntry("town", ("houses", "buildings")),
    contract.ClassEntry("cloud", ("clouds",), "", True),
)


class ClassifyPanel(QWidget):
    """``asked`` when the person wants a class map."""

    asked = pyqtSignal()
    export_asked = pyqtSignal(object)
    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("geommClassify")
        self._run: Optional[Run] = None
        self.table = ClassTable(self)
        self.table.set_entries(_DEFAULT)
        self.table.changed.connect(self._on_changed)
        self.button = QPushButton(self.tr("Classify layer"), self)
        self.button.setObjectName("geommClassifyButton")
        font = self.button.font()
        font.setBold(True)
        self.button.setFont(font)
        self.button.setMinimumHeight(34)
        self.button.clicked.connect(lambda _checked=False: self.asked.emit())
        self._legend_title = QLabel(self)
        self._legend_title.setVisible(False)
        self.legend = self._make_legend()
        self.export = QPushButton(self.tr("Export GeoPackage …"), self)
        self.export.setObjectName("geommClassifyExport")
        self.export.setVisible(False)
        self.export.clicked.connect(lambda _checked=False: self.export_asked.emit(self._run))
        column = QVBoxLayout(self)
        column.setContentsMargins(look.MARGIN, look.MARGIN, look.MARGIN, look.MARGIN)
        column.setSpacing(look.GAP)
        column.addWidget(self.table)
        column.addLayout(self._make_tools())
        column.addWidget(self._make_options())
        for widget in (self.button, self._legend_title, self.legend, self.export):
            column.addWidget(widget)
        column.addStretch(1)

    def _make_tools(self) -> QHBoxLayout:
        self._presets = QToolButton(self)
        self._presets.setObjectName("geommPresets")
        self._presets.setText(self.tr("Presets"))
        self._presets.setToolTip(self.tr("Ready-made class lists"))
        self._presets.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._presets.setMenu(QMenu(self._presets))
        self._presets.setEnabled(False)
        paste = QToolButton(self)
        paste.setObjectName("geommPaste")
        paste.setText(self.tr("Paste list"))
        paste.setToolTip(
            self.tr("Adds the classes of a list on the clipboard, such as: forest: woodland, water, town, !cloud")
        )
        paste.clicked.connect(lambda _checked=False: self.table.paste())
        add = look.tool_button(self, "geommAddClass", self.tr("Add a class"), self.table.edit_new, "/symbologyAdd.svg")
        remove = look.tool_button(
            self,
            "geommRemoveClass",
            self.tr("Remove the chosen classes"),
            self.table.remove_selected,
            "/symbologyRemove.svg",
        )
        row = QHBoxLayout()
        row.setSpacing(look.GAP)
        row.addWidget(self._presets)
        row.addWidget(paste)
        row.addStretch(1)
        row.addWidget(add)
        row.addWidget(remove)
        return row

    def _make_options(self) -> QWidget:
        box = QgsCollapsibleGroupBoxBasic(self.tr("Options"), self)
        box.setObjectName("geommClassifyOptions")
        self.unknown = QCheckBox(self.tr("Mark what looks like none of these as unknown"), box)
        self.unknown.setChecked(True)
        self.smooth = QCheckBox(self.tr("Smooth: like neighbours belong together"), box)
        self.smooth.setChecked(True)
        self.scores = QCheckBox(self.tr("Keep the score of each class as well"), box)
        self.scores.setToolTip(self.tr("One band a class: how alike each place is"))
        self.exact = QCheckBox(self.tr("Use my words exactly as typed"), box)
        self.exact.setToolTip(self.tr("Off: each word is asked in several sentences, which is surer"))
        column = QVBoxLayout(box)
        column.setSpacing(3)
        for place, check in enumerate((self.unknown, self.smooth, self.scores, self.exact)):
            check.setObjectName(f"geommOption{place}")
            check.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            check.toggled.connect(lambda _on: self.changed.emit())
            column.addWidget(check)
        box.setCollapsed(True)
        return box

    def _make_legend(self) -> QTreeWidget:
        legend = QTreeWidget(self)
        legend.setObjectName("geommLegend")
        legend.setAccessibleName(self.tr("What was found"))
        legend.setHeaderLabels([self.tr("Class"), self.tr("Area (ha)"), self.tr("Share")])
        legend.setRootIsDecorated(False)
        legend.setAlternatingRowColors(True)
        legend.setIconSize(QSize(14, 14))
        legend.header().setStretchLastSection(False)
        legend.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for place in (1, 2):
            legend.header().setSectionResizeMode(place, QHeaderView.ResizeMode.ResizeToContents)
            legend.headerItem().setTextAlignment(place, Qt.AlignmentFlag.AlignRight)
        legend.setVisible(False)
        return legend

    # --- what it knows

    def classes(self) -> Tuple[contract.ClassEntry, ...]:
        return self.table.entries()

    def words(self) -> Tuple[str, ...]:
        """Names that stand for themselves: a class with other words may have any name."""
        return tuple(entry.name for entry in self.classes() if not entry.is_negative and not entry.synonyms)

    def options(self) -> Dict[str, bool]:
        """As the fields of ClassifyParams."""
        return {
            "has_unknown": self.unknown.isChecked(),
            "is_smooth": self.smooth.isChecked(),
            "has_class_scores": self.scores.isChecked(),
            "is_exact_text": self.exact.isChecked(),
        }

    def problem(self) -> str:
        """Why there can be no run, "" if there can."""
        shown = [entry for entry in self.classes() if not entry.is_negative]
        return "" if shown else self.tr("Type at least one class into the table, such as “forest”.")

    @property
    def run(self) -> Optional[Run]:
        return self._run

    def _on_changed(self) -> None:
        self.changed.emit()

    def show_presets(self, presets: Tuple[contract.PresetEntry, ...]) -> None:
        menu = self._presets.menu()
        menu.clear()
        for preset in presets:
            action = menu.addAction(preset.name)
            action.triggered.connect(lambda _checked=False, chosen=preset: self.table.set_entries(chosen.classes))
        self._presets.setEnabled(bool(presets))

    def show_run(self, run: Optional[Run]) -> None:
        """The legend of a finished run with areas and shares."""
        self._run = run
        is_there = run is not None
        for widget in (self._legend_title, self.legend, self.export):
            widget.setVisible(is_there)
        if run is None:
            return
        result = run.result
        self._legend_title.setText(
            self.tr("Found at {0}, {1:.0%} sure on average").format(run.clock, result.mean_confidence)
        )
        self.legend.clear()
        for row in result.classes:
            item = QTreeWidgetItem([row.name, f"{row.area_ha:,.1f}", f"{row.share:.1%}"])
            item.setIcon(0, look.swatch(row.color or "#808080"))
            for place in (1, 2):
                item.setTextAlignment(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.legend.addTopLevelItem(item)
        height = self.legend.header().sizeHint().height() + 2 * self.legend.frameWidth() + 2
        row_height = max(self.legend.sizeHintForRow(0), 18)
        self.legend.setFixedHeight(height + min(len(result.classes), 10) * row_height)

    # --- keeping

    def state(self) -> Dict[str, Any]:
        return {"classes": contract.encode(self.classes()), "options": self.options()}

    def restore(self, state: Dict[str, Any]) -> None:
        classes = state.get("classes")
        if classes:
            self.table.set_entries(contract.decode(Tuple[contract.ClassEntry, ...], classes, "classes"))
        options = state.get("options") or {}
        for name, box in (
            ("has_unknown", self.unknown),
            ("is_smooth", self.smooth),
            ("has_class_scores", self.scores),
            ("is_exact_text", self.exact),
        ):
            box.setChecked(bool(options.get(name, box.isChecked())))
