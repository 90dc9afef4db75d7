"""Image towers of published location models, with their authors' names, so that their weights fit as they are.

SatCLIP (MIT): ViT-S/16, ResNet-18 or ResNet-50 over 13 Sentinel-2 bands, in timm's names. GeoCLIP (MIT): CLIP ViT-L/14
(Radford et al. 2021) in Hugging Face's names, and two linear layers behind it. Written anew from the papers. Forward only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CIRRUS = 10
"""SatCLIP's 11th input is Sentinel-2's B10, which the training data lacked: always zeros. The card lists twelve bands."""


class _Attention(nn.Module):
    """Self-attention with one matrix for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        count, length, width = tokens.shape
        query, key, value = (
            self.qkv(tokens).view(count, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        found: Tensor = self.proj(mixed.transpose(1, 2).reshape(count, length, width))
        return found


class _Mlp(nn.Module):
    def __init__(self, width: int, *, is_quick: bool = False) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.is_quick = is_quick

    def forward(self, tokens: Tensor) -> Tensor:
        inner = self.fc1(tokens)
        inner = inner * torch.sigmoid(1.702 * inner) if self.is_quick else functional.gelu(inner)
        found: Tensor = self.fc2(inner)
        return found


class _VitBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Mlp(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        found: Tensor = tokens + self.mlp(self.norm2(tokens))
        return found


class _PatchEmbedding(nn.Module):
    def __init__(self, bands: int, width: int, patch_px: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(bands, width, patch_px, patch_px)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).flatten(2).transpose(1, 2)


class SatclipVit(nn.Module):
    """ViT-S/16 on 224 pixels: (n, 12, 224, 224) reflectance 0–1 → (n, 256)."""

    def __init__(self, dim: int = 256, width: int = 384, depth: int = 12, heads: int = 6) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbedding(13, width, 16)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 197, width))
        self.blocks = nn.ModuleList(_VitBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, dim)

    def forward(self, image: Tensor, gsd_m: Tensor) -> Tensor:
        del gsd_m
        patches = self.patch_embed(_with_cirrus(image))
        tokens = torch.cat([self.cls_token.expand(len(image), -1, -1), patches], dim=1) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        found: Tensor = self.head(self.norm(tokens)[:, 0])
        return found


class _Residual(nn.Module):
    """A ResNet block: two 3 × 3 convolutions, or 1 × 1, 3 × 3, 1 × 1 with the stride in the middle."""

    def __init__(self, inputs: int, width: int, stride: int, *, is_deep: bool) -> None:
        super().__init__()
        outputs = 4 * width if is_deep else width
        if is_deep:
            self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(outputs)
        else:
            self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.is_deep = is_deep

    def forward(self, values: Tensor) -> Tensor:
        inner = functional.relu(self.bn1(self.conv1(values)))
        inner = self.bn2(self.conv2(inner))
        if self.is_deep:
            inner = self.bn3(self.conv3(functional.relu(inner)))
        return functional.relu(inner + self.downsample(values))


class SatclipResnet(nn.Module):
    """ResNet-18 or -50, any size: (n, 12, h, w) reflectance 0–1 → (n, 256)."""

    def __init__(self, blocks: tuple[int, ...], *, is_deep: bool, dim: int = 256) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(13, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for stage, count in enumerate(blocks):
            width = 64 * 2**stage
            parts = []
            for at in range(count):
                parts.append(_Residual(inputs, width, 2 if stage and at == 0 else 1, is_deep=is_deep))
                inputs = 4 * width if is_deep else width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*parts))
        self.stages = tuple(f"layer{stage + 1}" for stage in range(len(blocks)))
        self.fc = nn.Linear(inputs, dim)

    def forward(self, image: Tensor, gsd_m: Tensor) -> Tensor:
        del gsd_m
        values = functional.relu(self.bn1(self.conv1(_with_cirrus(image))))
        values = functional.max_pool2d(values, 3, 2, 1)
        for name in self.stages:
            values = self.get_submodule(name)(values)
        found: Tensor = self.fc(values.mean(dim=(2, 3)))
        return found


def _with_cirrus(image: Tensor) -> Tensor:
    """(n, 12, h, w) → (n, 13, h, w): zeros where B10 would be."""
    return torch.cat([image[:, :CIRRUS], torch.zeros_like(image[:, :1]), image[:, CIRRUS:]], dim=1)


class _ClipAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        count, length, width = tokens.shape
        query, key, value = (
            part(tokens).view(count, length, self.heads, width // self.heads).transpose(1, 2)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        found: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(count, length, width))
        return found


class _ClipBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn = _ClipAttention(width, heads)
        self.mlp = _Mlp(width, is_quick=True)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.self_attn(self.layer_norm1(tokens))
        found: Tensor = tokens + self.mlp(self.layer_norm2(tokens))
        return found


class _ClipEmbeddings(nn.Module):
    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, 14, 14, bias=False)
        self.position_embedding = nn.Embedding(side * side + 1, width)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patch_embedding(image).flatten(2).transpose(1, 2)
        start = self.class_embedding.expand(len(image), 1, -1)
        return torch.cat([start, patches], dim=1) + self.position_embedding.weight


class _ClipVision(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, side: int) -> None:
        super().__init__()
        self.embeddings = _ClipEmbeddings(width, side)
        self.pre_layrnorm = nn.LayerNorm(width)
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(_ClipBlock(width, heads) for _ in range(depth))})
        self.post_layernorm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.pre_layrnorm(self.embeddings(image))
        for block in self.encoder["layers"]:  # type: ignore[attr-defined]
            tokens = block(tokens)
        found: Tensor = self.post_layernorm(tokens[:, 0])
        return found


class GeoclipImage(nn.Module):
    """CLIP ViT-L/14 and GeoCLIP's head: (n, 3, 224, 224), normalised as CLIP wants it → (n, 512)."""

    def __init__(self, width: int = 1024, depth: int = 24, heads: int = 16, side: int = 16, middle: int = 768) -> None:
        super().__init__()
        self.vision_model = _ClipVision(width, depth, heads, side)
        self.visual_projection = nn.Linear(width, middle, bias=False)
        self.mlp = nn.Sequential(nn.Linear(middle, middle), nn.ReLU(), nn.Linear(middle, 512))

    def forward(self, image: Tensor, gsd_m: Tensor) -> Tensor:
        del gsd_m
        found: Tensor = self.mlp(self.visual_projection(self.vision_model(image)))
        return found


def published_tower(kind: str) -> nn.Module:
    """The untrained network of this kind, as :mod:`geomm_engine.encoders.location.layout` names them.

    Raises:
        ValueError: there is none of that name.
    """
    if kind == "satclip-vit16":
        return SatclipVit()
    if kind == "satclip-resnet18":
        return SatclipResnet((2, 2, 2, 2), is_deep=False)
    if kind == "satclip-resnet50":
        return SatclipResnet((3, 4, 6, 3), is_deep=True)
    if kind == "geoclip-image":
        return GeoclipImage()
    raise ValueError(f"there is no published tower “{kind}”")
