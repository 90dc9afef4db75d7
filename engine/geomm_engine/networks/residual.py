"""Parts that are told the size of a ground pixel: its features, and a residual block that they steer. Knows no file."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

REFERENCE_GSD_M = 10.0


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
