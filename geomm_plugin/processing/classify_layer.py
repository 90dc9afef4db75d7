"""geomm:classifylayer – a class map from a typed list of classes."""

from __future__ import annotations

import os
from typing import Any, Dict, List

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..class_list import parse_class_list
from ..client import contract
from .base import GeommAlgorithm


class ClassifyLayer(GeommAlgorithm):
    """Words in, class map out."""

    CLASSES, UNKNOWN, SMOOTH, SCORES = "CLASSES", "UNKNOWN", "SMOOTH", "SCORES"
    OUTPUT, CONFIDENCE, TILES, SUMMARY, COUNT, MEAN = (
        "OUTPUT",
        "CONFIDENCE",
        "TILES",
        "SUMMARY",
        "CLASS_COUNT",
        "MEAN_CONFIDENCE",
    )
    CLASS_SCORES, INDEX = "CLASS_SCORES", "INDEX"

    def name(self) -> str:
        return "classifylayer"

    def displayName(self) -> str:
        return self.tr("Classify layer by words")

    def tags(self) -> List[str]:
        return self.tr(
            "classification,land cover,zero-shot,text,clip,embedding,machine learning,satellite,aerial"
        ).split(",")

    def shortDescription(self) -> str:
        return self.tr("A class map from class names that you type, without training.")

    def shortHelpString(self) -> str:
        return self.tr(
            "Makes a class map of a satellite or aerial image from class names that you type, without training and on "
            "this computer.\n\nClasses: names separated by commas. After a colon may follow other words for the same class, "
            "separated by “|”; a leading “!” makes a class negative: it is recognised but never shown. "
            "Example: forest: woodland|trees, water, town, !cloud\n\n"
            "Unknown: places that look like none of the classes become a class of their own.\n"
            "Smooth: neighbours that look alike are given the same class.\n\n"
            "The image is embedded once; asking again with other words takes moments."
        )

    def initAlgorithm(self, _configuration: Dict[str, Any]) -> None:
        self._add_input()
        self.addParameter(
            QgsProcessingParameterString(self.CLASSES, self.tr("Classes"), defaultValue="forest, water, crops, town")
        )
        self._add_area()
        self._add_model_and_unit()
        self._add_advanced(
            QgsProcessingParameterBoolean(
                self.UNKNOWN, self.tr("Mark places that look like none of the classes as unknown"), True
            )
        )
        self._add_advanced(QgsProcessingParameterBoolean(self.SMOOTH, self.tr("Smooth by likeness"), True))
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Class map")))
        confidence = QgsProcessingParameterRasterDestination(
            self.CONFIDENCE, self.tr("How sure"), optional=True, createByDefault=False
        )
        self.addParameter(confidence)
        scores = self.tr("Score of each class (one band a class)")
        self.addParameter(
            QgsProcessingParameterRasterDestination(self.CLASS_SCORES, scores, optional=True, createByDefault=False)
        )
        tiles = QgsProcessingParameterVectorDestination(
            self.TILES, self.tr("Tiles"), optional=True, createByDefault=False
        )
        self.addParameter(tiles)
        summary = self.tr("Summary (areas by class)")
        self.addParameter(
            QgsProcessingParameterFileDestination(
                self.SUMMARY, summary, "JSON (*.json)", optional=True, createByDefault=False
            )
        )
        self.addOutput(QgsProcessingOutputNumber(self.COUNT, self.tr("Number of classes found")))
        self.addOutput(QgsProcessingOutputNumber(self.MEAN, self.tr("Mean confidence")))
        self.addOutput(QgsProcessingOutputString(self.INDEX, self.tr("Folder of the embeddings")))

    def checkParameterValues(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> "tuple[bool, str]":
        entries = parse_class_list(self.parameterAsString(parameters, self.CLASSES, context))
        if not [entry for entry in entries if not entry.is_negative]:
            return False, self.tr("Type at least one class name, such as: forest, water, town")
        return super().checkParameterValues(parameters, context)

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        scores_path = self.parameterAsOutputLayer(parameters, self.CLASS_SCORES, context)
        params = contract.ClassifyParams(
            source=self._source,
            classes=parse_class_list(self.parameterAsString(parameters, self.CLASSES, context)),
            output_dir=self._work_dir(),
            model=self._model(parameters, context),
            area=self._area,
            device=self._device(),
            has_unknown=self.parameterAsBool(parameters, self.UNKNOWN, context),
            is_smooth=self.parameterAsBool(parameters, self.SMOOTH, context),
            has_class_scores=bool(scores_path),
        )
        result = self._run("classify", params, feedback)
        for row in result.classes:
            feedback.pushInfo(f"{row.name}: {row.area_ha:,.1f} ha ({row.share:.1%})")
        output = self._deliver(result.class_path, self.parameterAsOutputLayer(parameters, self.OUTPUT, context))
        self._style(context, output, "class", result.classes)
        confidence = self._deliver(
            result.confidence_path, self.parameterAsOutputLayer(parameters, self.CONFIDENCE, context)
        )
        self._style(context, confidence, "confidence")
        found: Dict[str, Any] = {
            self.OUTPUT: output,
            self.COUNT: len(result.classes),
            self.MEAN: result.mean_confidence,
        }
        found[self.INDEX] = result.index_dir
        if confidence:
            found[self.CONFIDENCE] = confidence
        if scores_path:
            found[self.CLASS_SCORES] = self._deliver(result.scores_path, scores_path)
        if parameters.get(self.TILES):
            found[self.TILES] = self._deliver(
                result.tiles_path, self.parameterAsOutputLayer(parameters, self.TILES, context)
            )
        if parameters.get(self.SUMMARY):
            destination = self.parameterAsFileOutput(parameters, self.SUMMARY, context)
            found[self.SUMMARY] = self._deliver(result.summary_path, os.path.abspath(destination))
        return found
