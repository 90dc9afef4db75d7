from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geomm_engine.landscape import LAND_COVERS, Landscape, draw_landscape
from geomm_engine.landscape.noise import cuts, fractal, hashed, parcels, smooth

SHAPE = (600, 700)
FOREST, WATER, CROPS, TOWN, INDUSTRY, GRASSLAND = range(1, 7)

# Mean red, green, blue of real Sentinel-2 pictures of 640 m, and by how much these differ among themselves.
MEANS = {
    FOREST: ((40, 65, 76), 10),
    CROPS: ((129, 120, 117), 40),
    TOWN: ((98, 102, 112), 20),
    INDUSTRY: ((123, 126, 134), 25),
    GRASSLAND: ((62, 88, 92), 14),
}
# Mean step between neighbouring pixels, least and most.
TEXTURES = {FOREST: (1, 3), WATER: (0.4, 1.5), CROPS: (2, 6), TOWN: (8, 17), INDUSTRY: (9, 17), GRASSLAND: (1.5, 5)}


@pytest.fixture(scope="module")
def landscape() -> Landscape:
    return draw_landscape(3, SHAPE)


def inside(landscape: Landscape, cover: int) -> NDArray[np.bool_]:
    """Pixels of a class whose right neighbour is of the class too."""
    found = landscape.classes == cover
    found[:, :-1] &= found[:, 1:]
    found[:, -1] = False
    return found


def test_every_land_cover_is_there_and_every_pixel_has_one(landscape: Landscape) -> None:
    values, counts = np.unique(landscape.classes, return_counts=True)
    assert values.tolist() == [cover.value for cover in LAND_COVERS]
    assert counts.min() > 0.05 * landscape.classes.size


def test_the_same_seed_draws_the_same_landscape() -> None:
    one, same, other = (draw_landscape(seed, (200, 260)) for seed in (5, 5, 6))
    assert np.array_equal(one.reflectance, same.reflectance)
    assert np.array_equal(one.classes, same.classes)
    assert not np.array_equal(one.classes, other.classes)


@pytest.mark.parametrize("cover", MEANS)
def test_colours_are_those_of_real_pictures(landscape: Landscape, cover: int) -> None:
    wanted, spread = MEANS[cover]
    found = landscape.rgb[landscape.classes == cover].mean(axis=0)
    assert np.abs(found - wanted).max() < spread


@pytest.mark.parametrize("cover", TEXTURES)
def test_texture_is_that_of_real_pictures(landscape: Landscape, cover: int) -> None:
    low, high = TEXTURES[cover]
    green = landscape.rgb[..., 1].astype(float)
    step = np.abs(np.diff(green, axis=1, append=green[:, -1:]))[inside(landscape, cover)].mean()
    assert low < step < high


def test_infrared_tells_leaves_from_water(landscape: Landscape) -> None:
    red, infrared = landscape.reflectance[..., 0], landscape.reflectance[..., 3]
    index = (infrared - red) / (infrared + red)
    assert np.median(index[landscape.classes == FOREST]) > 0.4
    assert np.median(index[landscape.classes == WATER]) < 0.1


def test_reflectance_is_physical(landscape: Landscape) -> None:
    assert landscape.reflectance.dtype == np.float32
    assert landscape.reflectance.min() > 0
    assert landscape.reflectance.max() < 0.8


def test_smooth_noise_has_unit_deviation() -> None:
    field = smooth((800, 800), 8, np.random.default_rng(0))
    assert field.mean() == pytest.approx(0, abs=0.05)
    assert field.std() == pytest.approx(1, abs=0.1)
    assert np.abs(np.diff(field, axis=0)).max() < 0.8


def test_octaves_add_detail() -> None:
    one, three = (fractal((200, 200), 40, octaves, np.random.default_rng(0)) for octaves in (1, 3))
    assert np.abs(np.diff(three, axis=0)).mean() > 1.5 * np.abs(np.diff(one, axis=0)).mean()


def test_hashes_are_even_and_depend_on_every_key() -> None:
    rows, cols = (axis.ravel() for axis in np.indices((300, 300)))
    values = hashed(1, rows - 150, cols)
    assert np.histogram(values, 10, (0, 1))[0] == pytest.approx(9000, rel=0.05)
    assert np.corrcoef(values, hashed(2, rows - 150, cols))[0, 1] == pytest.approx(0, abs=0.02)
    assert np.corrcoef(values[:-1], values[1:])[0, 1] == pytest.approx(0, abs=0.02)


def test_cuts_number_pieces_in_order_and_measure_to_the_nearest() -> None:
    place = np.arange(-500, 500, 0.25, dtype=np.float32)
    piece, to_cut = cuts(place, 20, 9)
    steps = np.diff(piece)
    assert set(steps.tolist()) == {0, 1}
    assert to_cut[np.flatnonzero(steps)].max() < 0.5
    lengths = np.bincount(piece - piece.min())[1:-1] / 4
    assert 4 < lengths.min() < 15 < 25 < lengths.max() < 36


def test_parcels_are_bounded_by_their_borders() -> None:
    y, x = (axis.astype(np.float32).ravel() for axis in np.indices((150, 150)))
    row, col, border = parcels(y, x, 30, 4)
    number = (row * 1000 + col).reshape(150, 150)
    changes = (np.diff(number, axis=1) != 0).ravel()
    assert border.reshape(150, 150)[:, 1:].ravel()[changes].max() < 1.5
    assert border.min() >= 0
