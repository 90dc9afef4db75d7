"""geomm:chips – layers of one place, cut into chips of map tiles with their true ground pixel."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Tuple

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
)

from .. import areas, layers
from ..client import contract
from .base import GeommAlgorithm

MATRICES = ("web", "utm")


class CutChips(GeommAlgorithm):
    """Raster layers in, a folder of chips for each and an index of all of them out."""

    LAYERS, MATRIX, ZOOM, TILE_PX, GSD = "LAYERS", "MATRIX", "ZOOM", "TILE_PX", "GSD"
    NEAREST, ANY, MIN_VALID = "NEAREST", "ANY", "MIN_VALID"
    OUTPUT, INDEX, CHIPS, FILES, GSD_MIN = "OUTPUT", "INDEX", "CHIP_COUNT", "FILE_COUNT", "GSD_MIN"

    def __init__(self) -> None:
        super().__init__()
        self._sources: Tuple[contract.RasterSource, ...] = ()

    def name(self) -> str:
        return "chips"

    def displayName(self) -> str:
        return self.tr("Cut layers into chips")

    def tags(self) -> List[str]:
        return self.tr("chips,tiles,xyz,training data,export,dataset,machine learning,satellite,aerial").split(",")

    def shortDescription(self) -> str:
        return self.tr("Cuts layers of one place into small images by map tile, for training and comparing.")

    def shortHelpString(self) -> str:
        return self.tr(
            "Cuts one or several layers of the same place into small GeoTIFFs that lie exactly on the tiles of web maps "
            "(z/x/y) or on squares of the UTM zone: a folder for each layer, named like it. The same tile of every layer shows "
            "the same ground.\n\nAn index (GeoPackage) says for every chip where it lies, how large its pixels truly are on "
            "the ground, and how much of it holds data. Pixel values stay as they are; pixels without data are masked.\n\n"
            "An interrupted run goes on where it stopped when it is given the same folder."
        )

    def initAlgorithm(self, _configuration: Dict[str, Any]) -> None:
        kind = QgsProcessing.SourceType.TypeRaster
        self.addParameter(QgsProcessingParameterMultipleLayers(self.LAYERS, self.tr("Layers of the same place"), kind))
        options = [self.tr("Web map tiles (z/x/y)"), self.tr("Squares of the UTM zone")]
        self.addParameter(QgsProcessingParameterEnum(self.MATRIX, self.tr("Chips lie on"), options, defaultValue=0))
        whole, real = QgsProcessingParameterNumber.Type.Integer, QgsProcessingParameterNumber.Type.Double
        name = self.tr("Level of the web tiles (−1: as fine as the finest layer)")
        self.addParameter(QgsProcessingParameterNumber(self.ZOOM, name, whole, -1, False, -1, 24))
        name = self.tr("Pixels along a chip")
        self.addParameter(QgsProcessingParameterNumber(self.TILE_PX, name, whole, 256, False, 16, 8192))
        self._add_area()
        name = self.tr("Pixel of UTM chips in metres (0: the finest layer's)")
        self._add_advanced(QgsProcessingParameterNumber(self.GSD, name, real, 0.0, False, 0.0))
        name = self.tr("Least share of a chip that holds data")
        self._add_advanced(QgsProcessingParameterNumber(self.MIN_VALID, name, real, 0.5, False, 0.0, 1.0))
        name = self.tr("Take the nearest pixel (layers of class numbers)")
        self._add_advanced(QgsProcessingParameterBoolean(self.NEAREST, name, False))
        name = self.tr("Keep places that only some of the layers show")
        self._add_advanced(QgsProcessingParameterBoolean(self.ANY, name, False))
        self.addParameter(QgsProcessingParameterFolderDestination(self.OUTPUT, self.tr("Folder of the chips")))
        self.addOutput(QgsProcessingOutputVectorLayer(self.INDEX, self.tr("Index of the chips")))
        self.addOutput(QgsProcessingOutputNumber(self.CHIPS, self.tr("Places")))
        self.addOutput(QgsProcessingOutputNumber(self.FILES, self.tr("Chips")))
        self.addOutput(QgsProcessingOutputNumber(self.GSD_MIN, self.tr("Finest ground pixel in metres")))

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, _feedback: QgsProcessingFeedback
    ) -> bool:
        chosen = self.parameterAsLayerList(parameters, self.LAYERS, context)
        if not chosen:
            raise QgsProcessingException(self.tr("Choose at least one raster layer."))
        try:
            self._sources = tuple(target.source for target in layers.targets(chosen))
            self._area = self._read_area(parameters, chosen[0], context)
        except (layers.LayerRefused, areas.AreaRefused) as problem:
            raise QgsProcessingException(str(problem)) from problem
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        folder = os.path.abspath(self.parameterAsString(parameters, self.OUTPUT, context))
        params = contract.ChipsParams(
            sources=self._sources,
            output_dir=folder,
            matrix=MATRICES[self.parameterAsEnum(parameters, self.MATRIX, context)],
            zoom=self.parameterAsInt(parameters, self.ZOOM, context),
            gsd_m=self.parameterAsDouble(parameters, self.GSD, context),
            tile_px=self.parameterAsInt(parameters, self.TILE_PX, context),
            area=self._area,
            resampling="nearest" if self.parameterAsBoolean(parameters, self.NEAREST, context) else "",
            min_valid_share=self.parameterAsDouble(parameters, self.MIN_VALID, context),
            is_complete=not self.parameterAsBoolean(parameters, self.ANY, context),
        )
        result = self._run("chips", params, feedback)
        return {
            self.OUTPUT: folder,
            self.INDEX: result.index_path,
            self.CHIPS: result.chips,
            self.FILES: result.files,
            self.GSD_MIN: result.gsd_min_m,
        }
