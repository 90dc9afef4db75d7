"""What is known of bands and sensors: roles, centre wavelengths, product conventions. Opens no file.

A *role* says what a band measures ("red", "nir"); sensors call the same thing by other names (B04, SR_B4, Band 3).
Wavelengths are band centres in nanometres: Sentinel-2 from ESA's spectral response functions 3.1, Landsat 8/9 from USGS.
A *quantity* says what the numbers of a role are: reflectance, backscatter (radar), height, temperature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SENTINEL2_NM = {
    "B01": 443.0, "B02": 490.0, "B03": 560.0, "B04": 665.0, "B05": 705.0, "B06": 740.0, "B07": 783.0,
    "B08": 842.0, "B8A": 865.0, "B09": 945.0, "B10": 1375.0, "B11": 1610.0, "B12": 2190.0,
}  # fmt: skip

ROLE_NM = {
    "coastal": 443.0, "blue": 490.0, "green": 560.0, "yellow": 600.0, "red": 665.0, "rededge": 740.0,
    "nir": 842.0, "swir1": 1610.0, "swir2": 2190.0,
}  # fmt: skip

QUANTITY_OF = {
    "vv": "backscatter", "vh": "backscatter", "hh": "backscatter", "hv": "backscatter", "height": "height",
    "thermal": "temperature",
}  # fmt: skip

_SENTINEL2_ROLE = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B08": "nir",
    "B11": "swir1",
    "B12": "swir2",
}

SENTINEL2_STACKS = {
    13: tuple(SENTINEL2_NM),
    12: tuple(name for name in SENTINEL2_NM if name != "B10"),
    10: tuple(name for name in SENTINEL2_NM if name not in ("B01", "B09", "B10")),
}
"""Band order of whole Sentinel-2 products by band count: L1C, L2A, and the ten 10 m and 20 m bands."""

_WORDS = {
    "red": "red", "rouge": "red", "rot": "red", "green": "green", "grün": "green", "vert": "green", "blue": "blue",
    "blau": "blue", "bleu": "blue", "nir": "nir", "near infrared": "nir", "near-infrared": "nir", "nearinfrared": "nir",
    "infrared": "nir", "rededge": "rededge", "red edge": "rededge", "red-edge": "rededge", "coastal": "coastal",
    "coastal aerosol": "coastal", "ultra blue": "coastal", "swir1": "swir1", "swir 1": "swir1", "swir16": "swir1",
    "swir2": "swir2", "swir 2": "swir2", "swir22": "swir2", "yellow": "yellow", "vv": "vv", "vh": "vh", "hh": "hh", "hv": "hv",
    "height": "height", "elevation": "height", "dem": "height", "dsm": "height", "dtm": "height", "thermal": "thermal",
    "thermal infrared": "thermal", "tir": "thermal", "lst": "thermal", "temperature": "thermal",
}  # fmt: skip

_SENTINEL2_BAND = re.compile(r"(?:^|[^A-Za-z0-9])B(0?[1-9]|1[0-2]|8A)(?:[^A-Za-z0-9]|$)", re.IGNORECASE)
_LANDSAT_BAND = re.compile(r"^L([A-Z])0(\d)_.*_B(\d{1,2})$", re.IGNORECASE)
_POLARISATION = re.compile(r"(?<![A-Za-z0-9])(VV|VH|HH|HV)(?![A-Za-z0-9])", re.IGNORECASE)
_SENTINEL1 = re.compile(r"(?:^|[^A-Za-z0-9])(?:S1[A-D]?|sentinel-?1)(?:RTC|GRD|[^A-Za-z0-9]|$)", re.IGNORECASE)
_LANDSAT_TM = {"1": "blue", "2": "green", "3": "red", "4": "nir", "5": "swir1", "7": "swir2"}
_LANDSAT_OLI = {"1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "nir", "6": "swir1", "7": "swir2"}
_BASELINE = re.compile(r"_N(\d{4})_")
_LEVEL = re.compile(r"(?:MSI|S2|[_\-.])(L1C|L2A)", re.IGNORECASE)

SENTINEL2_OFFSET_FROM = 400
"""Processing baseline 04.00 (25 January 2022) introduced an offset of 1000 into Sentinel-2 digital numbers."""


def role_of(text: str) -> str:
    """The role that a band's name or description states: a Sentinel-2 band ("B04"), a role ("red"), or "" if neither.

    Landsat's numbers mean other bands before Landsat 8 than since, and both others than Sentinel-2's.
    """
    word = text.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    landsat = _LANDSAT_BAND.search(text.strip())
    if landsat:
        return (_LANDSAT_TM if int(landsat.group(2)) < 8 else _LANDSAT_OLI).get(landsat.group(3), "")
    match = _SENTINEL2_BAND.search(text.strip())
    if match:
        name = match.group(1).upper()
        return "B8A" if name == "8A" else f"B{int(name):02d}"
    polarisations = {found.lower() for found in _POLARISATION.findall(text)}
    return polarisations.pop() if len(polarisations) == 1 else ""


def quantity_of(role: str) -> str:
    """What the numbers of a band are: "backscatter", "height", "temperature", else "reflectance"."""
    return QUANTITY_OF.get(role.lower(), "reflectance")


def wavelength_of(role: str) -> float:
    """The centre of a band in nanometres; 0 for radar, height and roles that are not known."""
    if quantity_of(role) == "temperature":
        return 10900.0
    return SENTINEL2_NM.get(role, ROLE_NM.get(role, 0.0))


def is_sentinel1(name: str) -> bool:
    """Whether a file's name says that it is Sentinel-1 ("S1RTC", "S1A_IW_GRDH_…")."""
    return bool(_SENTINEL1.search(name))


def is_same_role(have: str, want: str) -> bool:
    """Whether a band that is called ``have`` measures ``want``: B04 is red, B8A is not the broad near infrared."""
    return have == want or _SENTINEL2_ROLE.get(have) == want or _SENTINEL2_ROLE.get(want) == have


@dataclass(frozen=True)
class ProductHint:
    """What file names and tags tell of a Sentinel-2 product; ``baseline`` 0 and ``level`` "" where they are silent."""

    level: str = ""
    baseline: int = 0


def product_hint(*texts: str) -> ProductHint:
    """Read level and processing baseline off a product name such as S2A_MSIL2A_20220706T085611_N0400_R007_…"""
    joined = "\n".join(texts)
    level = _LEVEL.search(joined)
    baseline = _BASELINE.search(joined)
    return ProductHint(level.group(1).upper() if level else "", int(baseline.group(1)) if baseline else 0)
