"""A ready tower looks with its own pixels and from several sides, in torch and as a graph."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from geomm_engine.networks.mobile_stem import MobileStemSettings
from geomm_engine.networks.scene_tower import SceneTower, SceneTowerSettings
from geomm_engine.networks.views import SeveralViews, SizedView, ready
from geomm_engine.training.graphs import write_image_graph


def _tower() -> SceneTower:
    torch.manual_seed(3)
    stem = MobileStemSettings(channels=(16, 32, 32), strides=(2, 2, 2))
    tower = SceneTower(SceneTowerSettings(dim=16, stem=stem, width=32, layers=1, heads=4, gsd_width=8))
    return tower.eval().requires_grad_(False)


@pytest.mark.parametrize(("count", "turns"), [(2, [(2, 3)]), (4, [(2,), (3,), (2, 3)])])
def test_a_turned_tile_keeps_its_vector_and_the_plain_tower_tells_it_apart(count: int, turns: list[tuple[int]]) -> None:
    tower = _tower()
    image, gsd_m = torch.rand(3, 3, 48, 64), torch.tensor([0.5, 10.0, 7000.0])
    several = SeveralViews(tower, count)
    for turn in turns:
        assert torch.allclose(several(image, gsd_m), several(image.flip(turn), gsd_m), atol=1e-5)
        assert (tower(image, gsd_m) - tower(image.flip(turn), gsd_m)).abs().max() > 1e-3


def test_the_mean_is_of_unit_vectors_of_the_same_tile() -> None:
    tower = _tower()
    image, gsd_m = torch.rand(2, 3, 64, 64), torch.tensor([1.0, 30.0])
    views = (image, image.flip((2, 3)))
    wanted = torch.stack([functional.normalize(tower(view, gsd_m), dim=1) for view in views]).mean(dim=0)
    assert torch.allclose(SeveralViews(tower, 2)(image, gsd_m), wanted, atol=1e-6)


def test_one_view_is_the_tower_itself() -> None:
    tower = _tower()
    assert ready(tower, SceneTowerSettings()) is tower


def test_a_tile_is_seen_with_so_many_pixels_of_the_right_size_on_the_ground() -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    class Spy(torch.nn.Module):
        def forward(self, image: torch.Tensor, gsd_m: torch.Tensor) -> torch.Tensor:
            seen.append((image, gsd_m))
            return image.mean(dim=(2, 3))

    image = torch.rand(2, 3, 64, 64)
    SizedView(Spy(), 96)(image, torch.tensor([10.0, 0.3]))
    sized, gsd_m = seen[0]
    assert sized.shape == (2, 3, 96, 96)
    assert torch.allclose(gsd_m, torch.tensor([10.0, 0.3]) * 64 / 96)
    assert torch.allclose(sized.mean(dim=(2, 3)), image.mean(dim=(2, 3)), atol=0.01)
    tower = _tower()
    assert torch.equal(SizedView(tower, 64)(image, gsd_m), tower(image, gsd_m))


def test_no_other_number_of_views() -> None:
    with pytest.raises(ValueError, match="3 views"):
        SceneTowerSettings(views=3)
    with pytest.raises(ValueError, match="-96 pixels"):
        SceneTowerSettings(view_px=-96)


@pytest.mark.parametrize(("count", "view_px"), [(2, 0), (4, 0), (1, 48), (2, 48)])
def test_the_graph_takes_any_number_of_tiles_of_any_size(count: int, view_px: int, tmp_path: Path) -> None:
    tower = ready(_tower(), SceneTowerSettings(views=count, view_px=view_px))
    write_image_graph(tower, tmp_path / "image.onnx", bands=3)
    session = onnxruntime.InferenceSession(tmp_path / "image.onnx")
    for tiles, height, width in ((1, 64, 64), (5, 32, 32) if view_px else (5, 32, 96)):
        image, gsd_m = torch.rand(tiles, 3, height, width), torch.full((tiles,), 2.0)
        ours = session.run(None, {"image": image.numpy(), "gsd_m": gsd_m.numpy()})[0]
        theirs = functional.normalize(tower(image, gsd_m), dim=1).numpy()
        assert np.sum(ours * theirs, axis=1).min() > 1 - 1e-4
