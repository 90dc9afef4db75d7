"""Zero-shot accuracy on a folder of class folders: the names of the folders, typed as text, against their images."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from geomm_engine.contract import ClassEntry, ErrorCode
from geomm_engine.encoders.card import Card
from geomm_engine.encoders.device import AUTO, open_image_encoder
from geomm_engine.encoders.encoder import unit
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import EngineError, WordsError
from geomm_engine.evaluation import metrics
from geomm_engine.grid import Window
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.raster.resample import cut
from geomm_engine.scoring.prompts import class_prompts
from geomm_engine.scoring.zero_shot import probabilities

_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
_BATCH = 64


@dataclass(frozen=True)
class ZeroShotReport:
    """Rows of ``confusion`` are truth, columns what was said; shares 0–1. ``prompts`` are the words that were used."""

    model: str
    model_version: str
    folder: str
    gsd_m: float
    classes: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]
    images: int
    top1: float
    top1_interval_95: tuple[float, float]
    macro_f1: float
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    unreadable: tuple[str, ...]


def evaluate_zero_shot(
    folder: Path, *, gsd_m: float, entries: Sequence[ClassEntry] = (), model: str = "", device: str = AUTO
) -> Job[ZeroShotReport]:
    """Top-1, macro F1 and confusion of the images found. An image larger than a tile is seen whole, averaged down, as
    long as its pixel stays within the model's range; beyond that it is cut into tiles whose vectors are averaged.

    Raises:
        EngineError: the folder holds no class folders with images, or names and class list do not match.
    """
    files = _files(folder)
    classes = sorted(files)
    words = _words(classes, entries)
    found = find_model(model)
    _check_gsd(gsd_m, found.card)
    prompts = class_prompts(OnnxTextEncoder(found).embed_texts, words, found.card.text.templates)
    encoder = open_image_encoder(found, device)
    watch = Stopwatch("evaluate", sum(map(len, files.values())))
    truth, said, unreadable = [], [], []
    for at, name in enumerate(classes):
        for start in range(0, len(files[name]), _BATCH):
            batch = files[name][start : start + _BATCH]
            vectors = []
            for path in batch:
                try:
                    tiles, seen_m = tiles_of(read_image(path), gsd_m, found.card)
                except (RasterioError, RasterioIOError, NotAPicture):
                    unreadable.append(str(path))
                    continue
                vectors.append((tiles, seen_m))
            if vectors:
                embedded = _embedded(encoder.embed_images, vectors)
                shares = probabilities(embedded, prompts, found.card.scoring.logit_scale, found.card.scoring.logit_bias)
                said.extend(shares.argmax(axis=1).tolist())
                truth.extend([at] * len(vectors))
            yield watch.step(len(batch))
    if not truth:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"None of the {len(unreadable)} images in {folder} can be read as an 8-bit picture.",
            "Give JPEG, PNG or 8-bit TIFF pictures; classify multispectral rasters with “geomm classify”.",
            path=str(folder),
        )
    return _report(np.array(truth), np.array(said), classes, words, found.card, folder, gsd_m, unreadable)


def _check_gsd(gsd_m: float, card: Card) -> None:
    if not 0 < gsd_m <= card.gsd_max_m * 2:
        raise EngineError(
            ErrorCode.GSD_OUT_OF_RANGE,
            f"A ground pixel of {gsd_m:g} m is none that {card.name} reads ({card.gsd_min_m:g} to {card.gsd_max_m:g} m).",
            "Give the ground size of an image pixel in metres with --gsd-m.",
            gsd_m=gsd_m,
        )


def _embedded(
    embed: Callable[[NDArray[np.float32], float], NDArray[np.float32]],
    items: Sequence[tuple[NDArray[np.float32], float]],
) -> NDArray[np.float32]:
    """One vector an image; images of one tile and one ground pixel go through together."""
    if all(len(tiles) == 1 for tiles, _ in items) and len({(seen_m, tiles.shape) for tiles, seen_m in items}) == 1:
        return np.asarray(embed(np.concatenate([tiles for tiles, _ in items]), items[0][1]))
    return unit(np.stack([embed(tiles, seen_m).mean(axis=0) for tiles, seen_m in items]))


def _files(folder: Path) -> dict[str, list[Path]]:
    folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found = {path.name: sorted(item for item in path.iterdir() if item.suffix.lower() in _SUFFIXES) for path in folders}
    found = {name: files for name, files in found.items() if files}
    if len(found) < 2:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"{folder} does not hold at least two class folders with images.",
            "Give a folder with one sub-folder of JPEG, PNG or TIFF images for each class.",
            path=str(folder),
        )
    return found


def spoken(name: str) -> str:
    """A folder's name as a person would type it: "HerbaceousVegetation" → "herbaceous vegetation"."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-]+", " ", name)
    return " ".join(parts.split()).lower()


def _words(classes: Sequence[str], entries: Sequence[ClassEntry]) -> list[ClassEntry]:
    if not entries:
        return [ClassEntry(spoken(name)) for name in classes]
    plain = {_plain(words): entry for entry in entries for words in reversed((entry.name, *entry.synonyms))}
    missing = [name for name in classes if _plain(name) not in plain]
    if missing:
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID,
            f"The class list has no row for the folder{'s' if len(missing) > 1 else ''} {', '.join(missing)}.",
            "Give each folder a row of the same name.",
        )
    return [replace(plain[_plain(name)], is_negative=False) for name in classes]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


class NotAPicture(ValueError):
    """A raster whose numbers are no 8-bit colours."""


def read_image(path: Path) -> NDArray[np.float32]:
    """(3, h, w) float32, 0–1, of an 8-bit picture; grey is repeated.

    Raises:
        NotAPicture: the numbers are no 8-bit colours, or there are more than four bands.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            if dataset.dtypes[0] != "uint8" or dataset.count > 4:
                raise NotAPicture(f"{path} has {dataset.count} bands of type {dataset.dtypes[0]}")
            values = dataset.read([1, 2, 3] if dataset.count >= 3 else [1, 1, 1])
    return np.asarray(values / 255, dtype=np.float32)


def tiles_of(image: NDArray[np.float32], gsd_m: float, card: Card) -> tuple[NDArray[np.float32], float]:
    """(n, 3, px, px) tiles of an image and the ground pixel in metres that the model sees."""
    height, width = image.shape[1:]
    side = min(height, width)
    scale, seen_m = card.scale_for(gsd_m)
    whole_m = gsd_m * side / scale.tile_px
    valid = np.ones((height, width), dtype=bool)
    if side <= scale.tile_px or whole_m <= scale.gsd_max_m:
        window = Window((height - side) / 2, (width - side) / 2, side, side)
        return cut(image, valid, window, scale.tile_px)[0][None], max(whole_m, card.gsd_min_m)
    tile = scale.tile_px * seen_m / gsd_m
    starts_y, starts_x = (np.linspace(0, size - tile, max(1, round(size / tile))) for size in (height, width))
    tiles = [cut(image, valid, Window(y, x, tile, tile), scale.tile_px)[0] for y in starts_y for x in starts_x]
    return np.stack(tiles), seen_m


def _report(
    truth: NDArray[np.int64],
    said: NDArray[np.int64],
    classes: Sequence[str],
    words: Sequence[ClassEntry],
    card: Card,
    folder: Path,
    gsd_m: float,
    unreadable: Sequence[str],
) -> ZeroShotReport:
    confusion = metrics.confusion_matrix(truth, said, len(classes))
    scores = metrics.by_class(confusion)
    top1 = metrics.top_1(truth, said)
    return ZeroShotReport(
        model=card.id,
        model_version=card.version,
        folder=str(folder),
        gsd_m=gsd_m,
        classes=tuple(classes),
        prompts=tuple((entry.name, *entry.synonyms) for entry in words),
        images=len(truth),
        top1=top1,
        top1_interval_95=metrics.wilson_interval(round(top1 * len(truth)), len(truth)),
        macro_f1=metrics.macro_f1(confusion),
        precision=tuple(float(value) for value in scores.precision),
        recall=tuple(float(value) for value in scores.recall),
        f1=tuple(float(value) for value in scores.f1),
        confusion=tuple(tuple(int(value) for value in row) for row in confusion),
        unreadable=tuple(unreadable),
    )
