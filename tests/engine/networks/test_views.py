"""A tower that looks from several sides answers alike for the tile turned so, in torch and as a graph."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from geomm_engine.networks.mobile_stem import MobileStemSettings
from geomm_engine.networks.scene_tower import SceneTower, SceneTowerSettings
from geomm_engine.networks.views import SeveralViews, ready
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
    assert ready(tower, 1) is tower


def test_no_other_number_of_views() -> None:
    with pytest.raises(ValueError, match="3 views"):
        SceneTowerSettings(views=3)


@pytest.mark.parametrize("count", [2, 4])
def test_the_graph_takes_any_number_of_tiles_of_any_size(count: int, tmp_path: Path) -> None:
    tower = ready(_tower(), count)
    write_image_graph(tower, tmp_path / "image.onnx", bands=3)
    session = onnxruntime.InferenceSession(tmp_path / "image.onnx")
    for tiles, height, width in ((1, 64, 64), (5, 32, 96)):
        image, gsd_m = torch.rand(tiles, 3, height, width), torch.full((tiles,), 2.0)
        ours = session.run(None, {"image": image.numpy(), "gsd_m": gsd_m.numpy()})[0]
        theirs = functional.normalize(tower(image, gsd_m), dim=1).numpy()
        assert np.sum(ours * theirs, axis=1).min() > 1 - 1e-4
