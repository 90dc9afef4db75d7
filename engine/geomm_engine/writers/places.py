"""Credible regions and likely places as one GeoPackage: polygons ``regions``, points ``places``, styled, with provenance."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from shapely import Geometry

from geomm_engine.contract import Place
from geomm_engine.writers import geopackage
from geomm_engine.writers.draft import Draft, explained
from geomm_engine.writers.provenance import Provenance
from geomm_engine.writers.styles import add_options, document

REGIONS, PLACES = "regions", "places"
_LINES = (("#ffffff", 0.9, 1.0), ("#16324f", 0.45, 1.0))
"""A pale line below a dark one, so that an outline shows on any ground: colour, width in mm, opacity."""


@dataclass(frozen=True)
class Region:
    """``level`` 0–1 of the mass; ``outline`` a MultiPolygon in degrees, cut at the date line."""

    level: float
    outline: Geometry
    area_km2: float


def write_places(path: Path, regions: Sequence[Region], places: Sequence[Place], provenance: Provenance) -> None:
    """Write both layers in EPSG:4326.

    Raises:
        OutputError: the file cannot be written.
    """
    draft = Draft.beside(path)
    ordered = sorted(regions, key=lambda region: -region.level)
    try:
        with explained(draft, *geopackage.FAILURES), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            _write(draft.path, REGIONS, "MultiPolygon", [item.outline for item in ordered], {
                "region": np.array([f"{100 * item.level:.0f} %" for item in ordered], dtype=object),
                "level": np.array([item.level for item in ordered], dtype=np.float64),
                "area_km2": np.array([item.area_km2 for item in ordered], dtype=np.float64),
            }, is_appended=False)  # fmt: skip
            _write(draft.path, PLACES, "Point", [shapely.Point(item.lon, item.lat) for item in places], {
                "rank": np.array([item.rank for item in places], dtype=np.int32),
                "country": np.array([item.country for item in places], dtype=object),
                "probability": np.array([item.probability for item in places], dtype=np.float64),
                "radius_km": np.array([item.radius_km for item in places], dtype=np.float64),
                "lat": np.array([item.lat for item in places], dtype=np.float64),
                "lon": np.array([item.lon for item in places], dtype=np.float64),
            }, is_appended=True)  # fmt: skip
            with closing(sqlite3.connect(draft.path)) as database:
                with database:
                    geopackage.add_provenance(database, (REGIONS, PLACES), provenance)
                    geopackage.add_styles(database, {REGIONS: region_style(), PLACES: place_style()}, provenance)
                    database.execute("UPDATE gpkg_contents SET last_change = ?", (geopackage.moment(provenance),))
                _prove(database, {REGIONS: len(regions), PLACES: len(places)})
        draft.publish()
    finally:
        draft.discard()


def _write(
    path: Path, layer: str, kind: str, shapes: Sequence[Geometry], columns: Mapping[str, NDArray[Any]], *, is_appended: bool
) -> None:  # fmt: skip
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(shapes, dtype=object)), list(columns.values()), list(columns), layer=layer,
        driver="GPKG", geometry_type=kind, crs="EPSG:4326", append=is_appended,
        dataset_options={"VERSION": geopackage.VERSION} if not is_appended else None,
        layer_options={"GEOMETRY_NAME": "geom", "FID": "fid"},
    )  # fmt: skip


def _prove(database: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    for layer, count in counts.items():
        found = database.execute(f'SELECT count(*) FROM "{layer}"').fetchone()[0]
        if found != count:
            raise sqlite3.IntegrityError(f"{found} of {count} {layer} were written")


def region_style() -> str:
    """Outlines without a filling: the 50 % region whole, the 90 % one dashed."""
    renderer = ElementTree.Element(
        "renderer-v2", type="categorizedSymbol", attr="region", forceraster="0", symbollevels="0", enableorderby="0"
    )
    rows, symbols = (ElementTree.SubElement(renderer, tag) for tag in ("categories", "symbols"))
    for at, (value, dash) in enumerate((("50 %", "solid"), ("90 %", "dash"))):
        ElementTree.SubElement(
            rows,
            "category",
            render="true",
            symbol=str(at),
            value=value,
            type="string",
            label=f"{value} of the probability",
        )
        symbol = ElementTree.SubElement(
            symbols, "symbol", type="fill", name=str(at), alpha="1", clip_to_extent="1", force_rhr="0"
        )
        for color, width, _ in _LINES:
            layer = ElementTree.SubElement(
                symbol, "layer", {"class": "SimpleLine", "enabled": "1", "locked": "0", "pass": "0"}
            )
            add_options(layer, {
                "line_color": _rgba(color), "line_width": str(width), "line_width_unit": "MM",
                "line_style": dash, "joinstyle": "round", "capstyle": "flat",
            })  # fmt: skip
    return document([renderer])


def place_style() -> str:
    """A star for each place, the first one larger, with rank and country beside it."""
    renderer = ElementTree.Element(
        "renderer-v2", type="RuleRenderer", forceraster="0", symbollevels="0", enableorderby="0"
    )
    rules = ElementTree.SubElement(renderer, "rules", key="{geomm-places}")
    symbols = ElementTree.SubElement(renderer, "symbols")
    for at, (rule, label, size) in enumerate(
        (('"rank" > 1', "other places", 3.4), ('"rank" = 1', "the best place", 5.5))
    ):
        ElementTree.SubElement(rules, "rule", symbol=str(at), filter=rule, label=label, key=f"{{geomm-place-{at}}}")
        symbol = ElementTree.SubElement(
            symbols, "symbol", type="marker", name=str(at), alpha="1", clip_to_extent="1", force_rhr="0"
        )
        layer = ElementTree.SubElement(
            symbol, "layer", {"class": "SimpleMarker", "enabled": "1", "locked": "0", "pass": "0"}
        )
        add_options(layer, {
            "name": "star", "color": _rgba("#ffd23f"), "outline_color": _rgba("#16324f"), "outline_width": "0.4",
            "outline_style": "solid", "size": str(size), "size_unit": "MM", "scale_method": "diameter",
        })  # fmt: skip
    return document([renderer, _labels()])


def _labels() -> ElementTree.Element:
    labeling = ElementTree.Element("labeling", type="simple")
    settings = ElementTree.SubElement(labeling, "settings")
    words = "\"rank\" || '. ' || coalesce(\"country\", '') || ' ' || round(100 * \"probability\") || ' %'"
    style = ElementTree.SubElement(
        settings, "text-style", fieldName=words, isExpression="1", fontSize="9", fontSizeUnit="Point",
        textColor=_rgba("#16324f"), namedStyle="Bold", fontWeight="75",
    )  # fmt: skip
    ElementTree.SubElement(
        style, "text-buffer", bufferDraw="1", bufferSize="0.9", bufferSizeUnits="MM", bufferColor=_rgba("#ffffff")
    )
    ElementTree.SubElement(settings, "placement", placement="6", dist="1.6", distUnits="MM")
    ElementTree.SubElement(settings, "rendering", drawLabels="1", obstacle="1")
    return labeling


def _rgba(color: str) -> str:
    return ",".join(str(int(color[at : at + 2], 16)) for at in (1, 3, 5)) + ",255"
