"""Any subset of sensors runs by the stated rule, geometry is on the ground, hidden patches stay hidden."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from geomm_engine.networks.fusion import (
    FusionNetwork,
    FusionSettings,
    SensorSettings,
    all_centres_m,
    reconstruction_error,
)

SETTINGS = FusionSettings(
    sensors=(
        SensorSettings("low", ("swir1", "swir2"), step=2, patch_px=4),
        SensorSettings("high", ("red", "green", "blue"), step=1, patch_px=4),
        SensorSettings("radar", ("vv", "vh"), step=1, patch_px=8),
    ),
    dim=12, width=16, heads=4, depth=1, decoder_width=8,
)  # fmt: skip


def network() -> FusionNetwork:
    torch.manual_seed(0)
    return FusionNetwork(SETTINGS).eval()


def stack(count: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(count, 7, 32, 32), torch.full((count,), 10.0)


SUBSETS = [item for item in product((False, True), repeat=3) if any(item)]


@pytest.mark.parametrize("there", SUBSETS)
def test_every_subset_runs_and_what_is_missing_is_not_heard(there: tuple[bool, ...]) -> None:
    net, (images, gsd_m) = network(), stack()
    is_there = torch.tensor([there] * 3)
    vectors = net(images, gsd_m, is_there)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
    other = images.clone()
    first = 0
    for is_in, sensor in zip(there, SETTINGS.sensors, strict=True):
        if not is_in:
            other[:, first : first + len(sensor.bands)] = 99.0
        first += len(sensor.bands)
    assert torch.equal(net(other, gsd_m, is_there), vectors)


def test_one_sensor_alone_gives_its_own_vector() -> None:
    net, (images, gsd_m) = network(), stack()
    tokens = net.encode(images, gsd_m)
    for place, own in enumerate(net.alone(tokens)):
        is_there = torch.zeros(3, 3, dtype=torch.bool)
        is_there[:, place] = True
        assert torch.allclose(net.fuse(tokens, is_there), own, atol=1e-6)


def test_fused_vector_is_the_mean_of_what_is_present() -> None:
    net, (images, gsd_m) = network(), stack()
    tokens, is_there = net.encode(images, gsd_m), torch.tensor([[True, False, True]] * 3)
    low, _, radar = net.alone(net.listen(tokens, is_there))
    assert torch.allclose(net.fuse(tokens, is_there), functional.normalize(low + radar, dim=1), atol=1e-6)
    assert (low - net.alone(tokens)[0]).abs().max() > 1e-4


def test_nothing_there_is_zeros_and_no_nan() -> None:
    net, (images, gsd_m) = network(), stack(1)
    assert torch.equal(net(images, gsd_m, torch.zeros(1, 3, dtype=torch.bool)), torch.zeros(1, 12))


def test_tiles_do_not_see_each_other() -> None:
    net, (images, gsd_m) = network(), stack()
    is_there = torch.tensor([[True, True, True], [True, True, False], [False, False, True]])
    together = net(images, gsd_m, is_there)
    alone = torch.cat([net(images[at : at + 1], gsd_m[at : at + 1], is_there[at : at + 1]) for at in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_sensors_share_the_ground() -> None:
    net, (images, gsd_m) = network(), stack(1)
    low, high, radar = all_centres_m(net, images, gsd_m)
    assert [item.shape[1] for item in (low, high, radar)] == [16, 64, 16]
    assert torch.equal(low, radar)
    assert high[0, 0].tolist() == [20.0, 20.0]
    assert low[0, 0].tolist() == [40.0, 40.0]
    assert torch.equal(low, net.encode(images, gsd_m)[0].centres_m)


def test_coarse_pictures_are_area_averages() -> None:
    net, (images, _) = network(), stack()
    low, high, _ = net.pictures(images)
    assert torch.allclose(low[:, :, 0, 0], images[:, :2, :2, :2].mean(dim=(2, 3)))
    assert torch.equal(high, images[:, 2:5])
    wanted = net.targets(high, 1)
    assert wanted.shape == (3, 64, 12)
    assert wanted[0, 9, 0].item() == pytest.approx(high[0, 0, 4:6, 4:6].mean().item(), abs=1e-6)


def test_hidden_patches_leave_no_trace() -> None:
    net, (images, gsd_m) = network(), stack(1)
    kept = [torch.tensor([[0, 5]]), torch.tensor([[3]]), torch.tensor([[1, 2]])]
    tokens = net.encode(images, gsd_m, kept)
    changed = images.clone()
    changed[:, 2:5, 4:] = 7.0  # the fine sensor's fourth patch lies in the first row
    assert torch.equal(net.encode(changed, gsd_m, kept)[1].values, tokens[1].values)
    assert tokens[1].centres_m[0, 0].tolist() == [20.0, 140.0]


def test_order_of_kept_patches_changes_nothing() -> None:
    net, (images, gsd_m) = network(), stack(2)
    first = [torch.randperm(count)[: count // 2].expand(2, -1) for count in (16, 64, 16)]
    other = [item[:, torch.randperm(item.shape[1])] for item in first]
    is_there = torch.ones(2, 3, dtype=torch.bool)
    one, two = (net.fuse(net.encode(images, gsd_m, kept), is_there) for kept in (first, other))
    assert torch.allclose(one, two, atol=1e-6)


def test_reconstruction_learns_and_finds_the_strange_tile() -> None:
    torch.manual_seed(2)
    net = FusionNetwork(SETTINGS)
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    is_there = torch.ones(16, 3, dtype=torch.bool)
    gsd_m = torch.full((16,), 10.0)

    def tiles() -> Tensor:
        return torch.randn(16, 1, 1, 1).expand(-1, 7, 32, 32) + 0.05 * torch.randn(16, 7, 32, 32)

    first = float(reconstruction_error(net, tiles(), gsd_m, is_there).mean().detach())
    for _ in range(40):
        loss = reconstruction_error(net, tiles(), gsd_m, is_there).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    images = tiles()
    images[5, :, :16] = -images[5, :, :16] + 2.0
    with torch.no_grad():
        error = reconstruction_error(net, images, gsd_m, is_there)
    assert float(error.mean()) < 0.5 * first
    assert int(error.argmax()) == 5


def test_faulty_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="two sensors"):
        FusionNetwork(FusionSettings(sensors=(SensorSettings("one", ("red",)),)))
    with pytest.raises(ValueError, match="divides"):
        FusionNetwork(
            FusionSettings(sensors=(SensorSettings("odd", ("red",), patch_px=5), SensorSettings("b", ("vv",))))
        )
