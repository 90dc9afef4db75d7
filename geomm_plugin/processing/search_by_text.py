"""geomm:searchbytext – where an image looks like what a text says."""

from __future__ import annotations

from typing import Any, Dict, List

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..client import contract
from .base import GeommAlgorithm


class SearchByText(GeommAlgorithm):
    """A text in, a likeness raster and the best tiles out."""

    TEXT, NOT_TEXT, TOP_K = "TEXT", "NOT_TEXT", "TOP_K"
    OUTPUT, HITS, COUNT, BEST, THRESHOLD, INDEX = "OUTPUT", "HITS", "HIT_COUNT", "BEST_SCORE", "THRESHOLD", "INDEX"

    def name(self) -> str:
        return "searchbytext"

    def displayName(self) -> str:
        return self.tr("Search layer by text")

    def tags(self) -> List[str]:
        return self.tr("search,find,text,query,similarity,clip,embedding,machine learning,satellite,aerial").split(",")

    def shortDescription(self) -> str:
        return self.tr("Finds the places of an image that look like what you type.")

    def shortHelpString(self) -> str:
        return self.tr(
            "Finds the places of a satellite or aerial image that look like what you type, on this computer.\n\n"
            "Text: what to look for, in English, such as “solar farm beside a road”.\nBut not: what must not be meant, such as "
            "“parking lot”.\n\nResults are a raster of likeness and the best tiles as polygons with their score.\n\n"
            "The image is embedded once; searching again with other words takes moments."
        )

    def initAlgorithm(self, _configuration: Dict[str, Any]) -> None:
        self._add_input()
        self.addParameter(QgsProcessingParameterString(self.TEXT, self.tr("Text")))
        self.addParameter(
            QgsProcessingParameterString(self.NOT_TEXT, self.tr("But not"), defaultValue="", optional=True)
        )
        count = self.tr("Number of tiles to list")
        kind = QgsProcessingParameterNumber.Type.Integer
        self.addParameter(QgsProcessingParameterNumber(self.TOP_K, count, kind, 100, False, 1, 100_000))
        self._add_area()
        self._add_model_and_unit()
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Likeness")))
        self.addParameter(QgsProcessingParameterVectorDestination(self.HITS, self.tr("Best tiles")))
        self.addOutput(QgsProcessingOutputNumber(self.COUNT, self.tr("Number of tiles listed")))
        self.addOutput(QgsProcessingOutputNumber(self.BEST, self.tr("Best score")))
        self.addOutput(QgsProcessingOutputNumber(self.THRESHOLD, self.tr("Proposed cut")))
        self.addOutput(QgsProcessingOutputString(self.INDEX, self.tr("Folder of the embeddings")))

    def checkParameterValues(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> "tuple[bool, str]":
        if not self.parameterAsString(parameters, self.TEXT, context).strip():
            return False, self.tr("Type what to look for, such as: solar farm")
        return super().checkParameterValues(parameters, context)

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        params = contract.SearchParams(
            text=self.parameterAsString(parameters, self.TEXT, context).strip(),
            output_dir=self._work_dir(),
            source=self._source,
            not_text=self.parameterAsString(parameters, self.NOT_TEXT, context).strip(),
            top_k=self.parameterAsInt(parameters, self.TOP_K, context),
            model=self._model(parameters, context),
            area=self._area,
            device=self._device(),
        )
        result = self._run("search", params, feedback)
        output = self._deliver(result.score_path, self.parameterAsOutputLayer(parameters, self.OUTPUT, context))
        self._style(context, output, "score")
        hits = self._deliver(result.hits_path, self.parameterAsOutputLayer(parameters, self.HITS, context))
        self._style(context, hits, "hits")
        best = result.hits[0].score if result.hits else 0.0
        return {
            self.OUTPUT: output,
            self.HITS: hits,
            self.COUNT: len(result.hits),
            self.BEST: best,
            self.THRESHOLD: result.threshold,
            self.INDEX: result.index_dir,
        }
