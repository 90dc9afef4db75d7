"""Co-registered rasters → chips of one tile matrix, a folder for each sensor, and an index of what lies where.

Every chip is written whole or not at all; a second run in the same folder goes on where the first was stopped. The index
appears last. Chips keep the rasters' own values: no unit is converted, pixels without data are masked.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import DTypeLike
from rasterio.crs import CRS

from geomm_engine import __version__
from geomm_engine.contract import ChipsParams, ChipsResult, ErrorCode, encode
from geomm_engine.errors import OutputError, RasterError, writing
from geomm_engine.pipeline import mapping
from geomm_engine.pipeline.chip_plan import Plan, Sensor, make_plan
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.raster.warped import Pixels, WarpedStack
from geomm_engine.writers.cog import GDAL_FAILURES
from geomm_engine.writers.draft import Draft, explained, publish_with
from geomm_engine.writers.geopackage import TileWriter
from geomm_engine.writers.provenance import SOFTWARE, Provenance

INDEX = "chips.gpkg"
SETTINGS = "chips.json"
_FIELDS: dict[str, DTypeLike] = {
    "id": str, "sensor": str, "path": str, "level": str, "x": "int64", "y": "int64", "gsd_m": "float64",
    "valid_share": "float64", "bands": str, "source": str, "date": str,
}  # fmt: skip


@dataclass(frozen=True)
class Chip:
    """A file that was written or found done."""

    column: int
    row: int
    sensor: Sensor
    path: Path
    valid_share: float
    is_reused: bool


def chips(params: ChipsParams) -> Job[ChipsResult]:
    """Write ``SENSOR/z/x/y.tif`` and ``chips.gpkg`` into the output folder.

    Raises:
        EngineError: a raster, the area, the settings or the folder are refused; no file is half-written.
    """
    plan = make_plan(params)
    folder = Path(params.output_dir)
    _claim(folder, params, plan)
    watch = Stopwatch("chips", len(plan.tiles))
    found: list[Chip] = []
    kept = empty = 0
    with ExitStack() as stack:
        readers = [_reader(stack, plan, sensor, params) for sensor in plan.sensors]
        for column, row in plan.tiles:
            cut = _cut(folder, plan, params, readers, column, row)
            found += cut
            kept, empty = kept + bool(cut), empty + (not cut)
            yield watch.step()
    if not found:
        raise RasterError(
            ErrorCode.RASTER_EMPTY,
            f"No chip holds data of {'every' if params.is_complete else 'any'} raster in "
            f"{params.min_valid_share:.0%} of its pixels.",
            "Choose smaller chips (a finer level), or a smaller least share of data.",
        )
    _write_index(folder / INDEX, plan, found, params)
    sizes = [plan.matrix.ground_px_m(row) for row in {chip.row for chip in found}]
    return ChipsResult(
        index_path=str(folder / INDEX),
        chips=kept,
        files=len(found),
        reused=sum(chip.is_reused for chip in found),
        empty=empty,
        zoom=int(plan.matrix.level) if plan.matrix.is_web else -1,
        gsd_min_m=min(sizes),
        gsd_max_m=max(sizes),
        notes=plan.notes,
    )


def _claim(folder: Path, params: ChipsParams, plan: Plan) -> None:
    """Note in the folder what its chips are made of; refuse one that holds others.

    Raises:
        OutputError: the folder holds chips of other rasters or settings, or cannot be written to.
    """
    decisive = encode(params) | {"output_dir": "", "area": {}, "min_valid_share": 0, "is_complete": True}
    prints = [sensor.stack.fingerprint for sensor in plan.sensors]
    key = hashlib.sha256(json.dumps([decisive, prints], sort_keys=True).encode()).hexdigest()
    path = folder / SETTINGS
    if path.is_file():
        try:
            known = json.loads(path.read_text(encoding="utf-8")).get("key")
        except (OSError, ValueError, AttributeError):
            known = None
        if known != key:
            raise OutputError(
                ErrorCode.FOLDER_INVALID,
                f"The folder {folder} holds chips of other rasters or settings.",
                "Choose another folder, or delete this one.",
                path=str(folder),
            )
        return
    about = {"key": key, "matrix": plan.matrix.crs, "level": plan.matrix.level, "tile_px": plan.matrix.tile_px}
    publish_with(None, {path: json.dumps(about, indent=1) + "\n"})


def _reader(stack: ExitStack, plan: Plan, sensor: Sensor, params: ChipsParams) -> WarpedStack:
    reader = WarpedStack(sensor.stack, plan.grid, sensor.method(plan.gsd_m, params.resampling))
    stack.callback(reader.close)
    return reader


def _cut(
    folder: Path, plan: Plan, params: ChipsParams, readers: list[WarpedStack], column: int, row: int
) -> list[Chip]:
    """The chips of one place, read and written unless they are there; none where they hold too little."""
    matrix, side = plan.matrix, plan.matrix.tile_px
    paths = [folder / sensor.name / matrix.level / str(column) / f"{row}.tif" for sensor in plan.sensors]
    shares = [_share_of(path) for path in paths]
    cut: dict[int, Pixels] = {}
    y, x = (row - plan.rows.start) * side, (column - plan.columns.start) * side
    for at, reader in enumerate(readers):
        if shares[at] is None:
            cut[at] = reader.read(y, x, side, side)
            shares[at] = float(cut[at].valid.mean())
        if params.is_complete and _is_too_little(shares[at] or 0.0, params):
            return []
    found = []
    for at, (sensor, path) in enumerate(zip(plan.sensors, paths, strict=True)):
        share = shares[at] or 0.0
        if _is_too_little(share, params):
            continue
        if at in cut:
            _write_chip(path, plan, sensor, cut[at], column, row, share)
        found.append(Chip(column, row, sensor, path, share, at not in cut))
    return found


def _is_too_little(share: float, params: ChipsParams) -> bool:
    return share < params.min_valid_share or share == 0.0


def _share_of(path: Path) -> float | None:
    """The valid share that a finished chip states; None where there is none that can be read."""
    if not path.is_file():
        return None
    try:
        with rasterio.open(path) as dataset:
            return float(dataset.tags()["VALID_SHARE"])
    except (*GDAL_FAILURES, KeyError, ValueError):
        return None


def _write_chip(path: Path, plan: Plan, sensor: Sensor, pixels: Pixels, column: int, row: int, share: float) -> None:
    matrix = plan.matrix
    min_x, _, _, max_y = matrix.bounds(column, row)
    count, height, width = pixels.values.shape
    kind = pixels.values.dtype.kind
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": count, "dtype": pixels.values.dtype.name,
        "crs": CRS.from_user_input(matrix.crs), "transform": Affine(matrix.pixel, 0, min_x, 0, -matrix.pixel, max_y),
        "compress": "deflate", "predictor": 3 if kind == "f" else 2, "interleave": "band",
    }  # fmt: skip
    tags = {
        "CHIP": f"{matrix.level}/{column}/{row}", "SENSOR": sensor.name, "DATE": sensor.date,
        "GSD_M": f"{matrix.ground_px_m(row):.9g}", "VALID_SHARE": f"{share:.9g}",
        "SOURCE": ";".join(Path(item).name for item in sensor.stack.paths),
    }  # fmt: skip
    draft = Draft.beside(path)
    guard = explained(draft, *GDAL_FAILURES, wanted_bytes=pixels.values.nbytes)
    try:
        with guard, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(draft.path, "w", **profile) as dataset:
            dataset.write(pixels.values)
            dataset.write_mask(pixels.valid)
            for at, band in enumerate(sensor.stack.bands, start=1):
                dataset.set_band_description(at, band.role)
            dataset.scales = [band.scale for band in sensor.stack.bands]
            dataset.offsets = [band.offset for band in sensor.stack.bands]
            dataset.update_tags(**tags)
        draft.publish()
    finally:
        with writing(path):
            draft.discard()


def _write_index(path: Path, plan: Plan, found: list[Chip], params: ChipsParams) -> None:
    matrix = plan.matrix
    provenance = Provenance(
        software=SOFTWARE,
        version=__version__,
        created=mapping.now(),
        source_name=", ".join(sensor.name for sensor in plan.sensors),
        source_paths=tuple(item for sensor in plan.sensors for item in sensor.stack.paths),
        parameters={
            "matrix": matrix.crs, "level": matrix.level, "tile_px": matrix.tile_px,
            "min_valid_share": params.min_valid_share, "is_complete": params.is_complete,
            "resampling": params.resampling or "average or bilinear",
        },
    )  # fmt: skip
    with TileWriter(path, "chips", CRS.from_user_input(matrix.crs).to_wkt(), _FIELDS, provenance) as writer:
        for at in range(0, len(found), 10_000):
            part = found[at : at + 10_000]
            texts = {
                "id": [f"{matrix.level}/{chip.column}/{chip.row}" for chip in part],
                "sensor": [chip.sensor.name for chip in part],
                "path": [chip.path.relative_to(path.parent).as_posix() for chip in part],
                "level": [matrix.level for _ in part],
                "bands": [" ".join(band.role or "?" for band in chip.sensor.stack.bands) for chip in part],
                "source": [";".join(Path(item).name for item in chip.sensor.stack.paths) for chip in part],
                "date": [chip.sensor.date for chip in part],
            }
            writer.write(
                np.array([matrix.bounds(chip.column, chip.row) for chip in part]),
                {name: np.array(values, dtype=object) for name, values in texts.items()}
                | {
                    "x": np.array([chip.column for chip in part]),
                    "y": np.array([chip.row for chip in part]),
                    "gsd_m": np.array([matrix.ground_px_m(chip.row) for chip in part]),
                    "valid_share": np.array([chip.valid_share for chip in part]),
                },
            )
