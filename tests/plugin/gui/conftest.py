"""A dock over a canvas of its own."""

import pytest
from qgis.gui import QgsMapCanvas

from geomm_plugin import paths
from geomm_plugin.gui.dock import GeommDock
from geomm_plugin.session import Session

LONG_MS = 120_000


@pytest.fixture
def make_dock(qgis_app, qtbot, project, work_dir, monkeypatch):
    """A shown dock over a canvas; results go below the test's folder."""
    made = []
    monkeypatch.setattr(paths, "results_dir", lambda chosen="": str(work_dir / "results é"))

    def make():
        canvas = QgsMapCanvas()
        session = Session()
        dock = GeommDock(session, canvas)
        dock.resize(400, 900)
        dock.show()
        made.append((dock, session, canvas))
        return dock

    yield make
    for dock, session, canvas in made:
        dock.dispose()
        session.dispose()
        dock.deleteLater()
        canvas.deleteLater()


def notice(dock):
    """What the notice bar says, "" while it is closed."""
    return dock.notice.text if not dock.notice.isHidden() else ""
