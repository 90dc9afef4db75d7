"""From what a file stores to what a model sees: found once a layer, frozen, and said in words. Pure arithmetic.

Never derived from a single tile: the same pixels give the same values whatever is asked for around them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ErrorCode, Level, Note
from geomm_engine.errors import RasterError
from geomm_engine.raster.bands import Band
from geomm_engine.raster.reader import Block
from geomm_engine.raster.source import Stack
from geomm_engine.sensors import SENTINEL2_NM, SENTINEL2_OFFSET_FROM, quantity_of

_UNITS_OF = {
    "reflectance": ("display", "reflectance", "reflectance_e4", "reflectance_e4_offset", "stretch"),
    "backscatter": ("decibel", "backscatter"),
    "height": ("metres",),
    "temperature": ("kelvin",),
}
UNITS = tuple(unit for units in _UNITS_OF.values() for unit in units)
_STRETCH_PERCENTILES = (2.0, 98.0)
_OFFSET_DN = 1000.0
_BYTE = 255.0


_DARKEST_BACKSCATTER = 1e-5


@dataclass(frozen=True)
class Reflectance:
    """How one physical unit becomes display values, one gain a band.

    ``level`` is "toa_reflectance" or "surface_reflectance" (0–1), "decibel" (radar), "metres" (height) or "kelvin".
    """

    level: str
    gain: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True)
class Radiometry:
    """``display = clip(value × gain + offset, 0, 1)`` for each band; ``text`` says it to a person.

    Bands at the places ``in_decibel`` (linear radar backscatter) are turned into 10·log10(value) before that.
    """

    unit: str
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    zero_is_nodata: bool
    text: str
    in_decibel: tuple[int, ...] = ()

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(band, h, w) float32 as stored → (band, h, w) float32, 0–1."""
        gain = np.asarray(self.gain, dtype=np.float32)[:, None, None]
        offset = np.asarray(self.offset, dtype=np.float32)[:, None, None]
        if self.in_decibel:
            places = list(self.in_decibel)
            values = values.copy()
            values[places] = 10 * np.log10(np.maximum(values[places], np.float32(_DARKEST_BACKSCATTER)))
        return np.clip(values * gain + offset, 0, 1)


def find_radiometry(
    stack: Stack,
    bands: Sequence[Band],
    sample: Block,
    unit: str,
    calibrations: Sequence[Reflectance],
    darkest: Callable[[], float],
) -> tuple[Radiometry, tuple[Note, ...]]:
    """Decide the unit (as told, or from product name, data type and values) and freeze the numbers.

    ``darkest`` looks up the lowest values of all bands of the stack, for the products whose offset only they betray.

    Raises:
        RasterError: the unit is none that GeoMM knows, or the layer holds no valid pixel.
    """
    if unit and unit not in UNITS:
        raise RasterError(
            ErrorCode.UNIT_UNKNOWN,
            f"“{unit}” is no unit that GeoMM knows.",
            f"Choose one of: {', '.join(UNITS)}.",
            unit=unit,
        )
    if not sample.valid.any():
        raise RasterError(
            ErrorCode.RASTER_EMPTY,
            "The raster holds no valid pixel: all of it is nodata.",
            "Check the nodata value in the layer's properties, or choose another layer.",
        )
    seen = sample.values[:, sample.valid]
    quantities = [quantity_of(band.role) for band in bands]
    if unit and not any(unit in _UNITS_OF[quantity] for quantity in quantities):
        fitting = [item for quantity in dict.fromkeys(quantities) for item in _UNITS_OF[quantity]]
        raise RasterError(
            ErrorCode.UNIT_UNKNOWN,
            f"“{unit}” is no unit of {', '.join(band.role for band in bands)}.",
            f"Choose one of: {', '.join(fitting)}.",
            unit=unit,
        )
    parts, notes = [], []
    for quantity in dict.fromkeys(quantities):
        places = [at for at, item in enumerate(quantities) if item == quantity]
        own = [bands[at] for at in places]
        told = unit if unit in _UNITS_OF[quantity] else ""
        scaled = [_of_places(item, places) for item in calibrations]
        if quantity == "reflectance":
            found: list[Note] = []
            if not told:
                told, found = _guess_unit(stack, own, seen[places], darkest)
            part = _frozen(told, stack, own, seen[places], scaled)
        else:
            part, found = _physical(quantity, told, own, seen[places], scaled)
        parts.append((places, part))
        notes += found
    return _joined(parts, len(bands)), tuple(notes)


def _of_places(calibration: Reflectance, places: Sequence[int]) -> Reflectance:
    gain, offset = (tuple(values[at] for at in places) for values in (calibration.gain, calibration.offset))
    return Reflectance(calibration.level, gain, offset)


def _joined(parts: Sequence[tuple[Sequence[int], Radiometry]], count: int) -> Radiometry:
    """One radiometry from those of the quantities, in the order of the bands."""
    if len(parts) == 1:
        return parts[0][1]
    gain, offset, in_decibel = [0.0] * count, [0.0] * count, []
    for places, part in parts:
        for at, own_gain, own_offset in zip(places, part.gain, part.offset, strict=True):
            gain[at], offset[at] = own_gain, own_offset
        in_decibel += [places[at] for at in part.in_decibel]
    return Radiometry(
        "+".join(part.unit for _, part in parts),
        tuple(gain),
        tuple(offset),
        any(part.zero_is_nodata for _, part in parts),
        "; ".join(part.text for _, part in parts),
        tuple(in_decibel),
    )


def _physical(
    quantity: str, unit: str, bands: Sequence[Band], seen: NDArray[np.float32], calibrations: Sequence[Reflectance]
) -> tuple[Radiometry, list[Note]]:
    """Radar, height and temperature: numbers that mean what they say, by the band's own scale and offset.

    Raises:
        RasterError: the values cannot be what their unit allows, or the model does not say how it reads them.
    """
    names = " ".join(band.role for band in bands)
    scale, offset = [band.scale for band in bands], [band.offset for band in bands]
    values = seen * np.array(scale)[:, None] + np.array(offset)[:, None]
    notes: list[Note] = []
    if not unit:
        unit = _UNITS_OF[quantity][0]
        if quantity == "backscatter":
            unit = _guess_backscatter(names, values)
            text = f"{names} taken as {'decibel' if unit == 'decibel' else 'linear backscatter'} by their values."
            notes.append(Note("unit_assumed", Level.GREEN, text))
    if quantity == "temperature" and not 150 <= float(np.median(values)) <= 400:
        raise RasterError(
            ErrorCode.UNIT_UNKNOWN,
            f"{names} has a median of {float(np.median(values)):.4g}: no temperature in kelvin.",
            "Convert it to kelvin first (raster calculator).",
            unit="kelvin",
        )
    level = "decibel" if quantity == "backscatter" else unit
    chosen = next((item for item in calibrations if item.level == level), None)
    if chosen is None:
        raise RasterError(
            ErrorCode.UNIT_UNKNOWN, f"This model does not say how it reads {level}.", "Choose another model.", unit=unit
        )
    if unit == "backscatter":  # the logarithm comes before gain and offset, so a stored scale moves into the offset
        moved = tuple(
            c + 10 * float(np.log10(s)) * g for s, g, c in zip(scale, chosen.gain, chosen.offset, strict=True)
        )
        text = f"{names} as backscatter, 10·log10(value)"
        return Radiometry(unit, chosen.gain, moved, True, text, tuple(range(len(bands)))), notes
    gain = tuple(s * g for s, g in zip(scale, chosen.gain, strict=True))
    moved = tuple(o * g + c for o, g, c in zip(offset, chosen.gain, chosen.offset, strict=True))
    return Radiometry(unit, gain, moved, False, f"{names} in {unit}"), notes


def _guess_backscatter(names: str, values: NDArray[np.float64]) -> str:
    low, middle, high = np.percentile(values, (1, 50, 99))
    if -60 < low < 0 and middle < 0 and high < 40:
        return "decibel"
    if low >= 0 and 0 < middle < 2 and high < 100:
        return "backscatter"
    raise RasterError(
        ErrorCode.UNIT_UNKNOWN,
        f"{names} range from {low:.4g} to {high:.4g}: neither decibel nor linear backscatter.",
        "Calibrate and terrain-correct the radar scene first (SNAP: Calibration, Terrain Correction).",
        low=float(low),
        high=float(high),
    )


def _guess_unit(
    stack: Stack, bands: Sequence[Band], seen: NDArray[np.float32], darkest: Callable[[], float]
) -> tuple[str, list[Note]]:
    scale, offset = (np.array([getattr(band, name) for band in bands])[:, None] for name in ("scale", "offset"))
    low, high = np.percentile(seen * scale + offset, (0.1, 99.9))
    if all(band.dtype == "uint8" and band.scale == 1.0 for band in bands):
        return "display", []
    if all(band.scale != 1.0 or band.dtype.startswith("float") for band in bands):
        if low >= -0.2 and high <= 1.6:
            is_said = bool(stack.hint.level) or any(band.scale != 1.0 for band in bands)
            return "reflectance", [] if is_said else [_reflectance_note(low, high)]
        return "stretch", [_stretch_note()]
    is_sentinel2 = all(
        band.role in SENTINEL2_NM or band.role in ("red", "green", "blue", "nir") for band in bands
    ) and (any(band.role in SENTINEL2_NM for band in stack.bands) or bool(stack.hint.level))
    if not is_sentinel2:
        return "stretch", [_stretch_note()]
    if 0 < stack.hint.baseline < SENTINEL2_OFFSET_FROM:
        return "reflectance_e4", []
    low = darkest()
    if stack.hint.baseline:
        return ("reflectance_e4", [_harmonised_note(low)]) if low < 0.5 * _OFFSET_DN else ("reflectance_e4_offset", [])
    if low < 0.8 * _OFFSET_DN:
        return "reflectance_e4", []
    note = Note(
        "offset_assumed",
        Level.AMBER,
        f"Hardly any value of any band is below {low:.0f}: taken as Sentinel-2 from baseline 04.00, (DN − 1000) / 10000. "
        "If the product is older, choose “reflectance × 10000”.",
        {"low": low},
    )
    return "reflectance_e4_offset", [note]


def _harmonised_note(low: float) -> Note:
    """Archives that harmonise Sentinel-2 remove the offset and keep the product's name."""
    return Note(
        "offset_removed",
        Level.AMBER,
        f"The product's name says baseline 04.00 or later, but values as low as {low:.0f} show that its offset of 1000 has "
        "been removed already: taken as DN / 10000.",
        {"low": low},
    )


def _reflectance_note(low: float, high: float) -> Note:
    return Note(
        "unit_assumed",
        Level.AMBER,
        f"Values from {low:.2g} to {high:.2g}: taken as reflectance. If this is a picture whose values were divided by 255, "
        "choose “a picture” as the unit (--unit display).",
        {"low": float(low), "high": float(high)},
    )


def _stretch_note() -> Note:
    return Note(
        "unit_assumed",
        Level.AMBER,
        "The unit of the values is not known: stretched between the layer's 2nd and 98th percentile. "
        "For an exact result choose the unit.",
    )


def _frozen(
    unit: str, stack: Stack, bands: Sequence[Band], seen: NDArray[np.float32], calibrations: Sequence[Reflectance]
) -> Radiometry:
    names = " ".join(band.role for band in bands)
    count = len(bands)
    if unit == "display":
        full = _full_scale(bands, seen)
        kind = "an 8-bit picture" if full == _BYTE else f"a picture of values from 0 to {full:g}"
        return Radiometry(unit, (1 / full,) * count, (0.0,) * count, False, f"{names} as {kind}")
    if unit == "stretch":
        low, high = np.percentile(seen, _STRETCH_PERCENTILES, axis=1)
        span = np.maximum(high - low, 1e-6)
        text = f"{names} stretched from {_short(low)} to {_short(high)} (2–98 % of the layer)"
        return Radiometry(unit, tuple((1 / span).tolist()), tuple((-low / span).tolist()), False, text)
    if unit == "reflectance":
        scale, offset, how = [band.scale for band in bands], [band.offset for band in bands], ""
    else:
        shift = -_OFFSET_DN / 1e4 if unit == "reflectance_e4_offset" else 0.0
        scale, offset = [1e-4] * count, [shift] * count
        how = ", (DN − 1000) / 10000" if shift else ", DN / 10000"
    level = "toa_reflectance" if stack.hint.level == "L1C" or stack.reflectance_bands == 13 else "surface_reflectance"
    chosen = next((item for item in calibrations if item.level == level), None)
    if chosen is None:
        raise RasterError(
            ErrorCode.UNIT_UNKNOWN,
            f"This model does not say how it reads {level.replace('_', ' ')}.",
            "Choose another model, or read the layer as a stretched picture.",
            unit=unit,
        )
    gain = tuple(s * g for s, g in zip(scale, chosen.gain, strict=True))
    moved = tuple(o * g + c for o, g, c in zip(offset, chosen.gain, chosen.offset, strict=True))
    text = f"{names} as {'top-of-atmosphere' if level.startswith('toa') else 'surface'} reflectance{how}"
    zero_is_nodata = unit != "reflectance" and not stack.has_declared_nodata
    return Radiometry(unit, gain, moved, zero_is_nodata, text)


def _full_scale(bands: Sequence[Band], seen: NDArray[np.float32]) -> float:
    """White in a picture: 255 also where bytes were stored in a wider type, 1 where they were divided by 255."""
    brightest = float(seen.max(initial=0.0))
    if all(band.dtype.startswith("float") for band in bands) and brightest <= 1.0:
        return 1.0
    widest = max((np.iinfo(band.dtype).max for band in bands if not band.dtype.startswith("float")), default=_BYTE)
    return _BYTE if brightest <= _BYTE else float(widest)


def _short(values: NDArray[np.float64]) -> str:
    return "/".join(f"{value:.4g}" for value in values)
