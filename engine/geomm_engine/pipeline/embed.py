"""Embedding a layer: read, cut, encode, commit, chunk by chunk; what is committed is never computed again.

Reader threads keep one step ahead of the encoder. A chunk that cannot be read is counted and left undone, never zeros.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from geomm_engine.contract import EmbedParams, EmbedResult, ErrorCode, Level, Note
from geomm_engine.encoders.device import CPU, chosen_device, open_image_encoder
from geomm_engine.encoders.encoder import ImageEncoder
from geomm_engine.errors import AreaError, RasterError
from geomm_engine.grid import Chunk, TileGrid, Window, overlaps
from geomm_engine.index.store import ChunkData, EmbeddingIndex, has_embedding
from geomm_engine.pipeline import area as areas
from geomm_engine.pipeline.prepare import Prepared, prepare
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.raster.reader import RasterReader
from geomm_engine.raster.resample import cut

_READERS_CPU = 1
_READERS_GPU = 4
"""One thread reads several times faster than a processor encodes, and a second would only take its time; a GPU eats more."""
_AHEAD = 4
_ENCODE_BATCH = 64
_SPEED_FILE = "speed.json"
_FIRST_GUESS_TILES_S = 300.0


@dataclass(frozen=True)
class Tiles:
    """A chunk read and cut. ``images`` (n, band, px, px) for the cells that hold enough data, in reading order."""

    chunk: Chunk
    images: NDArray[np.float32]
    valid_share: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass
class Tally:
    """Counts of one run, by tiles."""

    embedded: int = 0
    empty: int = 0
    failed: int = 0
    first_problem: str = ""


def cache_folder() -> Path:
    """Where indexes and measured speeds are kept; ``GEOMM_CACHE`` overrides it."""
    return Path(os.environ.get("GEOMM_CACHE") or platformdirs.user_cache_path("geomm"))


def index_folder(prepared: Prepared, index_dir: str = "") -> Path:
    """The folder of this layer's index: as told, or the place kept for it."""
    if index_dir:
        return Path(index_dir)
    return cache_folder() / "index" / f"{prepared.name[:40]}-{prepared.manifest.key}.geomm"


def embed(params: EmbedParams) -> Job[EmbedResult]:
    """Make or complete the index of a layer.

    Raises:
        EngineError: what :func:`prepare`, the area, the device or the disk refuse.
    """
    prepared = prepare(params.source, params.model)
    run = EmbedRun(prepared, params)
    yield from run.all()
    return run.result()


class EmbedRun:
    """One embedding job that other verbs drive: first what is in view, then the rest."""

    def __init__(self, prepared: Prepared, params: EmbedParams) -> None:
        self.prepared = prepared
        self.area = areas.to_grid(params.area, prepared.grid)
        self.chunks = areas.chunks_touching(prepared.grid, self.area)
        self.index = EmbeddingIndex.create(index_folder(prepared, params.index_dir), prepared.manifest)
        done = self.index.done()
        self._todo = [chunk for chunk in self.chunks if chunk not in done]
        self._in_view = _in_view(prepared.grid, params, self._todo)
        self.encoder: ImageEncoder = open_image_encoder(prepared.folder, params.device, prepared.band_places)
        self._device_id = chosen_device(params.device)
        self._tally = Tally()
        self._started_s = time.monotonic()
        total = sum(tile_count(prepared.grid, chunk) for chunk in self.chunks)
        self._reused = total - sum(tile_count(prepared.grid, chunk) for chunk in self._todo)
        self._watch = Stopwatch("embed", total, self._reused)

    def limit(self, chunks: int) -> None:
        """Do no more than so many chunks; for measuring."""
        self._todo = self._todo[:chunks]

    def view_first(self) -> Job[bool]:
        """Embed what the person looks at; False where that is nothing or everything."""
        if not self._in_view or len(self._in_view) == len(self._todo):
            return False
        yield from self._embed(self._in_view)
        in_view = set(self._in_view)
        self._todo = [chunk for chunk in self._todo if chunk not in in_view]
        return True

    def all(self) -> Job[None]:
        """Embed what is still to do.

        Raises:
            RasterError: not one chunk of the run could be read.
        """
        in_view = set(self._in_view)
        yield from self._embed(sorted(self._todo, key=lambda chunk: chunk not in in_view))
        if self._tally.failed and not self._tally.embedded and not self._reused:
            raise RasterError(
                ErrorCode.RASTER_UNREADABLE,
                f"No block of tiles could be read whole. {self._tally.first_problem}",
                "Check that the file is complete (download or copy it again).",
            )
        if self._tally.embedded:
            _remember_speed(self.prepared.card.id, self._device_id, self._tally.embedded, self._watch)

    def _embed(self, chunks: Iterable[Chunk]) -> Job[None]:
        with self.prepared.reading() as reader:
            readers = _READERS_CPU if self._device_id == CPU else _READERS_GPU
            for item in _read_ahead(self.prepared, reader, chunks, readers):
                if isinstance(item, Failure):
                    count = tile_count(self.prepared.grid, item.chunk)
                    self._tally.failed += count
                    self._tally.first_problem = self._tally.first_problem or item.problem
                    yield self._watch.step(count)
                    continue
                vectors = []
                for at in range(0, len(item.images), _ENCODE_BATCH):
                    batch = item.images[at : at + _ENCODE_BATCH]
                    vectors.append(self.encoder.embed_images(batch, self.prepared.grid.gsd_m))
                    yield self._watch.step(len(batch))
                self._commit(item, vectors)
                empty = item.valid_share.size - len(item.images)
                self._tally.embedded += len(item.images)
                self._tally.empty += empty
                if empty:
                    yield self._watch.step(empty)

    def _commit(self, tiles: Tiles, vectors: list[NDArray[np.float32]]) -> None:
        block = np.zeros((*tiles.valid_share.shape, self.prepared.card.dim), dtype=np.float32)
        if vectors:
            block[has_embedding(tiles.valid_share)] = np.concatenate(vectors)
        self.index.write(tiles.chunk, ChunkData(block, tiles.valid_share, tiles.mask))

    def result(self) -> EmbedResult:
        notes = list(self.prepared.notes)
        if self._tally.failed:
            text = f"{self._tally.failed} tiles could not be read and are left out. {self._tally.first_problem}"
            notes.append(Note("tiles_failed", Level.AMBER, text, {"count": self._tally.failed}))
        if self.encoder.fallback_reason:
            text = f"Ran on the processor: {self.encoder.fallback_reason}."
            notes.append(Note("device_fallback", Level.AMBER, text, {"reason": self.encoder.fallback_reason}))
        return EmbedResult(
            index_dir=str(self.index.path),
            tiles_total=self._watch.total,
            tiles_embedded=self._tally.embedded,
            tiles_reused=self._reused,
            tiles_empty=self._tally.empty,
            tiles_failed=self._tally.failed,
            elapsed_s=round(time.monotonic() - self._started_s, 3),
            device=self.encoder.device,
            notes=tuple(notes),
        )


def tile_count(grid: TileGrid, chunk: Chunk) -> int:
    rows, cols = grid.chunk_shape_yx(chunk)
    return rows * cols


def _in_view(grid: TileGrid, params: EmbedParams, todo: list[Chunk]) -> list[Chunk]:
    try:
        view = areas.to_grid(params.view, grid)
    except AreaError:
        return []
    if view is None:
        return []
    return [chunk for chunk in todo if overlaps(grid.chunk_bounds_xyxy(chunk), view.bounds)]


@dataclass(frozen=True)
class Failure:
    chunk: Chunk
    problem: str


def _read_ahead(
    prepared: Prepared, reader: RasterReader, chunks: Iterable[Chunk], readers: int
) -> Iterator[Tiles | Failure]:
    """The chunks in order, read by threads a few chunks ahead of whoever consumes them."""
    waiting: deque[tuple[Chunk, Future[Tiles]]] = deque()
    source = iter(chunks)
    with ThreadPoolExecutor(readers, thread_name_prefix="geomm-reader") as pool:
        try:
            while True:
                while len(waiting) < _AHEAD and (chunk := next(source, None)) is not None:
                    waiting.append((chunk, pool.submit(read_tiles, prepared, reader, chunk)))
                if not waiting:
                    return
                chunk, future = waiting.popleft()
                try:
                    yield future.result()
                except RasterError as problem:
                    yield Failure(chunk, problem.text)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def read_tiles(prepared: Prepared, reader: RasterReader, chunk: Chunk) -> Tiles:
    """Read a chunk's block of pixels once, and cut its tiles out of it.

    Raises:
        RasterError: the pixels cannot be read.
    """
    grid, step = prepared.grid, prepared.step
    rows, cols = grid.chunk_shape_yx(chunk)
    cells = [(chunk.first_row + row, chunk.first_col + col) for row in range(rows) for col in range(cols)]
    windows = [_scaled(grid.tile_window(row, col), step) for row, col in cells]
    top, left = (math.floor(min(getattr(w, axis) for w in windows)) - 1 for axis in ("y", "x"))
    bottom = math.ceil(max(w.y + w.height for w in windows)) + 1
    right = math.ceil(max(w.x + w.width for w in windows)) + 1
    block = reader.read(top, left, bottom - top, right - left, step)
    pixels = prepared.radiometry.apply(block.values)
    images = np.empty((len(cells), len(prepared.bands), grid.tile_px, grid.tile_px), dtype=np.float32)
    shares = np.zeros(len(cells), dtype=np.float32)
    for at, window in enumerate(windows):
        own = Window(window.y - top, window.x - left, window.height, window.width)
        images[at], shares[at] = cut(pixels, block.valid, own, grid.tile_px)
    kept = has_embedding(shares)
    mask = _map_mask(grid, chunk, block.valid, (top, left), step)
    return Tiles(chunk, images if kept.all() else images[kept], shares.reshape(rows, cols), mask)


def _scaled(window: Window, step: int) -> Window:
    return Window(window.y / step, window.x / step, window.height / step, window.width / step)


def _map_mask(
    grid: TileGrid, chunk: Chunk, valid: NDArray[np.bool_], origin: tuple[int, int], step: int
) -> NDArray[np.bool_]:
    """(rows × detail, cols × detail) bool: map pixels that begin inside the raster and whose middle holds data.

    Where the middle lies beyond the raster's edge, its last pixel speaks for it.
    """
    shape, axes = grid.chunk_shape_yx(chunk), []
    for axis, first in enumerate((chunk.first_row, chunk.first_col)):
        stride, detail, size = grid.stride_yx_px[axis], grid.detail_yx[axis], grid.pixels.shape_yx[axis]
        begin = (first * detail + np.arange(shape[axis] * detail)) * (stride / detail)
        middle = np.minimum(begin + stride / detail / 2, size - 0.5)
        place = np.clip(np.floor(middle / step).astype(int) - origin[axis], 0, valid.shape[axis] - 1)
        axes.append((place, begin < size))
    (rows, rows_in), (cols, cols_in) = axes
    return np.asarray(valid[np.ix_(rows, cols)] & rows_in[:, None] & cols_in[None, :])


def known_speed(model: str, device: str) -> float:
    """Tiles a second that this machine reached with this model last time; a guess before the first time."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        speeds = json.loads((cache_folder() / _SPEED_FILE).read_text(encoding="utf-8"))
        return float(speeds[f"{model}|{device}"])
    return _FIRST_GUESS_TILES_S


def _remember_speed(model: str, device: str, embedded: int, watch: Stopwatch) -> None:
    rate = watch.step(0).rate
    path = cache_folder() / _SPEED_FILE
    if embedded < _ENCODE_BATCH or rate <= 0:
        return
    with suppress(OSError, ValueError):
        speeds = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        speeds[f"{model}|{device}"] = round(rate, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(speeds), encoding="utf-8")
