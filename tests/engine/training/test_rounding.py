"""Weights of one byte: rounding is the nearest step, survives a folded norm, and the graph gives what torch gives."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from geomm_engine.networks.mobile_stem import MobileStemSettings
from geomm_engine.networks.scene_tower import SceneTowerSettings
from geomm_engine.networks.text_tower import TextTowerSettings
from geomm_engine.networks.two_towers import TwoTowers, TwoTowersSettings
from geomm_engine.training.graphs import write_image_graph, write_image_weights
from geomm_engine.training.rounding import SMALLEST_ROUNDED, on_grid, round_weights, to_bytes


@pytest.fixture
def network() -> TwoTowers:
    torch.manual_seed(0)
    stem = MobileStemSettings(channels=(16, 64, 64), strides=(2, 2, 2))
    text = TextTowerSettings(dim=16, vocabulary=50, context_length=12, embedding_width=8, width=16, layers=1, heads=2)
    made = TwoTowers(TwoTowersSettings(SceneTowerSettings(dim=16, stem=stem, width=64, heads=4, gsd_width=8), text))
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            module.running_var = torch.rand_like(module.weight) + 0.5
    return made.eval().requires_grad_(False)


def test_rounding_moves_no_weight_by_more_than_half_a_step() -> None:
    value = torch.randn(8, 40)
    steps, scale = to_bytes(value)
    assert steps.dtype == torch.int8
    assert ((steps.float() * scale - value).abs() <= scale / 2 + 1e-7).all()


def test_grid_is_found_along_the_first_or_the_last_axis_only() -> None:
    value = torch.randn(6, 10)
    steps, scale = to_bytes(value)
    rounded = (steps.float() * scale).numpy()
    assert on_grid(rounded) is not None
    assert on_grid(np.ascontiguousarray(rounded.T)) is not None
    assert on_grid(value.numpy()) is None


def test_graph_and_torch_weights_are_of_the_rounded_network(network: TwoTowers, tmp_path: Path) -> None:
    round_weights(network)
    write_image_graph(network.image, tmp_path / "image.onnx", bands=3)
    write_image_weights(network, tmp_path / "weights.safetensors")
    large = [
        item for item in onnx.load(tmp_path / "image.onnx").graph.initializer if prod(item.dims) >= SMALLEST_ROUNDED
    ]
    assert {item.data_type for item in large} == {onnx.TensorProto.INT8}
    image, gsd_m = torch.rand(3, 3, 64, 48), torch.tensor([0.5, 10.0, 7000.0])
    theirs = torch.nn.functional.normalize(network.image(image, gsd_m), dim=1).numpy()
    session = onnxruntime.InferenceSession(tmp_path / "image.onnx")
    ours = session.run(None, {"image": image.numpy(), "gsd_m": gsd_m.numpy()})[0]
    assert np.abs(ours - theirs).max() < 1e-4
    stored = load_file(tmp_path / "weights.safetensors")
    name = "stem.blocks.2.1.conv.weight"
    assert torch.allclose(stored[name].float() * stored[f"{name}.scale"], network.image.state_dict()[name])
