"""Runs inside QGIS: loads the image, opens the dock, and reports what is on the screen. Presses nothing."""

import json
import os
from itertools import count

from qgis.core import QgsContrastEnhancement, QgsProject, QgsRasterMinMaxOrigin
from qgis.PyQt.QtCore import QPoint, QTimer
from qgis.PyQt.QtGui import QCursor
from qgis.PyQt.QtWidgets import QApplication, QTabBar, QTabWidget, QWidget
from qgis.utils import iface, plugins

REPORT = os.environ["GEOMM_E2E_REPORT"]
timers = []
beats = count()


def begin():
    layer = iface.addRasterLayer(os.environ["GEOMM_E2E_RASTER"], os.environ.get("GEOMM_E2E_NAME", "image é"))
    layer.setContrastEnhancement(QgsContrastEnhancement.StretchToMinimumMaximum, QgsRasterMinMaxOrigin.CumulativeCut)
    window = iface.mainWindow()
    window.showMaximized()
    plugins["geomm"].show_dock(True)
    window.resizeDocks([plugins["geomm"].dock], [400], 1)
    iface.zoomToActiveLayer()
    timer = QTimer(window)
    timer.timeout.connect(report)
    timer.start(150)
    timers.append(timer)


def report():
    if os.path.exists(REPORT + ".quit"):
        timers[0].stop()
        QgsProject.instance().clear()
        iface.actionExit().trigger()
        return
    dock = plugins["geomm"].dock
    with open(REPORT + ".new", "w", encoding="utf-8") as out:
        json.dump(state(dock), out)
    os.replace(REPORT + ".new", REPORT)


def state(dock):
    session = dock.session
    layers = QgsProject.instance().mapLayers().values()
    return {
        "beat": next(beats),
        "under_pointer": under_pointer(),
        "engine": session.client.state.value,
        "engine_pid": session.client.pid(),
        "widgets": widgets(dock),
        "notice": dock.notice.text if dock.notice.isVisible() else "",
        "preflight": dock.target.line.level.value if dock.target.line.level else "",
        "is_busy": session.queue.is_busy,
        "progress": dock.progress.isVisible(),
        "classes": [entry.name for entry in dock.classify.classes()],
        "runs": [run.words for run in session.store.runs],
        "groups": [group.name() for group in QgsProject.instance().layerTreeRoot().findGroups()],
        "layers": [layer.name() for layer in layers],
        "threshold": dock.search.histogram.threshold,
        "hits": dock.search.table.rowCount(),
        "scale": iface.mapCanvas().scale(),
        "is_drawing": iface.mapCanvas().isDrawing(),
        "focus": QApplication.focusWidget().objectName() if QApplication.focusWidget() else "",
        "dialog": QApplication.activeModalWidget() is not None,
    }


def under_pointer():
    """The names of what a click would reach now, from the innermost widget outwards."""
    names = []
    widget = QApplication.widgetAt(QCursor.pos())
    if isinstance(widget, QTabBar):
        names.append(f"tab{widget.tabAt(widget.mapFromGlobal(QCursor.pos()))}")
    while widget is not None:
        names.append(widget.objectName())
        widget = widget.parentWidget()
    return names


def widgets(dock):
    """Global left, top, width and height of every named widget that can be seen, and of the tabs."""
    found = {}
    for widget in dock.findChildren(QWidget):
        if widget.objectName() and widget.isVisible():
            corner = widget.mapToGlobal(QPoint(0, 0))
            found[widget.objectName()] = (corner.x(), corner.y(), widget.width(), widget.height())
    bar = dock.findChild(QTabWidget, "geommTabs").tabBar()
    for place in range(bar.count()):
        rectangle = bar.tabRect(place)
        corner = bar.mapToGlobal(rectangle.topLeft())
        found[f"tab{place}"] = (corner.x(), corner.y(), rectangle.width(), rectangle.height())
    return found


QTimer.singleShot(1500, begin)
