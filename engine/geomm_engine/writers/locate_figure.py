"""The answer to "where on Earth is this?" as one picture: the world with its heat, a closer look, climates, the season."""

from __future__ import annotations

import calendar
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import Geometry

from geomm_engine.contract import Place
from geomm_engine.writers.figure import INK, PALE, save
from geomm_engine.writers.heatmap import ramp
from geomm_engine.writers.places import Region

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

SEA, LAND, BORDER = "#eaf1f6", "#d3d7d2", "#ffffff"
STAR, CROSS = "#ffd23f", "#1769d1"
_WORLD_PX = (510, 1048)
_ZOOM_PX = 330
_DENSE_DEG = 2.0
_EDGE_DEG = 179.9999
_LEAST_HALF_KM, _MOST_HALF_KM = 900.0, 4200.0
_EARTH_KM = 6371.0
_WIDTH_IN, _HEIGHT_IN = 12.6, 5.75


@dataclass(frozen=True)
class Bar:
    """``share`` 0–1."""

    name: str
    share: float
    color: str


@dataclass(frozen=True)
class Dial:
    """A day of the year and the half widths, in days, of the spans that hold 50 % and 90 %."""

    day: int
    half_span_50_days: float
    half_span_90_days: float


@dataclass(frozen=True)
class WorldFigure:
    """Everything that is drawn. ``density`` (row, column) over the world in degrees; ``own`` is where the layer claims to be."""

    density: NDArray[np.float64]
    countries: Sequence[Geometry]
    regions: Sequence[Region]
    best: Place
    own: tuple[float, float] | None
    groups: Sequence[Bar]
    climates: Sequence[Bar]
    dial: Dial
    title: str
    headline: str
    subtitle: str


def draw_world_figure(path: Path, drawn: WorldFigure) -> None:
    """Draw the picture as PNG.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), facecolor="white", dpi=130)
    figure.text(0.012, 0.978, drawn.title, fontsize=13, fontweight="bold", color=INK, va="top")
    lines = textwrap.wrap(drawn.headline, 150)[:2]
    figure.text(0.012, 0.918, "\n".join(lines), fontsize=9.5, color=INK, va="top", linespacing=1.35)
    figure.text(0.012, 0.022, drawn.subtitle, fontsize=8, color=PALE, va="bottom")
    _draw_map(figure.add_axes((0.008, 0.07, 0.645, 0.775)), drawn, _world(), _WORLD_PX, size=1.0)
    best = drawn.best
    zoom = figure.add_axes((0.664, 0.385, 0.15, 0.15 * _WIDTH_IN / _HEIGHT_IN * 1.3))
    _draw_map(zoom, drawn, _around(best, _half_km(drawn, best)), (_ZOOM_PX, _ZOOM_PX * 10 // 13), size=0.8)
    zoom.set_title("a closer look", fontsize=8.5, color=INK, loc="left", pad=4)
    _draw_dial(figure, drawn.dial)
    _draw_bars(figure.add_axes((0.664, 0.075, 0.328, 0.235)), drawn)
    _draw_key(figure, drawn)
    save(figure, path)


def draw_world(path: Path, drawn: WorldFigure) -> None:
    """Draw the map of the world alone as PNG, for a small place on a screen.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 3.05), facecolor="white", dpi=130)
    _draw_map(figure.add_axes((0.004, 0.004, 0.992, 0.992)), drawn, _world(), _WORLD_PX, size=0.8)
    save(figure, path)


# --- maps


@dataclass(frozen=True)
class _Plane:
    """A projection and the window of it that is shown, in its metres."""

    definition: str
    bounds: tuple[float, float, float, float]

    def forward(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = _transformer("EPSG:4326", self.definition).transform(
            np.clip(points[:, 0], -_EDGE_DEG, _EDGE_DEG), points[:, 1]
        )
        return np.stack([x, y], axis=1)

    def lonlat(self, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes and latitudes of the pixels of a picture of the window, infinite off the Earth."""
        left, bottom, right, top = self.bounds
        x = left + (np.arange(shape[1]) + 0.5) / shape[1] * (right - left)
        y = top - (np.arange(shape[0]) + 0.5) / shape[0] * (top - bottom)
        grid_x, grid_y = np.meshgrid(x, y)
        lon, lat = _transformer(self.definition, "EPSG:4326").transform(grid_x, grid_y)
        again_x, again_y = _transformer("EPSG:4326", self.definition).transform(lon, lat)
        is_off = ~(np.hypot(again_x - grid_x, again_y - grid_y) < 1000.0)
        return np.where(is_off, np.inf, lon), np.where(is_off, np.inf, lat)


@lru_cache(maxsize=8)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def _world() -> _Plane:
    """Equal Earth: areas are true and the shapes familiar."""
    definition = "+proj=eqearth +R=6371008.8 +units=m"
    to_plane = _transformer("EPSG:4326", definition)
    (right, _), (_, top) = to_plane.transform(180.0, 0.0), to_plane.transform(0.0, 90.0)
    return _Plane(definition, (-right, -top, right, top))


def _around(best: Place, half_km: float) -> _Plane:
    half = 1000 * half_km
    definition = f"+proj=laea +lat_0={best.lat:.4f} +lon_0={best.lon:.4f} +R=6371008.8 +units=m"
    return _Plane(definition, (-half * 10 / 13, -half, half * 10 / 13, half))


def _half_km(drawn: WorldFigure, best: Place) -> float:
    """So that the 50 % region near the best place fills a good part of the closer look."""
    outline = min(drawn.regions, key=lambda region: region.level).outline
    points = shapely.get_coordinates(outline)
    if not len(points):
        return _MOST_HALF_KM
    phi, lam = np.radians(points[:, 1]), np.radians(points[:, 0])
    phi0, lam0 = math.radians(best.lat), math.radians(best.lon)
    cosine = np.sin(phi) * math.sin(phi0) + np.cos(phi) * math.cos(phi0) * np.cos(lam - lam0)
    reach = float(np.quantile(_EARTH_KM * np.arccos(np.clip(cosine, -1, 1)), 0.7))
    return min(max(2.0 * reach, _LEAST_HALF_KM), _MOST_HALF_KM)


def _draw_map(axes: Axes, drawn: WorldFigure, plane: _Plane, shape: tuple[int, int], *, size: float) -> None:
    left, bottom, right, top = plane.bounds
    extent = (left, right, bottom, top)
    lon, lat = plane.lonlat(shape)
    on_earth = np.isfinite(lon)
    axes.imshow(np.where(on_earth, 1.0, np.nan), extent=extent, cmap=_single(SEA), interpolation="nearest")
    _fill(axes, drawn.countries, plane)
    heat = np.full(shape, np.nan)
    rows, cols = drawn.density.shape
    row = np.clip(((90.0 - lat[on_earth]) / 180.0 * rows).astype(int), 0, rows - 1)
    col = ((lon[on_earth] + 180.0) / 360.0 * cols).astype(int) % cols
    heat[on_earth] = drawn.density[row, col] / drawn.density.max()
    axes.imshow(_heat_colors(heat), extent=extent, interpolation="bilinear", zorder=3)
    for region in drawn.regions:
        _outline(
            axes,
            region.outline,
            plane,
            width=(1.3 if region.level < 0.7 else 0.8) * size,
            is_dashed=region.level >= 0.7,
        )
    _mark(axes, drawn, plane, size)
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set_visible(bool(on_earth.all()))
        spine.set(color=PALE, linewidth=0.6)


def _single(color: str) -> ListedColormap:
    from matplotlib.colors import ListedColormap

    return ListedColormap([color])


def _heat_colors(heat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(h, w, 4) as the style of the heatmap draws it: colour and opacity between the stops."""
    from matplotlib.colors import to_rgb

    stops = np.array([stop for stop, _, _ in ramp()])
    colors = np.array([[*to_rgb(color), alpha / 255] for _, color, alpha in ramp()])
    known = np.nan_to_num(heat)
    return np.stack([np.interp(known, stops, colors[:, channel]) for channel in range(4)], axis=-1)


def _rings(shapes: Sequence[Geometry], plane: _Plane) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Every ring of the polygons in degrees and in the plane; rings that the plane does not hold are left out."""
    parts = shapely.get_parts(np.array(shapes, dtype=object))
    rings = shapely.get_rings(shapely.segmentize(parts, _DENSE_DEG))
    degrees, ring_of = shapely.get_coordinates(rings, return_index=True)
    if not len(degrees):
        return []
    points = plane.forward(degrees)
    cuts = np.flatnonzero(np.diff(ring_of)) + 1
    pairs = zip(np.split(degrees, cuts), np.split(points, cuts), strict=True)
    return [(ring, moved) for ring, moved in pairs if np.isfinite(moved).all()]


def _fill(axes: Axes, shapes: Sequence[Geometry], plane: _Plane) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    widest = 0.9 * max(abs(value) for value in plane.bounds)
    rings = [
        moved for _, moved in _rings(shapes, plane)
        if _is_seen(moved, plane) and np.abs(np.diff(moved, axis=0)).max(initial=0) < widest
    ]  # fmt: skip
    if not rings:
        return
    codes = [
        np.concatenate([[Curve.MOVETO], np.full(len(ring) - 2, Curve.LINETO), [Curve.CLOSEPOLY]]) for ring in rings
    ]
    curve = Curve(np.concatenate(rings), np.concatenate(codes))
    axes.add_patch(PathPatch(curve, facecolor=LAND, edgecolor=BORDER, linewidth=0.4, zorder=2))


def _is_seen(points: NDArray[np.float64], plane: _Plane) -> bool:
    left, bottom, right, top = plane.bounds
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return bool(x0 < right and x1 > left and y0 < top and y1 > bottom)


def _outline(axes: Axes, shape: Geometry, plane: _Plane, *, width: float, is_dashed: bool) -> None:
    """Lines without the cut at the date line."""
    style: Any = (0, (4, 2.2)) if is_dashed else "solid"
    for degrees, points in _rings([shape], plane):
        on_cut = np.abs(np.abs(degrees[:, 0]) - 180.0) < 1e-6
        at_pole = np.abs(degrees[:, 1]) > 89.9
        hidden = (on_cut[:-1] & on_cut[1:]) | (at_pole[:-1] & at_pole[1:])
        for piece in _pieces(points, ~hidden):
            axes.plot(*piece.T, color="white", linewidth=width + 1.0, zorder=4, alpha=0.75)
            axes.plot(*piece.T, color=INK, linewidth=width, zorder=5, linestyle=style)


def _pieces(points: NDArray[np.float64], is_drawn: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    pieces: list[list[NDArray[np.float64]]] = []
    is_open = False
    for at, shown in enumerate(is_drawn):
        if shown and is_open:
            pieces[-1].append(points[at + 1])
        elif shown:
            pieces.append([points[at], points[at + 1]])
        is_open = bool(shown)
    return [np.array(piece) for piece in pieces]


def _mark(axes: Axes, drawn: WorldFigure, plane: _Plane, size: float) -> None:
    from matplotlib.patheffects import withStroke

    best = drawn.best
    x, y = plane.forward(np.array([[best.lon, best.lat]]))[0]
    axes.plot(x, y, marker="*", markersize=15 * size, color=STAR, markeredgecolor=INK, markeredgewidth=0.8, zorder=8)
    if drawn.own is None:
        return
    x, y = plane.forward(np.array([[drawn.own[1], drawn.own[0]]]))[0]
    effects = [withStroke(linewidth=3.6, foreground="white")]
    axes.plot(x, y, marker="x", markersize=8.5 * size, color=CROSS, markeredgewidth=2.1, zorder=7, path_effects=effects)


# --- charts


def _draw_bars(axes: Axes, drawn: WorldFigure) -> None:
    """The main groups as one strip, the likeliest classes as bars below it."""
    axes.set(xlim=(0, 1), ylim=(6.2, -0.75), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    left = 0.0
    for bar in drawn.groups:
        axes.barh(0.0, bar.share, left=left, color=bar.color, height=0.62, linewidth=0)
        if bar.share > 0.12:
            axes.text(left + bar.share / 2, 0.0, f"{bar.name} {bar.share:.0%}", fontsize=7.5, ha="center", va="center",
                      color="white" if _is_dark(bar.color) else INK)  # fmt: skip
        left += bar.share
    axes.set_title("climate (Köppen–Geiger)", fontsize=8.5, color=INK, loc="left", pad=3)
    for at, bar in enumerate(drawn.climates, start=1):
        axes.text(0.0, at + 0.1, bar.name, fontsize=8, color=INK, va="center")
        axes.barh(at + 0.1, 0.3 * bar.share, left=0.58, color=bar.color, height=0.6, edgecolor=PALE, linewidth=0.4)
        axes.text(0.595 + 0.3 * bar.share, at + 0.1, f"{bar.share:.0%}", fontsize=8, color=INK, va="center")


def _is_dark(color: str) -> bool:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 140


def _draw_dial(figure: Figure, dial: Dial) -> None:
    """The year as a clock: January at the top, the spans of 50 % and 90 % as arcs, a hand at the mean."""
    axes = figure.add_axes((0.845, 0.435, 0.132, 0.135 * _WIDTH_IN / _HEIGHT_IN), projection="polar")
    axes.set_theta_zero_location("N")  # type: ignore[attr-defined]
    axes.set_theta_direction(-1)  # type: ignore[attr-defined]
    at = 2 * math.pi * (dial.day - 0.5) / 365
    for span, color, alpha in ((dial.half_span_90_days, "#f3a712", 0.35), (dial.half_span_50_days, "#e8762c", 0.8)):
        axes.bar(at, 0.38, width=4 * math.pi * span / 365, bottom=0.62, color=color, alpha=alpha, linewidth=0)
    axes.plot([at, at], [0.0, 1.0], color=INK, linewidth=1.8, solid_capstyle="round")
    axes.set(ylim=(0, 1), yticks=[], xticks=[2 * math.pi * month / 12 for month in range(12)])
    middles = [2 * math.pi * (month + 0.5) / 12 for month in range(12)]
    for month, middle in enumerate(middles):
        axes.text(middle, 1.16, calendar.month_abbr[month + 1], fontsize=7, color=INK, ha="center", va="center")
    axes.set_xticklabels([])
    axes.grid(color=PALE, linewidth=0.35, alpha=0.6)
    axes.spines["polar"].set(color=PALE, linewidth=0.6)
    axes.set_title("season", fontsize=8.5, color=INK, loc="left", pad=17, x=-0.12)


def _draw_key(figure: Figure, drawn: WorldFigure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=INK, linewidth=1.3, label="50 % region"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 2.2)), label="90 % region"),
        Line2D([], [], color="none", marker="*", markersize=11, markerfacecolor=STAR, markeredgecolor=INK, label="best point"),
    ]  # fmt: skip
    if drawn.own is not None:
        handles.append(
            Line2D([], [], color="none", marker="x", markersize=7, markeredgecolor=CROSS, markeredgewidth=2,
                   label="its coordinates")
        )  # fmt: skip
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.37, 0.0), ncols=len(handles), frameon=False, fontsize=8,
        labelcolor=INK, columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip
