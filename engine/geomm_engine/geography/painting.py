"""A posterior as pictures of the world: mass on any grid of rows and columns, and the outlines of credible regions.

Rows need not be evenly spaced, so the same painting serves degrees and an equal-area projection. Columns run evenly from
180° W to 180° E; what crosses the date line is cut there and nowhere else.
"""

from __future__ import annotations

import itertools

import contourpy
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from shapely import Geometry

from geomm_engine.geography import atlas
from geomm_engine.geography.posterior import Posterior, interpolate
from geomm_engine.sphere import Values

WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)
_CLEAR = 2.0


def density(posterior: Posterior, lat: Values, columns: int) -> Values:
    """(row, column) float64: what the imagery says at latitudes (row,) and even longitudes; the largest cell is one.

    Densities, not their logs, are interpolated, so that a hill of one cell keeps its mass.
    """
    lon = -180.0 + (np.arange(columns) + 0.5) / columns * 360.0
    largest = posterior.log_density[posterior.prior > 0].max()
    cells = np.exp(np.minimum(posterior.log_density - largest, 0.0))
    return interpolate(cells, lat[:, None], lon[None, :])


def mass(said: Values, share: NDArray[np.float32], row_area_km2: Values) -> Values:
    """(row, column) float64, sums to one: density × what is allowed of a pixel × the pixel's area."""
    weighted = said * share * row_area_km2[:, None]
    return np.asarray(weighted / weighted.sum())


def outline(said: Values, share: NDArray[np.float32], painted: Values, level: float) -> Geometry:
    """The smallest region that holds this share of the mass, as a valid MultiPolygon in degrees.

    Args:
        said: (720, 1440) density.
        share: (720, 1440) what is allowed.
        painted: (720, 1440) mass.
    """
    order = np.argsort(-np.where(share > 0, said, -1.0), axis=None, kind="stable")
    held = np.cumsum(painted.ravel()[order])
    last = min(int(np.searchsorted(held, level)), len(order) - 1)
    threshold = max(float(said.ravel()[order[last]]), np.finfo(np.float64).tiny)
    return _filled(np.where(share > 0, np.minimum(said / threshold, _CLEAR), 0.0))


def _filled(field: Values) -> Geometry:
    """Where a field on the quarter degrees is at least one; half a pixel beyond its masked edges, whole at the poles."""
    lat, lon = atlas.pixel_centres()
    around = np.pad(field, ((0, 0), (1, 1)), mode="wrap")
    around = np.pad(around, ((1, 1), (0, 0)), mode="edge")
    edges = np.where(around > 0, around, 0.0)
    grown = maximum_filter(edges, size=3)
    edges = np.where((edges == 0) & (grown >= 1), 0.5, edges)
    step = atlas.STEP_DEG
    x = np.concatenate([[lon[0] - step], lon, [lon[-1] + step]])
    y = np.concatenate([[lat[0] + step], lat, [lat[-1] - step]])
    found = contourpy.contour_generator(x, y, edges, fill_type=contourpy.FillType.OuterOffset).filled(1.0, np.inf)
    polygons = []
    for points, offsets in zip(*found, strict=True):
        rings = [points[first:last] for first, last in itertools.pairwise(offsets)]
        polygons.append(shapely.Polygon(rings[0], rings[1:]))
    return clean(shapely.union_all(shapely.make_valid(polygons)) if polygons else shapely.MultiPolygon())


def clean(shape: Geometry) -> Geometry:
    """Cut at the edges of the world, polygons only, as a MultiPolygon."""
    inside = shapely.make_valid(shapely.intersection(shape, WORLD))
    parts = [part for part in shapely.get_parts(inside) if part.geom_type == "Polygon" and part.area > 0]
    return shapely.MultiPolygon(parts)
