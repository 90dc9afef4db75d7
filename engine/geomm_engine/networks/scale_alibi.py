"""Scale-ALiBi: attention that fades with distance on the ground, so that one network serves every resolution.

After Kage (Scale-ALiBi, 2023) and Press et al. (ALiBi, 2022), corrected: the score is
divided by √d, the bias is never above zero and counts metres on the ground, and it is taken from the centres of the
tokens that are there, on both sides. Knows tokens and metres; no file, no band.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Position = Literal["scale_alibi", "learned", "none"]


def head_slopes(heads: int) -> Tensor:
    """(H,) slopes 2^(−8h/H) for h = 1 … H: half-lives from near to far."""
    return torch.tensor([2.0 ** (-8.0 * (head + 1) / heads) for head in range(heads)])


def patch_centres_m(height: int, width: int, patch_px: float, gsd_m: Tensor) -> Tensor:
    """Centres (y, x) of the patches of n images, row by row, in ground metres from each image's upper left corner.

    Args:
        height: rows of patches.
        width: columns of patches.
        patch_px: pixels along the side of a patch.
        gsd_m: (n,) metres a pixel.

    Returns:
        (n, height·width, 2) float32. Images of one place with one upper left corner share this origin, whatever their
        pixels measure.
    """
    rows = torch.arange(height, device=gsd_m.device, dtype=torch.float32) + 0.5
    columns = torch.arange(width, device=gsd_m.device, dtype=torch.float32) + 0.5
    y = rows.unsqueeze(1).expand(-1, width).reshape(-1)
    x = columns.unsqueeze(0).expand(height, -1).reshape(-1)
    return torch.stack([y, x], dim=1).unsqueeze(0) * (gsd_m.float() * patch_px).reshape(-1, 1, 1)


def attention_bias(query_centres_m: Tensor, key_centres_m: Tensor, ref_m: float, slopes: Tensor) -> Tensor:
    """b = −slope · ‖Δ‖ / ref_m: what attention loses between two places on the ground.

    Args:
        query_centres_m: (n, q, 2) metres, from an origin near the tiles (float32 has no millimetres left at 5,000 km).
        key_centres_m: (n, k, 2) metres, from the same origin.
        ref_m: ground size of one patch at the resolution the slopes are meant for.
        slopes: (H,) of the heads.

    Returns:
        (n, H, q, k) float32, ≤ 0.
    """
    step = query_centres_m.float().unsqueeze(2) - key_centres_m.float().unsqueeze(1)
    distance = (step * step).sum(dim=3).sqrt() / ref_m
    return -(slopes.reshape(1, -1, 1, 1).float() * distance.unsqueeze(1))


class ScaleAlibiAttention(nn.Module):
    """Attention of queries to keys (to themselves, if no keys are given), with the bias of ``attention_bias``.

    ``has_bias`` false leaves the bias out: attention that knows no place.
    """

    slopes: Tensor

    def __init__(self, width: int, heads: int, *, ref_m: float, key_width: int = 0, has_bias: bool = True) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is no multiple of {heads} heads")
        self.heads = heads
        self.ref_m = ref_m
        self.has_bias = has_bias
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(key_width or width, 2 * width)
        self.out = nn.Linear(width, width)
        self.register_buffer("slopes", head_slopes(heads), persistent=False)

    def forward(
        self,
        queries: Tensor,
        query_centres_m: Tensor,
        keys: Tensor | None = None,
        key_centres_m: Tensor | None = None,
        is_key: Tensor | None = None,
    ) -> Tensor:
        """(n, q, width) and the centres of its tokens (n, q, 2) → (n, q, width).

        Args:
            queries: tokens that listen.
            query_centres_m: where they lie.
            keys: (n, k, key_width) tokens that are heard; the queries themselves if left out.
            key_centres_m: (n, k, 2), where those lie.
            is_key: (n, k) bool; a false one is given exactly no attention. At least one must be true in each row.
        """
        if keys is None or key_centres_m is None:
            keys, key_centres_m = queries, query_centres_m
        n, q, width = queries.shape
        k, each = keys.shape[1], width // self.heads
        query = self.query(queries).reshape(n, q, self.heads, each).transpose(1, 2)
        key, value = self.key_value(keys).reshape(n, k, 2, self.heads, each).permute(2, 0, 3, 1, 4).unbind(0)
        score = (query @ key.transpose(2, 3)).float() * each**-0.5
        if self.has_bias:
            score = score + attention_bias(query_centres_m, key_centres_m, self.ref_m, self.slopes)
        if is_key is not None:
            score = score.masked_fill(~is_key[:, None, None, :], float("-inf"))
        weight = torch.softmax(score, dim=-1).to(value.dtype)
        heard: Tensor = self.out((weight @ value).transpose(1, 2).reshape(n, q, width))
        return heard


class LearnedPosition(nn.Module):
    """The control: a learnt table of vectors, stretched over the patches of whatever size is there."""

    def __init__(self, width: int, table_yx: tuple[int, int] = (8, 8)) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(1, width, *table_yx) * 0.02)

    def forward(self, tokens: Tensor, patches_yx: tuple[int, int]) -> Tensor:
        """(n, h·w, width) of h × w patches, all of them → the same with their positions added."""
        table = functional.interpolate(self.table, size=patches_yx, mode="bilinear", align_corners=False)
        return tokens + table.flatten(2).transpose(1, 2)


class AttentionBlock(nn.Module):
    """Attention and feed-forward, each behind a layer norm, each added to what came in.

    ``position`` "scale_alibi" biases by ground distance. "learned" and "none" do not: a learnt position is added once,
    before the first block (``AttentionStack`` does it).
    """

    def __init__(
        self, width: int, heads: int, *, ref_m: float, position: Position = "scale_alibi", widening: float = 4.0
    ) -> None:
        super().__init__()
        inner = int(width * widening)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = ScaleAlibiAttention(width, heads, ref_m=ref_m, has_bias=position == "scale_alibi")
        self.inner_norm = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))

    def forward(self, tokens: Tensor, centres_m: Tensor, is_kept: Tensor | None = None) -> Tensor:
        """(n, t, width), (n, t, 2) metres, (n, t) bool → (n, t, width)."""
        tokens = tokens + self.attention(self.attention_norm(tokens), centres_m, is_key=is_kept)
        mixed: Tensor = tokens + self.inner(self.inner_norm(tokens))
        return mixed


class AttentionStack(nn.Module):
    """Blocks one after the other, with the kind of position that is asked for."""

    def __init__(
        self,
        width: int,
        heads: int,
        depth: int,
        *,
        ref_m: float,
        position: Position = "scale_alibi",
        widening: float = 4.0,
        table_yx: tuple[int, int] = (8, 8),
    ) -> None:
        super().__init__()
        self.learned = LearnedPosition(width, table_yx) if position == "learned" else None
        self.blocks = nn.ModuleList(
            [AttentionBlock(width, heads, ref_m=ref_m, position=position, widening=widening) for _ in range(depth)]
        )

    def forward(
        self,
        tokens: Tensor,
        centres_m: Tensor,
        patches_yx: tuple[int, int] | None = None,
        is_kept: Tensor | None = None,
    ) -> Tensor:
        """(n, t, width), (n, t, 2) metres → (n, t, width).

        Args:
            tokens: of each image, in any order.
            centres_m: where they lie.
            patches_yx: rows and columns of patches; needed by a learnt position, which takes whole grids only.
            is_kept: (n, t) bool; a false token is given no attention.
        """
        if self.learned is not None:
            if patches_yx is None:
                raise ValueError("a learnt position needs the rows and columns of the patches")
            tokens = self.learned(tokens, patches_yx)
        for block in self.blocks:
            tokens = block(tokens, centres_m, is_kept)
        return tokens
