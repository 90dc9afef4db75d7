"""The bridge report: how well words reach a sensor through its teacher, every way measured on the same held-out tiles.

Methods 001-03 and 001-05: the source documents claim "very close" without a number; this is the number, with an interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geomm_engine.encoders.card import Bridge, BridgeRow, ModelFolder
from geomm_engine.encoders.device import CPU, open_image_encoder
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import ModelError
from geomm_engine.evaluation.agreement import commonest
from geomm_engine.grid import Window
from geomm_engine.pipeline.prepare import prepare
from geomm_engine.training.chain_crops import cut_from
from geomm_engine.training.chain_data import Lessons, Tiles, probe_vectors
from geomm_engine.training.chain_places import source_of

CLEAR_SHARE = 0.6
_ROUNDS = 1000
RIGHT, BALANCED, DIFFERENCE = "right word", "right word, mean over classes", "right word, difference to the teacher"
AGREEMENT, RETRIEVAL, COSINE = "same word as the teacher", "R@1 to the teacher", "mean cosine to the teacher"

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Way:
    """One way from pixels to words: its vectors on the held-out tiles, all of them or (``rows``) some."""

    route: str
    model: str
    vectors: Vectors
    rows: Labels


def bridge_report(lessons: Lessons, student: ModelFolder) -> Bridge:
    """Every way on the held-out tiles, through the encoders that users run."""
    share = round(100 * lessons.config.validation_share)
    return bridge_of(
        lessons,
        student_ways(lessons, lambda tiles: embed_tiles(student, tiles)) + besides(lessons),
        f"strips along an edge of each place, about {share} % of it, never trained on",
    )


def student_ways(lessons: Lessons, embed: Callable[[Tiles], Vectors]) -> list[Way]:
    """The student on the held-out tiles; and with its teacher's own bands hidden, where it has others and may do without."""
    config, held = lessons.config, lessons.held
    route = config.card.route or f"{', '.join(lessons.bands)} → words"
    ways = [Way(route, config.id, embed(held), np.arange(len(held), dtype=np.int64))]
    others = lessons.others
    if others is None or not config.bands_needed(len(lessons.bands)):
        return ways
    present = held.present * others
    rows = np.flatnonzero(present.sum(axis=1) >= config.jitter.fewest_bands).astype(np.int64)
    if len(rows):
        names = ", ".join(band for band, is_other in zip(lessons.bands, others, strict=True) if is_other)
        blind = replace(held, present=present).subset(rows)
        ways.append(Way(f"{names} alone → words", config.id, embed(blind), rows))
    return ways


def bridge_of(lessons: Lessons, ways: Sequence[Way], held_ground: str) -> Bridge:
    """The teacher and these ways, side by side; ``held_ground`` says what the held-out tiles are."""
    held, card = lessons.held, lessons.teacher.card
    route = ", ".join(band.role for band in card.bands) + " → words"
    teacher = Way(route, card.id, held.teacher, np.arange(len(held), dtype=np.int64))
    ways = [teacher, *ways]
    labels, classes = held_labels(lessons)
    rows = [row for way in ways for row in _teacher_rows(way, lessons)]
    if classes:
        words = probe_vectors(lessons.teacher, classes)
        rows = [row for way in ways for row in _label_rows(way, teacher, labels, words, held.block)] + rows
    counts = [int((labels == at).sum()) for at in range(len(classes))]
    return Bridge(
        protocol=f"{held_ground}; tiles of {lessons.tile_px} px; a tile has a label where one class covers {CLEAR_SHARE:.0%} of "
        "it; 95 % by bootstrap over blocks of one tile's size",
        tiles=len(held),
        blocks=len(np.unique(held.block)),
        probe_words=lessons.config.probe_words,
        classes=tuple(classes),
        class_tiles=tuple(counts),
        rows=tuple(rows),
    )


def embed_tiles(student: ModelFolder, tiles: Tiles) -> Vectors:
    """(n, dim) of tiles through the encoder that users run, each with the bands that it has."""
    vectors = np.zeros((len(tiles), student.card.dim), dtype=np.float32)
    for present in np.unique(tiles.present, axis=0):
        bands = np.flatnonzero(present).tolist()
        encoder = open_image_encoder(student, CPU, bands)
        has_these = (tiles.present == present).all(axis=1)
        for gsd_m in np.unique(tiles.gsd_m[has_these]):
            rows = np.flatnonzero(has_these & (tiles.gsd_m == gsd_m))
            images = tiles.student[rows][:, bands].astype(np.float32)
            vectors[rows] = encoder.embed_images(images, float(gsd_m))
    return vectors


def held_labels(lessons: Lessons) -> tuple[Labels, list[str]]:
    """(n,) class of each held-out tile, −1 where it has none or no clear one; and the words of the classes that occur."""
    values = {int(value): word for value, word in lessons.config.label_words.items()}
    found: list[str] = []
    for at in range(len(lessons.held)):
        place = lessons.places[lessons.held.place[at]]
        found.append("" if place.labels is None else _clear(place.labels, lessons.held.window[at], values))
    words = list(dict.fromkeys(values.values())) if any(found) else []
    return np.array([words.index(word) if word else -1 for word in found], dtype=np.int64), words


def _clear(labels: NDArray[np.uint8], window: NDArray[np.float64], words: dict[int, str]) -> str:
    y, x, height, width = window
    part = labels[int(y) : int(np.ceil(y + height)), int(x) : int(np.ceil(x + width))]
    word, most = commonest(part, words)
    return word if most >= CLEAR_SHARE * part.size else ""


def besides(lessons: Lessons) -> list[Way]:
    """The other models that the configuration names and that are installed, on the places that they have rasters of.

    Raises:
        EngineError: a raster cannot be read.
    """
    names = dict.fromkeys((item.model, item.route) for place in lessons.places for item in place.pair.beside)
    return [_beside(lessons, model, route) for model, route in names if _is_installed(model)]


def _is_installed(model: str) -> bool:
    try:
        find_model(model)
    except ModelError:
        return False
    return True


def _beside(lessons: Lessons, model: str, route: str) -> Way:
    folder = find_model(model)
    vectors, rows = [], []
    for at, place in enumerate(lessons.places):
        item = next((item for item in place.pair.beside if item.model == model), None)
        own = np.flatnonzero(lessons.held.place == at)
        if item is None or not len(own):
            continue
        prepared = prepare(source_of(item.paths, item.roles, item.unit), model)
        with prepared.reading() as reader:
            block = reader.read(0, 0, *prepared.stack.grid.shape_yx)
        values = prepared.radiometry.apply(block.values).astype(np.float16)
        to_own = ~prepared.stack.grid.transform @ place.grid.transform
        tile_px = folder.card.scale_for(place.gsd_m)[0].tile_px
        tiles = []
        for y, x, height, width in lessons.held.window[own]:
            left, top = to_own @ (x, y)
            right, bottom = to_own @ (x + width, y + height)
            tiles.append(cut_from(values, block.valid, Window(top, left, bottom - top, right - left), tile_px))
        encoder = open_image_encoder(folder, CPU, prepared.band_places)
        vectors.append(encoder.embed_images(np.stack(tiles), place.gsd_m * lessons.tile_px / tile_px))
        rows.append(own)
    return Way(route, model, np.concatenate(vectors), np.concatenate(rows))


def _label_rows(way: Way, teacher: Way, labels: Labels, words: Vectors, block: Labels) -> list[BridgeRow]:
    kept = labels[way.rows] >= 0
    rows = way.rows[kept]
    if not len(rows):
        return []
    truth, blocks = labels[rows], block[rows]
    said = np.argmax(way.vectors[kept] @ words.T, axis=1)
    before = np.argmax(teacher.vectors[rows] @ words.T, axis=1)
    there = np.unique(truth)
    by_class = tuple(float((said[truth == at] == at).mean()) if at in there else 0.0 for at in range(len(words)))

    def right(part: Labels) -> float:
        return float((said[part] == truth[part]).mean())

    def balanced(part: Labels) -> float:
        return float(np.mean([(said[part][truth[part] == at] == at).mean() for at in np.unique(truth[part])]))

    def difference(part: Labels) -> float:
        return right(part) - float((before[part] == truth[part]).mean())

    most = max(float((truth == at).mean()) for at in there)
    found = [
        _row(way, RIGHT, right, blocks, most, by_class),
        _row(way, BALANCED, balanced, blocks, 1 / len(there)),
    ]
    return found if way is teacher else [*found, _row(way, DIFFERENCE, difference, blocks, 0.0)]


def _teacher_rows(way: Way, lessons: Lessons) -> list[BridgeRow]:
    teacher = lessons.held.teacher[way.rows]
    if way.model == lessons.teacher.card.id:
        return []
    blocks = lessons.held.block[way.rows]
    choices = [np.argmax(vectors @ lessons.words.T, axis=1) for vectors in (way.vectors, teacher)]
    shares = [np.bincount(item, minlength=len(lessons.words)) / len(item) for item in choices]
    same, cosine = choices[0] == choices[1], np.sum(way.vectors * teacher, axis=1)
    _, one_each = np.unique(blocks, return_index=True)
    nearest = np.argmax(way.vectors[one_each] @ teacher[one_each].T, axis=1) == np.arange(len(one_each))
    mean = teacher.mean(axis=0)
    typical = float(np.mean(teacher @ (mean / np.linalg.norm(mean))))
    return [
        _row(way, AGREEMENT, lambda part: float(same[part].mean()), blocks, float(shares[0] @ shares[1])),
        _row(way, RETRIEVAL, lambda part: float(nearest[part].mean()), blocks[one_each], 1 / len(one_each)),
        _row(way, COSINE, lambda part: float(cosine[part].mean()), blocks, typical),
    ]


def _row(
    way: Way, metric: str, of: Callable[[Labels], float], blocks: Labels, chance: float, by_class: Sequence[float] = ()
) -> BridgeRow:
    """A number over all rows, with the interval of drawing the blocks again."""
    every = np.arange(len(blocks), dtype=np.int64)
    groups = [np.flatnonzero(blocks == value) for value in np.unique(blocks)]
    random = np.random.default_rng(0)
    drawn = [
        of(np.concatenate([groups[at] for at in random.integers(0, len(groups), len(groups))])) for _ in range(_ROUNDS)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    interval = (round(float(low), 4), round(float(high), 4))
    shares = tuple(round(value, 4) for value in by_class)
    return BridgeRow(way.route, way.model, metric, round(of(every), 4), interval, round(chance, 4), len(every), shares)
