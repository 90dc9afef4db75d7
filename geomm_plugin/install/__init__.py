"""Finds the engine, or makes its environment. Never touches QGIS's own Python."""
