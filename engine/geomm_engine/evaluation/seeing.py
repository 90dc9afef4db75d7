"""Pictures as the model sees them, each read once: its vector, its vectors at coarser pixels and in other light, and plain
features beside it.

The plain features are what a model must beat: mean and standard deviation of the bands, and a random convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import Card
from geomm_engine.encoders.encoder import ImageEncoder, unit
from geomm_engine.errors import EngineError
from geomm_engine.evaluation.lights import LIGHTS, in_light
from geomm_engine.evaluation.pictures import LabelledPictures, NotAPicture, Picture
from geomm_engine.grid import Window
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.raster.resample import cut

BATCH = 64
BATCH_VALUES = 24_000_000
"""A batch is closed at so many pixel values (100 MB), however few pictures they are."""

FILTERS = 128
_FILTER_PX, _STEP_PX, _RANDOM_PX = 8, 4, 64
_FED_STEP_PX = 16
_GUESSED_TOGETHER = 8

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """n pictures that could be read. ``rows`` number them in the set that they came from.

    Attributes:
        vectors: (n, dim) of length 1.
        at_scales: for each coarser ground pixel in metres (n, dim) of length 1, and ``fed`` the pixel and the side in
            pixels that the tower was given.
        in_lights: for each light (n, dim) of length 1.
        statistics: (n, 6) mean and standard deviation of each band.
        random: (n, 256) mean and standard deviation of rectified random filters.
        bounds: (n, 4) degrees, where every file says where it lies.
        unreadable: paths that were left out.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    vectors: Vectors
    at_scales: dict[float, Vectors]
    fed: dict[float, tuple[float, int]]
    in_lights: dict[str, Vectors]
    statistics: Vectors
    random: Vectors
    bounds: NDArray[np.float64] | None
    unreadable: tuple[str, ...]


def see(
    pictures: LabelledPictures,
    encoder: ImageEncoder,
    card: Card,
    *,
    gsd_m: float,
    scales_m: Sequence[float] = (),
    has_lights: bool = False,
    seed: int = 0,
) -> Job[Seen]:
    """Read and embed every picture once; memory is bounded by a batch of pixels, however large a picture is.

    Raises:
        EngineError: none of them can be read.
    """
    lights = tuple(LIGHTS) if has_lights else ()
    gathered = _Gathered(encoder, card, gsd_m, tuple(scales_m), lights, random_filters(seed))
    unreadable: list[str] = []
    watch = Stopwatch("evaluate", len(pictures.paths))
    told = 0
    for row in range(len(pictures.paths)):
        try:
            gathered.add(row, pictures.read(row))
        except NotAPicture:
            unreadable.append(pictures.paths[row])
        if gathered.is_full or row + 1 == len(pictures.paths):
            gathered.flush()
            yield watch.step(row + 1 - told)
            told = row + 1
    if not gathered.rows:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"None of the {len(unreadable)} images in {pictures.root} can be read as an 8-bit picture.",
            "Give JPEG, PNG or 8-bit TIFF pictures; classify multispectral rasters with “geomm classify”.",
            path=str(pictures.root),
        )
    return gathered.seen(pictures.labels, tuple(unreadable))


class _Gathered:
    """What was seen so far, and the batch in work."""

    def __init__(
        self,
        encoder: ImageEncoder,
        card: Card,
        gsd_m: float,
        scales_m: tuple[float, ...],
        lights: tuple[str, ...],
        filters: Vectors,
    ) -> None:
        self._encoder, self._card, self._gsd_m, self._filters = encoder, card, gsd_m, filters
        self._images: list[Vectors] = []
        self.rows: list[int] = []
        self._bounds: list[tuple[float, float, float, float] | None] = []
        self._vectors: list[Vectors] = []
        self._statistics: list[Vectors] = []
        self._random: list[Vectors] = []
        self._scaled: dict[float, list[Vectors]] = {scale_m: [] for scale_m in scales_m}
        self._lit: dict[str, list[Vectors]] = {light: [] for light in lights}
        self._fed: dict[float, tuple[float, int]] = {}

    @property
    def is_full(self) -> bool:
        return len(self._images) >= BATCH or sum(image.size for image in self._images) >= BATCH_VALUES

    def add(self, row: int, picture: Picture) -> None:
        self.rows.append(row)
        self._images.append(picture.pixels)
        self._bounds.append(picture.bounds)

    def flush(self) -> None:
        if not self._images:
            return
        images, self._images = self._images, []
        self._vectors.append(self._embedded(images))
        self._statistics.append(np.stack([band_statistics(image) for image in images]))
        self._random.append(random_features(images, self._filters))
        for scale_m, found in self._scaled.items():
            items = [coarsened(image, self._gsd_m, scale_m, self._card) for image in images]
            self._fed.setdefault(scale_m, (items[0][1], items[0][0].shape[-1]))
            found.append(embed(self._encoder, items))

        for light, found in self._lit.items():
            found.append(self._embedded([in_light(image, light) for image in images]))

    def _embedded(self, images: Sequence[Vectors]) -> Vectors:
        return embed(self._encoder, [tiles_of(image, self._gsd_m, self._card) for image in images])

    def seen(self, labels: NDArray[np.int64], unreadable: tuple[str, ...]) -> Seen:
        rows = np.array(self.rows, dtype=np.int64)
        known = [item for item in self._bounds if item is not None]
        return Seen(
            rows=rows,
            labels=labels[rows],
            vectors=np.concatenate(self._vectors),
            at_scales={scale_m: np.concatenate(items) for scale_m, items in self._scaled.items()},
            fed=self._fed,
            in_lights={light: np.concatenate(items) for light, items in self._lit.items()},
            statistics=np.concatenate(self._statistics),
            random=np.concatenate(self._random),
            bounds=np.array(known) if len(known) == len(rows) else None,
            unreadable=unreadable,
        )


def embed(encoder: ImageEncoder, items: Sequence[tuple[Vectors, float]]) -> Vectors:
    """One unit vector for each item (tiles (t, 3, px, px), ground pixel in metres); several tiles are averaged.

    Tiles of one size and one ground pixel go through the tower together.
    """
    groups: dict[tuple[float, tuple[int, ...]], list[int]] = {}
    for at, (tiles, seen_m) in enumerate(items):
        groups.setdefault((seen_m, tiles.shape[1:]), []).append(at)
    found: list[Vectors] = [np.zeros(0, np.float32)] * len(items)
    for (seen_m, _), members in groups.items():
        vectors = encoder.embed_images(np.concatenate([items[at][0] for at in members]), seen_m)
        ends = np.cumsum([len(items[at][0]) for at in members])
        for at, part in zip(members, np.split(vectors, ends[:-1]), strict=True):
            found[at] = part.mean(axis=0) if len(part) > 1 else part[0]
    return unit(np.stack(found))


def tiles_of(image: Vectors, gsd_m: float, card: Card) -> tuple[Vectors, float]:
    """(n, 3, px, px) tiles of an image (3, h, w) and the ground pixel in metres that the model sees.

    An image larger than a tile is seen whole, averaged down, as long as its pixel stays within the range of the card's
    scale; beyond that it is cut into tiles.
    """
    height, width = image.shape[1:]
    side = min(height, width)
    scale, seen_m = card.scale_for(gsd_m)
    whole_m = gsd_m * side / scale.tile_px
    if side <= scale.tile_px or whole_m <= scale.gsd_max_m:
        return _square(image, scale.tile_px)[None], max(whole_m, card.gsd_min_m)
    valid = np.ones((height, width), dtype=bool)
    tile = scale.tile_px * seen_m / gsd_m
    starts_y, starts_x = (np.linspace(0, size - tile, max(1, round(size / tile))) for size in (height, width))
    tiles = [cut(image, valid, Window(y, x, tile, tile), scale.tile_px)[0] for y in starts_y for x in starts_x]
    return np.stack(tiles), seen_m


def coarsened(image: Vectors, gsd_m: float, scale_m: float, card: Card) -> tuple[Vectors, float]:
    """The whole middle square of an image (3, h, w) as a sensor with pixels of ``scale_m`` metres would see it: one tile.

    A model that is told the ground pixel gets about as many pixels as there are, in steps of 16 and never beyond its
    tile sizes by more than half; another gets tiles as always.
    """
    side = min(image.shape[1:])
    ground_m = gsd_m * side
    coarse = _square(image, max(1, min(side, round(ground_m / scale_m))))
    if not card.has_gsd_input:
        return tiles_of(coarse, ground_m / coarse.shape[1], card)
    sizes = [scale.tile_px for scale in card.scales]
    near = round(coarse.shape[1] / _FED_STEP_PX) * _FED_STEP_PX
    fed_px = int(np.clip(near, max(min(sizes) // 2, 1), max(sizes)))
    return _square(coarse, fed_px)[None], max(ground_m / fed_px, card.gsd_min_m)


def _square(image: Vectors, px: int) -> Vectors:
    """The largest square in the middle of (3, h, w), area-averaged (or enlarged) to (3, px, px)."""
    height, width = image.shape[1:]
    side = min(height, width)
    window = Window((height - side) / 2, (width - side) / 2, side, side)
    return cut(image, np.ones((height, width), dtype=bool), window, px)[0]


def band_statistics(image: Vectors) -> Vectors:
    """(6,) mean and standard deviation of each band of (3, h, w)."""
    return np.concatenate([image.mean(axis=(1, 2)), image.std(axis=(1, 2))]).astype(np.float32)


def random_filters(seed: int) -> Vectors:
    """(3 · 8 · 8, 128) Gaussian filters without a mean."""
    filters = np.random.default_rng(seed).normal(size=(3 * _FILTER_PX**2, FILTERS))
    return np.asarray((filters - filters.mean(axis=0)) / _FILTER_PX, dtype=np.float32)


def random_features(images: Sequence[Vectors], filters: Vectors) -> Vectors:
    """(n, 256): images at 64 px under random 8 × 8 filters, step 4, rectified; mean and deviation over the picture.

    One untrained layer of a convolutional net, in the manner of Jarrett et al. (ICCV 2009).
    """
    squares = np.stack([_square(image, _RANDOM_PX) for image in images])
    windows = sliding_window_view(squares, (_FILTER_PX, _FILTER_PX), axis=(2, 3))[:, :, ::_STEP_PX, ::_STEP_PX]
    count = windows.shape[2] * windows.shape[3]
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(images), count, -1)
    answers = np.maximum(columns @ filters, 0)
    return np.concatenate([answers.mean(axis=1), answers.std(axis=1)], axis=1).astype(np.float32)


def guessed_gsd(
    pictures: LabelledPictures, card: Card, encoder: ImageEncoder, prototypes: Vectors, *, seed: int, sample: int = 48
) -> tuple[float, str]:
    """The ground pixel of files that nobody has named: what they say themselves, else what the model is surest of.

    Without labels: of the card's range in octaves, the pixel under which the best class fits a sample of pictures best
    (mean of the largest cosine).

    Args:
        prototypes: (class, dim) of length 1.

    Returns:
        Metres, and where they come from: "georeference" or "guessed".
    """
    octaves = max(1, round(float(np.log2(card.gsd_max_m / card.gsd_min_m))))
    candidates = np.geomspace(card.gsd_min_m, card.gsd_max_m, octaves + 1)
    sureness = np.zeros(len(candidates))
    stated: list[float] = []
    batch: list[Vectors] = []
    for row in np.random.default_rng(seed).permutation(len(pictures.paths))[:sample]:
        try:
            picture = pictures.read(int(row))
        except NotAPicture:
            continue
        if picture.gsd_m > 0:
            stated.append(picture.gsd_m)
            continue
        batch.append(picture.pixels)
        if len(batch) == _GUESSED_TOGETHER:
            sureness += _sureness(batch, candidates, card, encoder, prototypes)
            batch = []
    if batch:
        sureness += _sureness(batch, candidates, card, encoder, prototypes)
    if stated and not sureness.any():
        return float(np.median(stated)), "georeference"
    return float(candidates[int(np.argmax(sureness))]), "guessed"


def _sureness(
    images: Sequence[Vectors],
    candidates: NDArray[np.float64],
    card: Card,
    encoder: ImageEncoder,
    prototypes: Vectors,
) -> NDArray[np.float64]:
    """(candidate,) sum over the images of the largest cosine with a prototype."""
    found = [embed(encoder, [tiles_of(image, float(gsd_m), card) for image in images]) for gsd_m in candidates]
    return np.array([float((vectors @ prototypes.T).max(axis=1).sum()) for vectors in found])
