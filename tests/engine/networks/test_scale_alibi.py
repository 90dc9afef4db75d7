"""The slopes and biases at known distances, what the order of tokens may not change, and the same answers from ONNX."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from geomm_engine.networks.scale_alibi import (
    AttentionBlock,
    AttentionStack,
    Position,
    ScaleAlibiAttention,
    attention_bias,
    head_slopes,
    patch_centres_m,
)

REF_M = 80.0


def test_slopes_are_the_known_ones() -> None:
    assert head_slopes(8).tolist() == [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625]
    assert head_slopes(16)[:3].tolist() == pytest.approx([0.70711, 0.5, 0.35355], abs=1e-5)
    assert head_slopes(16)[-1].item() == 2.0**-8


def test_one_patch_of_ten_metres_is_two_of_five() -> None:
    coarse = patch_centres_m(4, 4, 8, torch.tensor([10.0]))
    fine = patch_centres_m(8, 8, 8, torch.tensor([5.0]))
    slopes = head_slopes(8)
    of_coarse = attention_bias(coarse, coarse, REF_M, slopes)
    of_fine = attention_bias(fine, fine, REF_M, slopes)
    assert of_coarse[0, 0, 0, 1].item() == -0.5
    assert of_fine[0, 0, 0, 2].item() == -0.5
    assert of_coarse[0, :, 0, 1].tolist() == of_fine[0, :, 0, 2].tolist()


def test_bias_is_straight_distance_and_never_above_zero() -> None:
    centres = patch_centres_m(3, 5, 16, torch.tensor([0.3, 7400.0]))
    bias = attention_bias(centres, centres, REF_M, head_slopes(4))
    assert bias.shape == (2, 4, 15, 15)
    assert bias.dtype == torch.float32
    assert bias.max().item() == 0.0
    assert torch.equal(torch.diagonal(bias, dim1=2, dim2=3), torch.zeros(2, 4, 15))
    assert bias[0, 1, 0, 6].item() == pytest.approx(-(2.0**-4) * 16 * 0.3 * 2**0.5 / REF_M, rel=1e-5)


def test_grids_of_two_sensors_share_the_ground() -> None:
    """The centre of a coarse patch lies between its four fine ones: the offset between grids is in the centres."""
    coarse, fine = patch_centres_m(1, 1, 8, torch.tensor([10.0])), patch_centres_m(2, 2, 8, torch.tensor([5.0]))
    assert torch.equal(fine.mean(dim=1, keepdim=True), coarse)
    to_each = attention_bias(coarse, fine, REF_M, head_slopes(8))[0, 0, 0]
    assert to_each.tolist() == pytest.approx([-0.5 * 20 * 2**0.5 / REF_M] * 4)


def test_scores_are_divided_by_the_root_of_the_head_width() -> None:
    torch.manual_seed(0)
    attention = ScaleAlibiAttention(8, 2, ref_m=REF_M)
    tokens, centres = torch.randn(1, 3, 8), torch.randn(1, 3, 2) * 100
    query, (key, value) = attention.query(tokens), attention.key_value(tokens).chunk(2, dim=2)
    heads = []
    for head, slope in enumerate((2.0**-4, 2.0**-8)):
        part = slice(4 * head, 4 * head + 4)
        distance = (centres[0, :, None] - centres[0, None]).norm(dim=2)
        score = query[0, :, part] @ key[0, :, part].T / 2.0 - slope * distance / REF_M
        heads.append(score.softmax(dim=1) @ value[0, :, part])
    assert torch.allclose(attention(tokens, centres)[0], attention.out(torch.cat(heads, dim=1)), atol=1e-6)


def test_order_of_tokens_changes_nothing() -> None:
    torch.manual_seed(1)
    block = AttentionBlock(16, 4, ref_m=REF_M).eval()
    tokens, centres = torch.randn(2, 12, 16), patch_centres_m(3, 4, 8, torch.tensor([10.0, 2.5]))
    order = torch.randperm(12)
    assert torch.allclose(block(tokens, centres)[:, order], block(tokens[:, order], centres[:, order]), atol=1e-6)


def test_order_of_both_sides_of_cross_attention_changes_nothing() -> None:
    torch.manual_seed(2)
    attention = ScaleAlibiAttention(16, 4, ref_m=REF_M, key_width=10).eval()
    queries, keys = torch.randn(2, 4, 16), torch.randn(2, 16, 10)
    at = patch_centres_m(2, 2, 8, torch.tensor([10.0, 10.0]))
    of = patch_centres_m(4, 4, 8, torch.tensor([5.0, 5.0]))
    mine, theirs = torch.randperm(4), torch.randperm(16)
    straight = attention(queries, at, keys, of)[:, mine]
    assert torch.allclose(straight, attention(queries[:, mine], at[:, mine], keys[:, theirs], of[:, theirs]), atol=1e-6)


def test_kept_tokens_do_not_hear_those_left_out() -> None:
    torch.manual_seed(3)
    block = AttentionBlock(16, 4, ref_m=REF_M).eval()
    tokens, centres = torch.randn(2, 9, 16), patch_centres_m(3, 3, 8, torch.tensor([10.0, 10.0]))
    kept = torch.tensor([0, 2, 5, 7])
    is_kept = torch.zeros(2, 9, dtype=torch.bool)
    is_kept[:, kept] = True
    assert torch.allclose(block(tokens, centres, is_kept)[:, kept], block(tokens[:, kept], centres[:, kept]), atol=1e-6)


def test_distance_on_the_ground_is_heard_and_only_with_the_bias() -> None:
    torch.manual_seed(4)
    tokens = torch.randn(1, 9, 16)
    near, far = (patch_centres_m(3, 3, 8, torch.tensor([gsd_m])) for gsd_m in (1.0, 100.0))
    for position, is_heard in (("scale_alibi", True), ("none", False)):
        torch.manual_seed(5)
        block = AttentionBlock(16, 4, ref_m=REF_M, position=position).eval()  # type: ignore[arg-type]
        assert ((block(tokens, near) - block(tokens, far)).abs().max().item() > 1e-4) is is_heard


def test_no_nan_with_one_image_one_token_and_a_continent() -> None:
    block = AttentionBlock(16, 4, ref_m=REF_M)
    one = block(torch.zeros(1, 1, 16), patch_centres_m(1, 1, 8, torch.tensor([10.0])))
    wide = block(torch.randn(1, 4, 16), patch_centres_m(2, 2, 8, torch.tensor([1e5])))
    (one.sum() + wide.sum()).backward()
    assert torch.isfinite(one).all()
    assert torch.isfinite(wide).all()
    assert all(torch.isfinite(item.grad).all() for item in block.parameters() if item.grad is not None)


def test_learned_position_needs_the_grid_and_stretches() -> None:
    stack = AttentionStack(16, 4, 1, ref_m=REF_M, position="learned")
    centres = patch_centres_m(5, 3, 8, torch.tensor([10.0]))
    assert stack(torch.zeros(1, 15, 16), centres, (5, 3)).shape == (1, 15, 16)
    with pytest.raises(ValueError, match="rows and columns"):
        stack(torch.zeros(1, 15, 16), centres)


class Tiled(nn.Module):
    """Patches of 4 × 4 pixels through two blocks: what an image tower does with them."""

    def __init__(self, position: Position) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 16, 4, 4)
        self.stack = AttentionStack(16, 4, 2, ref_m=REF_M, position=position)

    def forward(self, image: Tensor, gsd_m: Tensor) -> Tensor:
        cut = self.cut(image)
        height, width = cut.shape[2], cut.shape[3]
        centres = patch_centres_m(height, width, 4, gsd_m)
        mixed: Tensor = self.stack(cut.flatten(2).transpose(1, 2), centres, (height, width))
        return mixed.mean(dim=1)


@pytest.mark.parametrize("position", ["scale_alibi", "learned", "none"])
def test_onnx_gives_the_same_at_every_size(position: Position, tmp_path: Path) -> None:
    torch.manual_seed(6)
    module, path = Tiled(position).eval(), tmp_path / "tiled é.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(2, 3, 16, 16), torch.full((2,), 10.0)),
            str(path),
            input_names=["image", "gsd_m"],
            output_names=["embedding"],
            dynamic_axes={"image": {0: "n", 2: "h", 3: "w"}, "gsd_m": {0: "n"}, "embedding": {0: "n"}},
            opset_version=18,
            dynamo=False,
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for size in ((1, 3, 16, 16), (3, 3, 24, 40), (2, 3, 4, 4)):
        image = torch.randn(size)
        gsd_m = torch.linspace(0.3, 60.0, size[0])
        told = {"image": image.numpy(), "gsd_m": gsd_m.numpy()}
        theirs = session.run(None, {item.name: told[item.name] for item in session.get_inputs()})[0]
        np.testing.assert_allclose(theirs, module(image, gsd_m).detach().numpy(), atol=1e-5)
