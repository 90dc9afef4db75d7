"""The part of QgisInterface that the plugin uses, remembering what was registered."""

from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtWidgets import QMainWindow


class FakeIface:
    """``left_behind`` is what a plugin did not take back."""

    def __init__(self):
        self.window = QMainWindow()
        self.canvas = QgsMapCanvas(self.window)
        self.left_behind = []
        self.layer = None

    def mainWindow(self):
        return self.window

    def mapCanvas(self):
        return self.canvas

    def addToolBarIcon(self, action):
        self.left_behind.append(("icon", action))

    def removeToolBarIcon(self, action):
        self.left_behind.remove(("icon", action))

    def addPluginToRasterMenu(self, name, action):
        self.left_behind.append((name, action))

    def removePluginRasterMenu(self, name, action):
        self.left_behind.remove((name, action))

    def activeLayer(self):
        return self.layer

    def addCustomActionForLayerType(self, action, menu, kind, is_for_all):
        assert is_for_all
        self.left_behind.append((menu, kind, action))

    def removeCustomActionForLayerType(self, action):
        self.left_behind = [item for item in self.left_behind if item[-1] is not action]
        return True

    def registerOptionsWidgetFactory(self, factory):
        self.left_behind.append(("options", factory))

    def unregisterOptionsWidgetFactory(self, factory):
        self.left_behind.remove(("options", factory))

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(area, dock)
        self.left_behind.append(("dock", dock))

    def removeDockWidget(self, dock):
        self.window.removeDockWidget(dock)
        self.left_behind.remove(("dock", dock))

    def showOptionsDialog(self, _parent, page):
        self.left_behind.append(("dialog", page))
