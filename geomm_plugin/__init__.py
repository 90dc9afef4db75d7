"""GeoMM for QGIS. Knows how QGIS makes the plugin, nothing else."""


def classFactory(iface):
    """The plugin object; ``iface`` is None under ``qgis_process``."""
    from .plugin import GeommPlugin

    return GeommPlugin(iface)
