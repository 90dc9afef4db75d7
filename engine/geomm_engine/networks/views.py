"""A ready tower looks at a tile from more than one side: the mean of its answers depends less on an accident of direction.

For use, export and measuring; a network that learns sees turned crops anyway. Every view costs the arithmetic of the first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

COUNTS = (1, 2, 4)


class SeveralViews(nn.Module):
    """Two views: the tile and its half turn. Four: also both mirror images. Gives (n, dim), the mean of unit vectors.

    These four leave any rectangle its shape, and each set is a group: turned by one of its own, the tile keeps its
    vector.
    """

    def __init__(self, tower: nn.Module, count: int) -> None:
        super().__init__()
        self.tower = tower
        self.count = count

    def forward(self, image: Tensor, *facts: Tensor) -> Tensor:
        """(n, band, h, w), and what else the tower asks of each tile, (n, …)."""
        views = [image, image.flip((2, 3)), image.flip(2), image.flip(3)][: self.count]
        vectors: Tensor = self.tower(torch.cat(views), *(torch.cat([fact] * self.count) for fact in facts))
        mean: Tensor = functional.normalize(vectors, dim=1).view(self.count, -1, vectors.shape[1]).mean(dim=0)
        return mean


def ready(tower: nn.Module, views: int) -> nn.Module:
    """What is exported and run: the tower as it is, or over several views of a tile."""
    return SeveralViews(tower, views) if views > 1 else tower
