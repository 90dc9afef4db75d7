"""Looks of results as QGIS layer styles (QML), for QGIS 3.22 and later. Writes no file itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from geomm_engine.writers.categories import Category, rgb_of

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"

VIRIDIS = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")
INFERNO = ("#000004", "#280b53", "#65156e", "#9f2a63", "#d44842", "#f57d15", "#fac127", "#fcffa4")
"""Perceptually even ramps of matplotlib (CC0), eight stops each."""

STRENGTHS = ("none", "very weak", "weak", "moderate", "clear", "strong", "very strong", "strongest")
"""What the eight stops of a score ramp mean, in a legend's words."""


def class_raster_style(categories: Sequence[Category]) -> str:
    """A palette with class names; pixels without a category are not drawn."""
    renderer = raster_renderer("paletted")
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for category in categories:
        ElementTree.SubElement(
            palette, "paletteEntry", value=str(category.value), color=category.color, label=category.name, alpha="255"
        )
    return raster_document(renderer, is_smooth=False)


def score_raster_style(
    low: float, high: float, *, ramp: Sequence[str] = VIRIDIS, fade_below: float | None = None
) -> str:
    """A smooth ramp from ``low`` to ``high`` with a legend in words; stops below ``fade_below`` are clear."""
    return _ramp_style(low, high, ramp, STRENGTHS, fade_below)


def confidence_raster_style(low: float = 0.0, high: float = 1.0) -> str:
    """A smooth ramp labelled in percent."""
    ramp = INFERNO[1:7]
    return _ramp_style(low, high, ramp, [f"{100 * stop:.0f} %" for stop in _stops(low, high, len(ramp))], None)


def class_tile_style(categories: Sequence[Category], field: str = "class") -> str:
    """Polygons filled by class name, with a hairline of the same colour so that tiles do not drown in outlines."""
    renderer = _vector_renderer("categorizedSymbol", field)
    rows, symbols = (ElementTree.SubElement(renderer, tag) for tag in ("categories", "symbols"))
    for place, category in enumerate(categories):
        ElementTree.SubElement(
            rows, "category", render="true", symbol=str(place), value=category.name, type="string", label=category.name
        )
        _add_fill(symbols, str(place), category.color, alpha=150, outline_alpha=90)
    return document([renderer])


def score_tile_style(low: float, high: float, *, threshold: float, field: str = "score") -> str:
    """Polygons by score, warm where strong: tiles below ``threshold`` are not drawn, those above in five steps."""
    renderer = _vector_renderer("graduatedSymbol", field)
    renderer.set("graduatedMethod", "GraduatedColor")
    ranges, symbols = (ElementTree.SubElement(renderer, tag) for tag in ("ranges", "symbols"))
    top = max(high, threshold) + 1e-6
    cuts = [min(low, threshold) - 1e-6, *_stops(threshold, top, 6)]
    labels = ("below the threshold", "weak", "moderate", "clear", "strong", "strongest")
    colors = ("#000000", *INFERNO[3:7], "#fde725")
    for place, ((lower, upper), label, color) in enumerate(zip(itertools.pairwise(cuts), labels, colors, strict=True)):
        ElementTree.SubElement(
            ranges, "range", render="true", symbol=str(place), label=label, lower=f"{lower:.15f}", upper=f"{upper:.15f}"
        )
        is_shown = place > 0
        _add_fill(symbols, str(place), color, alpha=130 if is_shown else 0, outline_alpha=220 if is_shown else 0)
    return document([renderer])


def _ramp_style(low: float, high: float, ramp: Sequence[str], labels: Sequence[str], fade_below: float | None) -> str:
    high = high if high > low else low + 1e-6
    renderer = raster_renderer("singlebandpseudocolor", classificationMin=_number(low), classificationMax=_number(high))
    shader = ElementTree.SubElement(
        ElementTree.SubElement(renderer, "rastershader"), "colorrampshader", colorRampType="INTERPOLATED",
        classificationMode="2", clip="0", minimumValue=_number(low), maximumValue=_number(high), labelPrecision="4",
    )  # fmt: skip
    for stop, color, label in zip(_stops(low, high, len(ramp)), ramp, labels, strict=True):
        alpha = 0 if fade_below is not None and stop < fade_below else 255
        ElementTree.SubElement(shader, "item", value=_number(stop), color=color, label=label, alpha=str(alpha))
    return raster_document(renderer, is_smooth=True)


def _stops(low: float, high: float, count: int) -> list[float]:
    return [low + (high - low) * place / (count - 1) for place in range(count)]


def _number(value: float) -> str:
    return f"{value:.9g}"


def raster_renderer(kind: str, **attributes: str) -> ElementTree.Element:
    """An empty ``rasterrenderer`` of band 1, unless the attributes say otherwise."""
    fixed = {"type": kind, "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    return ElementTree.Element("rasterrenderer", {**fixed, **attributes})


def raster_document(renderer: ElementTree.Element, *, is_smooth: bool) -> str:
    """The QML of a raster layer with this renderer."""
    pipe = ElementTree.Element("pipe")
    provider = ElementTree.SubElement(pipe, "provider")
    ElementTree.SubElement(
        provider, "resampling", enabled="false", zoomedInResamplingMethod="nearestNeighbour",
        zoomedOutResamplingMethod="nearestNeighbour", maxOversampling="2",
    )  # fmt: skip
    pipe.append(renderer)
    ElementTree.SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    ElementTree.SubElement(pipe, "huesaturation", saturation="0", grayscaleMode="0", colorizeOn="0")
    smoothing = ElementTree.SubElement(pipe, "rasterresampler", maxOversampling="2")
    if is_smooth:
        smoothing.set("zoomedInResampler", "bilinear")
    return document([pipe])


def _vector_renderer(kind: str, field: str) -> ElementTree.Element:
    return ElementTree.Element(
        "renderer-v2", type=kind, attr=field, forceraster="0", symbollevels="0", enableorderby="0"
    )


def _add_fill(symbols: ElementTree.Element, name: str, color: str, *, alpha: int, outline_alpha: int) -> None:
    red, green, blue = rgb_of(color)
    symbol = ElementTree.SubElement(
        symbols, "symbol", type="fill", name=name, alpha="1", clip_to_extent="1", force_rhr="0"
    )
    layer = ElementTree.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    options = {
        "color": f"{red},{green},{blue},{alpha}",
        "style": "solid" if alpha else "no",
        "outline_color": f"{red},{green},{blue},{outline_alpha}",
        "outline_style": "solid" if outline_alpha else "no",
        "outline_width": "0.2",
        "outline_width_unit": "MM",
        "joinstyle": "miter",
    }
    add_options(layer, options)


def add_options(layer: ElementTree.Element, options: Mapping[str, str]) -> None:
    """Twice, as QGIS does: ``Option`` since 3.22, ``prop`` before."""
    group = ElementTree.SubElement(layer, "Option", type="Map")
    for name, value in options.items():
        ElementTree.SubElement(group, "Option", type="QString", name=name, value=value)
    for name, value in options.items():
        ElementTree.SubElement(layer, "prop", k=name, v=value)


def document(parts: Sequence[ElementTree.Element]) -> str:
    """The QML of a layer with these parts; a part with labels switches them on."""
    has_labels = any(part.tag == "labeling" for part in parts)
    root = ElementTree.Element(
        "qgis", version="3.22.0", styleCategories="Symbology|Labeling" if has_labels else "Symbology"
    )
    if has_labels:
        root.set("labelsEnabled", "1")
    root.extend(parts)
    ElementTree.indent(root)
    return DOCTYPE + ElementTree.tostring(root, encoding="unicode") + "\n"
