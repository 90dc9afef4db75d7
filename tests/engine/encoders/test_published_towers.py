"""The image towers in their published layout against a re-computation by torch's functions alone, from the weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as f

from geomm_engine.encoders.location import layout
from geomm_engine.networks.published_towers import GeoclipImage, published_tower
from tests.engine.encoders.published import random_weights

GSD = torch.full((2,), 10.0)


def loaded(kind: str) -> tuple[torch.nn.Module, dict[str, Tensor]]:
    weights = dict(random_weights(layout.image_tower(kind), seed=11))
    tower = published_tower(kind)
    tower.load_state_dict(weights)
    return tower.eval(), weights


def pixels(side: int) -> tuple[Tensor, Tensor]:
    """Twelve bands as the card lists them, and the thirteen of the published network."""
    twelve = torch.rand(2, 12, side, side, generator=torch.Generator().manual_seed(1))
    return twelve, torch.cat([twelve[:, :10], torch.zeros(2, 1, side, side), twelve[:, 10:]], dim=1)


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """(n, t, w) each → (n, t, w), head by head, by the formula."""
    parts = []
    for q, k, v in zip(query.chunk(heads, -1), key.chunk(heads, -1), value.chunk(heads, -1), strict=True):
        parts.append(torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]), dim=-1) @ v)
    return torch.cat(parts, dim=-1)


def test_vit_small_16() -> None:
    tower, w = loaded(layout.VIT)
    twelve, thirteen = pixels(224)

    def norm(x: Tensor, name: str) -> Tensor:
        return f.layer_norm(x, (384,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    def linear(x: Tensor, name: str) -> Tensor:
        return f.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    with torch.no_grad():
        x = f.conv2d(thirteen, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=16)
        x = torch.cat([w["cls_token"].repeat(2, 1, 1), x.reshape(2, 384, 196).transpose(1, 2)], dim=1) + w["pos_embed"]
        for at in range(12):
            block = f"blocks.{at}"
            query, key, value = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").split(384, dim=-1)
            x = x + linear(attention(query, key, value, 6), f"{block}.attn.proj")
            x = x + linear(f.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")), f"{block}.mlp.fc2")
        wanted = linear(norm(x, "norm")[:, 0], "head")
        found = tower(twelve, GSD)
    assert found.shape == (2, 256)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [layout.RESNET18, layout.RESNET50])
def test_resnets(kind: str) -> None:
    tower, w = loaded(kind)
    twelve, thirteen = pixels(64)
    counts = (2, 2, 2, 2) if kind == layout.RESNET18 else (3, 4, 6, 3)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        return f.batch_norm(x, mean, var, w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-5)

    with torch.no_grad():
        x = f.relu(norm(f.conv2d(thirteen, w["conv1.weight"], stride=2, padding=3), "bn1"))
        x = f.max_pool2d(x, 3, 2, 1)
        for stage, count in enumerate(counts, start=1):
            for at in range(count):
                name, stride = f"layer{stage}.{at}", 2 if stage > 1 and at == 0 else 1
                if kind == layout.RESNET18:
                    y = f.relu(norm(f.conv2d(x, w[f"{name}.conv1.weight"], stride=stride, padding=1), f"{name}.bn1"))
                    y = norm(f.conv2d(y, w[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
                else:
                    y = f.relu(norm(f.conv2d(x, w[f"{name}.conv1.weight"]), f"{name}.bn1"))
                    y = f.relu(norm(f.conv2d(y, w[f"{name}.conv2.weight"], stride=stride, padding=1), f"{name}.bn2"))
                    y = norm(f.conv2d(y, w[f"{name}.conv3.weight"]), f"{name}.bn3")
                if f"{name}.downsample.0.weight" in w:
                    x = norm(f.conv2d(x, w[f"{name}.downsample.0.weight"], stride=stride), f"{name}.downsample.1")
                x = f.relu(x + y)
        wanted = f.linear(x.mean(dim=(2, 3)), w["fc.weight"], w["fc.bias"])
        found = tower(twelve, GSD)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_geoclip_image_has_the_published_names() -> None:
    with torch.device("meta"):
        tower = published_tower(layout.CLIP_TOWER)
    wanted = layout.image_tower(layout.CLIP_TOWER)
    wanted |= {f"mlp.{name}": shape for name, shape in layout.geoclip_mlp().items()}
    assert {name: tuple(value.shape) for name, value in tower.state_dict().items()} == wanted


def test_geoclip_image_small() -> None:
    """The same network, narrower: two blocks of width 32 on four patches."""
    torch.manual_seed(2)
    tower = GeoclipImage(width=32, depth=2, heads=4, side=2, middle=24).eval()
    for value in tower.parameters():
        torch.nn.init.normal_(value, std=0.3)
    w = {name.removeprefix("vision_model."): value for name, value in tower.state_dict().items()}
    image = torch.randn(2, 3, 28, 28)

    def norm(x: Tensor, name: str) -> Tensor:
        return f.layer_norm(x, (32,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)

    def linear(x: Tensor, name: str) -> Tensor:
        return f.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    with torch.no_grad():
        patches = f.conv2d(image, w["embeddings.patch_embedding.weight"], stride=14).reshape(2, 32, 4).transpose(1, 2)
        start = w["embeddings.class_embedding"].reshape(1, 1, 32).repeat(2, 1, 1)
        x = torch.cat([start, patches], dim=1) + w["embeddings.position_embedding.weight"]
        x = norm(x, "pre_layrnorm")
        for at in range(2):
            block = f"encoder.layers.{at}"
            y = norm(x, f"{block}.layer_norm1")
            query, key, value = (linear(y, f"{block}.self_attn.{name}_proj") for name in "qkv")
            x = x + linear(attention(query, key, value, 4), f"{block}.self_attn.out_proj")
            y = linear(norm(x, f"{block}.layer_norm2"), f"{block}.mlp.fc1")
            x = x + linear(y * torch.sigmoid(1.702 * y), f"{block}.mlp.fc2")
        x = norm(x[:, 0], "post_layernorm") @ w["visual_projection.weight"].T
        wanted = linear(f.relu(linear(x, "mlp.0")), "mlp.2")
        found = tower(image, GSD)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_there_is_no_other_tower() -> None:
    with pytest.raises(ValueError, match="vit-9000"):
        published_tower("vit-9000")


def test_the_zero_band_stands_at_the_place_of_b10() -> None:
    """Between B09 and B11."""
    tower, _ = loaded(layout.RESNET18)
    twelve, _ = pixels(64)
    seen: list[np.ndarray] = []
    tower.conv1.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].numpy()))
    with torch.no_grad():
        tower(twelve, GSD)
    assert seen[0].shape[1] == 13
    assert not seen[0][:, 10].any()
    np.testing.assert_array_equal(seen[0][:, 11], twelve[:, 10].numpy())
