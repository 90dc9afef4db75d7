"""From words to prototype vectors: templates × synonyms. Knows nothing of tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ClassEntry, ErrorCode
from geomm_engine.errors import WordsError


class EmbedTexts(Protocol):
    def __call__(self, texts: Sequence[str], /) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Prompt:
    """One column of the score table: a class, or a negative. ``vectors`` (synonym, dim), each of length 1."""

    name: str
    is_negative: bool
    vectors: NDArray[np.float32]

    @property
    def prototype(self) -> NDArray[np.float32]:
        """(dim,) of length 1: the mean over synonyms."""
        mean = self.vectors.mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def phrase_vector(embed: EmbedTexts, phrase: str, templates: Sequence[str]) -> NDArray[np.float32]:
    """F6: norm(mean over templates of norm(E(template(phrase)))).  (dim,) float32."""
    vectors = embed([template.format(phrase) for template in templates])
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def class_prompts(
    embed: EmbedTexts, classes: Sequence[ClassEntry], templates: Sequence[str], *, is_exact_text: bool = False
) -> tuple[Prompt, ...]:
    """One prompt a row of the class table; ``is_exact_text`` uses the words as typed, without templates.

    Raises:
        WordsError: there is no class, or only negatives; or a text is too long for the model.
    """
    if not any(not entry.is_negative for entry in classes):
        raise WordsError(
            ErrorCode.CLASS_LIST_EMPTY,
            "The class list names no class." if not classes else "The class list names negatives only.",
            "Type at least one class, for example: forest, water, town.",
        )
    used = ("{}",) if is_exact_text else tuple(templates)
    return tuple(
        Prompt(
            entry.name,
            entry.is_negative,
            np.stack([phrase_vector(embed, words, used) for words in (entry.name, *entry.synonyms)]),
        )
        for entry in classes
    )


def query_vector(
    embed: EmbedTexts, text: str, templates: Sequence[str], *, is_exact_text: bool = False
) -> NDArray[np.float32]:
    """(dim,) for a typed query.

    Raises:
        WordsError: the text is empty or too long for the model.
    """
    if not text.strip():
        raise WordsError(
            ErrorCode.TEXT_EMPTY, "The search text is empty.", "Type what to look for, for example: harbour."
        )
    return phrase_vector(embed, text.strip(), ("{}",) if is_exact_text else templates)
