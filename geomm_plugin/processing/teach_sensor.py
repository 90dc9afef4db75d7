"""geomm:teachsensor – a new sensor learns to answer to words from an image of the same ground."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from .. import layers
from ..client import contract
from .base import GeommAlgorithm


class TeachSensor(GeommAlgorithm):
    """Layers of two sensors in, a model folder out."""

    REFERENCE, TARGETS, NAME, BANDS, TEACHER, STEPS = "REFERENCE", "TARGETS", "NAME", "BANDS", "TEACHER", "STEPS"
    OUTPUT, MODEL_ID, AGREEMENT = "OUTPUT", "MODEL_ID", "AGREEMENT"

    def __init__(self) -> None:
        super().__init__()
        self._reference: Optional[contract.RasterSource] = None

    def name(self) -> str:
        return "teachsensor"

    def displayName(self) -> str:
        return self.tr("Teach a new sensor")

    def tags(self) -> List[str]:
        return self.tr("train,student,distillation,radar,sar,multispectral,machine learning,satellite").split(",")

    def shortDescription(self) -> str:
        return self.tr("A model that knows red, green and blue teaches another sensor to answer to the same words.")

    def shortHelpString(self) -> str:
        return self.tr(
            "Makes a model for a sensor that none was made for – radar, more bands, heights, heat – from layers that show the "
            "same ground as an image with red, green and blue. No labels are needed: the teacher looks at the image, the "
            "student at the other layers, and learns to see the same. The result answers to words at once, in “Classify layer "
            "by words” and “Search layer by text”.\n\nThe larger and the more varied the ground, the better: a few square "
            "kilometres are a try, hundreds a model. The log says how well the student does on ground that was held out.\n\n"
            "Needs the engine's training libraries (torch)."
        )

    def initAlgorithm(self, _configuration: Dict[str, Any]) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer(self.REFERENCE, self.tr("Picture that the teacher sees")))
        kind = QgsProcessing.SourceType.TypeRaster
        self.addParameter(QgsProcessingParameterMultipleLayers(self.TARGETS, self.tr("Layers of the new sensor"), kind))
        self.addParameter(QgsProcessingParameterString(self.NAME, self.tr("Name of the model")))
        name = self.tr("Its bands, such as “vv, vh” (empty: all that are named)")
        self.addParameter(QgsProcessingParameterString(self.BANDS, name, defaultValue="", optional=True))
        name = self.tr("Teacher (empty: the built-in model)")
        self._add_advanced(QgsProcessingParameterString(self.TEACHER, name, defaultValue="", optional=True))
        number = QgsProcessingParameterNumber.Type.Integer
        name = self.tr("Steps of the lesson")
        self._add_advanced(QgsProcessingParameterNumber(self.STEPS, name, number, 800, minValue=1, maxValue=100_000))
        name = self.tr("Folder of the model (empty: among your models)")
        self.addParameter(
            QgsProcessingParameterFolderDestination(self.OUTPUT, name, optional=True, createByDefault=False)
        )
        self.addOutput(QgsProcessingOutputString(self.MODEL_ID, self.tr("Model")))
        self.addOutput(QgsProcessingOutputNumber(self.AGREEMENT, self.tr("Same word as the teacher, share of tiles")))

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, _feedback: QgsProcessingFeedback
    ) -> bool:
        reference = self.parameterAsRasterLayer(parameters, self.REFERENCE, context)
        if reference is None:
            raise QgsProcessingException(self.invalidRasterError(parameters, self.REFERENCE))
        targets = self.parameterAsLayerList(parameters, self.TARGETS, context)
        try:
            self._reference = layers.joined(layers.targets([reference]))
            self._source = layers.joined(layers.targets(targets))
        except layers.LayerRefused as problem:
            raise QgsProcessingException(str(problem)) from problem
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        words = [word.strip() for word in self.parameterAsString(parameters, self.BANDS, context).split(",")]
        folder = self.parameterAsString(parameters, self.OUTPUT, context) if parameters.get(self.OUTPUT) else ""
        params = contract.TeachParams(
            name=self.parameterAsString(parameters, self.NAME, context),
            target=self._source,
            reference=self._reference,
            teacher=self.parameterAsString(parameters, self.TEACHER, context).strip(),
            bands=tuple(word for word in words if word),
            steps=self.parameterAsInt(parameters, self.STEPS, context),
            output_dir=os.path.abspath(folder) if folder else "",
            device=self._device(),
        )
        result = self._run("teach", params, feedback)
        for line in result.bridge:
            text = self.tr("{0}: {1} {2:.2f} ({3:.2f} to {4:.2f}; guessing {5:.2f}; {6} tiles)")
            feedback.pushInfo(
                text.format(line.route, line.metric, line.value, line.low, line.high, line.chance, line.tiles)
            )
        return {self.OUTPUT: result.model_dir, self.MODEL_ID: result.model.id, self.AGREEMENT: result.agreement}
