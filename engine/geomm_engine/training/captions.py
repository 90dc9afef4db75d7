"""The project's own captions: classes, what a person may ask for, and which pictures answer to it. Knows no picture."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ContractError, ErrorCode, decode
from geomm_engine.errors import WordsError

CAPTIONS_FILE = Path(__file__).with_name("captions.toml")
SHOWS = 1
SHOWS_NOT = 0
UNSURE = -1
SENTENCE_SHARE = 0.25


@dataclass(frozen=True)
class Concept:
    """Something that a text may ask for; ``shows`` and ``unsure`` name classes, all other classes do not show it."""

    id: str
    shows: tuple[str, ...]
    words: tuple[str, ...]
    sentences: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Captions:
    """``classes`` maps "set/folder" to the name that a person would type; ``absent`` is what no picture shows."""

    templates: tuple[str, ...]
    classes: dict[str, str]
    concept: tuple[Concept, ...] = field(default=())
    absent: tuple[str, ...] = ()

    def relation(self, classes: Sequence[str]) -> NDArray[np.int8]:
        """(concept, class) of SHOWS, SHOWS_NOT, UNSURE for these classes, in this order."""
        table = np.full((len(self.concept), len(classes)), SHOWS_NOT, dtype=np.int8)
        for row, concept in enumerate(self.concept):
            table[row] = [
                SHOWS if name in concept.shows else UNSURE if name in concept.unsure else SHOWS_NOT for name in classes
            ]
        return table

    def caption(self, concept: int, random: np.random.Generator) -> str:
        """One wording of a concept: a word in a template, or a sentence."""
        chosen = self.concept[concept]
        if chosen.sentences and random.random() < SENTENCE_SHARE:
            return str(random.choice(chosen.sentences))
        return self.in_template(str(random.choice(chosen.words)), random)

    def in_template(self, words: str, random: np.random.Generator) -> str:
        """These words in one of the templates."""
        return str(random.choice(self.templates)).format(words)


def read_captions(path: Path = CAPTIONS_FILE) -> Captions:
    """The captions in this file.

    Raises:
        WordsError: the file cannot be read, a field is missing, or a class is named that the file does not list.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        for concept in raw.get("concept", []):
            concept["shows"] = concept.pop("is", [])
        captions = decode(Captions, raw, "captions")
    except (OSError, tomllib.TOMLDecodeError, ContractError) as problem:
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID,
            f"The caption file {path} cannot be used: {problem}.",
            "Correct the file before training.",
            path=str(path),
        ) from problem
    _check(captions, path)
    return captions


def _check(captions: Captions, path: Path) -> None:
    for concept in captions.concept:
        unknown = [name for name in (*concept.shows, *concept.unsure) if name not in captions.classes]
        both = sorted(set(concept.shows) & set(concept.unsure))
        if unknown or both or not concept.shows or not concept.words:
            fault = (
                f"unknown classes {unknown}"
                if unknown
                else f"classes both shown and unsure {both}"
                if both
                else "nothing to learn"
            )
            raise WordsError(
                ErrorCode.CLASS_LIST_INVALID,
                f"The concept “{concept.id}” in {path} has {fault}.",
                "Correct the file before training.",
                path=str(path),
            )
    silent = [name for name in captions.classes if not any(name in concept.shows for concept in captions.concept)]
    if silent or any(text.count("{}") != 1 for text in captions.templates):
        fault = f"no caption for {silent}" if silent else "a template without exactly one {}"
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID, f"The caption file {path} has {fault}.", "Correct the file.", path=str(path)
        )
