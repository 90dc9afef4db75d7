"""How a ready tower looks at a tile: with how many pixels, and from how many sides.

For use, export and measuring; a network that learns sees turned crops anyway, with the pixels of its recipe. More pixels on
the same ground give it more patches to look at; the mean over several sides depends less on an accident of direction. Twice
the pixels a side cost four times the arithmetic, every further side as much as the first.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

COUNTS = (1, 2, 4)


class Look(Protocol):
    """How a ready tower looks: over so many ``views`` of a tile, with ``view_px`` pixels a side (0: as many as it has)."""

    @property
    def views(self) -> int: ...

    @property
    def view_px(self) -> int: ...


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


class SizedView(nn.Module):
    """Looks at every square tile with ``px`` pixels a side, and tells the tower their size on the ground.

    Bilinear; from more than twice as many pixels some are passed over. A tile that is not square would be squeezed.
    """

    def __init__(self, tower: nn.Module, px: int) -> None:
        super().__init__()
        self.tower = tower
        self.px = px

    def forward(self, image: Tensor, gsd_m: Tensor, *facts: Tensor) -> Tensor:
        """(n, band, h, h), (n,) metres, and what else the tower asks of each tile, (n, …)."""
        sized = functional.interpolate(image, size=(self.px, self.px), mode="bilinear", align_corners=False)
        vectors: Tensor = self.tower(sized, gsd_m * (image.shape[2] / self.px), *facts)
        return vectors


def ready(tower: nn.Module, look: Look) -> nn.Module:
    """What is exported and run: the tower as it is, or over several views of a tile, or with so many pixels."""
    return sized(SeveralViews(tower, look.views) if look.views > 1 else tower, look)


def sized(tower: nn.Module, look: Look) -> nn.Module:
    """A tower that learns from whole tiles: with the pixels that the ready one will look at, from one side."""
    return SizedView(tower, look.view_px) if look.view_px else tower
