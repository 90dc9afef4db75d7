"""The provider "geomm" of the Processing toolbox. Knows its algorithms, not what they do."""

from __future__ import annotations

from typing import List

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from .. import paths
from .classify_layer import ClassifyLayer
from .cut_chips import CutChips
from .embed_layer import EmbedLayer
from .find_anomalies import FindAnomalies
from .locate import Locate
from .search_by_text import SearchByText
from .teach_sensor import TeachSensor


class GeommProvider(QgsProcessingProvider):
    """Files in, files out: results are GeoTIFF and GeoPackage, as the engine writes them."""

    def id(self) -> str:
        return "geomm"

    def name(self) -> str:
        return "GeoMM"

    def longName(self) -> str:
        return QCoreApplication.translate("GeommProvider", "GeoMM (class maps and search by words)")

    def icon(self) -> QIcon:
        return QIcon(paths.resource("icons", "geomm.svg"))

    def svgIconPath(self) -> str:
        return paths.resource("icons", "geomm.svg")

    def supportedOutputRasterLayerExtensions(self) -> List[str]:
        return ["tif"]

    def supportedOutputVectorLayerExtensions(self) -> List[str]:
        return ["gpkg"]

    def supportsNonFileBasedOutput(self) -> bool:
        return False

    def loadAlgorithms(self) -> None:
        kinds = (ClassifyLayer, SearchByText, EmbedLayer, Locate, FindAnomalies, TeachSensor, CutChips)
        for kind in kinds:
            self.addAlgorithm(kind())
