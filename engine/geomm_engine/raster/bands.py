"""What each band of a layer measures: as the file says, as a person says, or as such files usually are. Reads no pixel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from geomm_engine import sensors
from geomm_engine.contract import ErrorCode, RasterSource
from geomm_engine.errors import RasterError

_COLOR_ROLES = {ColorInterp.red: "red", ColorInterp.green: "green", ColorInterp.blue: "blue"}


@dataclass(frozen=True)
class Band:
    """One band of the stack: where it lies (``file`` counts paths, ``index`` from 1) and what it measures."""

    file: int
    index: int
    role: str
    dtype: str
    scale: float
    offset: float


def bands_of(source: RasterSource, opened: list[DatasetReader], data_alpha: list[bool]) -> tuple[tuple[Band, ...], str]:
    bands = []
    for file, dataset in enumerate(opened):
        name_role = sensors.role_of(Path(source.paths[file]).stem) if dataset.count <= 2 else ""
        for at in range(dataset.count):
            color = dataset.colorinterp[at]
            if color == ColorInterp.alpha and not data_alpha[file]:
                continue
            role = sensors.role_of(dataset.descriptions[at] or "") or name_role or _COLOR_ROLES.get(color, "")
            scale, offset = float(dataset.scales[at]), float(dataset.offsets[at])
            bands.append(Band(file, at + 1, role, dataset.dtypes[at], scale, offset))
    if source.roles:
        return _with_given_roles(source, bands), ""
    found, assumed = _with_assumed_roles(bands, opened[0])
    if assumed or len(opened) == 1:
        return found, assumed
    parts = [
        _with_assumed_roles([band for band in found if band.file == file], item) for file, item in enumerate(opened)
    ]
    return tuple(band for part, _ in parts for band in part), next((name for _, name in parts if name), "")


def _with_given_roles(source: RasterSource, bands: list[Band]) -> tuple[Band, ...]:
    if len(source.roles) > len(bands):
        raise RasterError(
            ErrorCode.BANDS_MISSING,
            f"Band {len(source.roles)} was named, but the layer has {len(bands)} bands.",
            f"Name bands from 1 to {len(bands)}.",
            given=len(source.roles),
            found=len(bands),
        )
    roles = list(source.roles) + [""] * (len(bands) - len(source.roles))
    known = [sensors.role_of(role) or role.lower() for role in roles]
    return tuple(_renamed(band, role) for band, role in zip(bands, known, strict=True))


def _with_assumed_roles(bands: list[Band], dataset: DatasetReader) -> tuple[tuple[Band, ...], str]:
    has_rgb = all(any(sensors.is_same_role(band.role, role) for band in bands) for role in ("red", "green", "blue"))
    count, is_byte = len(bands), all(band.dtype == "uint8" for band in bands)
    if has_rgb:
        if count == 4 and not bands[3].role:
            return (*bands[:3], _renamed(bands[3], "nir")), ""
        return tuple(bands), ""
    if any(band.role for band in bands[1:]):
        return tuple(bands), ""
    if count in sensors.SENTINEL2_STACKS and not is_byte:
        names = sensors.SENTINEL2_STACKS[count]
        return tuple(_renamed(band, name) for band, name in zip(bands, names, strict=True)), "sentinel2_order"
    if count == 3 and is_byte:
        return tuple(_renamed(b, r) for b, r in zip(bands, ("red", "green", "blue"), strict=True)), "rgb_order"
    if count == 4 and is_byte:
        roles = ("red", "green", "blue", "nir")
        return tuple(_renamed(b, r) for b, r in zip(bands, roles, strict=True)), "rgbn_order"
    if count == 2 and not is_byte and sensors.is_sentinel1(Path(dataset.name).name):
        return tuple(_renamed(b, r) for b, r in zip(bands, ("vv", "vh"), strict=True)), "sentinel1_order"
    return tuple(bands), ""


def _renamed(band: Band, role: str) -> Band:
    return Band(band.file, band.index, role, band.dtype, band.scale, band.offset)
