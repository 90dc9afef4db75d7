"""QgsRasterLayer → contract.RasterSource. Knows which layers are files that the engine can read; opens no file.

Single-band files of one place, each named after its band (B04.tif, B03.tif, …), are joined to one source: that is how
satellite scenes are delivered.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from qgis.core import QgsMapLayer, QgsProviderRegistry, QgsRasterLayer

from .client.contract import RasterSource
from .translation import Translated

UNIT_PROPERTY = "geomm/unit"
ROLES_PROPERTY = "geomm/roles"
RUN_PROPERTY = "geomm/run"
KIND_PROPERTY = "geomm/kind"

_LANDSAT = re.compile(r"(?:^|[^A-Za-z])L[COTEM]0[1-9]_", re.IGNORECASE)
_BAND_NAME = re.compile(r"(?:^|[^A-Za-z0-9])B(0?[1-9]|1[0-2]|8A)(?=[^A-Za-z0-9]|$)", re.IGNORECASE)


class LayerRefused(Exception):
    """A layer that the engine could not read; the message says why and what helps."""


@dataclass(frozen=True)
class Target:
    """What one run works on: a source and the layers that it was made of, by id."""

    source: RasterSource
    layer_ids: Tuple[str, ...]

    @property
    def name(self) -> str:
        return self.source.name


class _Texts(Translated):
    def refusal(self, layer: QgsMapLayer, kind: str) -> str:
        causes = {
            "type": self.tr("“{name}” is not a raster layer. Choose an image."),
            "broken": self.tr(
                "“{name}” cannot be read: its file is missing or damaged. Repair the layer's data source."
            ),
            "online": self.tr(
                "“{name}” comes from a web service or another provider ({provider}), not from a file. "
                "Save it as a GeoTIFF first: right-click the layer, Export ▸ Save As."
            ),
            "path": self.tr("“{name}” is not a file on this computer. Save it as a GeoTIFF first (Export ▸ Save As)."),
        }
        provider = layer.dataProvider().name() if layer.dataProvider() else "?"
        return causes[kind].format(name=layer.name(), provider=provider)

    def other_crs(self) -> str:
        return self.tr(
            "“{name}” has another CRS in QGIS than in its file. Save it with that CRS first (Export ▸ Save As)."
        )


def file_path(layer: QgsMapLayer) -> str:
    """The file behind a raster layer.

    Raises:
        LayerRefused: the layer is no raster, is broken, or does not lie in a file on this computer.
    """
    texts = _Texts()
    if not isinstance(layer, QgsRasterLayer):
        raise LayerRefused(texts.refusal(layer, "type"))
    if layer.providerType() != "gdal":
        raise LayerRefused(texts.refusal(layer, "online"))
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    path = str(parts.get("path") or "")
    if not os.path.isfile(path) or parts.get("layerName"):
        raise LayerRefused(texts.refusal(layer, "broken" if os.path.isabs(path) and not layer.isValid() else "path"))
    if not layer.isValid():
        raise LayerRefused(texts.refusal(layer, "broken"))
    return os.path.abspath(path)


def is_usable(layer: QgsMapLayer) -> bool:
    """Whether a layer may be offered: an image in a file, and not a result of this plugin."""
    if not isinstance(layer, QgsRasterLayer) or layer.customProperty(KIND_PROPERTY):
        return False
    return layer.providerType() == "gdal"


def band_of(layer: QgsRasterLayer) -> str:
    """The band that a single-band layer's or file's name states, written as Sentinel-2's are ("B04"), or ""."""
    if layer.bandCount() != 1:
        return ""
    for text in _names(layer):
        match = _BAND_NAME.search(text)
        if match:
            number = match.group(1).upper()
            return "B8A" if number == "8A" else f"B{int(number):02d}"
    return ""


def _names(layer: QgsRasterLayer) -> Tuple[str, str]:
    return layer.name(), os.path.splitext(os.path.basename(layer.source()))[0]


def targets(layers: Sequence[QgsMapLayer]) -> List[Target]:
    """The runs that a choice of layers means: one a layer, but band files of one place together.

    Raises:
        LayerRefused: one of the layers cannot be used.
    """
    groups: Dict[Tuple[str, ...], List[QgsRasterLayer]] = {}
    for layer in layers:
        file_path(layer)
        key = _stack_key(layer)
        bands = {band_of(other) for other in groups.get(key, [])}
        is_second = bool(band_of(layer)) and band_of(layer) in bands
        groups.setdefault((layer.id(),) if is_second else key, []).append(layer)
    return [_target(group) for group in groups.values()]


def joined(found: Sequence[Target]) -> RasterSource:
    """Several targets as one stack of files; their roles count only where all have some.

    Raises:
        LayerRefused: a layer was given a CRS in QGIS that its file does not have.
    """
    sources = [target.source for target in found]
    strange = next((source for source in sources if source.crs), None)
    if strange is not None:
        raise LayerRefused(_Texts().other_crs().format(name=strange.name))
    if len(sources) == 1:
        return sources[0]
    has_roles = all(source.roles for source in sources)
    return RasterSource(
        tuple(path for source in sources for path in source.paths),
        tuple(role for source in sources for role in source.roles) if has_roles else (),
        next((source.unit for source in sources if source.unit), ""),
        " + ".join(source.name for source in sources),
    )


def _stack_key(layer: QgsRasterLayer) -> Tuple[str, ...]:
    """Layers of one key are bands of one image: same folder, CRS and extent."""
    if not band_of(layer):
        return (layer.id(),)
    return (os.path.dirname(layer.source()), crs_text(layer), layer.extent().toString(3))


def _target(group: List[QgsRasterLayer]) -> Target:
    group = sorted(group, key=band_of)
    first = group[0]
    unit = str(first.customProperty(UNIT_PROPERTY, "") or "")
    roles = tuple(word for word in str(first.customProperty(ROLES_PROPERTY, "") or "").split(",") if word)
    name = first.name()
    if len(group) > 1:
        bands = [band_of(layer) for layer in group]
        # Landsat's numbers mean other bands, and not the same ones on each satellite: the engine reads them.
        is_landsat = any(_LANDSAT.search(text) for layer in group for text in _names(layer))
        roles = roles or (() if is_landsat else tuple(bands))
        folder = os.path.basename(os.path.dirname(first.source()))
        name = f"{folder} ({', '.join(bands)})" if folder else " + ".join(layer.name() for layer in group)
    source = RasterSource(tuple(file_path(layer) for layer in group), roles, unit, name, _said_crs(group))
    return Target(source, tuple(layer.id() for layer in group))


def _said_crs(group: Sequence[QgsRasterLayer]) -> str:
    """The CRS that a person gave to these layers of one CRS, "" where it is the files' own."""
    said = [layer for layer in group if layer.crs().isValid() and layer.crs() != layer.dataProvider().crs()]
    return crs_text(said[0]) if said else ""


def crs_text(layer: QgsMapLayer) -> str:
    """The CRS as the contract wants it: an authority code, or WKT2 where there is none."""
    crs = layer.crs()
    if crs.authid() and not crs.authid().upper().startswith("USER"):
        return crs.authid()
    return crs.toWkt(crs.WktVariant.WKT2_2018) if hasattr(crs, "WktVariant") else crs.toWkt(crs.WKT2_2018)
