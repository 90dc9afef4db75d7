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
from geomm_engine.raster.reader import Block
from geomm_engine.raster.source import Band, Stack
from geomm_engine.sensors import SENTINEL2_NM, SENTINEL2_OFFSET_FROM

UNITS = ("display", "reflectance", "reflectance_e4", "reflectance_e4_offset", "stretch")
_STRETCH_PERCENTILES = (2.0, 98.0)
_OFFSET_DN = 1000.0


@dataclass(frozen=True)
class Reflectance:
    """How reflectance 0–1 becomes display values: ``level`` "toa_reflectance" or "surface_reflectance", one gain a band."""

    level: str
    gain: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True)
class Radiometry:
    """``display = clip(value × gain + offset, 0, 1)`` for each band; ``text`` says it to a person."""

    unit: str
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    zero_is_nodata: bool
    text: str

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(band, h, w) float32 as stored → (band, h, w) float32, 0–1."""
        gain = np.asarray(self.gain, dtype=np.float32)[:, None, None]
        offset = np.asarray(self.offset, dtype=np.float32)[:, None, None]
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
    notes: list[Note] = []
    if not unit:
        unit, notes = _guess_unit(stack, bands, seen, darkest)
    return _frozen(unit, stack, bands, seen, calibrations), tuple(notes)


def _guess_unit(
    stack: Stack, bands: Sequence[Band], seen: NDArray[np.float32], darkest: Callable[[], float]
) -> tuple[str, list[Note]]:
    scale, offset = (np.array([getattr(band, name) for band in bands])[:, None] for name in ("scale", "offset"))
    low, high = np.percentile(seen * scale + offset, (0.1, 99.9))
    if all(band.dtype == "uint8" and band.scale == 1.0 for band in bands):
        return "display", []
    if all(band.scale != 1.0 or band.dtype.startswith("float") for band in bands):
        if low >= -0.2 and high <= 1.6:
            return "reflectance", []
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
        full = [
            float(np.iinfo(np.dtype(band.dtype)).max) if not band.dtype.startswith("float") else 255.0 for band in bands
        ]
        return Radiometry(unit, tuple(1 / item for item in full), (0.0,) * count, False, f"{names} as an 8-bit picture")
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
    level = "toa_reflectance" if stack.hint.level == "L1C" or len(stack.bands) == 13 else "surface_reflectance"
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


def _short(values: NDArray[np.float64]) -> str:
    return "/".join(f"{value:.4g}" for value in values)
