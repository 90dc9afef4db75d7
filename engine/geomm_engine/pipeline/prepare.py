"""Joining a layer and a model: which bands, which radiometry, which lattice. Decides everything, computes no tile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geomm_engine import __version__
from geomm_engine.contract import ErrorCode, Level, Note, RasterSource
from geomm_engine.encoders.card import Card, ModelFolder
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import RasterError
from geomm_engine.grid import TileGrid, stride_px
from geomm_engine.index.store import FORMAT, Manifest
from geomm_engine.raster.bands import Band
from geomm_engine.raster.ground import GroundScale
from geomm_engine.raster.radiometry import Radiometry, Reflectance, find_radiometry
from geomm_engine.raster.reader import Block, RasterReader
from geomm_engine.raster.source import Stack, describe
from geomm_engine.sensors import quantity_of

_COARSEST_FACTOR = 2.0
_SLACK = 1.02


@dataclass(frozen=True)
class Prepared:
    """A layer made ready for a model. ``notes`` are remarks for the person, worst first.

    ``band_positions`` are places in the stack, ``band_places`` in the card: the layer may lack a band if the card allows it.
    """

    folder: ModelFolder
    stack: Stack
    band_positions: tuple[int, ...]
    radiometry: Radiometry
    grid: TileGrid
    notes: tuple[Note, ...]
    band_places: tuple[int, ...] = ()

    @property
    def card(self) -> Card:
        return self.folder.card

    @property
    def bands(self) -> tuple[Band, ...]:
        return tuple(self.stack.bands[at] for at in self.band_positions)

    @property
    def step(self) -> int:
        """How many source pixels are averaged into one as they are read, as long as the tile keeps its pixels.

        It divides the stride, so that every cell sees the same averages whatever the raster was cut from.
        """
        most = max(1, math.floor(2 * min(self.grid.stride_yx_px) / self.grid.tile_px))
        return next(step for step in range(most, 0, -1) if all(stride % step == 0 for stride in self.grid.stride_yx_px))

    @contextmanager
    def reading(self) -> Iterator[RasterReader]:
        reader = RasterReader(self.stack, self.band_positions, zero_is_nodata=self.radiometry.zero_is_nodata)
        try:
            yield reader
        finally:
            reader.close()

    @property
    def manifest(self) -> Manifest:
        pixels = self.grid.pixels
        return Manifest(
            format=FORMAT,
            model_id=self.card.id,
            model_version=self.card.version,
            vectors_sha256=self.folder.vectors_sha256,
            space_id=self.card.space_id,
            dim=self.card.dim,
            paths=self.stack.paths,
            roles=tuple(f"{band.file}:{band.index}:{band.role}" for band in self.bands),
            source_fingerprint=self.stack.fingerprint,
            unit=self.radiometry.unit,
            gain=self.radiometry.gain,
            offset=self.radiometry.offset,
            radiometry_text=self.radiometry.text,
            crs_wkt=pixels.crs_wkt,
            transform=tuple(pixels.transform)[:6],
            shape_yx=pixels.shape_yx,
            stride_yx_px=self.grid.stride_yx_px,
            tile_px=self.grid.tile_px,
            pixel_m_yx=self.grid.pixel_m_yx,
            row_stretch=self.grid.row_stretch,
            software=f"geomm-engine {__version__}",
        )

    @property
    def name(self) -> str:
        return Path(self.stack.paths[0]).stem


def prepare(source: RasterSource, model: str = "") -> Prepared:
    """Look at the layer, choose bands, unit and lattice for the model.

    Raises:
        ModelError: the model is unknown or damaged.
        RasterError: the layer cannot be read rightly, lacks a band, or its pixels are too coarse.
    """
    folder = find_model(model)
    stack = describe(source)
    positions, places, band_notes = _choose_bands(stack, folder.card)
    scale = GroundScale(stack.grid)
    pixel_m_yx = scale.nominal_m_yx()
    grid, gsd_notes = _lattice(stack, folder.card, scale, pixel_m_yx)
    sample = sample_of(stack, positions)
    calibrations = [
        Reflectance(item.unit, tuple(item.gain[at] for at in places), tuple(item.offset[at] for at in places))
        for item in folder.card.radiometry.calibrations
    ]
    bands = [stack.bands[at] for at in positions]
    radiometry, unit_notes = find_radiometry(stack, bands, sample, source.unit, calibrations, lambda: darkest_of(stack))
    _check_unit(radiometry, folder.card)
    notes = (*band_notes, *gsd_notes, *unit_notes, *stack_notes(stack), *_hop_notes(folder.card))
    return Prepared(folder, stack, positions, radiometry, grid, notes, places)


def _check_unit(radiometry: Radiometry, card: Card) -> None:
    if card.radiometry.takes_pictures or radiometry.unit not in ("display", "stretch"):
        return
    raise RasterError(
        ErrorCode.UNIT_UNKNOWN,
        f"{card.name} reads physical values, such as reflectance; this layer holds "
        f"{'an 8-bit picture' if radiometry.unit == 'display' else 'values of an unknown unit'}.",
        "Choose what the pixel values are, or a model for red, green, blue pictures.",
        unit=radiometry.unit,
    )


def _hop_notes(card: Card) -> tuple[Note, ...]:
    if card.lineage is None or card.hops < 2:
        return ()
    text = (
        f"{card.name} was taught by {card.lineage.teacher}, which was taught itself: {card.hops} steps lie between its pixels "
        "and the words, and each one loses some. Trust it less than its teacher."
    )
    return (Note("hops", Level.AMBER, text, {"hops": card.hops, "teacher": card.lineage.teacher}),)


def sample_of(stack: Stack, positions: tuple[int, ...]) -> Block:
    """Some pixels of these bands, the same every time."""
    reader = RasterReader(stack, positions)
    try:
        return reader.sample()
    finally:
        reader.close()


def darkest_of(stack: Stack) -> float:
    """The value below which a thousandth of the darkest band lies; 0 means nodata in these products."""
    sample = sample_of(stack, tuple(range(len(stack.bands))))
    optical = [quantity_of(band.role) == "reflectance" for band in stack.bands]
    seen = [band[sample.valid & (band > 0)] for band, is_it in zip(sample.values, optical, strict=True) if is_it]
    return min((float(np.percentile(values, 0.1)) for values in seen if values.size), default=0.0)


def _choose_bands(stack: Stack, card: Card) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Note, ...]]:
    """Places in the stack, places in the card, and a remark where the layer lacks a band that the card can do without."""
    found = {band.role: stack.band_for(band.role) for band in card.bands}
    missing = [role for role, at in found.items() if at is None]
    if missing and 0 < card.bands_needed <= len(found) - len(missing):
        text = f"The layer lacks {', '.join(missing)}; {card.name} goes on with the other {len(found) - len(missing)} bands."
        notes = (Note("bands_lacking", Level.AMBER, text, {"missing": ", ".join(missing)}),)
        places = tuple(place for place, at in enumerate(found.values()) if at is not None)
        return tuple(at for at in found.values() if at is not None), places, notes
    if missing:
        have = ", ".join(band.role or f"band {at + 1}" for at, band in enumerate(stack.bands))
        fewest = f"at least {card.bands_needed} of " if card.bands_needed else ""
        raise RasterError(
            ErrorCode.BANDS_MISSING,
            f"The model {card.name} needs {fewest}{', '.join(band.role for band in card.bands)}; "
            f"the layer does not say which of its bands is {' or '.join(missing)} (it has: {have}).",
            _naming_cure(len(stack.bands), card),
            missing=", ".join(missing),
            have=have,
        )
    return tuple(at for at in found.values() if at is not None), tuple(range(len(found))), ()


def _naming_cure(count: int, card: Card) -> str:
    """What to do about bands without names, for a layer of so many bands: only what would be accepted."""
    roles = [band.role for band in card.bands]
    if count >= len(roles) or count == 1:  # one grey band may stand for all
        numbers = ",".join(str(min(at, count)) for at in range(1, len(roles) + 1))
        return f"Say which band is which (on the command line: --bands {numbers}, in the model's order)."
    if count >= card.bands_needed > 0:
        names = ",".join(f"{role}={at}" for at, role in enumerate(roles[: card.bands_needed], start=1))
        return f"Say which of them the layer's bands are, by name (on the command line, for example: --bands {names})."
    return f"Choose a layer with these bands, or a model that reads the {count} bands of this one."


def _lattice(
    stack: Stack, card: Card, scale: GroundScale, pixel_m_yx: tuple[float, float]
) -> tuple[TileGrid, tuple[Note, ...]]:
    gsd_m = math.sqrt(pixel_m_yx[0] * pixel_m_yx[1])
    facts = {"gsd_m": gsd_m, "gsd_min_m": card.gsd_min_m, "gsd_max_m": card.gsd_max_m}
    notes = []
    if gsd_m > card.gsd_max_m * _COARSEST_FACTOR:
        raise RasterError(
            ErrorCode.GSD_OUT_OF_RANGE,
            f"A pixel of this layer is {metres(gsd_m)} wide; {card.name} reads {metres(card.gsd_min_m)} to "
            f"{metres(card.gsd_max_m)}.",
            "Choose a finer image, or a model made for coarse ones.",
            **facts,
        )
    if gsd_m > card.gsd_max_m * _SLACK:
        text = f"A pixel is {metres(gsd_m)} wide, coarser than the {metres(card.gsd_max_m)} that {card.name} was trained on."
        notes.append(Note("gsd_coarse", Level.AMBER, text, dict(facts)))
    elif gsd_m < card.gsd_min_m / _SLACK:
        text = f"Pixels of {metres(gsd_m)} are averaged to {metres(card.gsd_min_m)}, the finest that {card.name} reads."
        notes.append(Note("gsd_fine", Level.GREEN, text, dict(facts)))
    chosen, seen_m = card.scale_for(gsd_m)
    tile_m = chosen.tile_px * seen_m
    strides = stride_px(tile_m, pixel_m_yx[0]), stride_px(tile_m, pixel_m_yx[1])
    height, width = stack.grid.shape_yx
    if height < 2 * strides[0] or width < 2 * strides[1]:
        text = f"The layer is smaller than one tile of {metres(tile_m)}; its edges are mirrored."
        notes.append(Note("smaller_than_tile", Level.AMBER, text, {"tile_m": tile_m}))
    rows = math.ceil(height / strides[0])
    stretch = scale.row_stretch(rows, strides, pixel_m_yx)
    return TileGrid(stack.grid, strides, chosen.tile_px, pixel_m_yx, stretch), tuple(notes)


_ASSUMED = {
    "sentinel2_order": "The {count} bands have no names: taken in Sentinel-2 order ({order}).",
    "rgb_order": "The bands have no names: taken as red, green, blue.",
    "rgbn_order": "The bands have no names: taken as red, green, blue, near infrared.",
    "sentinel1_order": "The two bands have no names: taken as VV and VH.",
}


def stack_notes(stack: Stack) -> list[Note]:
    """What was taken for granted of a layer."""
    notes = []
    if stack.assumed:
        order = " ".join(band.role for band in stack.bands)
        text = _ASSUMED[stack.assumed].format(count=len(stack.bands), order=order)
        notes.append(Note(stack.assumed, Level.AMBER, text, {"count": len(stack.bands), "order": order}))
    if stack.is_straightened:
        text = "The layer is rotated, south-up or tied by ground control points: it is straightened as it is read."
        notes.append(Note("straightened", Level.GREEN, text))
    if stack.ignores_alpha:
        text = "The band marked as transparency holds grey values: taken as data, not as a mask."
        notes.append(Note("alpha_is_data", Level.AMBER, text))
    return notes


def metres(value: float) -> str:
    """A ground size for people: 30 cm, 10 m, 1.2 km."""
    if value < 1:
        return f"{value * 100:.3g} cm"
    return f"{value:.3g} m" if value < 1000 else f"{value / 1000:.3g} km"
