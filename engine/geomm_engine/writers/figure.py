"""Pictures of results for reports: image, map and legend side by side. Imports matplotlib when it draws, not before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geomm_engine.writers.categories import rgb_of
from geomm_engine.writers.draft import Draft, explained

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

DPI = 130
COLORS = 256
LONGEST_PX = 900
"""Pictures are thinned to this many pixels a side before drawing: more would not be seen and costs file size."""

INK = "#22302b"
PALE = "#7b8782"
NODATA = "#eceeec"
_SAMPLED = 4
"""Every fourth pixel along both axes decides on the palette: k-means takes its time."""

_KEPT = ("#ffffff", INK, PALE, NODATA)
"""Colours that a picture's palette keeps exactly."""


@dataclass(frozen=True)
class LegendRow:
    """``value`` in the class raster; ``share`` 0–1 of the classified area."""

    value: int
    name: str
    color: str
    share: float
    area_ha: float


def draw_class_figure(
    path: Path,
    rgb: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    legend: Sequence[LegendRow],
    *,
    title: str,
    subtitle: str = "",
    pixel_m: float = 0.0,
) -> None:
    """Draw image ``rgb`` (h, w, 3), map ``classes`` (any shape over the same ground) and a legend with hectares as PNG.

    ``pixel_m`` is the ground size of a pixel of ``rgb``; 0 draws no scale bar.

    Raises:
        OutputError: the file cannot be written.
    """
    palette = np.full((256, 3), rgb_of(NODATA), np.uint8)
    for row in legend:
        palette[row.value] = rgb_of(row.color)
    with _sheet(path, rgb.shape, title, subtitle, 2.7) as (image, map_, side):
        _show(image, rgb, rgb.shape, "Image", "antialiased")
        _add_scale_bar(image, rgb.shape, pixel_m)
        _show(map_, palette[_thinned(classes)], rgb.shape, "Class map", "nearest")
        _add_legend(side, legend)


@contextmanager
def _sheet(
    path: Path, shape: tuple[int, ...], title: str, subtitle: str, side_in: float
) -> Iterator[tuple[Axes, Axes, Axes]]:
    """Three places side by side; saved, all or nothing, when the block ends well."""
    from matplotlib.figure import Figure

    ratio = shape[0] / shape[1]
    panel = 4.3 if ratio <= 1.2 else 4.3 * 1.2 / ratio
    height = max(panel * ratio, 2.6) + 0.95
    figure = Figure(figsize=(2 * panel + side_in + 0.45, height), facecolor="white", dpi=DPI)
    grid = figure.add_gridspec(
        1,
        3,
        width_ratios=(panel, panel, side_in),
        left=0.012,
        right=0.985,
        bottom=0.14 / height,
        top=1 - 0.85 / height,
        wspace=0.035,
    )
    image, map_, side = (figure.add_subplot(grid[0, place]) for place in range(3))
    side.axis("off")
    figure.text(0.012, 1 - 0.1 / height, title, fontsize=13, fontweight="bold", color=INK, va="top")
    figure.text(0.012, 1 - 0.36 / height, subtitle, fontsize=8.5, color=PALE, va="top")
    yield image, map_, side
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of 256 colours, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    draft = Draft.beside(path)
    try:
        picture = _with_palette(_pixels(figure))
        with explained(draft):
            picture.save(draft.path, format="PNG", optimize=True)
        draft.publish()
    finally:
        draft.discard()


def _with_palette(pixels: NDArray[np.uint8]) -> Image:
    """A picture of 256 colours: a third of the size, and the difference is hardly seen."""
    from PIL import Image as Pillow

    full = Pillow.fromarray(pixels)
    few = Pillow.fromarray(pixels[::_SAMPLED, ::_SAMPLED])
    palette = few.quantize(COLORS - len(_KEPT), method=Pillow.Quantize.MEDIANCUT, kmeans=2)
    picture = full.quantize(palette=palette, dither=Pillow.Dither.FLOYDSTEINBERG)
    numbers = np.asarray(picture).copy()
    for at, color in enumerate(_KEPT, start=COLORS - len(_KEPT)):
        numbers[np.all(pixels == rgb_of(color), axis=-1)] = at
    room = 3 * (COLORS - len(_KEPT))
    found = [*(palette.getpalette() or []), *[0] * room][:room]
    exact = Pillow.fromarray(numbers)
    exact.putpalette([*found, *(part for color in _KEPT for part in rgb_of(color))])
    return exact


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _thinned(picture: NDArray[Any]) -> NDArray[Any]:
    step = max(1, math.ceil(max(picture.shape[:2]) / LONGEST_PX))
    return picture[::step, ::step]


def _show(axes: Axes, picture: NDArray[Any], shape: tuple[int, ...], title: str, interpolation: str) -> None:
    axes.imshow(_thinned(picture), extent=(0, shape[1], shape[0], 0), interpolation=interpolation)
    _frame(axes, shape, title)


def _frame(axes: Axes, shape: tuple[int, ...], title: str) -> None:
    axes.set_title(title, fontsize=9, color=INK, loc="left", pad=4)
    axes.set(xticks=[], yticks=[], xlim=(0, shape[1]), ylim=(shape[0], 0))
    for spine in axes.spines.values():
        spine.set(color=PALE, linewidth=0.6)


def _add_legend(side: Axes, legend: Sequence[LegendRow]) -> None:
    """Largest class first; share and hectares in columns of their own."""
    from matplotlib.patches import Rectangle

    side.set(xlim=(0, 1), ylim=(1, 0))
    step = min(0.095, 0.92 / (len(legend) + 1))
    size = min(8.5, 90 * step)
    for x, word in ((0.76, "share"), (1.0, "ha")):
        side.text(x, step * 0.35, word, fontsize=size * 0.9, color=PALE, ha="right", va="center")
    for place, row in enumerate(sorted(legend, key=lambda item: -item.area_ha), start=1):
        y = place * step + step * 0.35
        swatch = Rectangle((0.0, y - step * 0.3), 0.075, step * 0.6, facecolor=row.color, edgecolor=PALE, linewidth=0.4)
        side.add_patch(swatch)
        side.text(0.105, y, _shortened(row.name, 20), fontsize=size, color=INK, va="center")
        side.text(0.76, y, f"{100 * row.share:.1f} %", fontsize=size, color=INK, ha="right", va="center")
        side.text(1.0, y, f"{row.area_ha:,.0f}", fontsize=size, color=INK, ha="right", va="center")


def _shortened(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _add_scale_bar(axes: Axes, shape: tuple[int, ...], pixel_m: float) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    if pixel_m <= 0:
        return
    length_m = round_length_m(shape[1] * pixel_m / 4)
    width, height = length_m / pixel_m, 0.009 * shape[0]
    x, y = 0.035 * shape[1], 0.955 * shape[0]
    axes.add_patch(Rectangle((x, y), width, height, facecolor="white", edgecolor="black", linewidth=0.6))
    word = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    effects = [withStroke(linewidth=2, foreground="black")]
    axes.text(x, y - 1.2 * height, word, color="white", fontsize=8.5, va="bottom", path_effects=effects)


def round_length_m(longest_m: float) -> float:
    """The longest of 1, 2, 5, 10, 20, 50, … metres (or 0.1, 0.2, …) that is no longer than ``longest_m``."""
    power = 10.0 ** math.floor(math.log10(longest_m))
    return max(step * power for step in (1, 2, 5) if step * power <= longest_m * (1 + 1e-9))
