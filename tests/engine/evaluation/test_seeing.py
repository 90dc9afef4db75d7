"""How pictures become tiles and vectors, at their own pixel and coarser; a tile's vector knows nothing of its batch."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geomm_engine.encoders.card import read_card
from geomm_engine.encoders.device import open_image_encoder
from geomm_engine.evaluation import seeing
from geomm_engine.evaluation.pictures import LabelledPictures, Picture, opened
from geomm_engine.evaluation.seeing import (
    band_statistics,
    coarsened,
    guessed_gsd,
    random_features,
    random_filters,
    see,
    tiles_of,
)
from geomm_engine.progress import run


def png(side: int, color: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), color).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def mixed(folder: Path) -> Path:
    """Pictures of several sizes, one of them damaged."""
    for at, name in enumerate(("a", "b")):
        (folder / "set" / name).mkdir(parents=True)
        for side in (16, 32, 40, 200):
            (folder / "set" / name / f"{side}.png").write_bytes(png(side, (60 + 100 * at, 60, side)))
    (folder / "set" / "b" / "bad.png").write_bytes(b"no picture")
    return folder / "set"


def test_large_images_are_cut_and_small_ones_seen_whole(tiny_model: str) -> None:
    card = read_card(Path(tiny_model)).card
    tiles, seen_m = tiles_of(np.full((3, 64, 64), 0.5, np.float32), 5.0, card)
    assert tiles.shape == (1, 3, 32, 32)
    assert seen_m == pytest.approx(10.0)
    tiles, seen_m = tiles_of(np.full((3, 128, 128), 0.5, np.float32), 15.0, card)
    assert tiles.shape == (16, 3, 32, 32)
    assert seen_m == pytest.approx(15.0)


def test_pictures_of_all_sizes_have_the_vector_that_each_has_alone(
    mixed: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_card(Path(tiny_model))
    encoder = open_image_encoder(model, "cpu")
    with opened(mixed) as pictures:
        seen = run(see(pictures, encoder, model.card, gsd_m=4.0, scales_m=(4.0, 8.0)))
        monkeypatch.setattr(seeing, "BATCH_VALUES", 1)
        alone = run(see(pictures, encoder, model.card, gsd_m=4.0, scales_m=(4.0, 8.0)))
    assert seen.unreadable == ("b/bad.png",)
    assert seen.vectors.shape == (8, 4)
    assert seen.labels.tolist() == [0] * 4 + [1] * 4
    assert np.allclose(seen.vectors, alone.vectors, atol=1e-6)
    assert np.allclose(np.linalg.norm(seen.vectors, axis=1), 1, atol=1e-6)
    assert set(seen.at_scales) == {4.0, 8.0}
    assert np.allclose(seen.vectors, seen.at_scales[8.0], atol=1e-5)  # one colour looks the same at any scale


def test_coarser_pixels_are_means_and_the_model_is_told(tiny_model: str) -> None:
    card = read_card(Path(tiny_model)).card
    image = np.random.default_rng(0).random((3, 64, 64)).astype(np.float32)
    tiles, told_m = coarsened(image, 1.0, 4.0, card)
    halves = image.reshape(3, 16, 4, 16, 4).mean(axis=(2, 4))
    assert tiles.shape == (1, 3, 32, 32)  # this model takes tiles of 32 px only
    assert told_m == pytest.approx(2.0)
    assert tiles.mean() == pytest.approx(halves.mean(), abs=0.01)
    assert tiles.std() < image.std() / 2


def test_band_statistics_are_means_and_deviations() -> None:
    image = np.random.default_rng(1).random((3, 9, 7)).astype(np.float32)
    assert band_statistics(image) == pytest.approx([*image.mean(axis=(1, 2)), *image.std(axis=(1, 2))])


def test_random_features_see_texture_and_depend_on_the_seed_alone() -> None:
    random = np.random.default_rng(2)
    smooth, rough = np.full((3, 64, 64), 0.5, np.float32), random.random((3, 64, 64)).astype(np.float32)
    found = random_features([smooth, rough], random_filters(0))
    assert found.shape == (2, 256)
    assert np.abs(found[0]).max() < 1e-4  # filters without a mean do not see one colour
    assert found[1].max() > 0.1
    assert np.array_equal(found, random_features([smooth, rough], random_filters(0)))
    assert not np.array_equal(found, random_features([smooth, rough], random_filters(1)))


class Sure:
    """An encoder that answers best at one ground pixel."""

    device, fallback_reason = "CPU", ""

    def __init__(self, best_m: float) -> None:
        self.best_m = best_m

    def embed_images(self, images: np.ndarray, gsd_m: float) -> np.ndarray:
        angle = abs(np.log(gsd_m / self.best_m))
        return np.tile(np.array([[np.cos(angle), np.sin(angle)]], np.float32), (len(images), 1))


def test_an_unstated_pixel_is_the_one_that_the_model_is_surest_of(tiny_model: str) -> None:
    card = read_card(Path(tiny_model)).card

    class Drawn(LabelledPictures):
        def read(self, row: int) -> Picture:
            return Picture(np.full((3, 32, 32), 0.4, np.float32), gsd_m=self.stated_m)

        stated_m = 0.0

    class Stated(Drawn):
        stated_m = 7.0

    of = ("set", Path("set"), ("a", "b"), ("a/1", "b/1"), np.array([0, 1]))
    axis = np.array([[1.0, 0.0]], np.float32)
    found, source = guessed_gsd(Drawn(*of), card, Sure(4.0), axis, seed=0)
    assert source == "guessed"
    assert 2.5 < found < 6
    assert guessed_gsd(Stated(*of), card, Sure(4.0), axis, seed=0) == (7.0, "georeference")
