"""Names and colours of class values, in the forms that raster readers look for. Writes no file itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

NODATA_NAME = "no data"

_INTEGER, _STRING = "0", "2"
_PIXEL_COUNT, _NAME, _VALUE, _RED, _GREEN, _BLUE = "1", "2", "5", "6", "7", "8"
_COLUMNS = (
    ("Value", _INTEGER, _VALUE),
    ("Class", _STRING, _NAME),
    ("Red", _INTEGER, _RED),
    ("Green", _INTEGER, _GREEN),
    ("Blue", _INTEGER, _BLUE),
    ("Count", _INTEGER, _PIXEL_COUNT),
)
"""Columns of GDAL's raster attribute table: name, GDALRATFieldType, GDALRATFieldUsage."""


@dataclass(frozen=True)
class Category:
    """A class value 1–255 of a raster; ``color`` is "#rrggbb"."""

    value: int
    name: str
    color: str


def rgb_of(color: str) -> tuple[int, int, int]:
    """The three bytes of "#rrggbb"."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def color_table(categories: Sequence[Category]) -> dict[int, tuple[int, int, int, int]]:
    """The palette of a class raster; values without a category are transparent."""
    table = dict.fromkeys(range(256), (0, 0, 0, 0))
    table.update({category.value: (*rgb_of(category.color), 255) for category in categories})
    return table


def auxiliary_xml(categories: Sequence[Category], counts: Mapping[int, int], xml: str = "") -> str:
    """The ``.aux.xml`` with category names and attribute table of band 1, added to ``xml`` if GDAL wrote one."""
    root = ElementTree.fromstring(xml) if xml else ElementTree.Element("PAMDataset")
    if categories:
        band = root.find("PAMRasterBand[@band='1']")
        if band is None:
            band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
        _add_names(band, categories)
        _add_table(band, categories, counts)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_names(band: ElementTree.Element, categories: Sequence[Category]) -> None:
    names = {category.value: category.name for category in categories}
    parent = ElementTree.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        ElementTree.SubElement(parent, "Category").text = names.get(value, "" if value else NODATA_NAME)


def _add_table(band: ElementTree.Element, categories: Sequence[Category], counts: Mapping[int, int]) -> None:
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        field = ElementTree.SubElement(table, "FieldDefn", index=str(index))
        for tag, text in (("Name", name), ("Type", kind), ("Usage", usage)):
            ElementTree.SubElement(field, tag).text = text
    for index, category in enumerate(sorted(categories, key=lambda item: item.value)):
        row = ElementTree.SubElement(table, "Row", index=str(index))
        cells = (category.value, category.name, *rgb_of(category.color), counts.get(category.value, 0))
        for cell in cells:
            ElementTree.SubElement(row, "F").text = str(cell)
