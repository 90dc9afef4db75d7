"""geomm:locate – where on Earth an image may lie, in which climate and season."""

from __future__ import annotations

from typing import Any, Dict, List

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureRequest,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from .. import areas
from ..client import contract
from .base import GeommAlgorithm


class Locate(GeommAlgorithm):
    """An image in, a probability map of the world and the credible regions out."""

    LAND_ONLY, COUNTRY, WITHIN, DATE, GSD_KM = "LAND_ONLY", "COUNTRY", "WITHIN", "DATE", "GSD_KM"
    OUTPUT, REGIONS = "OUTPUT", "REGIONS"
    LAT, LON, PLACE, RADIUS, CLIMATE, SEASON = "LAT", "LON", "PLACE_COUNTRY", "RADIUS_50_KM", "CLIMATE", "SEASON"
    VERDICT, DISTANCE, LEVEL, ABSTAIN = "VERDICT", "DISTANCE_KM", "LEVEL", "ABSTAIN"

    def __init__(self) -> None:
        super().__init__()
        self._within = contract.Area()

    def name(self) -> str:
        return "locate"

    def displayName(self) -> str:
        return self.tr("Where on Earth is this?")

    def tags(self) -> List[str]:
        return self.tr("locate,geolocation,georeference,where,climate,season,koppen,place,country,satellite").split(",")

    def shortDescription(self) -> str:
        return self.tr("Says where on Earth an image may lie, in which climate and season.")

    def shortHelpString(self) -> str:
        return self.tr(
            "Says from the image alone where on Earth it may lie, in which climate and in which season, and whether its own "
            "coordinates and date fit, on this computer.\n\nFor images that show hundreds of kilometres at half a kilometre "
            "to eight kilometres a pixel (a weather satellite's view, a MODIS or VIIRS scene, a zoomed-out basemap); finer ones "
            "are averaged down.\n\nResults are a raster of the world (band 1: probability of the cell, band 2: density per "
            "km²) and the 50 % and 90 % regions as polygons; the same GeoPackage holds the likeliest places as points."
        )

    def initAlgorithm(self, _configuration: Dict[str, Any]) -> None:
        self._add_input()
        self.addParameter(QgsProcessingParameterBoolean(self.LAND_ONLY, self.tr("It shows land"), True))
        self.addParameter(
            QgsProcessingParameterString(
                self.COUNTRY, self.tr("It lies in this country"), defaultValue="", optional=True
            )
        )
        polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
        self.addParameter(
            QgsProcessingParameterFeatureSource(
                self.WITHIN, self.tr("It lies inside these polygons"), polygons, optional=True
            )
        )
        self.addParameter(
            QgsProcessingParameterString(
                self.DATE, self.tr("The date it is said to be of (2004-07-15)"), defaultValue="", optional=True
            )
        )
        kind = QgsProcessingParameterNumber.Type.Double
        name = self.tr("Ground size of a pixel in km (0: as the file says)")
        self._add_advanced(QgsProcessingParameterNumber(self.GSD_KM, name, kind, 0.0, True, 0.0, 100.0))
        self._add_area()
        self._add_model_and_unit()
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Probability")))
        self.addParameter(QgsProcessingParameterVectorDestination(self.REGIONS, self.tr("Credible regions")))
        for number, text in (
            (self.LAT, self.tr("Latitude of the best point")),
            (self.LON, self.tr("Longitude of the best point")),
            (self.RADIUS, self.tr("Kilometres round it with half of the probability")),
            (self.DISTANCE, self.tr("Kilometres from the image's own coordinates")),
            (self.LEVEL, self.tr("Smallest credible region that holds them")),
            (self.ABSTAIN, self.tr("Probability that the image cannot be placed")),
        ):
            self.addOutput(QgsProcessingOutputNumber(number, text))
        for word, text in (
            (self.PLACE, self.tr("Country of the likeliest place")),
            (self.CLIMATE, self.tr("Likeliest climate")),
            (self.SEASON, self.tr("Season")),
            (self.VERDICT, self.tr("What is to be said of its coordinates")),
        ):
            self.addOutput(QgsProcessingOutputString(word, text))

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        if not super().prepareAlgorithm(parameters, context, feedback):
            return False
        source = self.parameterAsSource(parameters, self.WITHIN, context)
        if source is not None:
            degrees = QgsCoordinateReferenceSystem("EPSG:4326")
            request = QgsFeatureRequest().setDestinationCrs(degrees, context.transformContext())
            try:
                inside = areas.union(source.getFeatures(request.setSubsetOfAttributes([])))
            except areas.AreaRefused as problem:
                raise QgsProcessingException(str(problem)) from problem
            self._within = areas.area(inside, degrees)
        return True

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        priors = contract.LocatePriors(
            self.parameterAsBool(parameters, self.LAND_ONLY, context),
            self._within,
            self.parameterAsString(parameters, self.COUNTRY, context).strip(),
        )
        params = contract.LocateParams(
            source=self._source,
            output_dir=self._work_dir(),
            model=self._model(parameters, context),
            area=self._area,
            priors=priors,
            gsd_m=1000.0 * self.parameterAsDouble(parameters, self.GSD_KM, context),
            date=self.parameterAsString(parameters, self.DATE, context).strip(),
            has_picture=False,
        )
        result: contract.LocateResult = self._run("locate", params, feedback)
        output = self._deliver(result.heatmap_path, self.parameterAsOutputLayer(parameters, self.OUTPUT, context))
        regions = self._deliver(result.places_path, self.parameterAsOutputLayer(parameters, self.REGIONS, context))
        check = result.check
        feedback.pushInfo(check.text if check else self.tr("The image does not say where it lies."))
        return {
            self.OUTPUT: output,
            self.REGIONS: regions,
            self.LAT: result.best.lat,
            self.LON: result.best.lon,
            self.PLACE: result.places[0].country,
            self.RADIUS: result.radius_50_km,
            self.CLIMATE: result.climates[0].code,
            self.SEASON: result.season.text,
            self.VERDICT: check.text if check else "",
            self.DISTANCE: check.distance_km if check else -1.0,
            self.LEVEL: check.level if check else -1.0,
            self.ABSTAIN: result.abstain,
        }
