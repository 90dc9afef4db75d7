"""Class lists: reading them from text, files and presets, and checking them. Knows no model and no widget.

A list may be written

* as text: ``forest: woodland|trees, water (lake; sea), town #c0392b, !cloud`` – commas, semicolons or new lines between
  classes, other words for the same class after a colon or in brackets, "!" or "not" before what must never be mapped;
* as .txt: the same, with "#" before a remark on a line of its own;
* as .csv: a heading row with ``name`` and any of ``synonyms``, ``color``, ``negative``;
* as .json or .toml: a list ``classes`` of names or of tables with these keys.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NoReturn

from geomm_engine.contract import ClassEntry, ErrorCode, Level, Note, PresetEntry
from geomm_engine.errors import WordsError
from geomm_engine.scoring.class_colors import with_colors

__all__ = ["checked", "preset_ids", "presets", "read_class_list", "with_colors"]

MOST_CLASSES = 254
"""Values 1–254 of a byte; 0 is no data and 255 unknown."""

PRESET_FOLDER = Path(__file__).resolve().parent.parent / "resources" / "prompts"

_NO_THING = frozenset({
    "other", "others", "other classes", "other land", "background", "none", "nothing", "none of these", "unknown",
    "unclassified", "rest", "the rest", "remainder", "everything else", "anything else", "miscellaneous", "undefined",
    "no data", "nodata",
})  # fmt: skip
_YES = ("1", "true", "yes", "y", "x", "negative")
_NO = ("", "0", "false", "no", "n")
_KEYS = {"name": "name", "class": "name", "synonyms": "synonyms", "color": "color", "colour": "color",
         "negative": "negative", "is_negative": "negative"}  # fmt: skip
_LONGEST_PATH = 1000
_COLOR = re.compile(r"#[0-9a-f]{6}")
_TEXT_ITEM = re.compile(r"(?P<name>[^(:#]*)(?:\((?P<bracket>[^()]*)\)|:(?P<colon>[^#]*))?\s*(?P<color>#\w+)?\s*")


def read_class_list(source: str | Path) -> tuple[tuple[ClassEntry, ...], tuple[Note, ...]]:
    """The classes of a preset's id, a file or a typed list, with remarks on what was changed.

    Raises:
        WordsError: the list is empty, names a class twice, has too many, or a row cannot be understood.
    """
    text = str(source).strip()
    preset = next((item for item in presets() if item.id == text), None)
    if preset:
        return preset.classes, ()
    path = Path(text)
    if _is_file_name(text):
        return _read_file(path)
    _refuse_other_files(text)
    entries, notes = checked(_from_text(text))
    return entries, (*notes, *_preset_notes(text))


def _refuse_other_files(text: str) -> None:
    """A file of another kind, or the path of one that is not there, is no class."""
    has_list = "," in text or "\n" in text or len(text) > _LONGEST_PATH
    if not has_list and (Path(text).is_file() or text.startswith(("/", "./", "../", "~")) or Path(text).is_absolute()):
        _refuse(
            f"“{text}” is no class list file.",
            f"Give a file that ends in {', '.join(_READERS)}, or type the classes.",
            path=text,
        )


def _preset_notes(text: str) -> tuple[Note, ...]:
    """A single word that begins like a preset's id was perhaps meant as one."""
    meant = [item for item in preset_ids() if len(text) > 2 and item.startswith(text.lower())]
    if not meant:
        return ()
    note = f"“{text}” is read as a class of that name. The class list of that name is called {' or '.join(meant)}."
    return (Note("preset_meant", Level.AMBER, note, {"text": text, "preset": ", ".join(meant)}),)


def checked(entries: Sequence[ClassEntry]) -> tuple[tuple[ClassEntry, ...], tuple[Note, ...]]:
    """The classes with tidy names; "other", "background" and their like give way, since no picture shows them.

    Raises:
        WordsError: no class is left, a name stands twice, a colour is none, or there are more than 254.
    """
    kept: list[ClassEntry] = []
    notes: list[Note] = []
    rows: dict[str, int] = {}
    for row, entry in enumerate(entries, start=1):
        tidy = _tidied(entry, row)
        key = tidy.name.casefold()
        if key in rows:
            _refuse(
                f"Row {row}: the class “{tidy.name}” stands already in row {rows[key]}.",
                "Name each class once.",
                row=row,
            )
        rows[key] = row
        if key in _NO_THING:
            notes.append(_no_thing_note(tidy))
            if not tidy.synonyms:
                continue
            tidy = replace(tidy, name=tidy.synonyms[0], synonyms=tidy.synonyms[1:], is_negative=True)
        kept.append(tidy)
    mapped = sum(not entry.is_negative for entry in kept)
    if not mapped:
        only = " but things to leave out" if kept else ""
        raise WordsError(
            ErrorCode.CLASS_LIST_EMPTY,
            f"The class list names no class{only}.",
            "Type at least one class, for example: forest, water, town.",
        )
    if mapped > MOST_CLASSES:
        _refuse(
            f"The class list has {mapped} classes; {MOST_CLASSES} is the most.", "Split it in two runs.", count=mapped
        )
    return tuple(kept), tuple(notes)


@cache
def presets() -> tuple[PresetEntry, ...]:
    """The class lists that ship with GeoMM, in the order in which they are offered."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(PRESET_FOLDER.glob("*.json"))]
    documents.sort(key=lambda document: document["order"])
    return tuple(
        PresetEntry(document["id"], document["name"], with_colors(_from_items(document["classes"])))
        for document in documents
    )


def preset_ids() -> tuple[str, ...]:
    return tuple(preset.id for preset in presets())


def _tidied(entry: ClassEntry, row: int) -> ClassEntry:
    name = _tidy(entry.name)
    if not name:
        _refuse(f"Row {row}: the class has no name.", "Give it one, or remove the row.", row=row)
    color = entry.color.strip().lower()
    if color and not _COLOR.fullmatch(color):
        _refuse(f"Row {row}: “{entry.color}” is no colour.", "Write it as #rrggbb, for example #1b7837.", row=row)
    words = dict.fromkeys(_tidy(word) for word in entry.synonyms)
    synonyms = tuple(word for word in words if word and word.casefold() != name.casefold())
    return ClassEntry(name, synonyms, color, entry.is_negative)


def _tidy(text: str) -> str:
    return " ".join(text.split()).strip("\"'“”„ ")


def _no_thing_note(entry: ClassEntry) -> Note:
    became = (
        f"its words ({', '.join(entry.synonyms)}) are left out of the map"
        if entry.synonyms
        else "it is not searched for"
    )
    return Note(
        "class_is_no_thing",
        Level.AMBER,
        f"“{entry.name}” is nothing that a picture shows: {became}. Places like none of the classes become “unknown”.",
        {"name": entry.name},
    )


def _refuse(text: str, cure: str, **facts: str | int) -> NoReturn:
    raise WordsError(ErrorCode.CLASS_LIST_INVALID, text, cure, **facts)


# --- text -----------------------------------------------------------------------------------------------------------


def _from_text(text: str) -> list[ClassEntry]:
    parts = re.split(r"[,;\n\t]+(?![^()]*\))", text)
    return [_from_part(part, row) for row, part in enumerate(filter(str.strip, parts), start=1)]


def _from_part(part: str, row: int) -> ClassEntry:
    text, is_negative = part.strip(), False
    if text.startswith("!") or text.lower().startswith("not "):
        text, is_negative = text.removeprefix("!").removeprefix(text[:4] if text[0] != "!" else "").strip(), True
    match = _TEXT_ITEM.fullmatch(text)
    if match is None:
        _refuse(
            f"Row {row}: “{part.strip()}” cannot be understood.",
            "Write: name (other word; another word) #rrggbb.",
            row=row,
        )
    words = match["bracket"] or match["colon"] or ""
    return ClassEntry(match["name"].strip(), _words(words), match["color"] or "", is_negative)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in re.split(r"[;|,]", text) if word.strip())


# --- files ----------------------------------------------------------------------------------------------------------


def _is_file_name(text: str) -> bool:
    """Whether a word is meant as a file: it ends like one and holds no list, so that a missing file is named as such."""
    return "\n" not in text and Path(text).suffix.lower() in _READERS and ("," not in text or Path(text).is_file())


def _read_file(path: Path) -> tuple[tuple[ClassEntry, ...], tuple[Note, ...]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        _refuse(f"The class list {path} cannot be read: {problem.strerror}.", "Check the path.", path=str(path))
    except UnicodeDecodeError:
        _refuse(f"The class list {path} is not UTF-8 text.", "Save it as UTF-8.", path=str(path))
    try:
        return checked(_READERS[path.suffix.lower()](text))
    except WordsError as problem:
        facts = {**problem.facts, "path": str(path)}
        raise WordsError(problem.code, f"{path.name}: {problem.text}", problem.cure, **facts) from problem


def _from_lines(text: str) -> list[ClassEntry]:
    kept = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return _from_text("\n".join(kept))


def _from_csv(text: str) -> list[ClassEntry]:
    heading = text.partition("\n")[0]
    separator = max(",;\t", key=heading.count)
    rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    keys = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "name" not in keys and "class" not in keys:
        _refuse("Line 1: the heading names no column “name”.", "Begin with: name,synonyms,color,negative.", row=1)
    items = [dict(zip(keys, row, strict=False)) for row in rows[1:] if any(cell.strip() for cell in row)]
    return _from_items(items)


def _from_json(text: str) -> list[ClassEntry]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as problem:
        _refuse(f"Line {problem.lineno}: {problem.msg}.", "Correct the JSON.", row=problem.lineno)
    return _from_document(document)


def _from_toml(text: str) -> list[ClassEntry]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        _refuse(f"{problem}.", "Correct the TOML.")
    return _from_document(document)


def _from_document(document: object) -> list[ClassEntry]:
    if isinstance(document, dict):
        document = document.get("classes", document.get("class"))
    if not isinstance(document, list):
        _refuse("There is no list “classes”.", "Write it as a list of names or of tables with “name”.")
    return _from_items(document)


def _from_items(items: Iterable[object]) -> list[ClassEntry]:
    return [_from_item(item, row) for row, item in enumerate(items, start=1)]


def _from_item(item: object, row: int) -> ClassEntry:
    if isinstance(item, str):
        return ClassEntry(item)
    if not isinstance(item, dict):
        _refuse(f"Row {row}: a name or a table is expected.", "Write for example: {“name”: “forest”}.", row=row)
    unknown = sorted(str(key) for key in item if str(key).lower() not in _KEYS)
    if unknown:
        _refuse(f"Row {row}: “{unknown[0]}” is not known.", "Use name, synonyms, color, negative.", row=row)
    found = {_KEYS[str(key).lower()]: value for key, value in item.items()}
    return ClassEntry(
        str(found.get("name") or ""),
        _synonyms(found.get("synonyms")),
        str(found.get("color") or ""),
        _truth(found, row),
    )


def _synonyms(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(word) for word in value)
    return _words(str(value or ""))


def _truth(found: dict[str, object], row: int) -> bool:
    word = str(found.get("negative") or "").strip().lower()
    if word not in (*_YES, *_NO):
        _refuse(f"Row {row}: “{word}” is neither yes nor no.", "Write yes or no under “negative”.", row=row)
    return word in _YES


_READERS = {".txt": _from_lines, ".csv": _from_csv, ".json": _from_json, ".toml": _from_toml}
