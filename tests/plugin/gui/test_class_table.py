"""The class table under mouse and keyboard."""

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QApplication, QLineEdit

from geomm_plugin.client.contract import ClassEntry
from geomm_plugin.gui.class_table import NAME, NOT, ClassTable


@pytest.fixture
def table(qgis_app, qtbot):
    found = ClassTable()
    qtbot.addWidget(found)
    found.show()
    return found


def test_what_goes_in_comes_out(table):
    entries = (ClassEntry("forest", ("woodland", "trees"), "#112233"), ClassEntry("cloud", (), "#ffffff", True))
    table.set_entries(entries)
    assert table.entries() == entries


def test_typing_into_the_empty_row_adds_a_class_and_a_new_empty_row(table, qtbot):
    table.edit_new()
    editor = table.viewport().findChild(QLineEdit)
    qtbot.keyClicks(editor, "harbour")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: [entry.name for entry in table.entries()] == ["harbour"])
    assert table.entries()[0].color
    assert table.rowCount() == 2


def test_a_list_on_the_clipboard_is_added_once(table):
    table.set_entries((ClassEntry("water"),))
    QApplication.clipboard().setText("forest: trees, Water, !cloud")
    table.paste()
    assert [(entry.name, entry.is_negative) for entry in table.entries()] == [
        ("water", False),
        ("forest", False),
        ("cloud", True),
    ]


def test_delete_removes_the_chosen_rows_but_never_the_empty_one(table, qtbot):
    table.set_entries((ClassEntry("a"), ClassEntry("b")))
    table.selectAll()
    qtbot.keyClick(table, Qt.Key.Key_Delete)
    assert table.entries() == ()
    assert table.rowCount() == 1


def test_a_tick_makes_a_negative(table):
    table.set_entries((ClassEntry("cloud"),))
    table.item(0, NOT).setCheckState(Qt.CheckState.Checked)
    assert table.entries()[0].is_negative
    assert table.item(0, NAME).text() == "cloud"
