"""Shapes, batch invariance and the limits of the temperature, on tiny networks with random weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from geomm_engine.networks.mobile_stem import MobileStem, MobileStemSettings
from geomm_engine.networks.scene_tower import SceneTower, SceneTowerSettings
from geomm_engine.networks.text_tower import TextTower, TextTowerSettings
from geomm_engine.networks.two_towers import LARGEST_SCALE, TwoTowers, TwoTowersSettings

STEM = MobileStemSettings(channels=(8, 8, 16), strides=(2, 2, 2))
IMAGE = SceneTowerSettings(dim=16, stem=STEM, width=16, layers=2, heads=2, gsd_width=8)
TEXT = TextTowerSettings(dim=16, vocabulary=50, context_length=12, embedding_width=8, width=16, layers=2, heads=2)


def image_tower(settings: SceneTowerSettings = IMAGE) -> SceneTower:
    torch.manual_seed(0)
    tower = SceneTower(settings)
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


def test_attention_with_ground_distance_alone_tells_scales_apart() -> None:
    biased, blind = image_tower(), image_tower(replace(IMAGE, position="none"))
    for tower in (biased, blind):
        torch.nn.init.zeros_(tower.ground_shift.weight)
        torch.nn.init.zeros_(tower.ground_shift.bias)
    image = torch.rand(1, 3, 64, 64)

    def change(tower: SceneTower) -> float:
        return float((tower(image, torch.tensor([0.5])) - tower(image, torch.tensor([30.0]))).abs().max().detach())

    assert change(biased) > 1e-4
    assert change(blind) == 0.0


def test_unknown_position_is_refused() -> None:
    with pytest.raises(ValueError, match="sideways"):
        replace(IMAGE, position="sideways")


@pytest.mark.parametrize("gsd_m", [0.05, 0.3, 10.0, 8000.0])
def test_one_flat_picture_stays_finite(gsd_m: float) -> None:
    assert torch.isfinite(image_tower()(torch.zeros(1, 3, 16, 16), torch.tensor([gsd_m]))).all()


def test_stem_starts_as_what_was_folded() -> None:
    torch.manual_seed(1)
    stem, images = MobileStem(3, STEM).eval(), torch.randn(40, 3, 32, 32)
    shapes = [tuple(item.conv.weight.shape) for item in stem.convolutions]
    folded = [(torch.randn(shape) / shape[1] ** 0.5, torch.randn(shape[0])) for shape in shapes]
    stem.start_from(folded, images)
    values = images
    for module, (kernel, bias) in zip(stem.convolutions, folded, strict=True):
        conv = module.conv
        values = torch.nn.functional.conv2d(values, kernel, bias, conv.stride, conv.padding, groups=conv.groups)
        values = values.clamp(0, 6)
    assert torch.allclose(stem(images), values, atol=1e-3)


def test_frozen_blocks_learn_nothing() -> None:
    tower = image_tower()
    tower.train()
    tower.stem.freeze(2)
    before = {name: value.clone() for name, value in tower.stem.state_dict().items()}
    optimiser = torch.optim.SGD([item for item in tower.parameters() if item.requires_grad], lr=0.1)
    tower(torch.rand(4, 3, 32, 32), torch.full((4,), 10.0)).square().sum().backward()
    optimiser.step()
    same = [name for name, value in tower.stem.state_dict().items() if torch.equal(value, before[name])]
    assert {name for name in before if name.startswith(("blocks.0", "blocks.1"))} <= set(same)
    assert not torch.equal(tower.stem.blocks[2][0].conv.weight, before["blocks.2.0.conv.weight"])


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
