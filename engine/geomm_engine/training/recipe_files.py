"""Recipes as files: found by path or by the name that they ship under, read into frozen values, refused with a reason."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from geomm_engine.contract import ErrorCode, decode
from geomm_engine.errors import EngineError

RECIPES = Path(__file__).with_name("recipes")
ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class RecipeKind(Generic[ConfigT]):
    """One kind of training: what its recipes hold, and the ``folder`` of those that ship.

    ``other_ways`` is said after "one of the recipes" where a training can be started without one.
    """

    name: str
    values: type[ConfigT]
    folder: Path
    other_ways: str = ""

    def find(self, name: str) -> Path:
        """A file, or the recipe of this name that the project ships.

        Raises:
            EngineError: neither exists.
        """
        for path in (Path(name), self.folder / f"{name}.toml"):
            if path.is_file():
                return path
        known = ", ".join(sorted(path.stem for path in self.folder.glob("*.toml")))
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"There is no {self.name} configuration “{name}”.",
            f"Give a TOML file, or one of the recipes ({known}){self.other_ways}.",
        )

    def read(self, path: Path) -> ConfigT:
        """What a TOML file says, or the JSON file that a run folder keeps. One with ``base = "recipe"`` says only what
        differs from that recipe.

        Raises:
            EngineError: the file cannot be read, or a field is missing or unknown.
        """
        try:
            return decode(self.values, self._values_in(path), "config")
        except (OSError, ValueError) as problem:  # what TOML, JSON, UTF-8 and the contract raise are ValueErrors
            raise self.wrong(path, str(problem)) from problem

    def refuse_if(self, problems: Iterable[tuple[bool, str]], where: Path | str) -> None:
        """Each problem says whether there is one, and what it is.

        Raises:
            EngineError: the first one that there is.
        """
        for is_wrong, text in problems:
            if is_wrong:
                raise self.wrong(where, text)

    def wrong(self, where: Path | str, problem: str) -> EngineError:
        """The error for a configuration that cannot be used; ``where`` it stands."""
        return EngineError(
            ErrorCode.FOLDER_INVALID,
            f"The {self.name} configuration {where} cannot be used: {problem}.",
            "Correct it.",
            path=str(where),
        )

    def _values_in(self, path: Path) -> dict[str, object]:
        text = path.read_text(encoding="utf-8")
        values: dict[str, object] = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        if "base" not in values:
            return values
        base = self.find(str(values.pop("base")))
        return _merged(self._values_in(base), values)


def _merged(below: dict[str, object], above: dict[str, object]) -> dict[str, object]:
    """Tables are merged; anything else above replaces what is below."""
    merged = dict(below)
    for key, value in above.items():
        under = below.get(key)
        merged[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged
