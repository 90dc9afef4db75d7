"""A bridge report as tables for a terminal."""

from __future__ import annotations

from geomm_engine.cli import terminal
from geomm_engine.encoders.card import Bridge

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def print_bridge(bridge: Bridge) -> None:
    """Every number with its interval and what guessing gives, then the classes."""
    terminal.print_table(*numbers(bridge))
    if bridge.classes:
        print()
        terminal.print_table(*classes(bridge))


def numbers(bridge: Bridge) -> Table:
    """Header and rows, one a number."""
    rows: list[tuple[str, ...]] = [
        (
            f"{row.route} ({row.model})",
            row.metric,
            f"{row.value:.3f}",
            f"{row.interval_95[0]:.3f} – {row.interval_95[1]:.3f}",
            f"{row.chance:.3f}",
            str(row.tiles),
        )
        for row in bridge.rows
    ]
    return ("way", "measured", "value", "95 %", "chance", "tiles"), rows


def classes(bridge: Bridge) -> Table:
    """Header and rows: share of right tiles by class and way."""
    ways = [row for row in bridge.rows if row.by_class]
    rows: list[tuple[str, ...]] = [
        (word, str(bridge.class_tiles[at]), *(f"{way.by_class[at]:.2f}" for way in ways))
        for at, word in enumerate(bridge.classes)
        if bridge.class_tiles[at]
    ]
    return ("class", "tiles", *(way.route.removesuffix(" → words") for way in ways)), rows
