"""Result files → styled, described layers in one group a run. The only module that changes the project's layers."""

from __future__ import annotations

import os
from typing import List, Optional, Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsLayerMetadata,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QFile

from . import paths, result_styles
from .client import contract
from .layers import KIND_PROPERTY, RUN_PROPERTY
from .runs import Run
from .translation import Translated

GROUP_PROPERTY = "geomm/group"
WORLD_KIND = "world"
WORLD_DEG = 300.0


def load_raster(path: str, name: str) -> Optional[QgsRasterLayer]:
    layer = QgsRasterLayer(path, name, "gdal")
    return layer if layer.isValid() else None


def load_vector(path: str, name: str) -> Optional[QgsVectorLayer]:
    layer = QgsVectorLayer(path, name, "ogr")
    return layer if layer.isValid() else None


class ResultLayers(Translated):
    """Publishes runs; finds their layers again by custom properties, so it also works after a project was reopened."""

    def __init__(self, model_name: str = "", engine_version: str = "") -> None:
        self.model_name = model_name
        self.engine_version = engine_version

    # --- publishing

    def publish_partial(self, run: Run, path: str) -> None:
        """Shows the first look at a class map; the finished run replaces it."""
        if self.layer(run.id, "partial") is not None:
            return
        layer = load_raster(path, self.tr("First look (work goes on)"))
        if layer is None:
            return
        if run.kind == "classify":
            result_styles.style_by_file(layer)
        self._add(layer, run, "partial", self._group(run))

    def publish(self, run: Run) -> QgsLayerTreeGroup:
        """Adds all layers of a finished run, top one first, and takes the first look away."""
        group = self._group(run)
        self.drop_partial(run)
        if run.kind == "classify":
            self._publish_classify(run, run.result, group)
        elif run.kind == "locate":
            self._publish_locate(run, run.result, group)
        else:
            self._publish_search(run, run.result, group)
        group.setExpanded(False)  # the view forgets a group that was empty for a moment
        group.setExpanded(True)
        return group

    def _publish_classify(self, run: Run, result: contract.ClassifyResult, group: QgsLayerTreeGroup) -> None:
        tiles = load_vector(result.tiles_path, self.tr("Tiles"))
        if tiles is not None:
            self._add(tiles, run, "tiles", group, is_visible=False)
        if result.unfamiliar_share > 0:
            strange = load_raster(result.confidence_path, self.tr("Unfamiliar ground"))
            if strange is not None:
                result_styles.style_unfamiliar(strange, result.familiar_threshold)
                self._add(strange, run, "unfamiliar", group, is_visible=False)
        classes = load_raster(result.class_path, self.tr("Classes: {0}").format(_short(run.words)))
        if classes is not None:
            result_styles.style_class_map(classes, result.classes)
            self._add(classes, run, "class", group)
        confidence = load_raster(result.confidence_path, self.tr("How sure"))
        if confidence is not None:
            result_styles.style_confidence(confidence)
            self._add(confidence, run, "confidence", group, is_visible=False)
        scores = load_raster(result.scores_path, self.tr("Score of each class")) if result.scores_path else None
        if scores is not None:
            self._add(scores, run, "scores", group, is_visible=False)

    def _publish_search(self, run: Run, result: contract.SearchResult, group: QgsLayerTreeGroup) -> None:
        hits = load_vector(result.hits_path, self.tr("Found: {0}").format(_short(run.words)))
        if hits is not None:
            result_styles.style_hits(hits, result.threshold)
            self._add(hits, run, "hits", group)
        score = load_raster(result.score_path, self.tr("Likeness: {0}").format(_short(run.words)))
        if score is not None:
            result_styles.style_score(score, result.threshold, result.score_max)
            self._add(score, run, "score", group)

    def _publish_locate(self, run: Run, result: contract.LocateResult, group: QgsLayerTreeGroup) -> None:
        """Places, regions and heat; below everything the countries, if nothing else shows the world."""
        for kind, name in (("places", self.tr("Likely places")), ("regions", self.tr("Credible regions"))):
            layer = load_vector(f"{result.places_path}|layername={kind}", name)
            if layer is not None:
                self._add(layer, run, kind, group)
        heat = load_raster(result.heatmap_path, self.tr("Probability"))
        if heat is not None:
            self._add(heat, run, "heat", group)
        if not _shows_the_world(run.id):
            world = load_vector(paths.countries(), self.tr("Countries"))
            if world is not None:
                result_styles.style_countries(world)
                world.setCustomProperty(KIND_PROPERTY, WORLD_KIND)
                QgsProject.instance().addMapLayer(world, False)
                QgsProject.instance().layerTreeRoot().addLayer(world).setExpanded(False)

    def set_threshold(self, run: Run, threshold: float) -> None:
        """Moves the cut of a search: restyles its two layers, asks nobody."""
        score, hits = self.layer(run.id, "score"), self.layer(run.id, "hits")
        if isinstance(score, QgsRasterLayer):
            result_styles.style_score(score, threshold, run.result.score_max)
            _refresh(score)
        if isinstance(hits, QgsVectorLayer):
            result_styles.style_hits(hits, threshold)
            _refresh(hits)

    # --- finding and removing

    def layer(self, run_id: str, kind: str) -> Optional[QgsMapLayer]:
        for layer in QgsProject.instance().mapLayers().values():
            if layer.customProperty(RUN_PROPERTY) == run_id and layer.customProperty(KIND_PROPERTY) == kind:
                return layer
        return None

    def group(self, run_id: str) -> Optional[QgsLayerTreeGroup]:
        for group in QgsProject.instance().layerTreeRoot().findGroups(True):
            if group.customProperty(GROUP_PROPERTY) == run_id:
                return group
        return None

    def show(self, run_id: str) -> None:
        """Ticks the group of this run and unticks the others."""
        group = self.group(run_id)
        if group is not None:
            self._hide_others(run_id)
            group.setItemVisibilityCheckedParentRecursive(True)
            group.setExpanded(True)

    def drop_partial(self, run: Run) -> None:
        partial = self.layer(run.id, "partial")
        if partial is not None:
            QgsProject.instance().removeMapLayer(partial.id())

    def drop_if_empty(self, run: Run) -> None:
        """After a run without a result: its first look stays, an empty group does not."""
        group = self.group(run.id)
        if group is not None and not group.findLayers():
            group.parent().removeChildNode(group)

    def remove(self, run_id: str) -> None:
        """Takes a run's layers and group out of the project; the files stay."""
        ids = [
            layer.id()
            for layer in QgsProject.instance().mapLayers().values()
            if layer.customProperty(RUN_PROPERTY) == run_id
        ]
        QgsProject.instance().removeMapLayers(ids)
        group = self.group(run_id)
        if group is not None:
            group.parent().removeChildNode(group)

    # --- parts

    def _group(self, run: Run) -> QgsLayerTreeGroup:
        group = self.group(run.id)
        if group is None:
            name = f"{run.clock} {_short(run.words)} · {run.layer_name}"
            group = QgsProject.instance().layerTreeRoot().insertGroup(0, name)
            group.setCustomProperty(GROUP_PROPERTY, run.id)
            self._hide_others(run.id)
        return group

    def _hide_others(self, run_id: str) -> None:
        """Unticks the groups of earlier runs: results on top of results cannot be read."""
        for group in QgsProject.instance().layerTreeRoot().findGroups(True):
            if group.customProperty(GROUP_PROPERTY) not in (None, "", run_id):
                group.setItemVisibilityChecked(False)
                group.setExpanded(False)

    def _add(
        self, layer: QgsMapLayer, run: Run, kind: str, group: QgsLayerTreeGroup, *, is_visible: bool = True
    ) -> None:
        layer.setCustomProperty(RUN_PROPERTY, run.id)
        layer.setCustomProperty(KIND_PROPERTY, kind)
        layer.setCustomProperty("geomm/words", run.words)
        layer.setCustomProperty("geomm/model", run.params.model or self.model_name)
        layer.setCustomProperty("geomm/index_dir", run.index_dir)
        layer.setMetadata(self._metadata(layer, run))
        QgsProject.instance().addMapLayer(layer, False)
        node = group.addLayer(layer)
        node.setItemVisibilityChecked(is_visible)
        node.setExpanded(is_visible)
        if kind not in ("partial", "places", "regions", "unfamiliar"):
            _save_style(layer)

    def _metadata(self, layer: QgsMapLayer, run: Run) -> QgsLayerMetadata:
        metadata = QgsLayerMetadata()
        metadata.setIdentifier(f"geomm/{run.id}/{layer.customProperty(KIND_PROPERTY)}")
        metadata.setTitle(layer.name())
        model = run.params.model or self.model_name
        metadata.setAbstract(
            self.tr("Made by GeoMM from “{layer}” with the words: {words}.").format(
                layer=run.layer_name, words=run.words
            )
        )
        metadata.setHistory(
            [
                self.tr("{time}: {kind} with model {model}, engine {version}.").format(
                    time=run.time, kind=run.kind, model=model, version=self.engine_version
                ),
                self.tr("Index: {0}").format(run.index_dir),
            ]
        )
        metadata.setKeywords({"geomm": [run.kind, *_words(run)]})
        metadata.setCrs(layer.crs())
        return metadata


def _shows_the_world(run_id: str) -> bool:
    """Whether a layer other than this run's own reaches round most of the Earth: a basemap, a map of countries."""
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    for layer in QgsProject.instance().mapLayers().values():
        if layer.customProperty(RUN_PROPERTY) or not layer.crs().isValid():
            continue
        transform = QgsCoordinateTransform(layer.crs(), degrees, QgsProject.instance().transformContext())
        try:
            extent = transform.transformBoundingBox(layer.extent())
        except QgsCsException:
            continue
        if extent.width() > WORLD_DEG:
            return True
    return False


def _words(run: Run) -> List[str]:
    return [word.strip() for word in run.words.split(",") if word.strip()]


def _short(words: str, limit: int = 28) -> str:
    return words if len(words) <= limit else words[: limit - 1].rstrip(", ") + "…"


def _refresh(layer: QgsMapLayer) -> None:
    layer.triggerRepaint()
    layer.emitStyleChanged()


def _save_style(layer: QgsMapLayer) -> None:
    """Keeps the style beside the file, so that it opens styled in any project."""
    path = os.path.splitext(layer.source().split("|")[0])[0] + ".qml"
    if not QFile.exists(path):
        layer.saveNamedStyle(path)


def style_for_processing(layer: QgsMapLayer, kind: str, classes: Sequence[contract.ClassShare] = ()) -> None:
    """Styles a layer that Processing loads."""
    layer.setCustomProperty(KIND_PROPERTY, kind)
    if isinstance(layer, QgsRasterLayer):
        if kind == "class" and classes:
            result_styles.style_class_map(layer, classes)
        elif kind == "class":
            result_styles.style_by_file(layer)
        elif kind == "confidence":
            result_styles.style_confidence(layer)
        elif kind == "score":
            result_styles.style_score(layer, *result_styles.score_range(layer))
    elif isinstance(layer, QgsVectorLayer) and kind == "hits":
        result_styles.style_hits(layer, float("-1e9"))
    _refresh(layer)
