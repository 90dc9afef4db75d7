"""What a person marked as the same or different: class folders of pictures, or pairs of tiles of an embedded layer."""

from __future__ import annotations

import csv
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from geomm_engine.contract import ContractError, ErrorCode, decode
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.device import CPU, open_image_encoder
from geomm_engine.errors import EngineError
from geomm_engine.grid import Window
from geomm_engine.index.store import EmbeddingIndex
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.raster.resample import cut

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
FEWEST = 4
_COLUMNS = ("row_a", "col_a", "row_b", "col_b", "same")


@dataclass(frozen=True)
class SimilarityConfig:
    """Either ``folders`` (class folders of 8-bit pictures with pixels of ``gsd_m``), or ``index`` and ``marks``: a CSV file
    with the columns row_a, col_a, row_b, col_b, same (1 or 0), which name tiles of an embedded layer.

    ``stay`` holds the head near the identity; ``most`` pictures of a folder are read.
    """

    id: str
    model: str = ""
    name: str = ""
    folders: str = ""
    gsd_m: float = 10.0
    index: str = ""
    marks: str = ""
    seed: int = 1
    steps: int = 300
    batch: int = 128
    learning_rate: float = 3e-3
    temperature: float = 0.1
    stay: float = 1e-4
    check_every: int = 25
    most: int = 200


@dataclass(frozen=True)
class Marked:
    """``vectors`` (n, dim) unit vectors, ``groups`` (n,); ``same`` and ``known`` (n, n) bool: partners, and the pairs that
    anything is known of."""

    vectors: NDArray[np.float32]
    groups: NDArray[np.int64]
    names: tuple[str, ...]
    same: NDArray[np.bool_]
    known: NDArray[np.bool_]

    def subset(self, rows: NDArray[np.int64]) -> Marked:
        place = np.ix_(rows, rows)
        return Marked(self.vectors[rows], self.groups[rows], self.names, self.same[place], self.known[place])


def read_similarity_config(path: Path) -> SimilarityConfig:
    """The configuration in a TOML or JSON file.

    Raises:
        EngineError: the file cannot be read, or a field is unknown or makes no sense.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return checked(decode(SimilarityConfig, values, "config"))
    except (OSError, ValueError, ContractError) as problem:
        raise _wrong(f"The configuration {path} cannot be used: {problem}.", "Correct the file.") from problem


def checked(config: SimilarityConfig) -> SimilarityConfig:
    """The configuration itself, if it makes sense.

    Raises:
        EngineError: it does not.
    """
    if bool(config.folders) == bool(config.index and config.marks):
        raise _wrong(
            "It is not said what is the same and what is different.",
            "Give class folders (--folders), or an embedded layer and marks (--index, --marks).",
        )
    if min(config.steps, config.batch, config.check_every, config.most) < 1 or config.temperature <= 0:
        raise _wrong("steps, batch, check_every, most and temperature must be above 0.", "Correct them.")
    return config


def _wrong(text: str, cure: str) -> EngineError:
    return EngineError(ErrorCode.FOLDER_INVALID, text, cure)


def load_marked(config: SimilarityConfig, model: ModelFolder, data: Path) -> Job[Marked]:
    """The vectors of what was marked.

    Raises:
        EngineError: there are fewer than two groups, too few pictures of one, or a picture is corrupt.
    """
    if config.folders:
        marked = yield from _of_folders(config, model, data / config.folders)
    else:
        marked = _of_marks(config, model, data)
    count = np.bincount(marked.groups)
    few = [name for name, number in zip(marked.names, count, strict=True) if number < FEWEST]
    if len(marked.names) < 2 or few:
        raise _wrong(
            f"There are {len(marked.names)} groups"
            + (f"; {', '.join(few[:5])} have fewer than {FEWEST} members." if few else "."),
            f"Mark at least two groups with {FEWEST} members each.",
        )
    return marked


def _of_folders(config: SimilarityConfig, model: ModelFolder, folder: Path) -> Job[Marked]:
    found = {
        path.name: [item for item in sorted(path.iterdir()) if item.suffix.lower() in SUFFIXES][: config.most]
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.is_dir()
    }
    found = {name: files for name, files in found.items() if files}
    encoder = open_image_encoder(model, CPU)
    watch = Stopwatch("embed", sum(map(len, found.values())))
    vectors, groups = [], []
    for group, files in enumerate(found.values()):
        for path in files:
            tile, gsd_m = picture_tile(path, config.gsd_m, model)
            vectors.append(encoder.embed_images(tile[None], gsd_m)[0])
            groups.append(group)
            yield watch.step()
    label = np.array(groups, dtype=np.int64)
    return Marked(
        np.array(vectors, dtype=np.float32).reshape(len(label), model.card.dim), label, tuple(found),
        label[:, None] == label, np.ones((len(label), len(label)), dtype=bool),
    )  # fmt: skip


def picture_tile(path: Path, gsd_m: float, model: ModelFolder) -> tuple[NDArray[np.float32], float]:
    """The middle square of an 8-bit picture as one tile (3, px, px), and its ground pixel in metres.

    Raises:
        EngineError: it is no picture.
    """
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0
    except (OSError, UnidentifiedImageError) as problem:
        raise _wrong(f"The picture {path} is corrupt: {problem}.", "Take it out, or copy it again.") from problem
    height, width = pixels.shape[:2]
    side = min(height, width)
    tile_px = model.card.scale_for(gsd_m)[0].tile_px
    window = Window((height - side) / 2, (width - side) / 2, side, side)
    tile, _ = cut(np.moveaxis(pixels, 2, 0), np.ones((height, width), dtype=bool), window, tile_px)
    return tile, gsd_m * side / tile_px


def _of_marks(config: SimilarityConfig, model: ModelFolder, data: Path) -> Marked:
    """Tiles that are joined by "same" form a group; only marked pairs of groups count as different."""
    path = data / config.marks
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [tuple(int(line[name]) for name in _COLUMNS) for line in csv.DictReader(stream)]
    except (OSError, KeyError, TypeError, ValueError) as problem:
        raise _wrong(
            f"The marks {path} cannot be read: {problem}.", f"Give a CSV file with the columns {', '.join(_COLUMNS)}."
        ) from problem
    index = EmbeddingIndex.open(data / config.index)
    if index.manifest.vectors_sha256 != model.vectors_sha256:
        raise EngineError(
            ErrorCode.INDEX_INCOMPATIBLE,
            f"The layer was embedded by {index.manifest.model_id}, not by {model.card.id}.",
            "Embed it again, or choose that model.",
        )
    tiles = list(dict.fromkeys(cell for row in rows for cell in (row[:2], row[2:4])))
    place = {cell: at for at, cell in enumerate(tiles)}
    parent = list(range(len(tiles)))

    def root(at: int) -> int:
        while parent[at] != at:
            at = parent[at]
        return at

    for row in rows:
        if row[4]:
            parent[root(place[row[:2]])] = root(place[row[2:4]])
    roots = [root(at) for at in range(len(tiles))]
    names = sorted(set(roots))
    groups = np.array([names.index(item) for item in roots], dtype=np.int64)
    differ = np.zeros((len(names), len(names)), dtype=bool)
    for row in rows:
        if not row[4]:
            first, second = groups[place[row[:2]]], groups[place[row[2:4]]]
            differ[first, second] = differ[second, first] = True
    if differ.diagonal().any():
        raise _wrong(f"{path} marks tiles as different that are the same by other marks.", "Correct the marks.")
    same = groups[:, None] == groups
    known = same | differ[groups][:, groups]
    vectors = np.stack([_vector(index, row, col) for row, col in tiles])
    return Marked(vectors, groups, tuple(f"group {at + 1}" for at in range(len(names))), same, known)


def _vector(index: EmbeddingIndex, row: int, col: int) -> NDArray[np.float32]:
    rows, cols = index.grid.shape_yx
    if not (0 <= row < rows and 0 <= col < cols):
        raise _wrong(
            f"There is no tile in row {row}, column {col}.", f"The layer has {rows} rows and {cols} columns of tiles."
        )
    return np.asarray(index.read(row, col, 1, 1).vectors[0, 0], dtype=np.float32)


def split(marked: Marked, seed: int) -> tuple[Marked, Marked, Marked]:
    """Half of every group teaches, a quarter chooses, a quarter tests; each part has at least one of every group."""
    random = np.random.default_rng(seed)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for group in range(len(marked.names)):
        rows = random.permutation(np.flatnonzero(marked.groups == group))
        quarter = max(1, len(rows) // 4)
        parts[1].extend(rows[:quarter])
        parts[2].extend(rows[quarter : 2 * quarter])
        parts[0].extend(rows[2 * quarter :])
    first, second, third = (marked.subset(np.sort(np.array(rows, dtype=np.int64))) for rows in parts)
    return first, second, third
