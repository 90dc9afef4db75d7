"""The cut on the histogram: arithmetic, mouse and keys."""

import pytest
from qgis.PyQt.QtCore import QPoint, Qt

from geomm_plugin.gui.histogram import Histogram, tiles_above


@pytest.mark.parametrize(("threshold", "tiles"), [(-1, 10), (0, 10), (0.5, 4), (0.75, 2), (1, 0), (2, 0)])
def test_tiles_above_a_cut(threshold, tiles):
    assert tiles_above((6, 4), 0.0, 1.0, threshold) == pytest.approx(tiles)


def test_one_value_only():
    assert tiles_above((5,), 0.3, 0.3, 0.3) == 5
    assert tiles_above((5,), 0.3, 0.3, 0.4) == 0


@pytest.fixture
def histogram(qgis_app, qtbot):
    found = Histogram()
    qtbot.addWidget(found)
    found.resize(300, 74)
    found.show_counts((1, 2, 3, 4), 0.0, 1.0, 0.5)
    found.show()
    return found


def test_the_mouse_moves_the_cut(histogram, qtbot):
    with qtbot.waitSignal(histogram.threshold_changed):
        qtbot.mouseClick(histogram, Qt.MouseButton.LeftButton, pos=QPoint(79, 30))
    assert histogram.threshold == pytest.approx(0.25, abs=0.02)
    qtbot.mouseClick(histogram, Qt.MouseButton.LeftButton, pos=QPoint(299, 30))
    assert histogram.threshold == 1.0


def test_the_arrow_keys_move_the_cut(histogram, qtbot):
    qtbot.keyClick(histogram, Qt.Key.Key_Right)
    assert histogram.threshold == pytest.approx(0.505)
    qtbot.keyClick(histogram, Qt.Key.Key_PageDown)
    assert histogram.threshold == pytest.approx(0.455)
