"""geomm:embedlayer – prepares an image, so that every later question is answered in moments."""

from __future__ import annotations

from typing import Any, Dict, List

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFolderDestination,
)

from ..client import contract
from .base import GeommAlgorithm


class EmbedLayer(GeommAlgorithm):
    """An image in, its embeddings out, in a folder."""

    OUTPUT, TILES, EMBEDDED, FAILED, INDEX = "OUTPUT", "TILE_COUNT", "EMBEDDED_COUNT", "FAILED_COUNT", "INDEX"

    def name(self) -> str:
        return "embedlayer"

    def displayName(self) -> str:
        return self.tr("Prepare layer (embed)")

    def tags(self) -> List[str]:
        return self.tr("embedding,index,prepare,clip,machine learning,satellite,aerial").split(",")

    def shortDescription(self) -> str:
        return self.tr("Embeds an image once, so that class maps and searches take moments.")

    def shortHelpString(self) -> str:
        return self.tr(
            "Looks at every tile of a satellite or aerial image once and keeps what it saw (its embeddings), so that every "
            "later class map or search takes moments.\n\nLeave the folder empty to use the place where “Classify layer by "
            "words” and “Search layer by text” look by themselves. An interrupted run goes on where it stopped."
        )

    def initAlgorithm(self, _configuration: Dict[str, Any]) -> None:
        self._add_input()
        self._add_area()
        self._add_model_and_unit()
        name = self.tr("Folder of the embeddings (empty: the usual place)")
        self.addParameter(
            QgsProcessingParameterFolderDestination(self.OUTPUT, name, optional=True, createByDefault=False)
        )
        self.addOutput(QgsProcessingOutputString(self.INDEX, self.tr("Folder of the embeddings")))
        self.addOutput(QgsProcessingOutputNumber(self.TILES, self.tr("Tiles")))
        self.addOutput(QgsProcessingOutputNumber(self.EMBEDDED, self.tr("Tiles embedded now")))
        self.addOutput(QgsProcessingOutputNumber(self.FAILED, self.tr("Tiles that failed")))

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        folder = self.parameterAsString(parameters, self.OUTPUT, context) if parameters.get(self.OUTPUT) else ""
        params = contract.EmbedParams(
            self._source, self._model(parameters, context), self._area, device=self._device(), index_dir=folder
        )
        result = self._run("embed", params, feedback)
        found = {
            self.INDEX: result.index_dir,
            self.TILES: result.tiles_total,
            self.EMBEDDED: result.tiles_embedded,
            self.FAILED: result.tiles_failed,
        }
        if folder:
            found[self.OUTPUT] = result.index_dir
        return found
