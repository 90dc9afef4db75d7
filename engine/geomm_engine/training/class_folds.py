"""What a recipe knows of classes that it never saw: every class is left out of training once, in one of a few folds.

A class leaves with every caption that speaks of it alone. A text tower that learns phrases learns those of a dictionary and
of maps, not the captions; an ordinary name such as "golf course" is among them, as words without a picture. Pictures of
left-out classes are then asked for by name, among the names of all left-out classes of their set, and among all names of the
set. Classes that both sets show under one name (forest, river) leave both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geomm_engine.contract import ErrorCode, encode
from geomm_engine.errors import EngineError, writing
from geomm_engine.evaluation import metrics
from geomm_engine.networks.two_towers import TwoTowers
from geomm_engine.networks.views import ready
from geomm_engine.progress import Job, Progress
from geomm_engine.scoring.familiarity import Exemplars
from geomm_engine.training.config import ContrastiveConfig, without_sets
from geomm_engine.training.contrastive import trainer_for
from geomm_engine.training.data import Lessons
from geomm_engine.training.exemplars import choose_exemplars
from geomm_engine.training.language import learn_language
from geomm_engine.training.zero_shot import prototypes, whole_vectors

_SPOKEN_FOR = 150
"""So many pictures of a class are enough to choose its exemplars from."""


@dataclass(frozen=True)
class FoldRow:
    """One set in one fold; shares 0–1. ``chance`` is one over the number of names asked among.

    Two ways to tell the pictures of unseen classes from the others: ``unknown_auroc`` by the words that were learned,
    ``unfamiliar_auroc`` by the exemplars that stand for the pictures that were learned from.
    """

    fold: int
    set_name: str
    unseen: tuple[str, ...]
    pictures: int
    right_among_unseen: int
    chance_among_unseen: float
    right_among_all: int
    chance_among_all: float
    seen_pictures: int
    right_seen: int
    unknown_auroc: float
    unfamiliar_auroc: float


@dataclass(frozen=True)
class FoldTable:
    """``rows``, and for each set the pooled shares with Wilson intervals (95 %)."""

    recipe: str
    steps: int
    rows: tuple[FoldRow, ...]
    pooled: dict[str, dict[str, tuple[float, ...]]]


def folds(captions: dict[str, str], count: int, seed: int) -> list[tuple[str, ...]]:
    """Classes dealt into folds; classes of one typed name stay together."""
    names = sorted(set(captions.values()))
    order = np.random.default_rng(seed).permutation(len(names))
    dealt = [{names[place] for place in order[fold::count]} for fold in range(count)]
    return [tuple(item for item, name in captions.items() if name in chosen) for chosen in dealt]


def evaluate_folds(config: ContrastiveConfig, data: Path, output: Path, *, count: int = 5) -> Job[FoldTable]:
    """Train ``count`` times and measure each on what it never saw; writes ``class_folds.json``.

    Places drawn on ground of the sets are left out: they would show what is to stay unseen.

    Raises:
        EngineError: data or captions are wrong, or the image tower has seen every class already.
    """
    if config.locked_image:
        raise EngineError(
            ErrorCode.MESSAGE_INVALID,
            f"“{config.locked_image}” was trained with every class: none would be unseen.",
            "Take a recipe without “locked_image”.",
        )
    config = without_sets(config, [item.name for item in config.pictures if item.is_drawn_on_others])
    config = replace(config, phrases=replace(config.phrases, has_captions=False))
    rows: list[FoldRow] = []
    measured = Lessons(config, data)
    names = {
        item: measured.captions.classes[item]
        for place in measured.measured_places
        for item in measured.training[place].classes
    }
    language = yield from learn_language(measured)
    for fold, unseen in enumerate(folds(names, count, config.split_seed)):
        lessons = Lessons(replace(config, unseen=unseen), data)
        trainer = trainer_for(lessons, data, language=language)
        for batch in trainer.batches(config.schedule.all_steps):
            trainer.learn(batch)
            yield Progress("train", fold * config.schedule.all_steps + trainer.step, count * config.schedule.all_steps)
        known = exemplars_of(trainer.average, lessons)
        rows += [_row(fold, trainer.average, known, lessons, place, unseen) for place in lessons.measured_places]
    table = FoldTable(config.id, config.schedule.all_steps, tuple(rows), _pooled(rows))
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        (output / "class_folds.json").write_text(json.dumps(encode(table), indent=1) + "\n", encoding="utf-8")
    return table


def exemplars_of(network: TwoTowers, lessons: Lessons) -> Exemplars:
    """What stands for the training pictures of this network, as in an exported model but from some of each class."""
    chosen, seed = [], lessons.config.split_seed
    random = np.random.default_rng(seed)
    tower = ready(network.image, lessons.config.network.image)
    for pictures, source in zip(lessons.training, lessons.config.pictures, strict=True):
        rows = [random.permutation(np.flatnonzero(pictures.labels == at)) for at in np.unique(pictures.labels)]
        some = pictures.subset(np.concatenate([own[:_SPOKEN_FOR] for own in rows]))
        vectors = whole_vectors(tower, some, source.whole_px, lessons.normalise)
        chosen.append(choose_exemplars(vectors, some.labels, seed))
    return Exemplars(np.concatenate(chosen), -1.0)


def _row(
    fold: int, network: TwoTowers, known: Exemplars, lessons: Lessons, place: int, unseen: tuple[str, ...]
) -> FoldRow:
    source, pictures = lessons.config.pictures[place], lessons.validation[place]
    tower = ready(network.image, lessons.config.network.image)
    vectors = whole_vectors(tower, pictures, source.whole_px, lessons.normalise)
    texts = prototypes(network, [lessons.captions.classes[item] for item in pictures.classes], lessons.tokens)
    cosine = vectors @ texts.T
    hidden = np.array([item in unseen for item in pictures.classes])
    is_hidden = hidden[pictures.labels]
    among = np.where(hidden[None, :], cosine, -2.0).argmax(axis=1)
    said = cosine.argmax(axis=1)
    # The names that were learned, typed alone: does the reject score tell the others from them?
    score = (vectors @ texts[~hidden].T).max(axis=1)
    return FoldRow(
        fold,
        source.name,
        tuple(item for item in pictures.classes if item in unseen),
        int(is_hidden.sum()),
        int((among == pictures.labels)[is_hidden].sum()),
        1.0 / max(1, int(hidden.sum())),
        int((said == pictures.labels)[is_hidden].sum()),
        1.0 / len(pictures.classes),
        int((~is_hidden).sum()),
        int((said == pictures.labels)[~is_hidden].sum()),
        metrics.auroc(score, ~is_hidden) if is_hidden.any() else float("nan"),
        metrics.auroc(known.familiarity(vectors).astype(np.float64), ~is_hidden) if is_hidden.any() else float("nan"),
    )


def _pooled(rows: list[FoldRow]) -> dict[str, dict[str, tuple[float, ...]]]:
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for name in sorted({row.set_name for row in rows}):
        own = [row for row in rows if row.set_name == name]
        total, seen = sum(row.pictures for row in own), sum(row.seen_pictures for row in own)
        counts = {
            "among unseen names": (sum(row.right_among_unseen for row in own), total),
            "among all names": (sum(row.right_among_all for row in own), total),
            "seen classes, among all names": (sum(row.right_seen for row in own), seen),
        }
        found[name] = {
            key: (round(right / of, 4), *(round(value, 4) for value in metrics.wilson_interval(right, of)))
            for key, (right, of) in counts.items()
        }
        chance = sum(row.pictures * row.chance_among_unseen for row in own) / total
        found[name]["chance among unseen names"] = (round(chance, 4),)
        for what, areas in (
            ("told by words (AUROC, mean of folds)", [row.unknown_auroc for row in own]),
            ("told by familiarity (AUROC, mean of folds)", [row.unfamiliar_auroc for row in own]),
        ):
            found[name][what] = (round(float(np.mean(areas)), 4),)
    return found
