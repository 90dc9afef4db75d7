"""A recipe that ships, some of its text changed, as a file of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def written_recipe(path: Path, text: str, changes: Iterable[tuple[str, str]]) -> Path:
    """``text`` with each first replaced by its second; every first must stand in it."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path
