"""The report's pictures as PNG bytes: confusion matrix, reliability plot, scales. Imports matplotlib when it draws."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geomm_engine.evaluation.calibration import Calibration
from geomm_engine.evaluation.scales import ScalesReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PALE, GREEN, AMBER, LINE = "#22302b", "#7b8782", "#2f7d5b", "#c8862a", "#d9dedb"
BLUE = "#5b8fb9"
DPI = 160
_SOLID, _FAINT = 0.85, 0.5
_NUMBERS_UP_TO = 24
"""Classes beyond which the cells of a confusion matrix carry no numbers: they would not be read."""


def confusion_png(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> bytes:
    """Shares of each true class (rows), the darker the more; the diagonal is right."""
    from matplotlib.colors import LinearSegmentedColormap

    counts = np.array(confusion, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.2, 0.36 * len(names) + 1.9)
    figure = _figure(side, side)
    axes = figure.add_subplot()
    ramp = LinearSegmentedColormap.from_list("green", ["#ffffff", "#cfe5da", GREEN, "#123c2b"])
    axes.imshow(shares, cmap=ramp, vmin=0, vmax=1)
    size = 8.5 if len(names) <= _NUMBERS_UP_TO else 6.5
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=size, color=INK)
    axes.set_yticks(range(len(names)), names, fontsize=size, color=INK)
    axes.set_xlabel("said", color=PALE, fontsize=9)
    axes.set_ylabel("true", color=PALE, fontsize=9)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=LINE, linewidth=0.5)
    axes.tick_params(which="both", length=0)
    if len(names) <= _NUMBERS_UP_TO:
        _write_shares(axes, shares)
    return _png(figure)


def _write_shares(axes: Axes, shares: NDArray[np.float64]) -> None:
    for row, column in np.argwhere(shares >= 0.005):
        share = shares[row, column]
        color = "white" if share > 0.45 else INK
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7.5, color=color)


def reliability_png(calibration: Calibration) -> bytes:
    """Accuracy over confidence; below it how many pictures were that sure."""
    from matplotlib.patches import Patch

    figure = _figure(4.6, 5.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    filled = [item for item in calibration.bins if item.count]
    width = 1 / len(calibration.bins)
    upper.plot([0, 1], [0, 1], color=PALE, linewidth=1, linestyle=(0, (4, 3)))
    for item in filled:
        low, high = sorted((item.accuracy, item.confidence))
        color = AMBER if item.confidence > item.accuracy else BLUE
        upper.bar(item.low, low, width * 0.92, align="edge", color=GREEN, alpha=_SOLID, linewidth=0)
        upper.bar(item.low, high - low, width * 0.92, bottom=low, align="edge", color=color, alpha=_FAINT, linewidth=0)
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.set_ylabel("share right", color=INK, fontsize=9)
    kinds = {"right, as expected": (GREEN, _SOLID), "too sure": (AMBER, _FAINT), "not sure enough": (BLUE, _FAINT)}
    swatches = [Patch(facecolor=color, alpha=alpha) for color, alpha in kinds.values()]
    upper.legend(swatches, list(kinds), fontsize=8, frameon=False, loc="upper left", labelcolor=INK)
    lower.bar(
        [item.low for item in calibration.bins],
        [item.count for item in calibration.bins],
        width * 0.92,
        align="edge",
        color=PALE,
        linewidth=0,
    )
    lower.set_xlabel("confidence", color=INK, fontsize=9)
    lower.set_ylabel("pictures", color=INK, fontsize=9)
    for axes in (upper, lower):
        _plain(axes)
    return _png(figure)


def scales_png(scales: ScalesReport) -> bytes:
    """Over the ground pixel: accuracy, and how alike one place stays to what it was at the finest."""
    figure = _figure(8.4, 3.2)
    left, right = figure.subplots(1, 2)
    pixels = [row.gsd_m for row in scales.rows]
    _line(left, pixels, [(row.top1, row.top1_interval_95) for row in scales.rows], GREEN, "top-1")
    finest = [pair for pair in scales.pairs if pair.finer_m == pixels[0]]
    coarser = [pair.coarser_m for pair in finest]
    _line(
        left, coarser, [(pair.agreement, pair.agreement_interval_95) for pair in finest], AMBER, "same class as finest"
    )
    left.set_title("class", loc="left", fontsize=9, color=INK)
    _line(right, coarser, [(pair.cosine, pair.cosine_interval_95) for pair in finest], GREEN, "same place")
    right.plot(
        pixels, [row.other_cosine for row in scales.rows], color=PALE, marker="o", markersize=3.5, label="other places"
    )
    right.set_title("cosine to the finest pixel", loc="left", fontsize=9, color=INK)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(pixels, [f"{pixel:g}" for pixel in pixels])
        axes.minorticks_off()
        axes.set_xlabel("ground pixel (m)", color=INK, fontsize=9)
        axes.set_ylim(0, 1.03)
        axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="lower left")
        _plain(axes)
    return _png(figure)


def _line(
    axes: Axes, at: Sequence[float], values: Sequence[tuple[float, tuple[float, float]]], color: str, label: str
) -> None:
    middle = [value for value, _ in values]
    errors = [
        [max(value - low, 0) for value, (low, _) in values],
        [max(high - value, 0) for value, (_, high) in values],
    ]
    axes.errorbar(at, middle, yerr=errors, color=color, marker="o", markersize=4, linewidth=1.4, capsize=2, label=label)


def _plain(axes: Axes) -> None:
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(LINE)
    axes.grid(axis="y", color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=INK, length=0)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()
