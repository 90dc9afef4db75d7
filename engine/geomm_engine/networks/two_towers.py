"""Image and text tower in one space, with the learnable inverse temperature between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.networks.scene_tower import SceneTower, SceneTowerSettings
from geomm_engine.networks.text_tower import TextTower, TextTowerSettings

ARCHITECTURE = "two-towers-2"
LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class TwoTowersSettings:
    image: SceneTowerSettings = field(default_factory=SceneTowerSettings)
    text: TextTowerSettings = field(default_factory=TextTowerSettings)


class TwoTowers(nn.Module):
    """Both towers; ``scale`` is exp(s), kept in (0, 100]."""

    def __init__(self, settings: TwoTowersSettings) -> None:
        super().__init__()
        self.image = SceneTower(settings.image)
        self.text = TextTower(settings.text)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def scale(self) -> Tensor:
        return self.log_scale.clamp(max=math.log(LARGEST_SCALE)).exp()

    def image_vectors(self, image: Tensor, gsd_m: Tensor, sight: nn.Module | None = None) -> Tensor:
        """(n, dim) of unit length; ``sight`` looks instead of the bare image tower."""
        return functional.normalize((sight or self.image)(image, gsd_m).float(), dim=1)

    def text_vectors(self, tokens: Tensor) -> Tensor:
        """(n, t) tokens → (n, dim) of unit length."""
        return functional.normalize(self.text(tokens).float(), dim=1)
