"""The words that are asked: captions of single pictures from a table, and wordings of classes that no training saw."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError, WordsError
from geomm_engine.evaluation.pictures import LabelledPictures, plain

_MANY = 5


@dataclass(frozen=True)
class Captions:
    """``pairs``: row of a picture, and a caption of it, in the order of the file; ``absent`` counts captions of pictures
    that are not there (left out by a limit or a split)."""

    pairs: tuple[tuple[int, str], ...]
    absent: int


def pictures_beside(table: Path) -> Path:
    """The folder or zip that a caption table speaks of: beside it, of the same name but for "_captions".

    Raises:
        EngineError: there is none.
    """
    stem = table.stem.removesuffix("_captions")
    candidates = [table.with_name(stem), table.with_name(f"{stem}.zip"), table.with_name("images")]
    for path in candidates:
        if path.exists():
            return path
    raise EngineError(
        ErrorCode.FOLDER_INVALID,
        f"There are no pictures beside {table.name}: neither {' nor '.join(path.name for path in candidates)}.",
        "Say where they are with --images.",
        path=str(table),
    )


def read_captions(path: Path, pictures: LabelledPictures) -> Captions:
    """The captions of these pictures from a CSV with the columns image, class and caption (class may be missing).

    A caption is cleaned of outer spaces and of a space before its full stop. ``image`` is the path inside the folder or
    zip, or the bare name of the file.

    Raises:
        EngineError: the file is unreadable, lacks a column, or speaks of none of the pictures.
    """
    by_path = {name: row for row, name in enumerate(pictures.paths)}
    by_name: dict[str, int] = {}
    for name, row in by_path.items():
        by_name[Path(name).name] = -1 if Path(name).name in by_name else row
    pairs: list[tuple[int, str]] = []
    absent = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            missing = {"image", "caption"} - set(table.fieldnames or ())
            if missing:
                raise _bad(path, f"has no column {' and no column '.join(sorted(missing))}")
            for number, line in enumerate(table, start=2):
                image, caption = (line["image"] or "").strip(), cleaned(line["caption"] or "")
                if not image or not caption:
                    raise _bad(path, f"has an empty image or caption in line {number}")
                row = by_path.get(image, by_name.get(Path(image).name, -1))
                if row < 0:
                    absent += 1
                else:
                    pairs.append((row, caption))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise _bad(path, f"cannot be read: {problem}") from problem
    if not pairs:
        raise _bad(path, f"has {absent} captions, but none of a picture in {pictures.name}")
    return Captions(tuple(pairs), absent)


def cleaned(caption: str) -> str:
    """Without outer spaces, and without the space that tokenised captions have before a mark."""
    text = " ".join(caption.split())
    for mark in ".,;":
        text = text.replace(f" {mark}", mark)
    return text


def _bad(path: Path, problem: str) -> EngineError:
    return EngineError(
        ErrorCode.FOLDER_INVALID,
        f"The captions {path} {problem}." if not problem.endswith(".") else f"The captions {path} {problem}",
        "Give a CSV with the columns image, class and caption, one caption a line.",
        path=str(path),
    )


def read_wordings(path: Path, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Class folder → wordings, from a TOML table of lists: ``Forest = ["woodland", "trees"]``.

    Classes that are not in the set are left out, so that one file may serve several sets.

    Raises:
        WordsError: the file is unreadable, a value is no list of texts, or no class of it is in the set.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise _bad_wordings(f"The wordings {path} cannot be read: {problem}.") from problem
    folder = {plain(name): name for name in classes}
    found: dict[str, tuple[str, ...]] = {}
    for name, texts in table.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
            raise _bad_wordings(f"The wordings {path} give “{name}” no list of texts.")
        if plain(name) in folder:
            found[folder[plain(name)]] = tuple(text.strip() for text in texts)
    if not found:
        known = ", ".join(classes[:_MANY])
        raise _bad_wordings(
            f"The wordings {path} name no class of the set ({known}{' …' if len(classes) > _MANY else ''})."
        )
    return found


def _bad_wordings(text: str) -> WordsError:
    return WordsError(
        ErrorCode.CLASS_LIST_INVALID, text, 'Write a line for each class: Forest = ["woodland", "trees"].'
    )


def is_table(path: Path) -> bool:
    """Whether this is a table of captions rather than pictures."""
    return path.suffix.lower() == ".csv"
