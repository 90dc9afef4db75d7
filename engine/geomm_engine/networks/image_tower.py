"""The image tower: a small residual network whose stages are told the size of a ground pixel. Knows no file and no text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

REFERENCE_GSD_M = 10.0


@dataclass(frozen=True)
class ImageTowerSettings:
    """``widths`` are the channels of the stem and of each stage, ``depths`` the blocks of each stage."""

    dim: int = 192
    bands: int = 3
    widths: tuple[int, ...] = (32, 32, 64, 128, 192)
    depths: tuple[int, ...] = (1, 1, 2, 1)
    gsd_width: int = 32


class GroundPixel(nn.Module):
    """Features of log2(GSD / 10 m): the number itself and slow waves of it, so that 0.3 m and 20 m differ smoothly."""

    frequency: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequency", torch.tensor([0.25, 0.5, 1.0]), persistent=False)
        self.mix = nn.Linear(7, width)

    def forward(self, gsd_m: Tensor) -> Tensor:
        """(n,) metres → (n, width)."""
        octaves = torch.log2(gsd_m.clamp(0.05, 20000.0) / REFERENCE_GSD_M).unsqueeze(1)
        waves = octaves * self.frequency
        features = torch.cat([octaves / 5.0, torch.sin(waves), torch.cos(waves)], dim=1)
        return functional.silu(self.mix(features.to(self.mix.weight.dtype)))


class Block(nn.Module):
    """Two 3 × 3 convolutions with a shortcut; the ground pixel scales and shifts the channels between them."""

    def __init__(self, inputs: int, outputs: int, stride: int, gsd_width: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        self.scale_and_shift = nn.Linear(gsd_width, 2 * outputs)
        nn.init.zeros_(self.scale_and_shift.weight)
        nn.init.zeros_(self.scale_and_shift.bias)
        nn.init.zeros_(self.second_norm.weight)

    def forward(self, image: Tensor, ground: Tensor) -> Tensor:
        scale, shift = self.scale_and_shift(ground).unsqueeze(2).unsqueeze(3).chunk(2, dim=1)
        inner = self.first_norm(self.first(image)) * (1.0 + scale) + shift
        inner = self.second_norm(self.second(functional.relu(inner)))
        kept = image if self.stride == 1 else functional.avg_pool2d(image, self.stride, ceil_mode=True)
        return functional.relu(inner + self.shortcut(kept))


class ImageTower(nn.Module):
    """Normalised pixels and their size on the ground → one vector, not yet of unit length."""

    def __init__(self, settings: ImageTowerSettings) -> None:
        super().__init__()
        widths, depths = settings.widths, settings.depths
        self.stem = nn.Conv2d(settings.bands, widths[0], 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        self.ground = GroundPixel(settings.gsd_width)
        blocks: list[Block] = []
        inputs = widths[0]
        for stage, (width, depth) in enumerate(zip(widths[1:], depths, strict=True)):
            for place in range(depth):
                stride = 2 if stage > 0 and place == 0 else 1
                blocks.append(Block(inputs, width, stride, settings.gsd_width))
                inputs = width
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Sequential(nn.Linear(inputs, 2 * inputs), nn.SiLU(), nn.Linear(2 * inputs, settings.dim))

    def forward(self, image: Tensor, gsd_m: Tensor) -> Tensor:
        """(n, band, h, w) normalised, (n,) metres → (n, dim)."""
        ground = self.ground(gsd_m)
        features = functional.relu(self.stem_norm(self.stem(image)))
        for block in self.blocks:
            features = block(features, ground)
        vector: Tensor = self.head(features.mean(dim=(2, 3)))
        return vector
