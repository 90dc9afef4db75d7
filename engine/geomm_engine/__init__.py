"""GeoMM's inference engine: from georeferenced rasters and words to maps. Never imports QGIS."""

__version__ = "0.1.0"
