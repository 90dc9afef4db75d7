"""Write the drawn landscape as files to try everything on: a picture like Sentinel-2's, its truth, and a class list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geomm_engine import __version__
from geomm_engine.grid import PixelGrid
from geomm_engine.landscape import LAND_COVERS, LandCover, draw_landscape
from geomm_engine.landscape.drawing import PIXEL_M, SHAPE_YX
from geomm_engine.pipeline import mapping
from geomm_engine.progress import Job, Progress
from geomm_engine.writers.categories import Category
from geomm_engine.writers.cog import CogWriter
from geomm_engine.writers.draft import publish_with
from geomm_engine.writers.provenance import SOFTWARE, Provenance
from geomm_engine.writers.styles import class_raster_style

SEED = 7
BANDS = ("B04", "B03", "B02", "B08")
CRS_CODE = 32633
ORIGIN_XY = (345_600.0, 5_925_120.0)
"""In the lake district of Mecklenburg, where forest, fields, meadows, lakes and towns lie beside each other as here."""

_STRIP_ROWS = 128
_STEPS = 4


@dataclass(frozen=True)
class Sample:
    """``image``: uint16, reflectance × 10000; ``truth``: uint8 palette; ``classes``: a class list of the truth's classes."""

    image: Path
    truth: Path
    classes: Path


def write_sample(folder: Path, seed: int = SEED, shape_yx: tuple[int, int] = SHAPE_YX) -> Job[Sample]:
    """Draw ``sample.tif``, ``truth.tif`` and ``classes.json`` into ``folder``.

    Raises:
        OutputError: the folder cannot be written to.
    """
    sample = Sample(folder / "sample.tif", folder / "truth.tif", folder / "classes.json")
    yield Progress("draw", 0, _STEPS)
    landscape = draw_landscape(seed, shape_yx)
    yield Progress("draw", 1, _STEPS)
    grid = PixelGrid(
        CRS.from_epsg(CRS_CODE).to_wkt(), Affine(PIXEL_M, 0, ORIGIN_XY[0], 0, -PIXEL_M, ORIGIN_XY[1]), shape_yx
    )
    numbers = np.moveaxis((landscape.reflectance * 1e4).round().astype(np.uint16), 2, 0)
    made = _provenance(seed)
    with CogWriter(sample.image, grid, band_names=BANDS, dtype="uint16", nodata=0, provenance=made) as writer:
        _write(writer, numbers)
    yield Progress("draw", 2, _STEPS)
    categories = [Category(cover.value, cover.name, cover.color) for cover in LAND_COVERS]
    with CogWriter(
        sample.truth, grid, band_names=["class"], dtype="uint8", nodata=0, provenance=made,
        categories=categories, style_qml=class_raster_style(categories),
    ) as writer:  # fmt: skip
        _write(writer, landscape.classes[None])
    yield Progress("draw", 3, _STEPS)
    _write_classes(sample.classes, LAND_COVERS)
    yield Progress("draw", _STEPS, _STEPS)
    return sample


def _write(writer: CogWriter, bands: NDArray[Any]) -> None:
    for y in range(0, bands.shape[1], _STRIP_ROWS):
        writer.write(y, 0, bands[:, y : y + _STRIP_ROWS])


def _write_classes(path: Path, covers: tuple[LandCover, ...]) -> None:
    rows = [{"name": cover.name, "synonyms": cover.synonyms, "color": cover.color} for cover in covers]
    publish_with(None, {path: json.dumps({"classes": rows}, ensure_ascii=False, indent=2) + "\n"})


def _provenance(seed: int) -> Provenance:
    return Provenance(
        software=SOFTWARE,
        version=__version__,
        created=mapping.now(),
        source_name="a drawn landscape",
        source_paths=(),
        radiometry="reflectance at the top of the atmosphere × 10000, as Sentinel-2 MSIL1C",
        parameters={"seed": seed},
    )
