"""The torch encoder: batch found by memory, back to the CPU with a reason, faulty weights refused. Tiny random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from geomm_engine.contract import encode
from geomm_engine.encoders.card import Architecture, CardFile, ModelFolder, file_sha256, read_card, write_card
from geomm_engine.encoders.torch_encoder import TorchImageEncoder
from geomm_engine.errors import ModelError
from geomm_engine.networks.mobile_stem import MobileStemSettings
from geomm_engine.networks.scene_tower import SceneTower, SceneTowerSettings
from geomm_engine.networks.text_tower import TextTowerSettings
from geomm_engine.networks.two_towers import ARCHITECTURE, TwoTowersSettings
from tests.engine.tiny_model import DIM, write_tiny_model

STEM = MobileStemSettings(channels=(8, 8, 16), strides=(2, 2, 2))
SETTINGS = TwoTowersSettings(
    SceneTowerSettings(dim=DIM, stem=STEM, width=16, layers=1, heads=2, gsd_width=8), TextTowerSettings(dim=DIM)
)
IMAGES = np.random.default_rng(0).random((11, 3, 32, 32), dtype=np.float32)


@pytest.fixture
def model(folder: Path) -> ModelFolder:
    """The tests' tiny model with weights for torch beside its graphs."""
    path = write_tiny_model(folder / "tiny")
    torch.manual_seed(0)
    tower = SceneTower(SETTINGS.image)
    weights = path / "weights.safetensors"
    save_file({name: value for name, value in tower.state_dict().items() if value.is_floating_point()}, weights)
    card = read_card(path).card
    weights_file = CardFile("weights", weights.name, file_sha256(weights), weights.stat().st_size)
    architecture = Architecture(ARCHITECTURE, json.dumps(encode(SETTINGS)))
    write_card(replace(card, files=(*card.files, weights_file), architecture=architecture, has_gsd_input=True), path)
    return read_card(path)


def test_unit_vectors_that_do_not_depend_on_the_batch(model: ModelFolder) -> None:
    encoder = TorchImageEncoder(model)
    together = encoder.embed_images(IMAGES, 10.0)
    assert together.shape == (11, DIM)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1.0, abs=1e-5)
    alone = np.concatenate([encoder.embed_images(IMAGES[place : place + 1], 10.0) for place in range(11)])
    assert np.abs(together - alone).max() <= 1e-5
    assert encoder.embed_images(IMAGES[:0], 10.0).shape == (0, DIM)
    assert encoder.fallback_reason == ""
    assert encoder.device.startswith("CPU")


def test_absent_gpu_falls_back_with_a_reason(model: ModelFolder) -> None:
    absent = "cuda" if not torch.cuda.is_available() else "mps"
    encoder = TorchImageEncoder(model, absent)
    assert absent in encoder.fallback_reason
    assert encoder.device.startswith("CPU")
    assert np.array_equal(encoder.embed_images(IMAGES, 10.0), TorchImageEncoder(model).embed_images(IMAGES, 10.0))


class Narrow:
    """A tower that runs out of memory above so many tiles, as a small graphics card does."""

    def __init__(self, tower: torch.nn.Module, most: int) -> None:
        self.tower = tower
        self.most = most
        self.seen: list[int] = []

    def __call__(self, images: torch.Tensor, gsd_m: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.tower(images, gsd_m)


def test_batch_is_halved_until_it_fits_and_remembered(model: ModelFolder) -> None:
    encoder = TorchImageEncoder(model)
    expected = encoder.embed_images(IMAGES, 10.0)
    narrow = Narrow(encoder._tower, 3)
    encoder._tower = narrow  # type: ignore[assignment]
    encoder.batch = 8
    assert np.abs(encoder.embed_images(IMAGES, 10.0) - expected).max() <= 1e-5
    assert narrow.seen[:3] == [8, 4, 2]
    narrow.seen.clear()
    encoder.embed_images(IMAGES, 10.0)
    assert max(narrow.seen) == 2


def test_not_even_one_tile_fits(model: ModelFolder) -> None:
    encoder = TorchImageEncoder(model)
    encoder._tower = Narrow(encoder._tower, 0)  # type: ignore[assignment]
    with pytest.raises(ModelError, match="single tile"):
        encoder.embed_images(IMAGES, 10.0)


def test_faulty_weights_are_refused(model: ModelFolder) -> None:
    path = model.file("weights")
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(ModelError, match=r"weights\.safetensors"):
        TorchImageEncoder(model)


def test_foreign_architecture_is_refused(model: ModelFolder) -> None:
    foreign = replace(model.card, architecture=Architecture("someone-elses-net", "{}"))
    with pytest.raises(ModelError, match="someone-elses-net"):
        TorchImageEncoder(replace(model, card=foreign))


def test_weights_of_another_shape_are_refused(model: ModelFolder) -> None:
    other = replace(SETTINGS, image=replace(SETTINGS.image, width=24))
    card = replace(model.card, architecture=Architecture(ARCHITECTURE, json.dumps(encode(other))))
    with pytest.raises(ModelError, match="cannot be used"):
        TorchImageEncoder(replace(model, card=card))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_half_precision_stays_within_the_tolerance(model: ModelFolder) -> None:
    single, half = TorchImageEncoder(model), TorchImageEncoder(model, "cuda")
    assert half.fallback_reason == ""
    cosine = np.sum(single.embed_images(IMAGES, 10.0) * half.embed_images(IMAGES, 10.0), axis=1)
    assert cosine.min() >= 1 - 2e-3
