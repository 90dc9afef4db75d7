"""The index on disk: what is committed stays, what is not does not count, and nothing else is taken for an index."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from affine import Affine

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import OutputError, StoreError
from geomm_engine.grid import Chunk, PixelGrid, TileGrid
from geomm_engine.index import store
from geomm_engine.index.store import ChunkData, EmbeddingIndex, Manifest, has_embedding

DIM = 6
SHAPE = (16 * 40 + 5, 16 * 20)  # 41 × 20 cells of 16 pixels: 3 × 2 chunks, cut at both far edges


def manifest(**changes) -> Manifest:
    grid = TileGrid(PixelGrid("WKT é", Affine(10, 0, 5e5, 0, -10, 5e6), SHAPE), (16, 16), 32, (10.0, 10.0))
    plain = Manifest(
        format=store.FORMAT, model_id="tiny", model_version="1", vectors_sha256="abc", space_id="tiny-1", dim=DIM,
        paths=("/été/a b.tif",), roles=("0:1:red",), source_fingerprint="f", unit="display", gain=(1 / 255,), offset=(0.0,),
        radiometry_text="red", crs_wkt=grid.pixels.crs_wkt, transform=tuple(grid.pixels.transform)[:6], shape_yx=SHAPE,
        stride_yx_px=grid.stride_yx_px, tile_px=32, pixel_m_yx=grid.pixel_m_yx, row_stretch=(), software="test",
    )  # fmt: skip
    return replace(plain, **changes)


def data_of(index: EmbeddingIndex, chunk: Chunk, seed: int = 0) -> ChunkData:
    random = np.random.default_rng(seed + 100 * chunk.row + chunk.col)
    rows, cols = index.grid.chunk_shape_yx(chunk)
    vectors = random.normal(size=(rows, cols, DIM)).astype(np.float16).astype(np.float32)
    return ChunkData(vectors, random.random((rows, cols), dtype=np.float32), random.random((rows * 8, cols * 8)) > 0.5)


def fill(index: EmbeddingIndex) -> None:
    for chunk in index.grid.chunks():
        index.write(chunk, data_of(index, chunk))


def test_what_is_written_is_read_again(folder: Path) -> None:
    index = EmbeddingIndex.create(folder / "index", manifest())
    fill(index)
    again = EmbeddingIndex.open(folder / "index")
    assert again.manifest == manifest()
    for chunk, found in again.blocks():
        expected = data_of(index, chunk)
        np.testing.assert_array_equal(found.vectors, expected.vectors)
        np.testing.assert_array_equal(found.valid_share, expected.valid_share)
        np.testing.assert_array_equal(found.mask, expected.mask)


def test_a_block_may_span_chunks_and_is_cut_at_the_edges(folder: Path) -> None:
    index = EmbeddingIndex.create(folder / "index", manifest())
    fill(index)
    whole = index.read(0, 0, 100, 100)
    assert whole.vectors.shape == (41, 20, DIM)
    assert whole.mask.shape == (41 * 8, 20 * 8)
    part = index.read(14, 3, 10, 30)
    np.testing.assert_array_equal(part.vectors, whole.vectors[14:24, 3:])
    np.testing.assert_array_equal(part.mask, whole.mask[14 * 8 : 24 * 8, 3 * 8 :])


def test_only_committed_chunks_are_done(folder: Path) -> None:
    index = EmbeddingIndex.create(folder / "index", manifest())
    assert index.done() == set()
    chunks = [Chunk(2, 1), Chunk(0, 1)]
    for chunk in chunks:
        index.write(chunk, data_of(index, chunk))
    assert index.done() == set(chunks) == EmbeddingIndex.open(folder / "index").done()
    assert [chunk for chunk, _ in index.blocks()] == [Chunk(0, 1), Chunk(2, 1)]


def test_a_chunk_of_nothing_but_nodata_is_done(folder: Path) -> None:
    index = EmbeddingIndex.create(folder / "index", manifest())
    rows, cols = index.grid.chunk_shape_yx(Chunk(0, 0))
    index.write(
        Chunk(0, 0),
        ChunkData(
            np.zeros((rows, cols, DIM)), np.zeros((rows, cols), np.float32), np.zeros((rows * 8, cols * 8), bool)
        ),
    )
    assert index.done() == {Chunk(0, 0)}


def test_a_chunk_without_valid_shares_is_not_done(folder: Path) -> None:
    """They are written last: whatever is written before a crash does not count."""
    index = EmbeddingIndex.create(folder / "index", manifest())
    fill(index)
    (folder / "index" / "valid_share" / "c" / "1" / "0").unlink()
    again = EmbeddingIndex.open(folder / "index")
    assert again.done() == set(index.grid.chunks()) - {Chunk(1, 0)}
    assert not has_embedding(again.read(16, 0, 16, 16).valid_share).any()


def test_valid_shares_are_written_last(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = EmbeddingIndex.create(folder / "index", manifest())
    written = []
    for name in ("_vectors", "_mask", "_valid"):
        monkeypatch.setattr(index, name, Recorder(name, written))
    index.write(Chunk(0, 0), data_of(index, Chunk(0, 0)))
    assert written[-1] == "_valid"
    assert len(written) == 3


class Recorder:
    def __init__(self, name: str, written: list[str]) -> None:
        self._name, self._written = name, written

    def __setitem__(self, place: object, value: object) -> None:
        self._written.append(self._name)


def test_the_same_manifest_opens_what_is_there(folder: Path) -> None:
    index = EmbeddingIndex.create(folder / "index", manifest())
    fill(index)
    again = EmbeddingIndex.create(folder / "index", manifest(software="a later version", model_version="2"))
    assert again.done() == set(index.grid.chunks())


def test_an_empty_folder_becomes_an_index(folder: Path) -> None:
    (folder / "index").mkdir()
    EmbeddingIndex.create(folder / "index", manifest())
    assert EmbeddingIndex.open(folder / "index").done() == set()
    assert [path.name for path in folder.iterdir()] == ["index"]


CHANGES = {
    "vectors_sha256": "other", "paths": ("/b.tif",), "source_fingerprint": "g", "unit": "stretch", "gain": (0.5,),
    "offset": (0.1,), "roles": ("0:2:red",), "stride_yx_px": (8, 8), "tile_px": 64, "crs_wkt": "other",
    "row_stretch": ((1.0, 2.0),) * 41,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_an_index_of_something_else_is_refused(folder: Path, name: str) -> None:
    EmbeddingIndex.create(folder / "index", manifest())
    other = manifest(**{name: CHANGES[name]})
    assert other.key != manifest().key
    with pytest.raises(StoreError) as caught:
        EmbeddingIndex.create(folder / "index", other)
    assert caught.value.code is ErrorCode.INDEX_INCOMPATIBLE
    assert str(folder / "index") in caught.value.text
    assert caught.value.cure


@pytest.mark.parametrize("path", ["nothing", "text.txt", "text.txt/below"])
def test_no_index_is_missing(folder: Path, path: str) -> None:
    (folder / "text.txt").write_text("text", encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        EmbeddingIndex.open(folder / path)
    assert caught.value.code is ErrorCode.INDEX_MISSING


def test_a_folder_of_something_else_is_left_alone(folder: Path) -> None:
    (folder / "photos").mkdir()
    (folder / "photos" / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(StoreError) as caught:
        EmbeddingIndex.create(folder / "photos", manifest())
    assert caught.value.code is ErrorCode.INDEX_INCOMPATIBLE
    assert [path.name for path in (folder / "photos").iterdir()] == ["cat.jpg"]


def test_somebody_elses_zarr_group_is_left_alone(folder: Path) -> None:
    zarr.create_group(folder / "weather").attrs["temperature"] = 20
    with pytest.raises(StoreError) as caught:
        EmbeddingIndex.create(folder / "weather", manifest())
    assert caught.value.code is ErrorCode.INDEX_INCOMPATIBLE
    assert zarr.open_group(folder / "weather", mode="r").attrs["temperature"] == 20


def test_another_format_is_refused(folder: Path) -> None:
    EmbeddingIndex.create(folder / "index", manifest(format=store.FORMAT))
    group = zarr.open_group(folder / "index", mode="r+")
    group.attrs["geomm"] = group.attrs["geomm"] | {"format": store.FORMAT + 1}
    with pytest.raises(StoreError) as caught:
        EmbeddingIndex.open(folder / "index")
    assert caught.value.code is ErrorCode.INDEX_INCOMPATIBLE
    assert str(store.FORMAT + 1) in caught.value.text


def test_death_while_an_index_is_made_leaves_room_for_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an index would be neither opened nor made again."""

    def dying(path: Path, _: Manifest) -> None:
        zarr.create_group(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patched.setattr(store, "_make_arrays", dying)
        EmbeddingIndex.create(folder / "index", manifest())
    assert list(folder.iterdir()) == []
    EmbeddingIndex.create(folder / "index", manifest())


def test_whoever_comes_second_joins_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two engines make the same index at the same time."""
    make_arrays = store._make_arrays

    def slow(path: Path, wanted: Manifest) -> None:
        make_arrays(path, wanted)
        if not (folder / "index").exists():
            with monkeypatch.context() as patched:
                patched.setattr(os, "getpid", lambda: 1)
                patched.setattr(store, "_make_arrays", make_arrays)
                fill(EmbeddingIndex.create(folder / "index", wanted))

    monkeypatch.setattr(store, "_make_arrays", slow)
    assert len(EmbeddingIndex.create(folder / "index", manifest()).done()) == 6


@pytest.mark.parametrize("name", ["valid_share/c/0/0", "embedding/c/0/0/0", "mask/c/0/0"])
def test_a_damaged_file_is_named_as_such(folder: Path, name: str) -> None:
    fill(EmbeddingIndex.create(folder / "index", manifest()))
    (folder / "index" / name).write_bytes(b"no such thing")
    with pytest.raises(StoreError) as caught:  # noqa: PT012
        index = EmbeddingIndex.open(folder / "index")
        index.done()
        index.read(0, 0, 4, 4)
    assert caught.value.code is ErrorCode.INDEX_INCOMPATIBLE
    assert "damaged" in caught.value.text
    assert "Delete" in caught.value.cure


def test_a_share_just_below_one_half_stays_below(folder: Path) -> None:
    """Rounded up, a tile without a vector would get a class."""
    index = EmbeddingIndex.create(folder / "index", manifest())
    data = data_of(index, Chunk(0, 0))
    data.valid_share[:] = np.float32(25087 / 50176)
    index.write(Chunk(0, 0), data)
    assert not has_embedding(index.read(0, 0, 16, 16).valid_share).any()


def test_a_place_that_cannot_be_written_is_an_output_error(folder: Path) -> None:
    (folder / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        EmbeddingIndex.create(folder / "file" / "index", manifest())
    assert caught.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
    assert str(folder / "file" / "index") in caught.value.text


def test_a_full_disk_leaves_the_chunk_undone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = EmbeddingIndex.create(folder / "index", manifest())
    index.write(Chunk(0, 0), data_of(index, Chunk(0, 0)))

    class Full:
        def __setitem__(self, place: object, value: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("_vectors", "_mask", "_valid"):
        with monkeypatch.context() as patched:
            patched.setattr(index, name, Full())
            with pytest.raises(OutputError) as caught:
                index.write(Chunk(1, 1), data_of(index, Chunk(1, 1)))
            assert caught.value.code is ErrorCode.DISK_FULL
        assert index.done() == {Chunk(0, 0)}


def test_an_index_may_be_moved(folder: Path) -> None:
    fill(EmbeddingIndex.create(folder / "index", manifest()))
    shutil.move(folder / "index", folder / "ailleurs é")
    assert len(EmbeddingIndex.open(folder / "ailleurs é").done()) == 6


def test_has_embedding_needs_half_of_the_tile() -> None:
    shares = np.array([np.nan, 0, 0.49, 0.5, 1], np.float32)
    assert has_embedding(shares).tolist() == [False, False, False, True, True]
