"""Weights on a grid of 255 steps a channel, so that a model takes a byte a weight: symmetric, one scale an output channel.

Rounding happens once, in the network, before it is written: graph, torch weights and every measured number are of the same
rounded network. Convolutions keep the grid when a norm is folded into them, because that scales whole channels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SMALLEST_ROUNDED = 2048
LARGEST = 127
_EXACT = 1e-5


@torch.no_grad()
def round_weights(network: nn.Module) -> None:
    """Round every large matrix, kernel and table of the network in place."""
    for value in network.parameters():
        if value.ndim >= 2 and value.numel() >= SMALLEST_ROUNDED:
            steps, scale = to_bytes(value)
            value.copy_(steps.float() * scale)


def to_bytes(value: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers −127…127 (int8) and the scale (out, 1, …) that gives the values back."""
    most = value.abs().flatten(1).amax(dim=1).clamp(min=1e-12).view(-1, *[1] * (value.ndim - 1))
    scale = most / LARGEST
    return torch.round(value / scale).to(torch.int8), scale


def on_grid(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    """Whole numbers and a scale that give these values back, one scale along the first or the last axis; or None."""
    for axis in (0, values.ndim - 1):
        others = tuple(place for place in range(values.ndim) if place != axis)
        most = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-12)
        scale = (most / LARGEST).astype(np.float32)
        steps = np.round(values / scale)
        if np.all(np.abs(steps * scale - values) <= _EXACT * most):
            return steps.astype(np.int8), scale
    return None
