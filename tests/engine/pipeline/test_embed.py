"""A tile's vector depends on its pixels and the card alone; what is done is kept, what fails is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window as FileWindow

from geomm_engine.contract import Area, EmbedParams, ErrorCode, Level
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import EngineError, RasterError, StoreError
from geomm_engine.grid import Chunk
from geomm_engine.index.store import EmbeddingIndex, has_embedding
from geomm_engine.pipeline import embed as embedding
from geomm_engine.pipeline.embed import EmbedRun, embed, known_speed
from geomm_engine.pipeline.prepare import prepare
from geomm_engine.progress import run
from tests.engine.conftest import color_raster
from tests.engine.pipeline.asking import embedded, everything, source
from tests.engine.raster.drawing import UTM, random_bands, write, write_damaged
from tests.engine.tiny_model import write_tiny_model

STRIDE = 16


def noise(folder: Path, height: int = 330, width: int = 400, **options) -> Path:
    """No two places alike."""
    options = {"photometric": "rgb"} | options
    return write(folder / "bruit été.tif", random_bands(3, height, width), **options)


def cropped(path: Path, y: int, x: int, height: int, width: int) -> Path:
    target = path.with_name(f"crop {y} {x}.tif")
    with rasterio.open(path) as whole:
        window = FileWindow(x, y, width, height)
        profile = whole.profile | {"height": height, "width": width, "transform": whole.window_transform(window)}
        with rasterio.open(target, "w", **profile) as part:
            part.write(whole.read(window=window))
    return target


@pytest.mark.parametrize(("y", "x"), [(16, 0), (48, 80), (0, 16)])
def test_a_crop_gives_the_same_vectors(folder: Path, tiny_model: str, y: int, x: int) -> None:
    path = noise(folder)
    part = cropped(path, y, x, 200, 250)
    embedded(path, tiny_model, folder / "whole")
    embedded(part, tiny_model, folder / "part")
    whole, cut = everything(folder / "whole").vectors, everything(folder / "part").vectors
    row, col = y // STRIDE, x // STRIDE
    np.testing.assert_array_equal(cut[1:11, 1:14], whole[row + 1 : row + 11, col + 1 : col + 14])


def test_a_crop_of_a_raster_that_is_averaged_gives_the_same_vectors(folder: Path, tmp_path: Path) -> None:
    """Pixels of 10 m for a model that begins at 36 m: a stride of 56, in steps of 2 that divide it, not of 3."""
    model = str(write_tiny_model(tmp_path / "coarse", gsd_min_m=36, gsd_max_m=100))
    path = noise(folder, 600, 600)
    prepared = prepare(source(path), model)
    assert prepared.grid.stride_yx_px == (56, 56)
    assert prepared.step == 2
    embedded(path, model, folder / "whole")
    embedded(cropped(path, 56, 112, 448, 448), model, folder / "part")
    whole, cut = everything(folder / "whole").vectors, everything(folder / "part").vectors
    np.testing.assert_allclose(cut[1:7, 1:7], whole[2:8, 3:9], atol=1e-3)


def test_an_area_gives_the_same_vectors(folder: Path, tiny_model: str) -> None:
    path = noise(folder)
    embedded(path, tiny_model, folder / "whole")
    area = Area(
        "POLYGON ((502700 4999900, 503900 4999900, 503900 4997500, 502700 4997500, 502700 4999900))", "EPSG:32633"
    )
    result = embedded(path, tiny_model, folder / "part", area=area)
    assert 0 < result.tiles_total < 21 * 25
    whole, part = everything(folder / "whole"), everything(folder / "part")
    done = has_embedding(part.valid_share)
    assert done.any()
    assert not done.all()
    np.testing.assert_array_equal(part.vectors[done], whole.vectors[done])


def test_a_tile_is_the_same_in_every_batch(tiny_model: str) -> None:
    encoder = OnnxImageEncoder(find_model(tiny_model))
    images = np.random.default_rng(0).random((70, 3, 32, 32), dtype=np.float32)
    together = encoder.embed_images(images, 10.0)
    order = np.random.default_rng(1).permutation(70)
    np.testing.assert_allclose(encoder.embed_images(images[order], 10.0), together[order], atol=1e-5)
    for at in (0, 63, 64, 69):
        np.testing.assert_allclose(encoder.embed_images(images[at : at + 1], 10.0)[0], together[at], atol=1e-5)


def test_the_order_of_chunks_does_not_matter(folder: Path, tiny_model: str) -> None:
    path = noise(folder)
    embedded(path, tiny_model, folder / "plain")
    view = Area(
        "POLYGON ((503500 4997000, 503900 4997000, 503900 4996800, 503500 4996800, 503500 4997000))", "EPSG:32633"
    )
    embedded(path, tiny_model, folder / "view", view=view)
    np.testing.assert_array_equal(everything(folder / "view").vectors, everything(folder / "plain").vectors)


def test_what_is_in_view_comes_first(folder: Path, tiny_model: str) -> None:
    view = Area(
        "POLYGON ((503500 4997000, 503900 4997000, 503900 4996800, 503500 4996800, 503500 4997000))", "EPSG:32633"
    )
    params = EmbedParams(source(noise(folder)), tiny_model, view=view, index_dir=str(folder / "index"))
    half_way = EmbedRun(prepare(params.source, params.model), params)
    job = half_way.all()
    while not half_way.index.done():
        next(job)
    assert half_way.index.done() == {Chunk(1, 1)}
    job.close()


def test_constant_in_constant_out(folder: Path, tiny_model: str) -> None:
    path = color_raster(folder / "plain.tif", np.zeros((270, 301), dtype=int), noise=0)
    embedded(path, tiny_model, folder / "index")
    vectors = everything(folder / "index").vectors
    np.testing.assert_array_equal(vectors, np.broadcast_to(vectors[0, 0], vectors.shape))
    assert np.linalg.norm(vectors[0, 0]) == pytest.approx(1, abs=2e-3)


def test_nodata_has_no_vector(folder: Path, tiny_model: str) -> None:
    values = random_bands(3, 256, 256)
    values[:, :, 128:] = 0
    path = write(folder / "half.tif", values, photometric="rgb", nodata=0)
    result = embedded(path, tiny_model, folder / "index")
    found = everything(folder / "index")
    np.testing.assert_array_equal(has_embedding(found.valid_share), np.broadcast_to(np.arange(16) < 8, (16, 16)))
    assert not found.vectors[:, 8:].any()
    assert (result.tiles_embedded, result.tiles_empty, result.tiles_total) == (128, 128, 256)
    np.testing.assert_array_equal(found.mask, np.broadcast_to(np.arange(128) < 64, (128, 128)))


def test_what_nodata_holds_does_not_matter(folder: Path, tiny_model: str) -> None:
    vectors = []
    for value in (0, 255):
        values = random_bands(3, 256, 256)
        values[values == value] = 100
        values[:, 50:90, 70:200] = value
        path = write(folder / f"{value}.tif", values, photometric="rgb", nodata=value)
        embedded(path, tiny_model, folder / f"index {value}")
        vectors.append(everything(folder / f"index {value}").vectors)
    np.testing.assert_array_equal(*vectors)


def test_a_second_run_computes_nothing(folder: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = noise(folder)
    first = embedded(path, tiny_model, folder / "index")
    assert (first.tiles_embedded, first.tiles_reused) == (21 * 25, 0)
    monkeypatch.setattr(OnnxImageEncoder, "embed_images", None)
    second = embedded(path, tiny_model, folder / "index")
    assert (second.tiles_embedded, second.tiles_reused, second.tiles_total) == (0, 21 * 25, 21 * 25)


def test_cancelling_keeps_what_is_committed(folder: Path, tiny_model: str) -> None:
    params = EmbedParams(source(noise(folder)), tiny_model, index_dir=str(folder / "index"))
    job = embed(params)
    while not (folder / "index").exists() or not EmbeddingIndex.open(folder / "index").done():
        next(job)
    job.close()
    done = EmbeddingIndex.open(folder / "index").done()
    assert 1 <= len(done) < 4
    result = embedded(folder / "bruit été.tif", tiny_model, folder / "index")
    assert result.tiles_reused > 0
    assert result.tiles_reused + result.tiles_embedded == 21 * 25
    embedded(folder / "bruit été.tif", tiny_model, folder / "plain")
    np.testing.assert_array_equal(everything(folder / "index").vectors, everything(folder / "plain").vectors)


def test_a_damaged_part_is_told_and_left_undone(folder: Path, tiny_model: str) -> None:
    path = write_damaged(folder / "abîmé.tif", side=512)
    result = embedded(path, tiny_model, folder / "index")
    assert result.tiles_failed > 0
    assert result.tiles_embedded > 0
    assert result.tiles_embedded + result.tiles_failed == result.tiles_total
    note = next(note for note in result.notes if note.code == "tiles_failed")
    assert note.level is Level.AMBER
    assert "abîmé.tif" in note.text
    index = EmbeddingIndex.open(folder / "index")
    assert 0 < len(index.done()) < 4
    assert not everything(folder / "index").vectors[-1].any()


def test_a_mended_file_is_another_raster(folder: Path, tiny_model: str) -> None:
    path = write_damaged(folder / "abîmé.tif", side=512)
    embedded(path, tiny_model, folder / "index")
    write(path, random_bands(3, 512, 512), photometric="rgb")
    with pytest.raises(StoreError) as caught:
        embedded(path, tiny_model, folder / "index")
    assert caught.value.code is ErrorCode.INDEX_INCOMPATIBLE
    assert "changed" in caught.value.text


def test_nothing_readable_is_an_error(folder: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise RasterError(ErrorCode.RASTER_UNREADABLE, "The disk is scratched.")

    monkeypatch.setattr(embedding, "read_tiles", unreadable)
    with pytest.raises(RasterError) as caught:
        embedded(noise(folder), tiny_model, folder / "index")
    assert caught.value.code is ErrorCode.RASTER_UNREADABLE
    assert "The disk is scratched." in caught.value.text


def test_an_index_of_another_model_is_refused(folder: Path, tiny_model: str, tmp_path: Path) -> None:
    other = str(write_tiny_model(tmp_path / "other", tile_px=64))
    path = noise(folder)
    embedded(path, tiny_model, folder / "index")
    with pytest.raises(StoreError) as caught:
        embedded(path, other, folder / "index")
    assert caught.value.code is ErrorCode.INDEX_INCOMPATIBLE
    assert "another model" in caught.value.text


def test_an_index_has_a_place_of_its_own(folder: Path, tiny_model: str, tmp_path: Path) -> None:
    path = noise(folder)
    first, second = (run(embed(EmbedParams(source(path), tiny_model))) for _ in range(2))
    assert first.index_dir == second.index_dir
    assert Path(first.index_dir).is_relative_to(tmp_path / "cache é")
    assert second.tiles_reused == first.tiles_embedded


@pytest.mark.parametrize("device", ["gpu", "cuda:7", ""])
def test_an_unknown_device_is_refused(folder: Path, tiny_model: str, device: str) -> None:
    with pytest.raises(EngineError) as caught:
        embedded(noise(folder), tiny_model, folder / "index", device=device)
    assert caught.value.code is ErrorCode.DEVICE_UNAVAILABLE


def test_progress_never_goes_back_and_ends_at_the_total(folder: Path, tiny_model: str) -> None:
    values = random_bands(3, 330, 400)
    values[:, :, 200:] = 0
    path = write(folder / "half.tif", values, photometric="rgb", nodata=0)
    told = [
        (item.done, item.total)
        for item in embed(EmbedParams(source(path), tiny_model, index_dir=str(folder / "index")))
    ]
    done = [item[0] for item in told]
    assert done == sorted(done)
    assert told[-1] == (21 * 25, 21 * 25)


def test_speed_is_remembered(folder: Path, tiny_model: str) -> None:
    assert known_speed("tiny", "cpu") == 300
    embedded(noise(folder), tiny_model, folder / "index")
    assert (
        json.loads((embedding.cache_folder() / "speed.json").read_text())["tiny|cpu"] == known_speed("tiny", "cpu") > 0
    )


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (15, 17), (33, 31)])
def test_rasters_smaller_than_a_tile(folder: Path, tiny_model: str, size: tuple[int, int]) -> None:
    path = write(folder / "small.tif", random_bands(3, *size), photometric="rgb")
    result = embedded(path, tiny_model, folder / "index")
    assert result.tiles_embedded == result.tiles_total == -(-size[0] // 16) * -(-size[1] // 16)
    assert ("smaller_than_tile" in {note.code for note in result.notes}) == (min(size) < 32)
    assert everything(folder / "index").mask.any()


def test_pixels_too_coarse_are_refused_and_coarse_ones_noted(folder: Path, tiny_model: str) -> None:
    path = noise(folder, 64, 64, transform=UTM @ Affine.scale(4.1))
    with pytest.raises(RasterError) as caught:
        embedded(path, tiny_model, folder / "index")
    assert caught.value.code is ErrorCode.GSD_OUT_OF_RANGE
    assert "41 m" in caught.value.text
    path = noise(folder, 64, 64, transform=UTM @ Affine.scale(3))
    assert [note.code for note in embedded(path, tiny_model, folder / "index").notes] == ["gsd_coarse"]
