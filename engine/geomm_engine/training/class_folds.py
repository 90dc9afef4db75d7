"""What recipes know of classes that they never saw: every class is left out of training once, in one of a few folds.

A class leaves with every caption that speaks of it alone. A text tower that learns phrases learns those of a dictionary and
of maps, not the captions; an ordinary name such as "golf course" is among them, as words without a picture. Pictures of
left-out classes are then asked for by name, among the names of all left-out classes of their set, and among all names of the
set. Classes that both sets show under one name (forest, river) leave both.

Which names are asked among decides more than which pictures are shown. So classes may be dealt into folds several times, for
every recipe alike, and an interval comes of drawing whole folds again, not pictures (repeated k-fold cross-validation).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ErrorCode, encode
from geomm_engine.errors import EngineError, writing
from geomm_engine.evaluation import metrics
from geomm_engine.networks.two_towers import TwoTowers
from geomm_engine.networks.views import ready
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.scoring.familiarity import Exemplars
from geomm_engine.training.config import ContrastiveConfig, refuse_namesakes, without_sets
from geomm_engine.training.contrastive import learned
from geomm_engine.training.data import Lessons
from geomm_engine.training.exemplars import choose_exemplars
from geomm_engine.training.language import learn_language
from geomm_engine.training.loop import threads
from geomm_engine.training.zero_shot import prototypes, whole_vectors

_SPOKEN_FOR = 150
"""So many pictures of a class are enough to choose its exemplars from."""
MEAN_OF_SETS = "mean of the sets"


@dataclass(frozen=True)
class FoldRow:
    """One set in one fold of one repeat; shares 0–1. ``chance`` is one over the number of names asked among.

    Two ways to tell the pictures of unseen classes from the others: ``unknown_auroc`` by the words that were learned,
    ``unfamiliar_auroc`` by the exemplars that stand for the pictures that were learned from.
    """

    recipe: str
    repeat: int
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
    """``rows``; for each recipe and set the pooled ``shares``, and by how much the first recipe names more of the unseen
    pictures right than this one (``lead``, also as the mean of the sets), each with its interval (95 %, folds drawn again).
    """

    repeats: int
    folds: int
    steps: dict[str, int]
    rows: tuple[FoldRow, ...]
    shares: dict[str, dict[str, dict[str, tuple[float, ...]]]]
    lead: dict[str, dict[str, tuple[float, float, float]]]


def folds(captions: dict[str, str], count: int, seed: int) -> list[tuple[str, ...]]:
    """Classes ("set/folder") dealt into folds, those of each set evenly; classes of one typed name stay together."""
    names = sorted(set(captions.values()))
    order = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    sets_of = {name: {item.split("/")[0] for item, own in captions.items() if own == name} for name in names}
    # What most sets show goes first, then set after set, so that a set's own classes fill up what its shared ones leave.
    order.sort(key=lambda name: (-len(sets_of[name]), sorted(sets_of[name])))
    dealt = [set(order[fold::count]) for fold in range(count)]
    return [tuple(item for item, name in captions.items() if name in chosen) for chosen in dealt]


def evaluate_folds(
    configs: Sequence[ContrastiveConfig], data: Path, output: Path, *, count: int = 5, repeats: int = 1
) -> Job[FoldTable]:
    """Train every recipe ``count`` times a repeat and measure each on what it never saw.

    Classes are dealt anew for every repeat, and the recipes' seeds grow by one. Writes ``class_folds.json`` anew after each
    recipe and repeat. Places drawn on ground of the sets are left out: they would show what is to stay unseen.

    Raises:
        EngineError: data or captions are wrong, two recipes have one id, or an image tower has seen every class already.
    """
    refuse_namesakes(configs)
    for config in configs:
        if config.locked_image:
            raise EngineError(
                ErrorCode.MESSAGE_INVALID,
                f"“{config.locked_image}” was trained with every class: none would be unseen.",
                "Take a recipe without “locked_image”.",
            )
    steps = {config.id: config.schedule.all_steps for config in configs}
    watch = Stopwatch("train", count * repeats * sum(steps.values()))
    rows: list[FoldRow] = []
    for repeat in range(repeats):
        for config in configs:
            rows += yield from _one_repeat(config, repeat, count, data, watch)
            table = FoldTable(repeats, count, steps, tuple(rows), _shares(rows), lead_of(rows))
            with writing(output):
                output.mkdir(parents=True, exist_ok=True)
                (output / "class_folds.json").write_text(json.dumps(encode(table), indent=1) + "\n", encoding="utf-8")
    return table


def _one_repeat(config: ContrastiveConfig, repeat: int, count: int, data: Path, watch: Stopwatch) -> Job[list[FoldRow]]:
    lessons = Lessons(_blind(config, config.seed + repeat), data)
    names = {
        item: lessons.captions.classes[item]
        for place in lessons.measured_places
        for item in lessons.training[place].classes
    }
    rows: list[FoldRow] = []
    with threads(config.threads):
        language = yield from learn_language(lessons)
        for fold, unseen in enumerate(folds(names, count, config.split_seed + repeat)):
            network = yield from learned(lessons.without(unseen), data, language, watch)
            rows += _rows(config.id, repeat, fold, network, lessons, unseen)
    return rows


def _blind(config: ContrastiveConfig, seed: int) -> ContrastiveConfig:
    """The recipe without what shows or says more of left-out classes than a dictionary does."""
    config = without_sets(config, [item.name for item in config.pictures if item.is_drawn_on_others])
    return replace(config, seed=seed, phrases=replace(config.phrases, has_captions=False))


def exemplars_of(network: TwoTowers, lessons: Lessons, unseen: Collection[str]) -> Exemplars:
    """What stands for the training pictures of this network, as in an exported model but from some of each class seen."""
    chosen, seed = [], lessons.config.split_seed
    random = np.random.default_rng(seed)
    tower = ready(network.image, lessons.config.network.image)
    for pictures, source in zip(lessons.training, lessons.config.pictures, strict=True):
        seen = [at for at in np.unique(pictures.labels) if pictures.classes[at] not in unseen]
        rows = [random.permutation(np.flatnonzero(pictures.labels == at)) for at in seen]
        some = pictures.subset(np.concatenate([own[:_SPOKEN_FOR] for own in rows]))
        vectors = whole_vectors(tower, some, source.whole_px, lessons.normalise)
        chosen.append(choose_exemplars(vectors, some.labels, seed))
    return Exemplars(np.concatenate(chosen), -1.0)


def _rows(
    recipe: str, repeat: int, fold: int, network: TwoTowers, lessons: Lessons, unseen: Collection[str]
) -> list[FoldRow]:
    known = exemplars_of(network, lessons, unseen)
    tower = ready(network.image, lessons.config.network.image)
    found: list[FoldRow] = []
    for place in lessons.measured_places:
        source, pictures = lessons.config.pictures[place], lessons.validation[place]
        vectors = whole_vectors(tower, pictures, source.whole_px, lessons.normalise)
        texts = prototypes(network, [lessons.captions.classes[item] for item in pictures.classes], lessons.tokens)
        cosine = vectors @ texts.T
        hidden = np.array([item in unseen for item in pictures.classes])
        is_hidden = hidden[pictures.labels]
        among = np.where(hidden[None, :], cosine, -2.0).argmax(axis=1)
        said = cosine.argmax(axis=1)
        # The names that were learned, typed alone: does the reject score tell the others from them?
        score = (vectors @ texts[~hidden].T).max(axis=1)
        row = FoldRow(
            recipe,
            repeat,
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
            metrics.auroc(score, ~is_hidden),
            metrics.auroc(known.familiarity(vectors).astype(np.float64), ~is_hidden),
        )
        found.append(row)
    return found


def _shares(rows: Sequence[FoldRow]) -> dict[str, dict[str, dict[str, tuple[float, ...]]]]:
    found: dict[str, dict[str, dict[str, tuple[float, ...]]]] = {}
    for recipe, name in dict.fromkeys((row.recipe, row.set_name) for row in rows):
        own = [row for row in rows if (row.recipe, row.set_name) == (recipe, name)]
        asked = [row for row in own if row.pictures]
        unseen = [row.pictures for row in asked]
        found.setdefault(recipe, {})[name] = {
            "among unseen names": _share([row.right_among_unseen for row in asked], unseen),
            "among all names": _share([row.right_among_all for row in asked], unseen),
            "seen classes, among all names": _share(
                [row.right_seen for row in own], [row.seen_pictures for row in own]
            ),
            "chance among unseen names": (
                round(float(np.average([row.chance_among_unseen for row in asked], weights=unseen)), 4),
            ),
            "told by words (AUROC, mean of folds)": (round(float(np.mean([row.unknown_auroc for row in asked])), 4),),
            "told by familiarity (AUROC, mean of folds)": (
                round(float(np.mean([row.unfamiliar_auroc for row in asked])), 4),
            ),
        }
    return found


def lead_of(rows: Sequence[FoldRow]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Of the first recipe over each other one, fold by fold; folds count that both have and that ask for every set."""
    first, *others = dict.fromkeys(row.recipe for row in rows)
    sets = list(dict.fromkeys(row.set_name for row in rows))
    asked = {(row.recipe, row.set_name, row.repeat, row.fold): row for row in rows if row.pictures}
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for other in others:
        both = [
            at
            for at in dict.fromkeys((row.repeat, row.fold) for row in rows)
            if all((recipe, name, *at) in asked for recipe in (first, other) for name in sets)
        ]
        leads: list[float] = []
        draws: list[NDArray[np.float64]] = []
        for name in sets if both else ():
            mine, theirs = ([asked[recipe, name, *at] for at in both] for recipe in (first, other))
            more = [row.right_among_unseen - own.right_among_unseen for row, own in zip(mine, theirs, strict=True)]
            leads.append(sum(more) / sum(row.pictures for row in mine))
            draws.append(_draws(more, [row.pictures for row in mine]))
            found.setdefault(other, {})[name] = _with_interval(leads[-1], draws[-1])
        if len(leads) > 1:
            found[other][MEAN_OF_SETS] = _with_interval(float(np.mean(leads)), np.mean(draws, axis=0))
    return found


def _share(count: Sequence[int], of: Sequence[int]) -> tuple[float, float, float]:
    """A share of the pictures of these folds, with its interval."""
    return _with_interval(sum(count) / sum(of), _draws(count, of))


def _draws(count: Sequence[int], of: Sequence[int]) -> NDArray[np.float64]:
    return metrics.shares_by_block(np.array(count, dtype=np.float64), np.array(of, dtype=np.float64))


def _with_interval(value: float, draws: NDArray[np.float64]) -> tuple[float, float, float]:
    low, high = metrics.percentiles(draws)
    return round(value, 4), round(low, 4), round(high, 4)
