"""The word list that ships with a model, and how well it tells learned wordings from strange ones.

The threshold is set on one half of the held-out wordings and of the strange words, the numbers are of the other half.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from geomm_engine.contract import encode
from geomm_engine.encoders.card import Measurement
from geomm_engine.encoders.encoder import TextEncoder
from geomm_engine.errors import writing
from geomm_engine.evaluation import metrics
from geomm_engine.scoring.coverage import Coverage, Vocabulary
from geomm_engine.training.captions import Captions

HELD_OUT = Path(__file__).with_name("held_out_wordings.toml")
STRANGE = "none"


def read_held_out(path: Path = HELD_OUT) -> tuple[dict[str, list[str]], list[str]]:
    """Class folder → wordings that no training text has; and words of what no picture shows, where the file has any."""
    table: dict[str, list[str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    strange = table.pop(STRANGE, [])
    return table, strange


def write_words(
    captions: Captions,
    absent: Sequence[str],
    text: TextEncoder,
    templates: tuple[str, ...],
    path: Path,
    drawn_sets: Sequence[str] = (),
) -> tuple[Measurement, ...]:
    """Write the word list with its threshold; gives what the card says of it.

    Args:
        absent: words that answered to no picture in training.
        text: the model's text tower.
        drawn_sets: names of the sets whose pictures are drawings.
    """
    known = tuple(item.words for item in captions.concept)
    drawn = [
        number
        for number, item in enumerate(captions.concept)
        if all(name.split("/")[0] in drawn_sets for name in item.shows)
    ]
    vocabulary = Vocabulary(known, tuple(absent), 0.0, tuple(drawn))
    coverage = Coverage(vocabulary, text.embed_texts, templates)
    table, strange = read_held_out()
    told = np.array([coverage.of(phrase).reach for phrases in table.values() for phrase in phrases])
    other = np.array([coverage.of(phrase).reach for phrase in strange])
    threshold = _between(told[::2], other[::2])
    vocabulary = replace(vocabulary, threshold=round(threshold, 4))
    with writing(path):
        path.write_text(
            json.dumps(encode(vocabulary), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
        )
    both = np.concatenate([told[1::2], other[1::2]])
    is_told = np.arange(len(both)) < len(told[1::2])
    kept, named = int((told[1::2] >= threshold).sum()), int((other[1::2] < threshold).sum())
    where, how = "held-out wordings", "half of the wordings and strange words; threshold set on the other half"
    return (
        Measurement(where, how, "learned told from strange, AUROC", metrics.auroc(both, is_told), ""),
        Measurement(where, how, "held-out wordings taken as learned", kept / len(told[1::2]), "", _wilson(kept, told)),
        Measurement(where, how, "strange words named as such", named / len(other[1::2]), "", _wilson(named, other)),
    )


def _between(told: np.ndarray, other: np.ndarray) -> float:
    """The reach that parts both best, each side counting the same."""
    grid = np.unique(np.concatenate([told, other]))
    right = [(told >= value).mean() + (other < value).mean() for value in grid]
    return float(grid[int(np.argmax(right))])


def _wilson(count: int, values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in metrics.wilson_interval(count, len(values[1::2])))
