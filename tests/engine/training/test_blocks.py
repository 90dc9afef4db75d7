"""No ground of a held-out block is ever shown to a training."""

from __future__ import annotations

import numpy as np

from geomm_engine import sphere
from geomm_engine.training import blocks
from geomm_engine.training.blocks import Part
from geomm_engine.training.drawn_earth import draw_world
from geomm_engine.training.earth import ground_grid, tile_parts
from geomm_engine.training.places import Widths, draw_pictures, draw_pool, tiles_over


def test_a_fifth_is_held_out_as_the_readme_of_the_data_says() -> None:
    lat, lon = np.meshgrid(np.arange(-85, 90, 10), np.arange(-175, 180, 10), indexing="ij")
    part = blocks.part_of(lat, lon)
    for i in range(18):
        for j in range(36):
            assert (part[i, j] == Part.HELD_OUT) == ((7 * i + 3 * j) % 5 == 0)
    assert 0.19 < (part == Part.HELD_OUT).mean() < 0.21
    assert 0.05 < (part == Part.VALIDATION).mean() < 0.08
    assert blocks.part_of(90.0, 180.0) == blocks.part_of(85.0, -175.0)
    assert len(np.unique(blocks.block_of(lat, lon))) == 648


def test_no_training_crop_shows_a_pixel_of_another_block() -> None:
    world = draw_world(1)
    for widths in (Widths(), Widths((300.0, 900.0), (300.0, 900.0), 1.0)):
        pool = draw_pool(world, 400, widths, Part.TRAINING, np.random.default_rng(2))
        lat, lon = ground_grid(pool.lat, pool.lon, pool.width_km * 1.02, 200)
        assert (blocks.part_of(lat, lon) == Part.TRAINING).all()


def test_validation_pictures_show_nothing_that_is_held_out() -> None:
    pictures = draw_pictures(draw_world(1), 60, Part.VALIDATION, np.random.default_rng(3))
    lat, lon = ground_grid(pictures.lat, pictures.lon, pictures.width_km, 160)
    assert (blocks.part_of(lat, lon) != Part.HELD_OUT).all()
    assert (blocks.part_of(pictures.lat, pictures.lon) == Part.VALIDATION).all()


def test_crops_near_a_pole_or_a_corner_are_not_free() -> None:
    lat, lon = np.array([89.0, 5.0, 45.0]), np.array([0.0, 0.0, 0.0])
    assert not blocks.is_free(lat, lon, np.full(3, 300.0))[0]
    random = np.random.default_rng(4)
    i, j = 8, 13
    while (7 * i + 3 * j) % 5:
        j += 1
    corner_lat, corner_lon = -90.0 + 10 * i, -180.0 + 10 * j
    for _ in range(100):
        width = random.uniform(150, 800)
        reach = random.uniform(0.0, 0.499) * width
        place = sphere.destination(corner_lat, corner_lon, -reach, -reach)
        assert not blocks.is_free(np.array([place[0]]), np.array([place[1]]), np.array([width]))[0]


def test_tiles_that_touch_a_held_out_block_are_known() -> None:
    for x in range(0, 128, 3):
        for y in range(30, 100, 3):
            west = x / 128 * 360 - 180
            lon = np.linspace(west, west + 2.8125, 40)
            north, south = (np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * at / 128)))) for at in (y, y + 1))
            shown = blocks.part_of(*np.meshgrid(np.linspace(south, north, 40)[1:-1], lon[1:-1]))
            assert set(np.unique(shown)) <= tile_parts(x, y)


def test_nine_tiles_lie_inside_their_picture() -> None:
    pictures = draw_pictures(draw_world(1), 20, Part.TRAINING, np.random.default_rng(5))
    whole, *tiles = tiles_over(pictures)
    assert whole is pictures
    assert len(tiles) == 9
    middle = sphere.unit_vectors(pictures.lat, pictures.lon)
    for number, tile in enumerate(tiles):
        away = sphere.distance_km(sphere.unit_vectors(tile.lat, tile.lon), middle)
        reach = 0.5 * (pictures.width_km - tile.width_km)
        assert np.abs(away - reach * np.hypot(number % 3 - 1, number // 3 - 1)).max() < 1e-6
    assert (tiles[0].lat > tiles[8].lat - 1e-9).mean() > 0.9
