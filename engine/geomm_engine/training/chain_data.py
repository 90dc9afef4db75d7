"""The lessons of a chain: crops of the places, shown to the teacher once, given to the student in batches. Knows no network.

Both sides get the same crop in the same turn. The teacher is any model with a text tower, asked through its card; nothing of
its own training is used.
"""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geomm_engine.contract import ErrorCode, Level, Note
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.device import CPU, open_image_encoder
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import EngineError, ModelError, RasterError
from geomm_engine.networks.band_student import code_of
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.scoring.prompts import phrase_vector
from geomm_engine.sensors import is_same_role, quantity_of, role_of, wavelength_of
from geomm_engine.training.chain_config import ChainConfig, Chips, spread
from geomm_engine.training.chain_crops import (
    LEAST_VALID,
    Crop,
    beside_the_strip,
    cut_from,
    held_crops,
    jittered,
    some_absent,
    turned,
    valid_share,
)
from geomm_engine.training.chain_places import PICTURE_UNITS, Place, look, read_places, student_bands

_TRIES = 40
_TEACH_BATCH = 64
_SMALLEST_STD = 0.02
_CROPS_A_TILE = 60
_COMPARED = 128


@dataclass(frozen=True)
class Tiles:
    """Tiles cut for both sides, and what the teacher says to them.

    ``student`` (n, band, px, px) float16, ``present`` (n, band) float32, ``gsd_m`` (n,), ``teacher`` (n, dim) unit vectors.
    For held-out tiles ``place`` (n,) counts places, ``window`` (n, 4) is y, x, height, width in the place's pixels, ``block``
    (n,) numbers the square of ground.
    """

    student: NDArray[np.float16]
    present: NDArray[np.float32]
    gsd_m: NDArray[np.float32]
    teacher: NDArray[np.float32]
    place: NDArray[np.int64]
    window: NDArray[np.float64]
    block: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.gsd_m)

    def subset(self, rows: NDArray[np.int64]) -> Tiles:
        return Tiles(*(values[rows] for values in vars(self).values()))


@dataclass(frozen=True)
class Batch:
    """Normalised images (n, band, h, w), ground pixel (n,), present bands (n, band), the teacher's vectors (n, dim)."""

    images: Tensor
    gsd_m: Tensor
    present: Tensor
    teacher: Tensor


class Lessons:
    """Checks teacher and rasters at once; :meth:`prepare` then cuts the tiles and asks the teacher.

    ``pairs`` are those of the recipe without patterns, in the order of ``grounds``. ``compared``: rows of some training tiles,
    and (n, band, px, px) the display values that the teacher saw of them.

    Raises:
        EngineError: what :func:`chain_places.look` refuses, no text tower, or too little ground.
    """

    def __init__(self, config: ChainConfig, data: Path) -> None:
        self.config = config
        self.data = data
        self.teacher = find_model(config.teacher)
        _check_teacher(self.teacher)
        self.pairs = pairs = [item for pair in config.pairs for item in spread(pair, data)]
        wanted = config.teacher_bands or tuple(band.role for band in self.teacher.card.bands)
        known = tuple(role_of(name) or name for name in wanted)
        self.bands = config.bands or student_bands(pairs[0], known)
        fewest = config.jitter.fewest_bands
        self.grounds = [
            look(pair, self.teacher, config.teacher_bands, self.bands, fewest_bands=fewest) for pair in pairs
        ]
        units = {item.student.radiometry.unit for item in self.grounds}
        self.takes_pictures = bool(units & set(PICTURE_UNITS))
        if self.takes_pictures and units - set(PICTURE_UNITS):
            raise RasterError(
                ErrorCode.UNIT_UNKNOWN,
                f"Some rasters hold physical values, others pictures or unknown units ({', '.join(sorted(units))}).",
                "Say what the values are (--student-unit), the same for all.",
            )
        self.notes = self._notes()
        gsd_m = float(np.median([item.gsd_m for item in self.grounds]))
        self.tile_px = config.crops.tile_px or self.teacher.card.scale_for(gsd_m)[0].tile_px
        self.codes = tuple(code_of(role_of(band) or band, wavelength_of(role_of(band) or band)) for band in self.bands)
        self._is_optical = np.array([quantity_of(role_of(band) or band) == "reflectance" for band in self.bands])
        self.places: list[Place] = []
        self.mean = torch.zeros(1, len(self.bands), 1, 1)
        self.std = torch.ones(1, len(self.bands), 1, 1)
        self.words = probe_vectors(self.teacher, config.probe_words)

    @property
    def dim(self) -> int:
        return self.teacher.card.dim

    def _notes(self) -> tuple[Note, ...]:
        notes: dict[str, Note] = {}
        for ground in self.grounds:
            for note in ground.notes:
                notes.setdefault(note.text, note)
        card = self.teacher.card
        if card.hops:
            text = (
                f"{card.name} was taught by another model itself: this student will be {card.hops + 1} steps away from the "
                "words, and each step loses some."
            )
            notes["hops"] = Note("hops", Level.AMBER, text, {"hops": card.hops + 1})
        return tuple(notes.values())

    # --- cutting and asking

    def prepare(self) -> Job[None]:
        """Read the places, cut training and held-out tiles, ask the teacher. The same every time.

        Raises:
            RasterError: the rasters leave too little ground to learn from and to be tested on.
        """
        config = self.config
        yield from self._read(config.validation_share)
        random = np.random.default_rng(config.seed + 1)
        held = held_crops(self.places, self.tile_px, config.crops.stride, config.crops.most_held)
        chips_share = sum(item.share for item in config.chips)
        crops = self._training_crops(round(config.crops.count * (1 - chips_share)), random)
        if not crops or not held:
            raise _too_little(self.places, self.tile_px)
        watch = Stopwatch("teach", len(crops) + len(held) + sum(item.count for item in config.chips))
        training = yield from self._taught(crops, watch)
        self.compared = self._shown_to_the_teacher(crops)
        self.held = yield from self._taught(held, watch)
        self.training = training
        self._find_normalisation()
        self.chips = []
        for chips in config.chips:
            self.chips.append((yield from self._chips(chips, random, watch)))

    def prepare_report(self) -> Job[None]:
        """Hold out all ground, and cut tiles all over it: to ask a student there that never saw it."""
        yield from self._read(1.0)
        held = held_crops(self.places, self.tile_px, self.config.crops.stride, sys.maxsize)
        if not held:
            raise _too_little(self.places, self.tile_px)
        self.held = yield from self._taught(held, Stopwatch("teach", len(held)))

    def _read(self, held_share: float) -> Job[None]:
        watch = Stopwatch("read", len(self.grounds))
        for ground in self.grounds:
            self.places += read_places(
                ground, len(self.bands), tile_px=self.tile_px, validation_share=held_share,
                split_seed=self.config.split_seed,
            )  # fmt: skip
            yield watch.step()

    def _training_crops(self, count: int, random: np.random.Generator) -> list[Crop]:
        """Crops beside the held-out strips; a place is drawn by its share and its ground."""
        factors = self._factors()
        ground = np.array([item.pair.share * np.sqrt(item.valid.size) for item in self.places])
        tiles = sum(item.valid.sum() / math.prod(item.side_px(self.tile_px, 1.0)) for item in self.places)
        count = min(count, math.ceil(_CROPS_A_TILE * tiles))
        crops: list[Crop] = []
        chance = ground / ground.sum() if len(ground) else ground
        for _ in range(count):
            factor = float(random.choice(factors))
            turn = int(random.integers(8))
            for _ in range(_TRIES):
                at = int(random.choice(len(self.places), p=chance))
                window = beside_the_strip(self.places[at], self.places[at].side_px(self.tile_px, factor), random)
                if window is not None and valid_share(self.places[at], window) >= LEAST_VALID:
                    crops.append(Crop(at, window, factor, turn))
                    break
        return sorted(crops, key=lambda crop: crop.factor)

    def _factors(self) -> list[float]:
        """The configured ones that leave every place's pixel within what the teacher reads."""
        card = self.teacher.card
        grounds = [item.gsd_m for item in self.grounds]
        fitting = [
            factor
            for factor in self.config.crops.factors
            if all(0.98 * card.gsd_min_m <= gsd_m * factor <= 1.02 * card.gsd_max_m for gsd_m in grounds)
        ]
        return fitting or [1.0]

    def _taught(self, crops: Sequence[Crop], watch: Stopwatch) -> Job[Tiles]:
        encoder = open_image_encoder(self.teacher, CPU)
        student = np.zeros((len(crops), len(self.bands), self.tile_px, self.tile_px), dtype=np.float16)
        vectors = np.zeros((len(crops), self.dim), dtype=np.float32)
        gsd_m = np.array([self.places[crop.place].gsd_m * crop.factor for crop in crops], dtype=np.float32)
        for at in range(0, len(crops), _TEACH_BATCH):
            part = crops[at : at + _TEACH_BATCH]
            seen = []
            for number, crop in enumerate(part, at):
                place = self.places[crop.place]
                student[number] = turned(cut_from(place.student, place.valid, crop.window, self.tile_px), crop.turn)
                seen.append(self._teachers_view(crop))
            images = np.stack(seen)
            for value in np.unique(gsd_m[at : at + len(part)]):
                rows = np.flatnonzero(gsd_m[at : at + len(part)] == value)
                vectors[at + rows] = encoder.embed_images(images[rows], float(value))
            yield watch.step(len(part))
        present = np.array([self.places[crop.place].present for crop in crops], dtype=np.float32)
        windows = [(c.window.y, c.window.x, c.window.height, c.window.width) for c in crops]
        return Tiles(
            student,
            present.reshape(len(crops), len(self.bands)),
            gsd_m,
            vectors,
            np.array([crop.place for crop in crops], dtype=np.int64),
            np.array(windows, dtype=np.float64).reshape(-1, 4),
            np.array([crop.block for crop in crops], dtype=np.int64),
        )

    def _teachers_view(self, crop: Crop) -> NDArray[np.float32]:
        """(band, px, px) display values."""
        place = self.places[crop.place]
        return turned(cut_from(place.teacher, place.valid, crop.window, self.tile_px), crop.turn)

    def _shown_to_the_teacher(self, crops: Sequence[Crop]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows of some crops, evenly through all, and what the teacher sees of them."""
        rows = np.unique(np.linspace(0, len(crops) - 1, _COMPARED).astype(np.int64))
        return rows, np.stack([self._teachers_view(crops[row]) for row in rows])

    def _find_normalisation(self) -> None:
        """Mean and spread of each band over the training tiles that have it, rounded as the card will state them."""
        mean, std = [], []
        for band in range(len(self.bands)):
            rows = np.flatnonzero(self.training.present[:, band])[:400]
            values = self.training.student[rows, band].astype(np.float32)
            mean.append(round(float(values.mean()), 4) if len(rows) else 0.0)
            std.append(max(_SMALLEST_STD, round(float(values.std()), 4)) if len(rows) else 1.0)
        self.mean, self.std = (torch.tensor(item).view(1, -1, 1, 1) for item in (mean, std))

    def _chips(self, chips: Chips, random: np.random.Generator, watch: Stopwatch) -> Job[Tiles]:
        """Pictures for the teacher; the student gets their three bands in its own unit."""
        pixels = read_chips(self.data / chips.file, chips.count, chips.size_px, random)
        card = self.teacher.card
        places = [
            next((at for at, band in enumerate(self.bands) if is_same_role(role_of(band) or band, wanted.role)), -1)
            for wanted in card.bands
        ]
        if min(places) < 0:
            raise RasterError(
                ErrorCode.BANDS_MISSING,
                f"The student does not read {', '.join(band.role for band in card.bands)}: pictures of them teach it nothing.",
                "Leave out the chips.",
            )
        inverse = None
        if not self.takes_pictures:
            inverse = next((item for item in card.radiometry.calibrations if item.unit == "surface_reflectance"), None)
            if inverse is None:
                raise ModelError(
                    ErrorCode.MODEL_INVALID,
                    f"{card.name} does not say how reflectance becomes a picture.",
                    "Leave out the chips.",
                )
        encoder = open_image_encoder(self.teacher, CPU)
        student = np.zeros((len(pixels), len(self.bands), chips.size_px, chips.size_px), dtype=np.float16)
        vectors = np.zeros((len(pixels), self.dim), dtype=np.float32)
        for at in range(0, len(pixels), _TEACH_BATCH):
            images = np.moveaxis(pixels[at : at + _TEACH_BATCH], 3, 1).astype(np.float32) / 255.0
            vectors[at : at + len(images)] = encoder.embed_images(images, chips.gsd_m)
            for band, place in enumerate(places):
                values = images[:, band]
                if inverse is not None:
                    values = (values - inverse.offset[band]) / inverse.gain[band]
                student[at : at + len(images), place] = np.clip(values, 0, 1)
            yield watch.step(len(images))
        present = np.zeros((len(pixels), len(self.bands)), dtype=np.float32)
        present[:, places] = 1.0
        count = len(pixels)
        nowhere = np.full(count, -1, dtype=np.int64)
        return Tiles(
            student,
            present,
            np.full(count, chips.gsd_m, dtype=np.float32),
            vectors,
            nowhere,
            np.zeros((count, 4)),
            nowhere,
        )

    # --- batches

    def normalise(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std

    def batch(self, random: np.random.Generator) -> Batch:
        """Training tiles with jitter and absent bands; the chips' share comes from the chips."""
        size = self.config.batch
        counts = [round(size * chips.share) for chips in self.config.chips]
        counts = [size - sum(counts), *counts]
        parts = [
            _drawn(tiles, count, random) for tiles, count in zip((self.training, *self.chips), counts, strict=True)
        ]
        images, present, gsd_m, teacher = (torch.cat(items) for items in zip(*parts, strict=True))
        present = some_absent(present, self.config.jitter, random, self.others)
        images = jittered(images, self.config.jitter, self._is_optical, random)
        images = self.normalise(images) * present[:, :, None, None]
        return Batch(images, gsd_m, present, teacher)

    @property
    def others(self) -> NDArray[np.float32] | None:
        """(band,) 1 for the bands that the teacher does not read, where a student of all its bands has such; else None."""
        roles = [band.role for band in self.teacher.card.bands]
        is_other = np.array(
            [not any(is_same_role(role_of(band) or band, role) for role in roles) for band in self.bands]
        )
        return is_other.astype(np.float32) if is_other.any() and not is_other.all() else None

    def whole(self, tiles: Tiles, rows: slice, kept: NDArray[np.float32] | None = None) -> Batch:
        """Tiles as they are; only the bands that ``kept`` (band,) marks with 1."""
        present = torch.from_numpy(tiles.present[rows] if kept is None else tiles.present[rows] * kept)
        images = self.normalise(torch.from_numpy(tiles.student[rows]).float()) * present[:, :, None, None]
        return Batch(images, torch.from_numpy(tiles.gsd_m[rows]), present, torch.from_numpy(tiles.teacher[rows]))


def _check_teacher(teacher: ModelFolder) -> None:
    if not (teacher.has_file("text") or teacher.text_folder is not None):
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"{teacher.card.name} has no text tower: a student of it could not be asked in words.",
            "Choose another teacher.",
            model=teacher.card.id,
        )


def _too_little(places: Sequence[Place], tile_px: int) -> RasterError:
    side_m = tile_px * max((place.gsd_m for place in places), default=0.0)
    return RasterError(
        ErrorCode.RASTER_EMPTY if not places else ErrorCode.RASTER_MISMATCH,
        "The rasters share too little ground: "
        + (
            f"one part teaches and another one tests, each at least {side_m:,.0f} m wide."
            if places
            else "no valid pixel."
        ),
        "Give larger rasters, or more places.",
        tile_m=side_m,
    )


def probe_vectors(teacher: ModelFolder, words: Sequence[str]) -> NDArray[np.float32]:
    """(word, dim) of length 1: the words in the teacher's templates."""
    encoder = OnnxTextEncoder(teacher)
    return np.stack([phrase_vector(encoder.embed_texts, word, teacher.card.text.templates) for word in words])


def read_chips(path: Path, count: int, size_px: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """(n, px, px, 3) uint8: so many pictures of a zip, drawn without their classes.

    Raises:
        EngineError: the file is absent or no zip, or a picture in it is corrupt or of another size.
    """
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(item for item in archive.namelist() if item.lower().endswith((".jpg", ".png", ".jpeg")))
            chosen = np.sort(random.permutation(len(names))[:count])
            pixels = [
                np.asarray(Image.open(io.BytesIO(archive.read(names[at]))).convert("RGB"), dtype=np.uint8)
                for at in chosen
            ]
    except (OSError, zipfile.BadZipFile, UnidentifiedImageError) as problem:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"The pictures {path} cannot be read: {problem}.",
            "Check the data before training.",
            path=str(path),
        ) from problem
    if not pixels or any(item.shape != (size_px, size_px, 3) for item in pixels):
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"The pictures of {path} are not all {size_px} pixels wide and high, or there are none.",
            "Correct size_px, or the file.",
            path=str(path),
        )
    return np.stack(pixels)


def _drawn(tiles: Tiles, count: int, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = random.integers(0, len(tiles), count)
    return (
        torch.from_numpy(tiles.student[rows]).float(),
        torch.from_numpy(tiles.present[rows]),
        torch.from_numpy(tiles.gsd_m[rows]),
        torch.from_numpy(tiles.teacher[rows]),
    )
