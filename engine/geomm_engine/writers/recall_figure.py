"""The Recall-vs-Area curve as a picture: how much of the land must be searched to find how many of the truths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from geomm_engine.writers.figure import INK, PALE, save

_COLORS = ("#c4432b", "#8a8a8a", "#2f7fd1", "#2e9e5b")


def draw_recall(path: Path, shares: Sequence[float], curves: Mapping[str, Sequence[float]], *, subtitle: str) -> None:
    """Draw a line for each of the curves over ``shares`` (0–1 of the land, in the logarithm) as PNG.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), facecolor="white", dpi=130)
    axes = figure.add_axes((0.105, 0.125, 0.87, 0.72))
    for (name, values), color in zip(curves.items(), _COLORS, strict=False):
        axes.plot(shares, [100 * value for value in values], color=color, linewidth=1.8, label=name)
    axes.set(xscale="log", xlim=(shares[0], 1), ylim=(0, 100))
    ticks = [share for share in (1e-4, 1e-3, 1e-2, 1e-1, 1.0) if share >= shares[0]]
    axes.set_xticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.set_xlabel("share of the land that is searched, likeliest first", fontsize=9, color=INK)
    axes.set_ylabel("truths found, %", fontsize=9, color=INK)
    axes.grid(color=PALE, linewidth=0.4, alpha=0.5)
    axes.tick_params(labelsize=8, colors=INK)
    for spine in axes.spines.values():
        spine.set(color=PALE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper left")
    figure.text(0.02, 0.97, "Recall by area", fontsize=12, fontweight="bold", color=INK, va="top")
    figure.text(0.02, 0.905, subtitle, fontsize=8.5, color=PALE, va="top")
    save(figure, path)
