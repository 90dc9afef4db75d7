"""From pairs of rasters to places: both sensors' pixels on one grid, in the units that each model reads. Knows no network.

Everything that can be wrong with the rasters is found here, before a training starts.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as FileWindow

from geomm_engine.contract import ErrorCode, Note, RasterSource
from geomm_engine.encoders.card import Card, ModelFolder
from geomm_engine.errors import RasterError
from geomm_engine.grid import PixelGrid, overlaps
from geomm_engine.pipeline.prepare import darkest_of, sample_of, stack_notes
from geomm_engine.raster.bands import Band
from geomm_engine.raster.files import unreadable
from geomm_engine.raster.ground import GroundScale
from geomm_engine.raster.radiometry import Radiometry, Reflectance, find_radiometry
from geomm_engine.raster.reader import RasterReader
from geomm_engine.raster.source import Stack, describe
from geomm_engine.raster.straight import open_straight
from geomm_engine.sensors import is_same_role, quantity_of, role_of
from geomm_engine.training.chain_config import RasterPair

LONGEST_PX = 1200
WINDOW_PX = 512
MOST_WINDOWS = 24
PICTURE_UNITS = ("display", "stretch")
STUDENT_UNITS = {
    "toa_reflectance": (1.0, 0.0),
    "surface_reflectance": (1.0, 0.0),
    "decibel": (1 / 50, 0.8),
    "metres": (1 / 9500, 500 / 9500),
    "kelvin": (1 / 150, -200 / 150),
}
"""How a student reads physical values, as gain and offset to 0–1: decibel from −40 to 10, height from −500 to 9,000 m,
temperature from 200 to 350 K."""


@dataclass(frozen=True)
class Place:
    """A piece of ground that both sensors saw, at ``pixel_m_yx``; tiles show it with pixels of ``gsd_m``.

    ``teacher`` (band, h, w) and ``student`` (band, h, w) float16 in 0–1, ``valid`` (h, w) bool, ``labels`` (h, w) uint8
    or None. ``present`` says which of the student's bands are there. ``held`` is the part that is held out: (y, x, height,
    width) in pixels. ``grid`` is that of the pixels.
    """

    name: str
    teacher: NDArray[np.float16]
    student: NDArray[np.float16]
    present: tuple[bool, ...]
    valid: NDArray[np.bool_]
    labels: NDArray[np.uint8] | None
    held: tuple[int, int, int, int]
    grid: PixelGrid
    pixel_m_yx: tuple[float, float]
    gsd_m: float
    pair: RasterPair

    def side_px(self, tile_px: int, factor: float) -> tuple[float, float]:
        """Height and width in this place's pixels of a tile whose pixel is ``factor`` times ``gsd_m``."""
        tile_m = tile_px * self.gsd_m * factor
        return tile_m / self.pixel_m_yx[0], tile_m / self.pixel_m_yx[1]


@dataclass(frozen=True)
class Side:
    """One sensor's rasters: their bands by place in the stack, and how their values are read."""

    stack: Stack
    positions: tuple[int, ...]
    radiometry: Radiometry


@dataclass(frozen=True)
class Ground:
    """A pair, looked at but not yet read. ``units`` are the physical units of the student's side, as a card names them."""

    pair: RasterPair
    joint: Stack
    teacher: Side
    student: Side
    present: tuple[bool, ...]
    pixel_m_yx: tuple[float, float]
    gsd_m: float
    units: tuple[str, ...]
    notes: tuple[Note, ...]


def source_of(paths: tuple[str, ...], roles: tuple[str, ...] = (), unit: str = "") -> RasterSource:
    return RasterSource(paths, roles, unit, Path(paths[0]).stem)


def student_bands(pair: RasterPair, teacher_bands: Sequence[str] = ()) -> tuple[str, ...]:
    """The bands that a student reads unless told: what the rasters have beyond the teacher's bands, and the teacher's too
    where the others are optical like them.

    Raises:
        RasterError: a raster cannot be read, or names no band that the teacher does not read.
    """
    stack = describe(source_of(pair.student, pair.student_roles, pair.student_unit))
    roles = list(dict.fromkeys(band.role for band in stack.bands if band.role))
    beyond = [role for role in roles if not any(is_same_role(role, wanted) for wanted in teacher_bands)]
    others = [role for role in beyond if quantity_of(role) != "reflectance"]
    if not beyond:
        have = ", ".join(band.role or f"band {at + 1}" for at, band in enumerate(stack.bands))
        raise RasterError(
            ErrorCode.BANDS_MISSING,
            f"{_names(pair.student)} has no named band beyond those of the teacher (it has: {have}).",
            "Say which bands there are, in order (--student-roles vv,vh), or give the other sensor's raster.",
            have=have,
        )
    return tuple(others if len(others) == len(beyond) else roles)


def look(
    pair: RasterPair, teacher: ModelFolder, teacher_bands: Sequence[str], bands: Sequence[str], *, fewest_bands: int
) -> Ground:
    """Check a pair and decide how it will be read.

    Raises:
        RasterError: a raster is corrupt, lacks a band, has another CRS, lies elsewhere, or is too coarse for the teacher.
    """
    paths = tuple(dict.fromkeys((*pair.teacher, *pair.student)))
    _check_together(paths)
    joint = describe(source_of(paths))
    card = teacher.card
    mine = describe(source_of(pair.teacher, pair.teacher_roles, pair.teacher_unit))
    wanted = [role_of(name) or name.lower() for name in teacher_bands] or [band.role for band in card.bands]
    if len(wanted) != len(card.bands):
        raise RasterError(
            ErrorCode.BANDS_MISSING,
            f"{card.name} reads {len(card.bands)} bands ({', '.join(band.role for band in card.bands)}); "
            f"{len(wanted)} were named: {', '.join(wanted)}.",
            "Name the teacher's bands in the card's order, such as B04,B03,B02.",
        )
    teacher_places = _positions(mine, wanted, pair.teacher, card.name)
    calibrations = [Reflectance(item.unit, item.gain, item.offset) for item in card.radiometry.calibrations]
    seen, teacher_notes = _radiometry(mine, teacher_places, pair.teacher_unit, calibrations)
    other = describe(source_of(pair.student, pair.student_roles, pair.student_unit))
    found = [other.band_for(role_of(band) or band) for band in bands]
    present = tuple(at is not None for at in found)
    if not all(present) and sum(present) < max(1, fewest_bands or len(bands)):
        _positions(other, [role_of(band) or band for band in bands], pair.student, "The student")
    places = tuple(at for at in found if at is not None)
    units = [Reflectance(unit, (g,) * len(places), (o,) * len(places)) for unit, (g, o) in STUDENT_UNITS.items()]
    read, student_notes = _radiometry(other, places, pair.student_unit, units)
    pixel_m_yx = GroundScale(joint.grid).nominal_m_yx()
    native_m = math.sqrt(math.prod(pixel_m_yx))
    _check_gsd(native_m, card, pair)
    gsd_m = min(max(native_m, card.gsd_min_m), card.gsd_max_m)
    return Ground(
        pair,
        joint,
        Side(joint, _in_joint(joint, mine, teacher_places), seen),
        Side(joint, _in_joint(joint, other, places), read),
        present,
        pixel_m_yx,
        gsd_m,
        _units(other, [other.bands[at] for at in places]),
        (*teacher_notes, *student_notes, *stack_notes(mine), *stack_notes(other)),
    )


def _units(stack: Stack, bands: Sequence[Band]) -> tuple[str, ...]:
    is_toa = stack.hint.level == "L1C" or stack.reflectance_bands == 13
    names = {
        "reflectance": "toa_reflectance" if is_toa else "surface_reflectance",
        "backscatter": "decibel",
        "height": "metres",
        "temperature": "kelvin",
    }
    return tuple(dict.fromkeys(names[quantity_of(band.role)] for band in bands))


def _names(paths: Sequence[str]) -> str:
    return ", ".join(Path(path).name for path in paths)


def _check_together(paths: Sequence[str]) -> None:
    """All files in one CRS and on common ground; a file that cannot be read is said first."""
    stacks = [describe(source_of((path,))) for path in paths]
    first = stacks[0]
    for path, stack in zip(paths[1:], stacks[1:], strict=True):
        crs = [CRS.from_wkt(item.grid.crs_wkt) for item in (first, stack)]
        if crs[0] != crs[1]:
            raise RasterError(
                ErrorCode.RASTER_MISMATCH,
                f"{Path(paths[0]).name} is in {_crs_name(crs[0])}, {Path(path).name} in {_crs_name(crs[1])}: they do not lie "
                "on one another pixel by pixel.",
                "Warp one onto the other first (Raster ▸ Projections ▸ Warp).",
                path=path,
            )
        if not overlaps(first.grid.bounds_xyxy, stack.grid.bounds_xyxy):
            raise RasterError(
                ErrorCode.RASTER_MISMATCH,
                f"{Path(paths[0]).name} and {Path(path).name} show different ground: {_box(first.grid)} and {_box(stack.grid)}.",
                "Give rasters of the same place.",
                path=path,
            )


def _crs_name(crs: CRS) -> str:
    return crs.to_string() if crs.to_epsg() else crs.to_wkt()[:60]


def _box(grid: PixelGrid) -> str:
    return "({:.6g}, {:.6g}) to ({:.6g}, {:.6g})".format(*grid.bounds_xyxy)


def _positions(stack: Stack, wanted: Sequence[str], paths: Sequence[str], who: str) -> tuple[int, ...]:
    found = [stack.band_for(role) for role in wanted]
    missing = [role for role, at in zip(wanted, found, strict=True) if at is None]
    if missing:
        have = ", ".join(band.role or f"band {at + 1}" for at, band in enumerate(stack.bands))
        raise RasterError(
            ErrorCode.BANDS_MISSING,
            f"{who} needs {', '.join(wanted)}; {_names(paths)} has no band {' or '.join(missing)} (it has: {have}).",
            "Say which band is which (--teacher-roles, --student-roles), or give the raster that has it.",
            missing=", ".join(missing),
            have=have,
        )
    return tuple(at for at in found if at is not None)


def _radiometry(
    stack: Stack, positions: tuple[int, ...], unit: str, calibrations: Sequence[Reflectance]
) -> tuple[Radiometry, tuple[Note, ...]]:
    bands = [stack.bands[at] for at in positions]
    sample = sample_of(stack, positions)
    return find_radiometry(stack, bands, sample, unit, calibrations, lambda: darkest_of(stack))


def _in_joint(joint: Stack, own: Stack, positions: Sequence[int]) -> tuple[int, ...]:
    """Places in the stack of all files of places in one side's stack."""

    def key(stack: Stack, band: Band) -> tuple[str, int]:
        return stack.paths[band.file], band.index

    known = {key(joint, band): at for at, band in enumerate(joint.bands)}
    return tuple(known[key(own, own.bands[at])] for at in positions)


def _check_gsd(native_m: float, card: Card, pair: RasterPair) -> None:
    if native_m > 2 * card.gsd_max_m:
        raise RasterError(
            ErrorCode.GSD_OUT_OF_RANGE,
            f"A pixel of {_names(pair.teacher)} is {native_m:.3g} m wide; the teacher {card.name} reads up to "
            f"{card.gsd_max_m:g} m.",
            "Choose a finer image, or another teacher.",
            gsd_m=native_m,
        )


def read_places(ground: Ground, bands: int, *, tile_px: int, validation_share: float, split_seed: int) -> list[Place]:
    """The pixels of a pair: all of a small raster, windows spread over a large one.

    Raises:
        RasterError: pixels cannot be read.
    """
    native_m = math.sqrt(math.prod(ground.pixel_m_yx))
    step = max(1, math.floor(ground.gsd_m / native_m + 1e-6))
    pixel_m_yx = ground.pixel_m_yx[0] * step, ground.pixel_m_yx[1] * step
    readers = [
        RasterReader(side.stack, side.positions, zero_is_nodata=side.radiometry.zero_is_nodata)
        for side in (ground.teacher, ground.student)
    ]
    places = []
    try:
        for number, (y, x, height, width) in enumerate(_windows(ground.joint.grid.shape_yx, step)):
            blocks = [reader.read(y, x, height, width, step) for reader in readers]
            valid = blocks[0].valid & blocks[1].valid
            if valid.mean() < 0.05:
                continue
            student = np.zeros((bands, height, width), dtype=np.float16)
            student[list(ground.present)] = ground.student.radiometry.apply(blocks[1].values)
            grid = _part(ground.joint.grid, y * step, x * step, step, (height, width))
            tile_yx = [tile_px * ground.gsd_m / size for size in pixel_m_yx]
            places.append(
                Place(
                    name=f"{ground.pair.name} {number + 1}" if number else ground.pair.name,
                    teacher=ground.teacher.radiometry.apply(blocks[0].values).astype(np.float16),
                    student=student,
                    present=ground.present,
                    valid=valid,
                    labels=_labels(ground.pair.labels, grid) if ground.pair.labels else None,
                    held=held_out(grid, tile_yx, validation_share, split_seed),
                    grid=grid,
                    pixel_m_yx=pixel_m_yx,
                    gsd_m=ground.gsd_m,
                    pair=ground.pair,
                )
            )
    finally:
        for reader in readers:
            reader.close()
    return places


def _windows(shape_yx: tuple[int, int], step: int) -> list[tuple[int, int, int, int]]:
    """(y, x, height, width) in averaged pixels."""
    height, width = (max(1, size // step) for size in shape_yx)
    if max(height, width) <= LONGEST_PX:
        return [(0, 0, height, width)]
    rows, cols = max(1, height // WINDOW_PX), max(1, width // WINDOW_PX)
    every = [(row, col) for row in range(rows) for col in range(cols)]
    chosen = [every[at] for at in np.linspace(0, len(every) - 1, min(MOST_WINDOWS, len(every))).astype(int)]
    sides = min(WINDOW_PX, height), min(WINDOW_PX, width)
    return [(row * WINDOW_PX, col * WINDOW_PX, *sides) for row, col in dict.fromkeys(chosen)]


def _part(grid: PixelGrid, y: int, x: int, step: int, shape_yx: tuple[int, int]) -> PixelGrid:
    moved = grid.transform @ Affine.translation(x, y) @ Affine.scale(step, step)
    return PixelGrid(grid.crs_wkt, moved, shape_yx)


def held_out(
    grid: PixelGrid, tile_yx: Sequence[float], validation_share: float, split_seed: int
) -> tuple[int, int, int, int]:
    """The strip along one edge that is held out: (y, x, height, width); empty or everything where the place is small.

    Chosen by the ground alone, so that two sensors' lessons on the same place hold out the same part of it.
    """
    height, width = grid.shape_yx
    name = ",".join(f"{value:.6g}" for value in grid.bounds_xyxy) + f"|{split_seed}"
    draw = zlib.crc32(name.encode())
    rows, cols = (max(math.ceil(tile), round(validation_share * size))
                  for tile, size in zip(tile_yx, (height, width), strict=True))  # fmt: skip
    strips = [
        strip
        for strip, is_possible in (
            ((0, 0, height, cols), width - cols >= tile_yx[1]),
            ((0, width - cols, height, cols), width - cols >= tile_yx[1]),
            ((0, 0, rows, width), height - rows >= tile_yx[0]),
            ((height - rows, 0, rows, width), height - rows >= tile_yx[0]),
        )
        if is_possible
    ]
    if strips:
        return strips[draw % len(strips)]
    is_held = (draw % 10_000) / 10_000 < validation_share
    return (0, 0, height, width) if is_held else (0, 0, 0, 0)


def _labels(path: str, grid: PixelGrid) -> NDArray[np.uint8]:
    """(h, w) class numbers on this grid; 0 where there are none."""
    height, width = grid.shape_yx
    dataset = open_straight(path)
    try:
        with WarpedVRT(
            dataset, crs=CRS.from_wkt(grid.crs_wkt), transform=grid.transform, width=width, height=height,
            resampling=Resampling.nearest,
        ) as vrt:  # fmt: skip
            return np.asarray(vrt.read(1, window=FileWindow(0, 0, width, height)), dtype=np.uint8)
    except (RasterioError, RasterioIOError) as problem:
        raise unreadable(path, problem) from problem
    finally:
        dataset.close()
