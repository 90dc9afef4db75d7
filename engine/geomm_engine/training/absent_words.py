"""Words of things that no training picture shows, from OpenStreetMap's tags: shops, crafts, signs. Knows no picture.

A text that the model never met should be far from every picture; these teach it what such texts look like.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import WordsError
from geomm_engine.training.captions import Captions

_SHORTEST = 3


def read_absent_words(path: Path, captions: Captions) -> tuple[str, ...]:
    """The last part of every tag ("shop/military_surplus" → "military surplus") that shares no word with a concept.

    Raises:
        WordsError: the file is absent or no JSON object.
    """
    try:
        tags = json.loads(path.read_text(encoding="utf-8"))
        found = {tag.rsplit("/", 1)[-1].replace("_", " ").strip().lower() for tag in tags}
    except (OSError, ValueError, AttributeError, TypeError) as problem:
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID,
            f"The words of {path} cannot be read: {problem}.",
            "Check the data before training.",
            path=str(path),
        ) from problem
    known = {_stem(word) for concept in captions.concept for text in concept.words for word in _words(text)}
    kept = [text for text in found if re.fullmatch(r"[a-z][a-z ]{2,30}", text)]
    return tuple(sorted(text for text in kept if not any(_stem(word) in known for word in _words(text))))


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z]+", text.lower()) if len(word) >= _SHORTEST]


def _stem(word: str) -> str:
    """Without the ending of a plural."""
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
