"""Which chips are to be cut from which rasters: the tile matrix, the tiles, and what is refused. Reads no pixel."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyproj.exceptions import ProjError
from rasterio.enums import Resampling
from shapely import Geometry

from geomm_engine.contract import ChipsParams, ErrorCode, Level, Note, RasterSource
from geomm_engine.errors import AreaError, EngineError, RasterError
from geomm_engine.grid import Bounds, PixelGrid, overlaps
from geomm_engine.pipeline import area as areas
from geomm_engine.raster.ground import GroundScale
from geomm_engine.raster.source import Stack, describe
from geomm_engine.raster.tile_matrix import TileMatrix, boxes_over, utm_matrix, web_matrix, web_zoom

MATRICES = ("web", "utm")
RESAMPLINGS = ("", "nearest")
MOST_TILES = 1_000_000
_COARSER = 1.2
_DATE = re.compile(r"(?<!\d)((?:19|20)\d{2})[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True)
class Sensor:
    """One raster of the set: its folder's name, what is known of it, its ground pixel, when it was taken ("" unknown)."""

    name: str
    stack: Stack
    gsd_m: float
    date: str

    def method(self, chip_gsd_m: float, resampling: str) -> Resampling:
        if resampling == "nearest":
            return Resampling.nearest
        return Resampling.average if chip_gsd_m > _COARSER * self.gsd_m else Resampling.bilinear


@dataclass(frozen=True)
class Plan:
    """Which tiles are to be cut from which rasters.

    ``columns``, ``rows`` and ``grid`` hold all tiles; ``gsd_m`` is the ground pixel in the middle of the rasters, whatever
    the area, so that a chip is cut the same way in every run.
    """

    sensors: tuple[Sensor, ...]
    matrix: TileMatrix
    columns: range
    rows: range
    grid: PixelGrid
    tiles: tuple[tuple[int, int], ...]
    gsd_m: float
    notes: tuple[Note, ...]


def make_plan(params: ChipsParams) -> Plan:
    """Look at the rasters and decide the tiles; reads no pixel but what :func:`describe` reads.

    Raises:
        EngineError: a raster cannot be read rightly, the rasters share no ground or none of the area, or a setting makes no
            sense.
    """
    _check(params)
    sensors = tuple(_sensors(params))
    finest = min(sensors, key=lambda sensor: sensor.gsd_m)
    matrix = _matrix(params, finest)
    boxes = [_boxes(sensor, matrix) for sensor in sensors]
    places = tuple(_common(*boxes)) if params.is_complete else tuple(box for own in boxes for box in own)
    if not places:
        raise RasterError(
            ErrorCode.RASTER_MISMATCH,
            f"The {len(sensors)} rasters share no ground.",
            "Give rasters of the same place, or check their CRS; to keep chips of any of them, leave out that all must be there.",
        )
    whole = _hull(_spans(places, matrix))
    if whole is None:
        raise RasterError(
            ErrorCode.RASTER_NOT_ON_EARTH,
            "The rasters lie outside the tile matrix (web mercator ends at 85.05° north and south).",
            "Use the “utm” matrix.",
        )
    shape = areas.to_pixels(params.area, matrix.grid(*whole))
    spans = _spans(places if shape is None else _common(places, (shape.bounds,)), matrix)
    columns, rows = _hull(spans) or (range(0), range(0))
    most = min(len(columns) * len(rows), sum(len(own[0]) * len(own[1]) for own in spans))
    if most > MOST_TILES:
        raise AreaError(
            ErrorCode.AREA_INVALID,
            f"That would be {most:,} chips.",
            f"Choose a coarser level or a smaller area; {MOST_TILES:,} are the most.",
        )
    tiles = _tiles(spans, matrix, shape)
    if not tiles:
        raise AreaError(
            ErrorCode.AREA_OUTSIDE,
            "The area does not touch the ground that the rasters show.",
            "Choose an area inside the rasters, and check that the CRS of all is right.",
        )
    gsd_m = matrix.ground_px_m(whole[1][len(whole[1]) // 2])
    grid = matrix.grid(columns, rows)
    return Plan(sensors, matrix, columns, rows, grid, tiles, gsd_m, tuple(_notes(sensors, matrix, gsd_m)))


def _common(*groups: Sequence[Bounds]) -> list[Bounds]:
    """The boxes of ground that every one of some groups of boxes has."""
    found, *others = (list(group) for group in groups)
    for group in others:
        found = [
            (max(own[0], box[0]), max(own[1], box[1]), min(own[2], box[2]), min(own[3], box[3]))
            for own in found
            for box in group
            if overlaps(own, box)
        ]
    return found


def _spans(boxes: Sequence[Bounds], matrix: TileMatrix) -> list[tuple[range, range]]:
    """Columns and rows of the tiles over each box that the matrix shows."""
    return [span for span in (matrix.tiles_over(box) for box in boxes) if span[0] and span[1]]


def _hull(spans: Sequence[tuple[range, range]]) -> tuple[range, range] | None:
    """The columns and rows that hold all spans, None where there is none."""
    if not spans:
        return None
    columns, rows = (
        range(min(part.start for part in parts), max(part.stop for part in parts)) for parts in zip(*spans, strict=True)
    )
    return columns, rows


def _check(params: ChipsParams) -> None:
    problems = [
        (not params.sources, "no raster was given"),
        (params.matrix not in MATRICES, f"“{params.matrix}” is no tile matrix: {', '.join(MATRICES)}"),
        (params.resampling not in RESAMPLINGS, f"“{params.resampling}” is no resampling: nearest, or nothing"),
        (not 16 <= params.tile_px <= 8192, f"chips of {params.tile_px} pixels: between 16 and 8192 are possible"),
        (params.zoom > 24, f"level {params.zoom}: 0 to 24 exist"),
        (not 0 <= params.min_valid_share <= 1, "the least share of data must lie between 0 and 1"),
        (params.gsd_m < 0 or not math.isfinite(params.gsd_m), "the pixel of a chip must be above 0"),
        (bool(params.dates) and len(params.dates) != len(params.sources), "give one date for each raster, or none"),
    ]
    for is_wrong, text in problems:
        if is_wrong:
            raise EngineError(ErrorCode.MESSAGE_INVALID, f"The chips cannot be cut: {text}.", "Correct it.")


def _sensors(params: ChipsParams) -> list[Sensor]:
    names = [_folder_name(source, at) for at, source in enumerate(params.sources)]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise EngineError(
            ErrorCode.MESSAGE_INVALID,
            f"Two rasters are called “{twice}”: their chips would lie in one folder.",
            "Give each its own name.",
            name=twice,
        )
    found = []
    for at, (name, source) in enumerate(zip(names, params.sources, strict=True)):
        stack = describe(source)
        gsd_m = math.sqrt(math.prod(GroundScale(stack.grid).nominal_m_yx()))
        date = params.dates[at] if params.dates else _date_in(source)
        found.append(Sensor(name, stack, gsd_m, date))
    return found


def _folder_name(source: RasterSource, at: int) -> str:
    name = source.name or (Path(source.paths[0]).stem if source.paths else "")
    safe = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).strip(" .")
    return safe or f"sensor {at + 1}"


def _date_in(source: RasterSource) -> str:
    """A date in the names of the files, as ISO 8601."""
    for path in source.paths:
        match = _DATE.search(Path(path).name)
        if match:
            return "-".join(match.groups())
    return ""


def _matrix(params: ChipsParams, finest: Sensor) -> TileMatrix:
    longitude, latitude = GroundScale(finest.stack.grid).centre_lonlat()
    if not math.isfinite(longitude + latitude):
        longitude, latitude = 0.0, 0.0
    if params.matrix == "utm":
        return utm_matrix(longitude, latitude, params.gsd_m or float(f"{finest.gsd_m:.6g}"), params.tile_px)
    zoom = params.zoom if params.zoom >= 0 else web_zoom(finest.gsd_m, latitude, params.tile_px)
    return web_matrix(zoom, params.tile_px)


def _boxes(sensor: Sensor, matrix: TileMatrix) -> tuple[Bounds, ...]:
    """What a raster covers of the matrix."""
    try:
        boxes = boxes_over(sensor.stack.grid.crs_wkt, sensor.stack.grid.bounds_xyxy, matrix)
    except ProjError:
        boxes = ((math.nan,) * 4,)
    if not all(math.isfinite(value) for box in boxes for value in box):
        raise RasterError(
            ErrorCode.RASTER_NOT_ON_EARTH,
            f"{sensor.name} reaches beyond what the tile matrix can show.",
            "Use the “utm” matrix, or cut the raster.",
        )
    return boxes


def _tiles(
    spans: Sequence[tuple[range, range]], matrix: TileMatrix, shape: Geometry | None
) -> tuple[tuple[int, int], ...]:
    """Columns and rows of the tiles of these spans that the area touches, in reading order."""
    places = sorted({(row, column) for columns, rows in spans for row in rows for column in columns})
    tiles = [(column, row) for row, column in places]
    inside = areas.cells_inside(shape, np.array([matrix.bounds(*tile) for tile in tiles]).reshape(-1, 4))
    return tuple(tile for tile, is_in in zip(tiles, inside, strict=True) if is_in)


def _notes(sensors: tuple[Sensor, ...], matrix: TileMatrix, gsd_m: float) -> list[Note]:
    notes = [
        Note(
            "chip_scale",
            Level.GREEN,
            f"Chips of {matrix.tile_px} pixels, {gsd_m:.3g} m each on the ground"
            + (f" (level {matrix.level})." if matrix.is_web else f" (EPSG:{matrix.level})."),
            {"gsd_m": gsd_m},
        )
    ]
    for sensor in sensors:
        if sensor.gsd_m > 2 * gsd_m:
            text = f"{sensor.name} has pixels of {sensor.gsd_m:.3g} m: its chips show nothing finer."
            notes.append(Note("chip_finer_than_raster", Level.AMBER, text, {"name": sensor.name}))
    return notes
