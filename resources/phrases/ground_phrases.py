"""Phrases put together by a small grammar, much of them about ground: how “trees beside a road” differs from its words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from wordnet import wordnet

# Lexicographer files of WordNet whose nouns may lie on the ground: artifact, location, object, plant.
ON_GROUND = {6, 15, 17, 20}
PREPOSITIONS = (
    "of", "in", "on", "over", "under", "beside", "near", "with", "along", "across", "between", "around", "by", "at",
    "behind", "among", "without", "next to", "beyond", "through",
)  # fmt: skip
NOUNS, ADJECTIVES, ADVERBS, PARTICIPLES = 1500, 700, 120, 400
NEAREST = 3


def kinds_of_words() -> dict[str, dict[str, set[int]]]:
    """WordNet's single words: part of speech → numbers of the lexicographer files that have it."""
    found: dict[str, dict[str, set[int]]] = {}
    for part in ("noun", "adj", "adv", "verb"):
        for name, kind in wordnet(part):
            word = name.split("(")[0]
            if re.fullmatch("[a-z]{3,}", word):
                found.setdefault(word, {}).setdefault(part, set()).add(kind)
    return found


class Grammar:
    """Draws phrases from words that are near to those of the captions, whatever these are (“over” and “with” too): the nearer a
    word, the oftener it comes, but for plurals, of which the commoner come oftener.
    """

    def __init__(
        self, common: Sequence[str], vectors: Mapping[str, Sequence[float]], captions: Collection[str], seed: int
    ) -> None:
        """``common``: words, the commonest first; ``vectors``: a word's vector; ``captions``: what shall be near."""
        self.random = np.random.default_rng(seed)
        kinds = kinds_of_words()
        own = sorted({word for text in captions for word in re.findall("[a-z]{4,}", text.lower()) if word in vectors})
        near_to = np.stack([_unit(vectors[word]) for word in own])

        def nearest(words: Sequence[str], count: int) -> list[str]:
            nearness = {word: float(np.sort(near_to @ _unit(vectors[word]))[-NEAREST:].mean()) for word in words}
            return sorted(words, key=lambda word: -nearness[word])[:count]

        def some(last: int, part: str) -> list[str]:
            return [word for word in common[:last] if part in kinds.get(word, {}) and word in vectors]

        self.singular = nearest([word for word in some(30_000, "noun") if kinds[word]["noun"] & ON_GROUND], NOUNS)
        plurals = {f"{word}{end}" for word in self.singular for end in ("s", "es")}
        self.plural = [word for word in common[:40_000] if word in plurals]
        self.nouns = [*self.singular, *self.plural]
        self.adjectives = nearest(some(20_000, "adj"), ADJECTIVES)
        self.adverbs = nearest([word for word in some(20_000, "adv") if word.endswith("ly")], ADVERBS)
        of_verbs = [word for word in common[:30_000] if re.fullmatch("[a-z]+(ed|ing)", word) and word in vectors]
        self.participles = nearest(
            [word for word in of_verbs if "noun" not in kinds.get(word, {}) or "adj" in kinds[word]], PARTICIPLES
        )

    def phrases(self, count: int, without: Collection[str]) -> list[str]:
        """So many different ones, none of ``without``, in alphabetical order."""
        found: set[str] = set()
        while len(found) < count:
            phrase = self._phrase()
            if phrase not in without and len(set(phrase.split())) == len(phrase.split()):
                found.add(phrase)
        return sorted(found)

    def _one(self, words: Sequence[str]) -> str:
        return str(words[int(self.random.exponential(len(words) / 4)) % len(words)])

    def _thing(self) -> str:
        drawn = self.random.random()
        if drawn < 0.45:
            return self._one(self.nouns)
        if drawn < 0.8:
            return f"{self._one(self.adjectives)} {self._one(self.nouns)}"
        if drawn < 0.9:
            return f"{self._one(self.singular)} {self._one(self.nouns)}"
        return f"{self._one(self.participles)} {self._one(self.nouns)}"

    def _phrase(self) -> str:
        drawn, one = self.random.random(), self._one
        if drawn < 0.05:
            return one(self.plural)
        if drawn < 0.25:
            return f"{one(self.adjectives)} {one(self.nouns)}"
        if drawn < 0.37:
            return f"{one(self.singular)} {one(self.nouns)}"
        if drawn < 0.45:
            return f"{one(self.participles)} {one(self.nouns)}"
        if drawn < 0.53:
            return f"{one(self.adverbs)} {one(self.participles)} {one(self.nouns)}"
        if drawn < 0.58:
            return f"{one(self.adjectives)} {one(self.adjectives)} {one(self.nouns)}"
        between = str(self.random.choice(PREPOSITIONS))
        if drawn < 0.80:
            return f"{self._thing()} {between} {self._thing()}"
        if drawn < 0.92:
            return f"{self._thing()} {one(self.participles)} {between} {self._thing()}"
        return f"{self._thing()} and {self._thing()}"


def _unit(vector: Sequence[float]) -> np.ndarray:
    values = np.asarray(vector[:100], dtype=np.float64)
    return values / np.linalg.norm(values)
