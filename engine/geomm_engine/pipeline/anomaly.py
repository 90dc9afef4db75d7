"""A layer → where it holds what the model cannot guess: tiles that are hard to rebuild from half of themselves.

For models with an "anomaly" graph (masked reconstruction whose decoder was kept). A value counts standard deviations above
what the model's own held-out ground gave; it says "unlike what was seen in training", not what it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import DTypeLike, NDArray
from shapely import Geometry

from geomm_engine import __version__
from geomm_engine.contract import AnomalyParams, AnomalyResult, ErrorCode
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder
from geomm_engine.errors import ModelError, RasterError
from geomm_engine.grid import Chunk, PixelGrid
from geomm_engine.index.store import has_embedding
from geomm_engine.pipeline import area as areas
from geomm_engine.pipeline import mapping
from geomm_engine.pipeline.embed import read_tiles, tile_count
from geomm_engine.pipeline.prepare import Prepared, prepare
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.writers.cog import CogWriter
from geomm_engine.writers.geopackage import TileWriter
from geomm_engine.writers.provenance import SOFTWARE, ModelMark, Provenance
from geomm_engine.writers.styles import score_raster_style, score_tile_style

ROLE = "anomaly"
_OUTPUTS = ("anomaly.tif", "anomalies.gpkg")
_SHOWN = (-1.0, 6.0)
_FIELDS: dict[str, DTypeLike] = {"anomaly": "float32", "row": "int32", "col": "int32"}


def anomaly(params: AnomalyParams) -> Job[AnomalyResult]:
    """Write ``anomaly.tif`` (a pixel for each cell) and ``anomalies.gpkg`` into the output folder.

    Raises:
        EngineError: layer, model, area or folder are refused; nothing half-written is left.
    """
    prepared = prepare(params.source, params.model)
    if not prepared.folder.has_file(ROLE):
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"{prepared.card.name} does not rebuild images: it cannot say what is strange.",
            "Choose a model that “geomm train fusion” made.",
            model=prepared.card.id,
        )
    folder = Path(params.output_dir)
    with mapping.all_or_nothing(folder, [folder / name for name in _OUTPUTS]):
        return (yield from _draw(params, folder, prepared))


def _draw(params: AnomalyParams, folder: Path, prepared: Prepared) -> Job[AnomalyResult]:
    grid = prepared.grid
    area = areas.to_grid(params.area, grid)
    chunks = areas.chunks_touching(grid, area)
    encoder = OnnxImageEncoder(prepared.folder, bands=prepared.band_places, role=ROLE)
    watch = Stopwatch("anomaly", sum(tile_count(grid, chunk) for chunk in chunks))
    provenance = _provenance(prepared, params)
    stride_y, stride_x = grid.stride_yx_px
    pixels = PixelGrid(grid.pixels.crs_wkt, grid.pixels.transform @ Affine.scale(stride_x, stride_y), grid.shape_yx)
    seen = empty = strange = 0
    highest = -np.inf
    raster = CogWriter(
        folder / "anomaly.tif", pixels, band_names=["anomaly"], dtype="float32", nodata=np.nan, provenance=provenance,
        style_qml=score_raster_style(*_SHOWN),
    )  # fmt: skip
    style = score_tile_style(
        params.threshold, max(_SHOWN[1], params.threshold + 1), threshold=params.threshold, field=ROLE
    )
    polygons = TileWriter(folder / "anomalies.gpkg", "anomalies", pixels.crs_wkt, _FIELDS, provenance, style_qml=style)
    with prepared.reading() as reader, raster, polygons:
        for chunk in chunks:
            tiles = read_tiles(prepared, reader, chunk)
            values = np.full(tiles.valid_share.shape, np.nan, dtype=np.float32)
            if len(tiles.images):
                values[has_embedding(tiles.valid_share)] = encoder.values(tiles.images, grid.gsd_m).reshape(-1)
            values[~_inside(prepared, chunk, area)] = np.nan
            raster.write(chunk.first_row, chunk.first_col, values[None])
            found = np.argwhere(np.nan_to_num(values, nan=-np.inf) >= params.threshold)
            if len(found):
                _write(polygons, prepared, chunk, found, values)
            held = np.isfinite(values)
            seen, empty, strange = seen + int(held.sum()), empty + int((~held).sum()), strange + len(found)
            highest = max(highest, float(values[held].max())) if held.any() else highest
            yield watch.step(values.size)
        if not seen:
            raise RasterError(
                ErrorCode.RASTER_EMPTY, "No tile of the area holds enough data.", "Choose another area or layer."
            )
    return AnomalyResult(
        anomaly_path=str(folder / "anomaly.tif"),
        tiles_path=str(folder / "anomalies.gpkg"),
        tiles=seen,
        tiles_empty=empty,
        strange=strange,
        highest=highest,
        notes=prepared.notes,
    )


def _inside(prepared: Prepared, chunk: Chunk, area: Geometry | None) -> NDArray[np.bool_]:
    """(rows, cols) bool: cells of a chunk that the area touches."""
    shape = prepared.grid.chunk_shape_yx(chunk)
    if area is None:
        return np.ones(shape, dtype=bool)
    cells = np.argwhere(np.ones(shape, dtype=bool)) + np.array([chunk.first_row, chunk.first_col])
    return areas.cells_inside(area, mapping.cell_boxes(prepared.grid, cells)).reshape(shape)


def _write(
    polygons: TileWriter, prepared: Prepared, chunk: Chunk, found: NDArray[np.int64], values: NDArray[np.float32]
) -> None:
    cells = found + np.array([chunk.first_row, chunk.first_col])
    polygons.write(
        mapping.cell_boxes(prepared.grid, cells),
        {"anomaly": values[found[:, 0], found[:, 1]], "row": cells[:, 0], "col": cells[:, 1]},
    )


def _provenance(prepared: Prepared, params: AnomalyParams) -> Provenance:
    card = prepared.card
    return Provenance(
        software=SOFTWARE,
        version=__version__,
        created=mapping.now(),
        source_name=params.source.name or prepared.name,
        source_paths=prepared.stack.paths,
        radiometry=prepared.radiometry.text,
        model=ModelMark(card.id, card.version, prepared.folder.card_sha256),
        parameters={"tile_m": prepared.grid.tile_m, "gsd_m": prepared.grid.gsd_m, "threshold": params.threshold},
    )
