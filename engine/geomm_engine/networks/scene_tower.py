"""The image tower: convolutions down to patches, then attention that fades with ground distance. Knows no file, no text.

The size of a ground pixel is an input. It sets the bias of the attention (Scale-ALiBi) and, as slow waves of its
logarithm, is added to every patch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast, get_args

import torch
from torch import Tensor, nn

from geomm_engine.networks.mobile_stem import MobileStem, MobileStemSettings
from geomm_engine.networks.residual import GroundPixel
from geomm_engine.networks.scale_alibi import AttentionStack, Position, patch_centres_m
from geomm_engine.networks.views import COUNTS


@dataclass(frozen=True)
class SceneTowerSettings:
    """``reference_m`` is the ground size of a patch for which the slopes of the heads are meant; ``position`` is one of
    ``scale_alibi.Position``. The ready model averages ``views`` of a tile (``views.SeveralViews``) and looks at it with
    ``view_px`` pixels a side (``views.SizedView``; 0: as many as it has).

    Raises:
        ValueError: ``position`` is none of them, or there are no such ``views`` or ``view_px``.
    """

    dim: int = 192
    bands: int = 3
    stem: MobileStemSettings = field(default_factory=MobileStemSettings)
    width: int = 256
    layers: int = 2
    heads: int = 8
    widening: float = 2.0
    position: str = "scale_alibi"
    reference_m: float = 20.0
    gsd_width: int = 32
    views: int = 1
    view_px: int = 0

    def __post_init__(self) -> None:
        if self.position not in get_args(Position):
            raise ValueError(f"position “{self.position}” is none of {', '.join(get_args(Position))}")
        if self.views not in COUNTS:
            raise ValueError(f"{self.views} views of a tile are none of {', '.join(map(str, COUNTS))}")
        if self.view_px < 0:
            raise ValueError(f"a tile cannot be looked at with {self.view_px} pixels a side")


class SceneTower(nn.Module):
    """Normalised pixels and their size on the ground → one vector, not yet of unit length."""

    def __init__(self, settings: SceneTowerSettings) -> None:
        super().__init__()
        self.patch_px = settings.stem.patch_px
        self.stem = MobileStem(settings.bands, settings.stem)
        self.narrow = nn.Linear(settings.stem.channels[-1], settings.width)
        self.ground = GroundPixel(settings.gsd_width)
        self.ground_shift = nn.Linear(settings.gsd_width, settings.width)
        self.attention = AttentionStack(
            settings.width,
            settings.heads,
            settings.layers,
            ref_m=settings.reference_m,
            position=cast(Position, settings.position),
            widening=settings.widening,
        )
        self.norm = nn.LayerNorm(settings.width)
        self.head = nn.Linear(2 * settings.width, settings.dim)
        nn.init.zeros_(self.ground_shift.weight)
        nn.init.zeros_(self.ground_shift.bias)

    def forward(self, image: Tensor, gsd_m: Tensor) -> Tensor:
        """(n, band, h, w) normalised, (n,) metres → (n, dim)."""
        return self.sum_up(self.stem(image), gsd_m)

    def sum_up(self, features: Tensor, gsd_m: Tensor) -> Tensor:
        """From what the stem gives, (n, channel, h / patch, w / patch), to the vector: attention, means and largest values."""
        patches = self._heard(features, gsd_m)
        vector: Tensor = self.head(torch.cat([patches.mean(dim=1), patches.amax(dim=1)], dim=1))
        return vector

    def _heard(self, features: Tensor, gsd_m: Tensor) -> Tensor:
        """(n, patch, width): every patch after it has heard the others, row by row."""
        height, width = features.shape[2], features.shape[3]
        tokens = self.narrow(features.flatten(2).transpose(1, 2))
        tokens = tokens + self.ground_shift(self.ground(gsd_m)).unsqueeze(1)
        centres_m = patch_centres_m(height, width, self.patch_px, gsd_m)
        heard: Tensor = self.norm(self.attention(tokens, centres_m, (height, width)))
        return heard
