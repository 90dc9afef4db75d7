"""geomm:anomaly – where an image shows what a model that rebuilds images cannot guess."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..client import contract
from .base import GeommAlgorithm


class FindAnomalies(GeommAlgorithm):
    """An image in, a raster of strangeness and the strange tiles out."""

    THRESHOLD, OUTPUT, TILES = "THRESHOLD", "OUTPUT", "TILES"
    COUNT, STRANGE, HIGHEST = "TILE_COUNT", "STRANGE_COUNT", "HIGHEST"

    def name(self) -> str:
        return "anomaly"

    def displayName(self) -> str:
        return self.tr("Find what is strange (anomalies)")

    def tags(self) -> List[str]:
        return self.tr("anomaly,strange,outlier,change,novelty,machine learning,satellite,aerial").split(",")

    def shortDescription(self) -> str:
        return self.tr("Finds the places of an image that are unlike everything a model was trained on.")

    def shortHelpString(self) -> str:
        return self.tr(
            "Half of every tile is hidden and the model guesses it from the other half. Where it guesses badly, the place is "
            "unlike what it was trained on: this says that something is strange, not what it is.\n\nStrangeness counts "
            "standard deviations above ground of the model's own kind that it had not seen.\n\nIt needs a model that was "
            "trained to rebuild images (“geomm train fusion”); the built-in one was not. The built-in model marks ground that "
            "it does not know while it classifies: see the band “familiarity” of its class maps."
        )

    def initAlgorithm(self, _configuration: Dict[str, Any]) -> None:
        self._add_input()
        name = self.tr("Model that rebuilds images")
        self.addParameter(QgsProcessingParameterString(self.MODEL, name))
        kind = QgsProcessingParameterNumber.Type.Double
        name = self.tr("Strange from so many deviations on")
        self.addParameter(QgsProcessingParameterNumber(self.THRESHOLD, name, kind, 3.0, False, 0.0, 100.0))
        self._add_area()
        self._add_unit()
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Strangeness")))
        self.addParameter(QgsProcessingParameterVectorDestination(self.TILES, self.tr("Strange tiles")))
        self.addOutput(QgsProcessingOutputNumber(self.COUNT, self.tr("Tiles")))
        self.addOutput(QgsProcessingOutputNumber(self.STRANGE, self.tr("Strange tiles")))
        self.addOutput(QgsProcessingOutputNumber(self.HIGHEST, self.tr("Highest strangeness")))

    def checkParameterValues(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Tuple[bool, str]:
        if not self._model(parameters, context):
            return False, self.tr("Name a model that rebuilds images, by its id or folder. The built-in one does not.")
        return super().checkParameterValues(parameters, context)

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        params = contract.AnomalyParams(
            source=self._source,
            output_dir=self._work_dir(),
            model=self._model(parameters, context),
            area=self._area,
            threshold=self.parameterAsDouble(parameters, self.THRESHOLD, context),
        )
        result = self._run("anomaly", params, feedback)
        output = self._deliver(result.anomaly_path, self.parameterAsOutputLayer(parameters, self.OUTPUT, context))
        self._style(context, output, "anomaly")
        tiles = self._deliver(result.tiles_path, self.parameterAsOutputLayer(parameters, self.TILES, context))
        self._style(context, tiles, "anomalies")
        return {
            self.OUTPUT: output,
            self.TILES: tiles,
            self.COUNT: result.tiles,
            self.STRANGE: result.strange,
            self.HIGHEST: result.highest,
        }
