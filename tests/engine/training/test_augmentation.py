"""Crops update the ground pixel and stay inside the picture; radiometry keeps display values in 0–1."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from geomm_engine.training.augmentation import TURNS, Jitter, crop, ground_jitter, mix, radiometry
from geomm_engine.training.pictures import PictureSet, Pyramid, pyramid, split, whole


def ramp(side_px: int = 64, gsd_m: float = 0.5) -> Pyramid:
    """Pictures whose first two bands are their own column and row, in ground metres × 2."""
    column, row = np.meshgrid(np.arange(side_px), np.arange(side_px))
    pixels = np.stack([column, row, np.zeros_like(row)], axis=2).astype(np.uint8)[None].repeat(6, axis=0)
    return pyramid(PictureSet("ramp", gsd_m, ("ramp/a", "ramp/b"), pixels, np.zeros(6, dtype=np.int64)))


@pytest.mark.parametrize("gsd_m", [0.3, 0.5, 0.8, 1.0])
def test_crop_updates_the_ground_pixel(gsd_m: float) -> None:
    images, ground_m = crop(ramp(), np.arange(6), 16, (gsd_m, gsd_m), np.random.default_rng(0))
    assert ground_m.tolist() == pytest.approx([gsd_m] * 6)
    # A step of one pixel in the crop moves gsd_m / 0.5 pixels over the ramp, along one of the axes.
    steps = (images[:, :2, 8, 9] - images[:, :2, 8, 8]).abs().amax(dim=1) * 255
    assert steps.tolist() == pytest.approx([gsd_m / 0.5] * 6, abs=0.02)


def test_all_eight_turns_occur() -> None:
    assert len({tuple(turn.flatten().tolist()) for turn in TURNS}) == 8
    assert torch.allclose(torch.linalg.det(TURNS).abs(), torch.ones(8))
    images, _ = crop(ramp(), np.arange(6).repeat(20), 64, (0.5, 0.5), np.random.default_rng(0))
    corners = {tuple((image[:2, 0, 0] > 0.1).tolist()) + tuple((image[:2, 0, 63] > 0.1).tolist()) for image in images}
    assert len(corners) == 8


def test_larger_crop_mirrors_the_picture() -> None:
    images, _ = crop(ramp(), np.arange(6), 64, (1.0, 1.0), np.random.default_rng(0))
    assert images.max() * 255 == pytest.approx(63, abs=1.0)
    assert images[:, :2].mean() * 255 == pytest.approx(31.5, abs=1.0)


FAINT = partial(Jitter, strength=1e-6, stretch_share=0.0, blur_share=0.0, noise_share=0.0)


def test_same_state_gives_the_same_batch() -> None:
    def once() -> torch.Tensor:
        random = np.random.default_rng(5)
        images, _ = crop(ramp(), np.arange(6), 32, (0.4, 1.0), random)
        return radiometry(images, Jitter(), random)

    assert torch.equal(once(), once())


def test_radiometry_stays_in_range() -> None:
    images = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    images[0], images[1] = 0.0, 1.0
    changed = radiometry(images.clone(), Jitter(1.0, low_sun_share=0.5, tint_share=0.5), np.random.default_rng(0))
    assert torch.isfinite(changed).all()
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(radiometry(images.clone(), Jitter(strength=0.0), np.random.default_rng(0)), images)


def test_a_low_sun_takes_contrast_and_leaves_what_is_dark() -> None:
    images = (torch.linspace(0.1, 0.5, 32) + torch.tensor([0.0, 0.1, 0.2]).view(3, 1, 1)).expand(16, 3, 32, 32)
    sunny, low = (
        radiometry(images.clone(), FAINT(low_sun_share=share), np.random.default_rng(3)) for share in (0.0, 1.0)
    )
    contrast = low.std(dim=(2, 3)) / sunny.std(dim=(2, 3))
    assert contrast.max() < 1
    assert contrast.min() > 0.25
    assert (low.mean(dim=(2, 3)) < sunny.mean(dim=(2, 3))).all()
    # The air keeps half of what is darkest in a band, or more: no band goes to black.
    assert (low.amin(dim=(2, 3)) > 0.45 * sunny.amin(dim=(2, 3))).all()


def test_a_tint_changes_the_bands_of_a_picture_and_not_its_pattern() -> None:
    images = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 0.4 + 0.2
    tinted = radiometry(images.clone(), FAINT(tint_share=1.0), np.random.default_rng(3))
    ratio = tinted / images
    assert ratio.std(dim=(2, 3)).max() < 1e-3
    by_band = ratio.mean(dim=(2, 3))
    assert (by_band.amax(dim=1) / by_band.amin(dim=1)).max() > 1.3
    assert by_band.min() > 0.74
    assert by_band.max() < 1.35


def test_split_is_stratified_and_repeatable() -> None:
    labels = np.repeat(np.arange(4), 20)
    pictures = PictureSet(
        "s", 1.0, ("s/a", "s/b", "s/c", "s/d"), np.arange(80, dtype=np.uint8).reshape(80, 1, 1, 1), labels
    )
    training, validation = split(pictures, 0.15, 9)
    assert np.bincount(validation.labels).tolist() == [3, 3, 3, 3]
    assert len(np.intersect1d(training.pixels, validation.pixels)) == 0
    assert len(training.labels) + len(validation.labels) == 80
    assert np.array_equal(split(pictures, 0.15, 9)[1].pixels, validation.pixels)


def test_whole_picture_is_averaged() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    pictures = PictureSet("s", 0.5, ("s/a", "s/b"), pixels, np.zeros(3, dtype=np.int64))
    small, gsd_m = whole(pictures, 16)
    assert gsd_m == 2.0
    expected = pixels.reshape(3, 16, 4, 16, 4, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    assert np.abs(small.numpy() - expected).max() <= 0.5 + 1e-4


def test_mixed_pictures_say_their_true_share() -> None:
    random = np.random.default_rng(3)
    value = torch.arange(60, dtype=torch.float32)
    images = value.view(60, 1, 1, 1).expand(60, 3, 24, 24).clone()
    sets = np.repeat([0, 1], 30)
    mixed, told = mix(images, sets, 0.5, random)
    mean = mixed[:, 0].mean(dim=(1, 2))
    partner = torch.from_numpy(told.partner)
    assert torch.allclose(mean, told.share * value + (1 - told.share) * value[partner], atol=1e-3)
    assert (sets[told.partner] == sets).all()
    is_own = partner == torch.arange(60)
    assert torch.equal(mixed[is_own], images[is_own])
    assert 10 < int((~is_own).sum()) < 50


def test_some_ground_pixels_are_told_very_wrong() -> None:
    told = ground_jitter(torch.full((2000,), 8.0), 0.1, np.random.default_rng(0), lie_share=0.25, lie_octaves=3.0)
    octaves = torch.log2(told / 8.0).abs()
    assert float((octaves > 0.1001).float().mean()) == pytest.approx(0.25, abs=0.04)
    assert octaves.max() <= 3.0


def test_split_parts_no_place() -> None:
    places = np.repeat(np.arange(20), 5)
    pixels = np.zeros((100, 8, 8, 3), dtype=np.uint8)
    pictures = PictureSet("earth", 1000.0, ("earth/a",), pixels, np.zeros(100, dtype=np.int64), places)
    training, validation = split(pictures, 0.2, 1)
    assert training.places is not None
    assert validation.places is not None
    assert set(training.places).isdisjoint(validation.places)
    assert len(set(validation.places)) == 4
