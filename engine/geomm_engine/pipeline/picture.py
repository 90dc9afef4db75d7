"""A picture beside every map: image, result and legend, for people who would rather look than read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from geomm_engine.contract import ClassifyParams, ClassifyResult
from geomm_engine.pipeline.prepare import Prepared, metres, prepare
from geomm_engine.sensors import is_same_role
from geomm_engine.writers.figure import LegendRow, draw_class_figure

_LONGEST_PX = 900
_BRIGHT_PERCENTILES = (1.0, 99.0)
_COLORS = ("red", "green", "blue")


def draw_classes(params: ClassifyParams, result: ClassifyResult, path: Path) -> Path:
    """Draw what :func:`classify` made, beside the image it was made from.

    Raises:
        OutputError: the picture cannot be written.
        RasterError: the layer cannot be read any more.
    """
    prepared = prepare(params.source, params.model)
    picture = _picture(prepared)
    with rasterio.open(result.class_path) as classes:
        scale = max(1.0, max(classes.shape) / _LONGEST_PX)
        shape = max(1, round(classes.height / scale)), max(1, round(classes.width / scale))
        drawn = classes.read(1, out_shape=shape)
    legend = [LegendRow(c.value, c.name, c.color, c.share, c.area_ha) for c in result.classes if c.area_ha]
    ratio = prepared.grid.pixels.shape_yx[1] / picture.shape[1]
    draw_class_figure(
        path,
        picture,
        drawn,
        legend,
        title=params.source.name or prepared.name,
        subtitle=f"{prepared.card.name} {prepared.card.version} · tiles of {metres(prepared.grid.tile_m)} · "
        f"{prepared.radiometry.text}",
        pixel_m=prepared.grid.pixel_m_yx[1] * ratio,
    )
    return path


def _picture(prepared: Prepared) -> NDArray[np.uint8]:
    """(h, w, 3) uint8: red, green and blue, or the model's first bands, brightened between percentiles; nodata pale."""
    with prepared.reading() as reader:
        block = reader.overview(_LONGEST_PX)
    values = prepared.radiometry.apply(block.values)[_shown_bands(prepared)]
    low, high = np.percentile(values[:, block.valid], _BRIGHT_PERCENTILES) if block.valid.any() else (0.0, 1.0)
    bright = np.clip((values - low) / max(high - low, 1e-6), 0, 1) ** 0.9
    bright[:, ~block.valid] = 0.93
    shown = bright if len(bright) == 3 else np.repeat(bright[:1], 3, axis=0)
    return (np.moveaxis(shown, 0, 2) * 255).astype(np.uint8)


def _shown_bands(prepared: Prepared) -> list[int]:
    """Places among the bands that are read: red, green and blue where they are there, else the first three or the first."""
    bands = prepared.card.bands
    roles = [bands[place].role for place in prepared.band_places or range(len(bands))]
    found = [next((at for at, role in enumerate(roles) if is_same_role(role, wanted)), -1) for wanted in _COLORS]
    return found if min(found) >= 0 else list(range(min(len(roles), 3)))
