"""Nothing of QGIS's environment reaches the engine."""

import os

from geomm_plugin.client.environment import child_variables

POISON = {
    "PYTHONHOME": "/qgis",
    "PYTHONPATH": "/qgis/python",
    "PYTHONEXECUTABLE": "/qgis/bin/python",
    "PROJ_LIB": "/qgis/proj",
    "PROJ_DATA": "/qgis/proj",
    "GDAL_DATA": "/qgis/gdal",
    "GDAL_DRIVER_PATH": "/qgis/plugins",
    "LD_LIBRARY_PATH": "/qgis/lib",
    "DYLD_LIBRARY_PATH": "/qgis/lib",
    "QT_PLUGIN_PATH": "/qgis/qt",
    "VIRTUAL_ENV": "/venv",
    "PIP_INDEX_URL": "https://example.org",
}


def test_a_poisoned_environment_is_not_leaked():
    parent = {
        **POISON,
        "HOME": "/home/é a",
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join(["/opt/QGIS 3/bin", "/usr/bin"]),
    }
    found = child_variables(parent)
    assert not set(found) & set(POISON)
    assert found["HOME"] == "/home/é a"
    assert found["LC_ALL"] == "C.UTF-8"
    assert found["PATH"] == "/usr/bin"
    assert found["PYTHONUTF8"] == "1"


def test_an_installer_may_see_proxies_and_pip_settings_and_no_more():
    found = child_variables({**POISON, "https_proxy": "http://proxy:1"}, may_install=True)
    assert found["PIP_INDEX_URL"] == "https://example.org"
    assert found["https_proxy"] == "http://proxy:1"
    assert "PYTHONPATH" not in found
