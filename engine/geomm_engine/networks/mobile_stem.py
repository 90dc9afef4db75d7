"""The convolutional stem: MobileNet's depthwise-separable blocks (Howard et al. 2017, arXiv 1704.04861) down to tokens.

Channels and strides of the first blocks are those of MobileNetV1, so that weights trained on ImageNet fit (see
``start_from``). Knows no ground and no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class MobileStemSettings:
    """The first number of each is the plain 3 × 3 convolution; every further one a depthwise and a pointwise one."""

    channels: tuple[int, ...] = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512)
    strides: tuple[int, ...] = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1)

    @property
    def patch_px(self) -> int:
        """Pixels of the image that one token stands for."""
        return prod(self.strides)


class ConvNorm(nn.Module):
    """A convolution, batch norm and ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, is_depthwise: bool = False) -> None:
        super().__init__()
        groups = inputs if is_depthwise else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.bend = nn.ReLU6()

    def forward(self, image: Tensor) -> Tensor:
        bent: Tensor = self.bend(self.norm(self.conv(image)))
        return bent


class MobileStem(nn.Module):
    """(n, band, h, w) → (n, channel, h / patch, w / patch), sizes rounded up."""

    def __init__(self, bands: int, settings: MobileStemSettings) -> None:
        super().__init__()
        blocks = [nn.Sequential(ConvNorm(bands, settings.channels[0], 3, settings.strides[0]))]
        for (inputs, outputs), stride in zip(pairwise(settings.channels), settings.strides[1:], strict=True):
            depthwise = ConvNorm(inputs, inputs, 3, stride, is_depthwise=True)
            blocks.append(nn.Sequential(depthwise, ConvNorm(inputs, outputs, 1)))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> Tensor:
        for block in self.blocks:
            image = block(image)
        return image

    def scales(self, image: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """What comes out of some of the blocks, the last of them included."""
        found = []
        for at, block in enumerate(self.blocks):
            image = block(image)
            if at in blocks:
                found.append(image)
        return found

    @property
    def convolutions(self) -> list[ConvNorm]:
        """Every convolution with its norm, from the image on."""
        return [module for module in self.modules() if isinstance(module, ConvNorm)]

    @torch.no_grad()
    def start_from(self, folded: Sequence[tuple[Tensor, Tensor]], images: Tensor) -> None:
        """Take kernels with folded biases, and set each norm from these images so that it gives what was folded.

        Args:
            folded: (kernel, bias) of the first convolutions; further ones of ``folded`` are not used.
            images: (n, band, h, w) as the tower sees them; more pictures, truer norms.
        """
        values = images
        for module, (kernel, bias) in zip(self.convolutions, folded, strict=False):
            module.conv.weight.copy_(kernel)
            raw = module.conv(values)
            mean, variance = raw.mean(dim=(0, 2, 3)), raw.var(dim=(0, 2, 3)).clamp(min=1e-6)
            module.norm.running_mean = mean.clone()
            module.norm.running_var = variance.clone()
            module.norm.weight.copy_((variance + module.norm.eps).sqrt())
            module.norm.bias.copy_(mean + bias)
            values = (raw + bias.view(1, -1, 1, 1)).clamp(0, 6)

    def freeze(self, blocks: int) -> None:
        """The first blocks learn nothing and keep their norms."""
        for block in list(self.blocks)[:blocks]:
            block.requires_grad_(False)
            block.eval()
