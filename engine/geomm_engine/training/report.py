"""The table of a card: which numbers are measured, on which pictures, by which protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geomm_engine.encoders.card import Measurement
from geomm_engine.encoders.encoder import ImageEncoder, TextEncoder
from geomm_engine.evaluation import metrics
from geomm_engine.evaluation.calibration import fit_scale
from geomm_engine.evaluation.lights import LIGHTS
from geomm_engine.scoring.familiarity import Exemplars
from geomm_engine.training.captions import SHOWS_NOT
from geomm_engine.training.data import Lessons
from geomm_engine.training.exemplars import UNFAMILIAR_SHARE
from geomm_engine.training.measure import (
    DRAWS,
    Seen,
    Vectors,
    embed_names,
    embed_pictures,
    expected_calibration_error,
    fit_rejection,
    halves,
)

FEWEST = 20
"""A share of fewer pictures says nothing."""
ELSEWHERE = "validation by place (10° blocks that training never saw); words from maps, class names typed as text"
DRAWN = "drawings kept from training, no photographs; class names typed as text"
VALIDATION = "stratified validation split, also used {}; class names typed as text"


@dataclass(frozen=True)
class Found:
    """What the card's scoring needs, and the numbers it states."""

    logit_scale: float
    reject_threshold: float
    background_mean: float
    background_std: float
    familiar_threshold: float
    measured: tuple[Measurement, ...]


def _validation(lessons: Lessons) -> str:
    """What the validation pictures were used for beside measuring."""
    return VALIDATION.format("to judge the recipe" if lessons.config.schedule.keeps_last else "for early stopping")


def measure(
    image: ImageEncoder,
    text: TextEncoder,
    lessons: Lessons,
    templates: tuple[str, ...],
    reference_mean: Vectors,
    known: Exemplars,
) -> Found:
    """Everything that the card states, through the encoders that users run."""
    sets = [_see(image, text, lessons, place, templates) for place in lessons.measured_places]
    parts = [halves(seen.labels, lessons.config.split_seed) for seen in sets]
    scale = fit_scale([(seen.cosine[part[0]], seen.labels[part[0]]) for seen, part in zip(sets, parts, strict=True)])
    measured: list[Measurement] = []
    sources = [lessons.config.pictures[place] for place in lessons.measured_places]
    for seen, part, source in zip(sets, parts, sources, strict=True):
        gsd_m = source.gsd_m * source.size_px / source.whole_px
        where = f"{_validation(lessons)}; whole pictures at {gsd_m:.2g} m, {source.whole_px} px"
        measured += _accuracy(seen, where)
        error = expected_calibration_error(seen.rows(part[1]), scale)
        how = "15 bins; temperature fitted on the other half of the validation split"
        measured.append(Measurement(seen.name, how, "calibration error", error, ""))
        measured += _other_sizes(image, text, lessons, seen, templates)
    measured += _coarse(text, lessons, sets, templates)
    for place in range(len(lessons.validation)):
        if place in lessons.measured_places or len(lessons.validation[place].labels) < FEWEST:
            continue
        if len(lessons.validation[place].classes) == 1:
            measured += _single(image, text, lessons, place, sets[0], templates)
        else:
            protocol = DRAWN if lessons.config.pictures[place].is_drawn else ELSEWHERE
            measured += _accuracy(_see(image, text, lessons, place, templates), protocol)
    in_lights = [
        replace(seen, images=embed_pictures(image, lessons.validation[place], source.whole_px, light))
        for light in LIGHTS
        for seen, place, source in zip(sets, lessons.measured_places, sources, strict=True)
    ]
    rejection = fit_rejection(sets, reference_mean, lessons.config.split_seed, in_lights=in_lights)
    how = (
        "3–6 of a set's class names prompted, pictures of the others are unknown; "
        f"{DRAWS} draws a set, all classes trained; "
        "threshold: at most one in 200 lost of the prompted, as they are and in other lights"
    )
    measured.append(Measurement("validation, both sets", how, "unknown AUROC", rejection.auroc, ""))
    measured.append(Measurement("validation, both sets", how, "prompted pictures kept", rejection.kept, ""))
    measured.append(Measurement("validation, both sets", how, "other pictures rejected", rejection.rejected, ""))
    mean, std = _background(text, lessons, sets, templates)
    familiar = [known.familiarity(seen.images) for seen in sets]
    least = min(float(np.quantile(own[part[0]], UNFAMILIAR_SHARE)) for own, part in zip(familiar, parts, strict=True))
    for seen, own, part in zip(sets, familiar, parts, strict=True):
        how = (
            "learned classes, pictures kept from training; threshold: the lowest 2 % of the other half of the validation "
            "split, of the set where that is lower"
        )
        count, total = int((own[part[1]] < least).sum()), len(part[1])
        interval = _rounded(metrics.wilson_interval(count, total))
        measured.append(Measurement(seen.name, how, "called unfamiliar", count / total, "", interval))
    return Found(scale, rejection.threshold, mean, std, least, tuple(measured))


def _see(image: ImageEncoder, text: TextEncoder, lessons: Lessons, place: int, templates: tuple[str, ...]) -> Seen:
    pictures, source = lessons.validation[place], lessons.config.pictures[place]
    names = [lessons.captions.classes[item] for item in pictures.classes]
    return Seen(
        source.name,
        pictures.labels,
        embed_pictures(image, pictures, source.whole_px),
        embed_names(text, names, templates),
    )


def _accuracy(seen: Seen, protocol: str) -> list[Measurement]:
    said, count = seen.said, len(seen.texts)
    right = int((said == seen.labels).sum())

    def f1(truth: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
        return metrics.macro_f1(metrics.confusion_matrix(truth, guess, count))

    return [
        Measurement(
            seen.name, protocol, "top-1", right / len(said), "", _rounded(metrics.wilson_interval(right, len(said)))
        ),
        Measurement(
            seen.name,
            protocol,
            "macro F1",
            f1(seen.labels, said),
            "",
            _rounded(metrics.bootstrap_interval(seen.labels, said, f1, rounds=300)),
        ),
    ]


def _rounded(interval: tuple[float, float]) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in interval)


def _other_sizes(
    image: ImageEncoder, text: TextEncoder, lessons: Lessons, seen: Seen, templates: tuple[str, ...]
) -> list[Measurement]:
    """The same pictures in full at the card's other tile sizes: coarser or finer ground pixels."""
    place = [source.name for source in lessons.config.pictures].index(seen.name)
    pictures, source = lessons.validation[place], lessons.config.pictures[place]
    found: list[Measurement] = []
    for px in sorted({scale.tile_px for scale in lessons.config.card.scales}):
        if px == source.whole_px or px > source.size_px:
            continue
        other = Seen(seen.name, seen.labels, embed_pictures(image, pictures, px), seen.texts)
        right = int((other.said == other.labels).sum())
        gsd_m = source.gsd_m * source.size_px / px
        how = f"{_validation(lessons)}; whole pictures at {gsd_m:.2g} m, {px} px"
        interval = _rounded(metrics.wilson_interval(right, len(other.labels)))
        found.append(Measurement(seen.name, how, "top-1", right / len(other.labels), "", interval))
    return found


def _coarse(text: TextEncoder, lessons: Lessons, sets: list[Seen], templates: tuple[str, ...]) -> list[Measurement]:
    """Coarse words against the first set: right when the word's concept holds the picture's class."""
    seen, words = sets[0], lessons.config.card.coarse_words
    if not words:
        return []
    texts = embed_names(text, words, templates)
    classes = lessons.training[0].classes
    concepts = [next(item for item in lessons.captions.concept if word in item.words) for word in words]
    holds = np.array([[name in concept.shows for concept in concepts] for name in classes])
    covered = np.asarray(holds.any(axis=1))[seen.labels]
    said = np.argmax(seen.images @ texts.T, axis=1)
    right = int(holds[seen.labels, said][covered].sum())
    total = int(covered.sum())
    how = f"validation; typed “{', '.join(words)}”, right when the word covers the picture's class"
    return [Measurement(seen.name, how, "top-1", right / total, "", _rounded(metrics.wilson_interval(right, total)))]


def _single(
    image: ImageEncoder, text: TextEncoder, lessons: Lessons, place: int, other: Seen, templates: tuple[str, ...]
) -> list[Measurement]:
    """A drawn set's first class, its name typed beside another set's names: how often each is told from the other."""
    pictures, source = lessons.validation[place], lessons.config.pictures[place]
    name = lessons.captions.classes[pictures.classes[0]]
    texts = np.concatenate([other.texts, embed_names(text, [name], templates)])
    images = embed_pictures(image, pictures.subset(np.flatnonzero(pictures.labels == 0)), source.whole_px)
    found = int((np.argmax(images @ texts.T, axis=1) == len(other.texts)).sum())
    wrong = int((np.argmax(other.images @ texts.T, axis=1) == len(other.texts)).sum())
    how = f"validation; “{name}” typed beside the class names of {other.name}"
    interval = _rounded(metrics.wilson_interval(found, len(images)))
    false = _rounded(metrics.wilson_interval(wrong, len(other.labels)))
    return [
        Measurement(f"drawn {source.name}", how, f"called {name}", found / len(images), "", interval),
        Measurement(other.name, how, f"wrongly called {name}", wrong / len(other.labels), "", false),
    ]


def _background(
    text: TextEncoder, lessons: Lessons, sets: list[Seen], templates: tuple[str, ...]
) -> tuple[float, float]:
    """Mean and standard deviation of the cosine of pictures with words of concepts that they do not show."""
    names = [concept.words[0] for concept in lessons.captions.concept]
    texts = embed_names(text, names, templates)
    found: list[NDArray[np.float32]] = []
    for seen, place in zip(sets, lessons.measured_places, strict=True):
        pictures = lessons.validation[place]
        first = sum(len(item.classes) for item in lessons.validation[:place])
        relation = lessons.relation[:, first : first + len(pictures.classes)]
        cosine = seen.images @ texts.T
        found.append(cosine[(relation == SHOWS_NOT).T[seen.labels]])
    return (
        float(np.mean([part.mean() for part in found])),
        float(np.sqrt(np.mean([part.var() for part in found]))),
    )
