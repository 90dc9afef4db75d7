"""A probability map of the world as GeoTIFF: mass a cell and density a square kilometre, in degrees and equal-area.

The style shows the density, since a cell in degrees shrinks towards the poles; what is next to nothing is clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from geomm_engine.grid import PixelGrid
from geomm_engine.writers.cog import CogWriter
from geomm_engine.writers.provenance import Provenance
from geomm_engine.writers.styles import INFERNO, raster_document, raster_renderer

BANDS = ("probability mass", "density per km²")
EQUAL_AREA_EPSG = 6933
EQUAL_AREA_SHAPE_YX = (586, 1388)
"""Nearly square pixels of 25 km over the whole globe (the columns of EASE-Grid 2.0, with rows up to the poles)."""

_STOPS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_ALPHA = (0, 70, 130, 175, 205, 225, 240)
_LABELS = ("next to nothing", "1/300 of the peak", "1/100", "1/30", "1/10", "1/3", "the peak")


def degree_grid(shape_yx: tuple[int, int]) -> PixelGrid:
    """The whole world in EPSG:4326, north-west corner first."""
    rows, cols = shape_yx
    return PixelGrid(CRS.from_epsg(4326).to_wkt(), Affine(360 / cols, 0, -180, 0, -180 / rows, 90), shape_yx)


def equal_area_grid() -> PixelGrid:
    """The whole world in EPSG:6933 (cylindrical equal-area)."""
    to_plane = Transformer.from_crs(4326, EQUAL_AREA_EPSG, always_xy=True)
    (right, _), (_, top) = to_plane.transform(180.0, 0.0), to_plane.transform(0.0, 90.0)
    rows, cols = EQUAL_AREA_SHAPE_YX
    transform = Affine(2 * right / cols, 0, -right, 0, -2 * top / rows, top)
    return PixelGrid(CRS.from_epsg(EQUAL_AREA_EPSG).to_wkt(), transform, EQUAL_AREA_SHAPE_YX)


def row_latitudes(grid: PixelGrid) -> NDArray[np.float64]:
    """(row,) latitude in degrees of the middle of each row of one of these grids."""
    rows = grid.shape_yx[0]
    y = grid.transform.f + (np.arange(rows) + 0.5) * grid.transform.e
    if CRS.from_wkt(grid.crs_wkt).is_geographic:
        return np.asarray(y)
    back = Transformer.from_crs(CRS.from_wkt(grid.crs_wkt), 4326, always_xy=True)
    return np.asarray(back.transform(np.zeros(rows), y)[1])


def write_heatmap(
    path: Path,
    grid: PixelGrid,
    mass: NDArray[np.float64],
    row_area_km2: NDArray[np.float64],
    provenance: Provenance,
) -> None:
    """Write mass (row, column), which sums to one, and mass over area as a two-band COG with its style.

    Raises:
        OutputError: the file cannot be written.
    """
    stored = mass.astype(np.float32)
    stored[stored < np.finfo(np.float32).tiny] = 0
    density = (mass / row_area_km2[:, None]).astype(np.float32)
    style = heat_style(float(density.max()))
    with CogWriter(
        path, grid, band_names=BANDS, dtype="float32", nodata=None, provenance=provenance, style_qml=style
    ) as raster:
        raster.write(0, 0, np.stack([stored, density]))


def heat_style(peak: float) -> str:
    """Band 2 from clear over violet and red to yellow: even steps of the logarithm, named as parts of the peak."""
    renderer = raster_renderer(
        "singlebandpseudocolor", band="2", classificationMin="0", classificationMax=f"{peak:.9g}", opacity="0.9"
    )
    shader = ElementTree.SubElement(
        ElementTree.SubElement(renderer, "rastershader"), "colorrampshader", colorRampType="INTERPOLATED",
        classificationMode="1", clip="0", minimumValue="0", maximumValue=f"{peak:.9g}", labelPrecision="4",
    )  # fmt: skip
    for stop, color, alpha, label in zip(_STOPS, INFERNO[1:], _ALPHA, _LABELS, strict=True):
        ElementTree.SubElement(shader, "item", value=f"{stop * peak:.9g}", color=color, label=label, alpha=str(alpha))
    ElementTree.SubElement(
        shader, "rampLegendSettings", useContinuousLegend="1", minimumLabel=_LABELS[0], maximumLabel=_LABELS[-1],
        prefix="", suffix="", direction="0", orientation="2",
    )  # fmt: skip
    return raster_document(renderer, is_smooth=True)


def ramp() -> Sequence[tuple[float, str, int]]:
    """The style's stops as parts of the peak, colours and opacities 0–255, for other pictures of the same map."""
    return list(zip(_STOPS, INFERNO[1:], _ALPHA, strict=True))
