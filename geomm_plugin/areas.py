"""Extents and polygons of QGIS → contract.Area. Knows coordinate transforms, not where a geometry came from."""

from __future__ import annotations

from typing import Iterable

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
)

from .client.contract import Area
from .translation import Translated

SIDE_POINTS = 12
WKT_DECIMALS = 9


class AreaRefused(Exception):
    """No usable polygon; the message says why and what helps."""


class _Texts(Translated):
    def untransformable(self) -> str:
        return self.tr("The area cannot be expressed in the coordinate system of the layer. Choose another area.")

    def empty(self) -> str:
        return self.tr(
            "There are no polygons to work in. Choose another polygon layer, or select some of its features."
        )

    def invalid(self) -> str:
        return self.tr(
            "The polygons have no area, or cannot be repaired. Repair them first (Vector geometry ▸ Fix geometries)."
        )


def transformed(
    geometry: QgsGeometry, source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> QgsGeometry:
    """A copy of ``geometry`` in another CRS.

    Raises:
        AreaRefused: PROJ cannot express the geometry there.
    """
    copy = QgsGeometry(geometry)
    if source == target or not source.isValid() or not target.isValid():
        return copy
    try:
        copy.transform(QgsCoordinateTransform(source, target, QgsProject.instance().transformContext()))
    except QgsCsException as problem:
        raise AreaRefused(_Texts().untransformable()) from problem
    return copy


def rectangle_geometry(rectangle: QgsRectangle) -> QgsGeometry:
    """A rectangle with points along its sides, so that it stays true to its outline in another CRS."""
    geometry = QgsGeometry.fromRect(rectangle)
    longest = max(rectangle.width(), rectangle.height())
    return geometry.densifyByDistance(longest / SIDE_POINTS) if longest > 0 else geometry


def union(features: Iterable[QgsFeature]) -> QgsGeometry:
    """All polygons of these features as one geometry.

    Raises:
        AreaRefused: there is none.
    """
    parts = [_valid(feature.geometry()) for feature in features if feature.hasGeometry()]
    if not parts:
        raise AreaRefused(_Texts().empty())
    merged = QgsGeometry.unaryUnion(parts)
    if merged.isNull() or merged.isEmpty():
        raise AreaRefused(_Texts().invalid())
    return merged


def _valid(geometry: QgsGeometry) -> QgsGeometry:
    """One that crosses itself would spoil the union of all."""
    return geometry if geometry.isGeosValid() else geometry.makeValid()


def area(geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> Area:
    """A polygon as the contract carries it."""
    name = crs.authid() if crs.authid() and not crs.authid().upper().startswith("USER") else crs.toWkt()
    return Area(geometry.asWkt(WKT_DECIMALS), name)
