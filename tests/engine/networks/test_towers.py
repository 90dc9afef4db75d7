"""Shapes, batch invariance and the limits of the temperature, on tiny networks with random weights."""

from __future__ import annotations

import torch

from geomm_engine.networks.image_tower import ImageTower, ImageTowerSettings
from geomm_engine.networks.text_tower import TextTower, TextTowerSettings
from geomm_engine.networks.two_towers import LARGEST_SCALE, TwoTowers, TwoTowersSettings

IMAGE = ImageTowerSettings(dim=16, widths=(8, 8, 16), depths=(1, 1), gsd_width=8)
TEXT = TextTowerSettings(dim=16, vocabulary=50, context_length=12, embedding_width=8, width=16, layers=2, heads=2)


def image_tower() -> ImageTower:
    torch.manual_seed(0)
    tower = ImageTower(IMAGE)
    for item in tower.modules():
        if isinstance(item, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(item.weight, 0.5, 1.5)
        if isinstance(item, torch.nn.Linear):
            torch.nn.init.normal_(item.weight, std=0.3)
    return tower.eval()


def test_any_size_gives_one_vector() -> None:
    for height, width in ((64, 64), (96, 128), (33, 47)):
        assert image_tower()(torch.rand(2, 3, height, width), torch.tensor([10.0, 0.3])).shape == (2, 16)


def test_vector_depends_on_the_picture_alone() -> None:
    tower = image_tower()
    images, gsd_m = torch.rand(7, 3, 64, 64), torch.full((7,), 10.0)
    together = tower(images, gsd_m)
    alone = torch.cat([tower(images[place : place + 1], gsd_m[:1]) for place in range(7)])
    assert (together - alone).abs().max() <= 1e-5


def test_ground_pixel_is_an_input() -> None:
    tower, image = image_tower(), torch.rand(1, 3, 64, 64)
    fine, coarse = tower(image, torch.tensor([0.5])), tower(image, torch.tensor([10.0]))
    assert (fine - coarse).abs().max() > 1e-3


def test_padding_is_not_heard() -> None:
    torch.manual_seed(0)
    tower = TextTower(TEXT).eval()
    short = torch.tensor([[48, 3, 4, 49]])
    padded = torch.tensor([[48, 3, 4, 49, 0, 0, 7, 9]])
    assert torch.allclose(tower(short), tower(padded), atol=1e-5)


def test_order_of_words_is_heard() -> None:
    torch.manual_seed(0)
    tower = TextTower(TEXT).eval()
    torch.nn.init.normal_(tower.position)
    one, other = tower(torch.tensor([[48, 3, 4, 49]])), tower(torch.tensor([[48, 4, 3, 49]]))
    assert (one - other).abs().max() > 1e-4


def test_scale_stays_within_0_and_100() -> None:
    network = TwoTowers(TwoTowersSettings(IMAGE, TEXT))
    assert abs(float(network.scale.detach()) - 1 / 0.07) < 1e-3
    for value in (-1000.0, -5.0, 3.0, 1000.0):
        network.log_scale.data.fill_(value)
        assert 0 <= float(network.scale.detach()) <= LARGEST_SCALE * (1 + 1e-6)
