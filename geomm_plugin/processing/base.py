"""What the algorithms share: the layer, area, model and unit; the engine; progress and cancel; results moved into place."""

from __future__ import annotations

import dataclasses
import os
import shutil
from typing import Any, ClassVar, Dict, List, Optional, Sequence, Tuple

from qgis.core import (
    QgsFeatureRequest,
    QgsGeometry,
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingUtils,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from .. import areas, layers, paths
from ..client import contract
from ..client.blocking import run_blocking
from ..client.failure import ENGINE_ABSENT, Failure, JobFailed
from ..error_texts import ErrorTexts
from ..install.locate import find_engine
from ..result_layers import style_for_processing
from ..settings import Settings
from ..units import unit_names

UNITS = tuple(unit for unit, _name in unit_names())


class LayerStyler(QgsProcessingLayerPostProcessorInterface):
    """Styles a result when Processing has loaded it. Kept alive by the list below: QGIS holds no reference of its own."""

    kept: ClassVar[List["LayerStyler"]] = []

    def __init__(self, kind: str, classes: Sequence[contract.ClassShare] = ()) -> None:
        super().__init__()
        self._kind = kind
        self._classes = tuple(classes)

    def postProcessLayer(
        self, layer: QgsMapLayer, _context: QgsProcessingContext, _feedback: QgsProcessingFeedback
    ) -> None:
        style_for_processing(layer, self._kind, self._classes)


class GeommAlgorithm(QgsProcessingAlgorithm):
    """Parameters are read in ``prepareAlgorithm`` on the main thread; the work needs no layer any more."""

    INPUT, EXTENT, AREA, MODEL, UNIT = "INPUT", "EXTENT", "AREA", "MODEL", "UNIT"

    def __init__(self) -> None:
        super().__init__()
        self._source: Optional[contract.RasterSource] = None
        self._area = contract.Area()

    def tr(self, text: str) -> str:
        return QCoreApplication.translate(type(self).__name__, text)

    def createInstance(self) -> "GeommAlgorithm":
        return type(self)()

    def icon(self) -> QIcon:
        return QIcon(paths.resource("icons", "geomm.svg"))

    def svgIconPath(self) -> str:
        return paths.resource("icons", "geomm.svg")

    def group(self) -> str:
        return ""

    def groupId(self) -> str:
        return ""

    def canExecute(self) -> Tuple[bool, str]:
        if find_engine() is None:
            return False, ErrorTexts().failure(Failure(ENGINE_ABSENT)).text
        return True, ""

    # --- parameters

    def _add_input(self) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer(self.INPUT, self.tr("Image layer")))

    def _add_area(self) -> None:
        self.addParameter(
            QgsProcessingParameterExtent(self.EXTENT, self.tr("Extent (empty: the whole layer)"), optional=True)
        )
        polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
        name = self.tr("Only inside these polygons")
        self.addParameter(QgsProcessingParameterFeatureSource(self.AREA, name, polygons, optional=True))

    def _add_model_and_unit(self) -> None:
        name = self.tr("Model (empty: the built-in one)")
        self._add_advanced(QgsProcessingParameterString(self.MODEL, name, defaultValue="", optional=True))
        self._add_unit()

    def _add_unit(self) -> None:
        options = [name for _unit, name in unit_names()]
        self._add_advanced(
            QgsProcessingParameterEnum(self.UNIT, self.tr("What the pixel values are"), options, defaultValue=0)
        )

    def _add_advanced(self, parameter: QgsProcessingParameterDefinition) -> None:
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(parameter)

    def checkParameterValues(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Tuple[bool, str]:
        """Refuses file formats that the engine does not write, before the work and not after it."""
        for definition in self.destinationParameterDefinitions():
            value = parameters.get(definition.name())
            if isinstance(value, str) and value and value != QgsProcessing.TEMPORARY_OUTPUT:
                is_right, why = definition.isSupportedOutputValue(value, context)
                if not is_right:
                    return False, why
        return super().checkParameterValues(parameters, context)

    # --- reading

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, _feedback: QgsProcessingFeedback
    ) -> bool:
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        if layer is None:
            raise QgsProcessingException(self.invalidRasterError(parameters, self.INPUT))
        try:
            target = layers.targets([layer])[0]
            self._area = self._read_area(parameters, layer, context)
        except (layers.LayerRefused, areas.AreaRefused) as problem:
            raise QgsProcessingException(str(problem)) from problem
        unit = UNITS[self.parameterAsEnum(parameters, self.UNIT, context)]
        source = target.source
        self._source = dataclasses.replace(source, unit=unit or source.unit)
        return True

    def _read_area(
        self, parameters: Dict[str, Any], layer: QgsRasterLayer, context: QgsProcessingContext
    ) -> contract.Area:
        geometry: Optional[QgsGeometry] = None
        if parameters.get(self.EXTENT):
            geometry = self.parameterAsExtentGeometry(parameters, self.EXTENT, context, layer.crs())
        polygons = self.parameterAsSource(parameters, self.AREA, context)
        if polygons is not None:
            request = QgsFeatureRequest().setDestinationCrs(layer.crs(), context.transformContext())
            inside = areas.union(polygons.getFeatures(request.setSubsetOfAttributes([])))
            geometry = inside if geometry is None else geometry.intersection(inside)
        if geometry is None:
            return contract.Area()
        if geometry.isEmpty():
            raise areas.AreaRefused(self.tr("The polygons lie outside the extent. Choose another extent."))
        return areas.area(geometry, layer.crs())

    def _model(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> str:
        return self.parameterAsString(parameters, self.MODEL, context).strip()

    def _device(self) -> str:
        """The device that the person chose in the options, as in the dock."""
        return Settings().device

    # --- work

    def _run(self, method: str, params: Any, feedback: QgsProcessingFeedback) -> Any:
        """One job on an engine of its own.

        Raises:
            QgsProcessingException: with the cause and the cure in words.
        """
        texts = ErrorTexts()
        command = find_engine(Settings())
        if command is None:
            raise QgsProcessingException(texts.failure(Failure(ENGINE_ABSENT)).text)
        feedback.pushInfo(self.tr("Engine: {0}").format(command.program))
        stages: List[str] = []

        def show(note: contract.ProgressNote) -> None:
            if note.stage not in stages:
                stages.append(note.stage)
                feedback.setProgressText(f"{note.stage}: {note.total}")
            if note.total > 0:
                feedback.setProgress(100.0 * note.done / note.total)

        try:
            result = run_blocking(command, method, params, on_progress=show, is_cancelled=feedback.isCanceled)
        except JobFailed as problem:
            message = texts.failure(problem.failure, method)
            if message.details:
                feedback.pushDebugInfo(message.details)
            raise QgsProcessingException(message.text) from problem
        for note in getattr(result, "notes", ()):
            feedback.pushWarning(texts.note(note))
        return result

    def _work_dir(self) -> str:
        """A fresh folder that QGIS removes at its end."""
        folder = QgsProcessingUtils.generateTempFilename(self.name())
        os.makedirs(folder, exist_ok=True)
        return folder

    def _deliver(self, path: str, destination: str) -> str:
        """Moves a result file, its class names and its style to where the person wants it, and says where it is."""
        if not destination:
            return ""
        os.makedirs(os.path.dirname(os.path.abspath(destination)), exist_ok=True)
        try:
            shutil.move(path, destination)
            for source, target in (
                (path + ".aux.xml", destination + ".aux.xml"),
                (_stem(path) + ".qml", _stem(destination) + ".qml"),
            ):
                if os.path.isfile(source):
                    shutil.move(source, target)
        except OSError as problem:
            text = self.tr("Cannot write {0}: {1}. Choose another place.").format(
                destination, problem.strerror or problem
            )
            raise QgsProcessingException(text) from problem
        return destination

    def _style(
        self, context: QgsProcessingContext, path: str, kind: str, classes: Sequence[contract.ClassShare] = ()
    ) -> None:
        if path and context.willLoadLayerOnCompletion(path):
            styler = LayerStyler(kind, classes)
            LayerStyler.kept.append(styler)
            context.layerToLoadOnCompletionDetails(path).setPostProcessor(styler)


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]
