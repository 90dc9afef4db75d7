"""What the plugin's sources may and may not do, read off their syntax trees."""

import ast
import os
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

PLUGIN = ROOT / "geomm_plugin"
FILES = sorted(path for path in PLUGIN.rglob("*.py") if path.name != "contract.py")
FORBIDDEN_CALLS = {"exec", "eval", "compile", "__import__"}
FORBIDDEN_MODULES = {"subprocess", "pickle", "marshal", "socket", "urllib", "http", "osgeo", "numpy", "PyQt5", "PyQt6"}
LINES_MAX = 400


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLUGIN)))
def test_imports_only_qgis_and_the_standard_library(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            top = name.split(".")[0]
            assert top not in FORBIDDEN_MODULES, name
            assert name.startswith(("qgis.core", "qgis.gui", "qgis.PyQt")) or top in sys.stdlib_module_names, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLUGIN)))
def test_keeps_from_what_harms(path):
    tree = tree_of(path)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: assert"
        if isinstance(node, ast.ExceptHandler):
            names = [node.type.id] if isinstance(node.type, ast.Name) else []
            assert node.type is not None, f"line {node.lineno}: bare except"
            assert not {"Exception", "BaseException"} & set(names), f"line {node.lineno}: broad except"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"line {node.lineno}: {node.func.id}"
        if isinstance(node, ast.Attribute):
            assert node.attr != "exec_", f"line {node.lineno}: exec_"
            assert not (isinstance(node.value, ast.Name) and node.value.id == "sys" and node.attr == "executable")
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_MAX
    assert ast.get_docstring(tree), "a module says what it knows"


def test_no_enum_is_unscoped():
    """``Qt.AlignRight`` works on Qt 5 only; ``Qt.AlignmentFlag.AlignRight`` on both."""
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in ("Qt", "QProcess", "QSizePolicy")
            ):
                owner = {"Qt": "Qt", "QProcess": "QProcess", "QSizePolicy": "QSizePolicy"}[node.value.id]
                kind = getattr(__import__("qgis.PyQt.QtCore", fromlist=["Qt"]), owner, None)
                if kind is None:
                    kind = getattr(__import__("qgis.PyQt.QtWidgets", fromlist=[owner]), owner)
                assert not isinstance(getattr(kind, node.attr), int), f"{path.name}:{node.lineno} {node.attr}"


def test_the_contract_is_the_engines_own():
    link = PLUGIN / "client" / "contract.py"
    assert os.path.samefile(link, ROOT / "engine" / "geomm_engine" / "contract.py")


def test_the_plugin_folder_is_complete_in_place():
    for name in ("metadata.txt", "resources/icons/geomm.svg", "resources/styles/confidence.qml"):
        assert (PLUGIN / name).is_file(), name
    assert os.readlink(PLUGIN / "LICENSE") == "../LICENSE"
