"""How results look: class map, score, confidence, tiles and hits. Knows renderers, neither runs nor the project."""

from __future__ import annotations

from typing import Sequence

from qgis.core import (
    QgsColorRampLegendNodeSettings,
    QgsColorRampShader,
    QgsFillSymbol,
    QgsPalettedRasterRenderer,
    QgsRasterBandStats,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRuleBasedRenderer,
    QgsSingleBandPseudoColorRenderer,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from . import paths
from .client.contract import ClassShare
from .translation import Translated

CLASS_OPACITY = 0.7
FAMILIARITY_BAND = 3
# Plasma, from dark violet to yellow: even steps for the eye, also for colour-blind people and in grey.
_PLASMA = ("#0d0887", "#7e03a8", "#cc4778", "#f89540", "#f0f921")


class _Texts(Translated):
    def score(self, place: int) -> str:
        return (self.ends()[0], "", "", "", self.ends()[1])[place]

    def unfamiliar(self) -> str:
        return self.tr("unlike anything learned")

    def familiar(self) -> str:
        return self.tr("like what was learned")

    def ends(self) -> "tuple[str, str]":
        return self.tr("less alike"), self.tr("most alike")


def style_class_map(layer: QgsRasterLayer, classes: Sequence[ClassShare]) -> None:
    """Colours and names of the class table."""
    entries = [QgsPalettedRasterRenderer.Class(row.value, QColor(row.color), row.name) for row in classes]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, entries))
    layer.setOpacity(CLASS_OPACITY)


def style_by_file(layer: QgsRasterLayer) -> None:
    """A class map without a class table at hand: the file's own colour table."""
    provider = layer.dataProvider()
    table = QgsPalettedRasterRenderer.colorTableToClassData(provider.colorTable(1))
    table = [entry for entry in table if entry.value != 0 and entry.color.alpha() > 0 and entry.label]
    if table:
        layer.setRenderer(QgsPalettedRasterRenderer(provider, 1, table))
        layer.setOpacity(CLASS_OPACITY)


def style_confidence(layer: QgsRasterLayer) -> None:
    layer.loadNamedStyle(paths.resource("styles", "confidence.qml"))


def style_unfamiliar(layer: QgsRasterLayer, threshold: float) -> None:
    """A veil over the ground whose familiarity, band 3 of a confidence file, is below ``threshold``."""
    veiled = QgsColorRampShader.ColorRampItem(threshold, QColor(40, 20, 60, 150), _Texts().unfamiliar())
    clear = QgsColorRampShader.ColorRampItem(float("inf"), QColor(0, 0, 0, 0), _Texts().familiar())
    function = QgsColorRampShader(-1.0, threshold, None, QgsColorRampShader.Type.Discrete)
    function.setColorRampItemList([veiled, clear])
    shader = QgsRasterShader(-1.0, threshold)
    shader.setRasterShaderFunction(function)
    layer.setRenderer(QgsSingleBandPseudoColorRenderer(layer.dataProvider(), FAMILIARITY_BAND, shader))


def style_score(layer: QgsRasterLayer, threshold: float, highest: float) -> None:
    """Nothing below ``threshold``, a perceptual ramp from there to ``highest``."""
    texts = _Texts()
    highest = max(highest, threshold + 1e-6)
    items = []
    for place, name in enumerate(_PLASMA):
        share = place / (len(_PLASMA) - 1)
        color = QColor(name)
        color.setAlpha(int(110 + 80 * share))
        items.append(
            QgsColorRampShader.ColorRampItem(threshold + share * (highest - threshold), color, texts.score(place))
        )
    below = QgsColorRampShader.ColorRampItem(threshold - 1e-7 - abs(threshold) * 1e-6, QColor(0, 0, 0, 0), "")
    function = QgsColorRampShader(threshold, highest, None, QgsColorRampShader.Type.Interpolated)
    function.setColorRampItemList([below, *items])
    legend = QgsColorRampLegendNodeSettings()
    legend.setMinimumLabel(texts.ends()[0])
    legend.setMaximumLabel(texts.ends()[1])
    function.setLegendSettings(legend)
    shader = QgsRasterShader(threshold, highest)
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(threshold)
    renderer.setClassificationMax(highest)
    layer.setRenderer(renderer)


def style_countries(layer: QgsVectorLayer) -> None:
    """Quiet land with pale borders, to lie below everything else."""
    symbol = QgsFillSymbol.createSimple(
        {"color": "222,226,220,255", "outline_color": "255,255,255,255", "outline_width": "0.2"}
    )
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))


def score_range(layer: QgsRasterLayer) -> "tuple[float, float]":
    """A cut at mean + 1.5 standard deviations and the maximum, for a score layer without a result at hand."""
    stats = layer.dataProvider().bandStatistics(1, QgsRasterBandStats.Stats.All, layer.extent(), 250_000)
    cut = min(stats.mean + 1.5 * stats.stdDev, stats.maximumValue)
    return cut, stats.maximumValue


def style_hits(layer: QgsVectorLayer, threshold: float) -> None:
    """Bright outlines of the tiles that score at least ``threshold``."""
    symbol = QgsFillSymbol.createSimple(
        {"color": "255,255,255,0", "outline_color": "255,230,0,255", "outline_width": "0.7", "outline_style": "solid"}
    )
    rule = QgsRuleBasedRenderer.Rule(symbol, 0, 0, f'"score" >= {threshold!r}', _Texts().tr("found"))
    root = QgsRuleBasedRenderer.Rule(None)
    root.appendChild(rule)
    layer.setRenderer(QgsRuleBasedRenderer(root))
