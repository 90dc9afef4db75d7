"""The embedding index: vectors on the tile lattice of one raster, one model, one tiling and one radiometry.

A folder in Zarr v3 format. A chunk of 16 × 16 cells is at once the unit of commit and of resume: its vectors and its
mask are written first, its valid shares last, each file by an atomic rename, so a chunk with valid shares is complete.
Knows no raster and no model; speaks in arrays and :class:`TileGrid`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from affine import Affine
from numpy.typing import NDArray

from geomm_engine.contract import ContractError, ErrorCode, decode, encode
from geomm_engine.errors import StoreError, writing
from geomm_engine.grid import CHUNK_CELLS, Chunk, PixelGrid, TileGrid

FORMAT = 2
_GROUP_FILE = "zarr.json"
_TOLD = ("model_version", "software")
_MIN_VALID_SHARE = 0.5


@dataclass(frozen=True)
class Manifest:
    """What an index was made of; two runs with equal manifests share their chunks. Plain values only.

    ``vectors_sha256`` stands for all of the model that decides a vector. The versions of model and software are told, not
    compared: a release with better words finds the vectors that are there.
    """

    format: int
    model_id: str
    model_version: str
    vectors_sha256: str
    space_id: str
    dim: int
    paths: tuple[str, ...]
    roles: tuple[str, ...]
    source_fingerprint: str
    unit: str
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    radiometry_text: str
    crs_wkt: str
    transform: tuple[float, float, float, float, float, float]
    shape_yx: tuple[int, int]
    stride_yx_px: tuple[int, int]
    tile_px: int
    pixel_m_yx: tuple[float, float]
    row_stretch: tuple[tuple[float, float], ...]
    software: str

    @property
    def key(self) -> str:
        """Short name of everything that decides a vector."""
        decisive = {name: value for name, value in encode(self).items() if name not in _TOLD}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def made_by(self) -> str:
        """The model that embedded, for a person."""
        return f"{self.model_id} {self.model_version}"

    @property
    def grid(self) -> TileGrid:
        pixels = PixelGrid(self.crs_wkt, Affine(*self.transform), self.shape_yx)
        return TileGrid(pixels, self.stride_yx_px, self.tile_px, self.pixel_m_yx, self.row_stretch)


@dataclass(frozen=True)
class ChunkData:
    """One chunk's worth of an index.

    Attributes:
        vectors: (rows, cols, dim), each of length 1, or 0 where there is no embedding.
        valid_share: (rows, cols) float32, share of a tile's pixels that hold data; NaN where not computed.
        mask: (rows × detail_y, cols × detail_x) bool, map pixels that hold data.
    """

    vectors: NDArray[np.float32]
    valid_share: NDArray[np.float32]
    mask: NDArray[np.bool_]


class EmbeddingIndex:
    """Vectors on disk. Use :meth:`create` or :meth:`open`."""

    def __init__(self, path: Path, manifest: Manifest, group: zarr.Group) -> None:
        self.path = path
        self.manifest = manifest
        self.grid = manifest.grid
        self._vectors = _array(group, "embedding")
        self._valid = _array(group, "valid_share")
        self._mask = _array(group, "mask")

    @classmethod
    def create(cls, path: Path, manifest: Manifest) -> EmbeddingIndex:
        """Open the index at ``path`` when it holds this manifest, make it when there is none.

        Raises:
            StoreError: something else lies there.
            OutputError: the folder cannot be written.
        """
        if (path / _GROUP_FILE).exists():
            found = cls.open(path)
            if found.manifest.key != manifest.key:
                raise StoreError(
                    ErrorCode.INDEX_INCOMPATIBLE,
                    f"The index {path} was made {_difference(found.manifest, manifest)}.",
                    "Choose another folder for the index, or delete this one.",
                    path=str(path),
                )
            return found
        with writing(path):
            if path.exists() and any(path.iterdir()):
                raise StoreError(
                    ErrorCode.INDEX_INCOMPATIBLE,
                    f"The folder {path} is not empty and holds no index.",
                    "Choose an empty or a new folder for the index.",
                    path=str(path),
                )
            _make(path, manifest)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> EmbeddingIndex:
        """An index that exists.

        Raises:
            StoreError: there is none at ``path``, or it was made by another version of the format.
        """
        try:
            group = zarr.open_group(path, mode="r+")
        except (OSError, KeyError, ValueError) as problem:
            raise StoreError(
                ErrorCode.INDEX_MISSING,
                f"There is no index in {path}.",
                "Make one with “geomm embed RASTER --index DIR”, or choose the folder that holds it.",
                path=str(path),
            ) from problem
        about = group.attrs.asdict().get("geomm")
        found = about.get("format") if isinstance(about, dict) else None
        if found != FORMAT:
            raise StoreError(
                ErrorCode.INDEX_INCOMPATIBLE,
                f"The index {path} has format {found}; this engine reads {FORMAT}."
                if found
                else f"The folder {path} holds a Zarr group that is no index.",
                "Choose another folder for the index.",
                path=str(path),
            )
        try:
            manifest = decode(Manifest, about, "manifest")
        except ContractError as problem:
            raise _damaged(path, problem) from problem
        return cls(path, manifest, group)

    def done(self) -> set[Chunk]:
        """The chunks that are committed."""
        with _decoding(self.path):
            corners = np.isfinite(np.asarray(self._valid[::CHUNK_CELLS, ::CHUNK_CELLS]))
        return {Chunk(int(row), int(col)) for row, col in zip(*np.nonzero(corners), strict=True)}

    def write(self, chunk: Chunk, data: ChunkData) -> None:
        """Commit a chunk.

        Raises:
            OutputError: the disk is full or not writable; the chunk then counts as not done.
        """
        rows, cols = self._cells(chunk)
        detail_rows, detail_cols = self._details(chunk)
        with writing(self.path):
            self._vectors[rows, cols] = data.vectors.astype(np.float16)
            self._mask[detail_rows, detail_cols] = data.mask.astype(np.uint8)
            self._valid[rows, cols] = data.valid_share

    def read(self, first_row: int, first_col: int, rows: int, cols: int) -> ChunkData:
        """A block of cells, cut at the lattice's edges."""
        span_rows, span_cols = slice(first_row, first_row + rows), slice(first_col, first_col + cols)
        detail_y, detail_x = self.grid.detail_yx
        mask_rows = slice(first_row * detail_y, (first_row + rows) * detail_y)
        mask_cols = slice(first_col * detail_x, (first_col + cols) * detail_x)
        with _decoding(self.path):
            return ChunkData(
                np.asarray(self._vectors[span_rows, span_cols], dtype=np.float32),
                np.asarray(self._valid[span_rows, span_cols], dtype=np.float32),
                np.asarray(self._mask[mask_rows, mask_cols], dtype=bool),
            )

    def blocks(self, chunks: set[Chunk] | None = None) -> Iterator[tuple[Chunk, ChunkData]]:
        """The committed chunks (all, or those named), in reading order."""
        for chunk in sorted(self.done() if chunks is None else chunks, key=lambda item: (item.row, item.col)):
            yield chunk, self.read(chunk.first_row, chunk.first_col, CHUNK_CELLS, CHUNK_CELLS)

    def _cells(self, chunk: Chunk) -> tuple[slice, slice]:
        rows, cols = self.grid.chunk_shape_yx(chunk)
        return slice(chunk.first_row, chunk.first_row + rows), slice(chunk.first_col, chunk.first_col + cols)

    def _details(self, chunk: Chunk) -> tuple[slice, slice]:
        (rows, cols), (detail_y, detail_x) = self._cells(chunk), self.grid.detail_yx
        return (
            slice(rows.start * detail_y, rows.stop * detail_y),
            slice(cols.start * detail_x, cols.stop * detail_x),
        )


def has_embedding(valid_share: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which cells have a vector: computed, and at least half of the tile holds data."""
    return np.nan_to_num(valid_share, nan=0.0) >= _MIN_VALID_SHARE


def _array(group: zarr.Group, name: str) -> Any:
    return group[name]


def _make(path: Path, manifest: Manifest) -> None:
    """Make an empty index; it appears whole or not at all, since half of one could neither be opened nor made again."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _make_arrays(draft, manifest)
        if path.exists():
            path.rmdir()
        draft.rename(path)
    except OSError:
        if not (path / _GROUP_FILE).exists():  # else somebody else was quicker, with the same or not: opening will tell
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _make_arrays(path: Path, manifest: Manifest) -> None:
    rows, cols = manifest.grid.shape_yx
    detail_y, detail_x = manifest.grid.detail_yx
    group = zarr.create_group(path)
    group.create_array(
        "embedding",
        shape=(rows, cols, manifest.dim),
        chunks=(CHUNK_CELLS, CHUNK_CELLS, manifest.dim),
        dtype="float16",
        fill_value=0.0,
        dimension_names=("row", "col", "dim"),
    )
    group.create_array(
        "mask",
        shape=(rows * detail_y, cols * detail_x),
        chunks=(CHUNK_CELLS * detail_y, CHUNK_CELLS * detail_x),
        dtype="uint8",
        fill_value=0,
        dimension_names=("y", "x"),
    )
    group.create_array(
        "valid_share",
        shape=(rows, cols),
        chunks=(CHUNK_CELLS, CHUNK_CELLS),
        dtype="float32",  # a share just below one half must not be rounded up to it
        fill_value=np.nan,
        dimension_names=("row", "col"),
    )
    group.attrs["geomm"] = encode(manifest)


def _damaged(path: Path, problem: Exception) -> StoreError:
    return StoreError(
        ErrorCode.INDEX_INCOMPATIBLE,
        f"The index {path} is damaged: {problem}.",
        "Delete this folder and embed the raster again.",
        path=str(path),
    )


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as problem:
        raise _damaged(path, problem) from problem


def _difference(found: Manifest, wanted: Manifest) -> str:
    if found.vectors_sha256 != wanted.vectors_sha256:
        return f"by another model ({found.made_by})"
    if found.paths != wanted.paths or found.source_fingerprint != wanted.source_fingerprint:
        return "from another raster, or the raster has changed since"
    return f"with other settings ({found.radiometry_text})"
