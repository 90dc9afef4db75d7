"""The geographic expert: a convolutional trunk that is told the size of a ground pixel, and its heads. Knows no file.

The place logits are Σ a_b(image) · basis[b, centre]. With a basis of smooth functions on the sphere and of what maps say of
each centre, what is learned beside ground that was never seen carries over to it, where one free number a centre would
learn to say "never". Two heads draw the picture's own map, of land and of climates, to be held against the world's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.networks.mobile_stem import MobileStem, MobileStemSettings
from geomm_engine.networks.residual import Block, GroundPixel

ARCHITECTURE = "geographic-expert-3"
CLIMATES = 31
LAND_SQUARES, CLIMATE_SQUARES = 16, 8
"""Squares along the side of the maps that are drawn of a picture."""
_SQUARE_PX = 4


@dataclass(frozen=True)
class GeographicSettings:
    """``width`` are the channels of the block behind the stem, ``dim`` those of the embedding.

    ``is_plain`` adds the document's baseline: three encoded coordinates and two of the day, by squared error.
    """

    dim: int = 384
    stem: MobileStemSettings = field(default_factory=MobileStemSettings)
    width: int = 384
    gsd_width: int = 16
    dropout: float = 0.2
    is_plain: bool = False


@dataclass(frozen=True)
class ExpertOutput:
    """``place`` (n, k) logits without a prior, ``climate`` (n, 31) logits, ``season`` (n, 2) = κ (cos μ, sin μ).

    ``abstain`` (n,) is a logit, ``embedding`` (n, dim) has unit length; ``plain`` (n, 5) is empty (n, 0) unless asked for.
    ``land`` (n, 16, 16) and ``climates`` (n, 31, 8, 8) are the logits of each square.
    """

    place: Tensor
    climate: Tensor
    season: Tensor
    abstain: Tensor
    embedding: Tensor
    plain: Tensor
    land: Tensor
    climates: Tensor


class Shore(nn.Module):
    """Land or water in each of 16 × 16 squares, from what the colours of its pixels are: no more than a shore needs."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.first = nn.Conv2d(12, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, h, w) normalised → (n, 16, 16) logits of land."""
        side = _SQUARE_PX * LAND_SQUARES
        image = functional.interpolate(image, size=(side, side), mode="bilinear", align_corners=False)
        mean = functional.avg_pool2d(image, _SQUARE_PX)
        spread = (functional.avg_pool2d(image.square(), _SQUARE_PX) - mean.square()).clamp_min(1e-6).sqrt()
        highest, lowest = functional.max_pool2d(image, _SQUARE_PX), -functional.max_pool2d(-image, _SQUARE_PX)
        inner = functional.silu(self.first(torch.cat([mean, spread, lowest, highest], dim=1)))
        logits: Tensor = self.last(functional.silu(self.second(inner)))
        return logits[:, 0]


class ClimateMap(nn.Module):
    """The climate of each of 8 × 8 squares, from the trunk's features at several scales."""

    def __init__(self, channels: tuple[int, ...], gsd_width: int, width: int = 96) -> None:
        super().__init__()
        self.taken = nn.ModuleList([nn.Conv2d(count, width, 1) for count in channels])
        self.ground = nn.Linear(gsd_width, width)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, CLIMATES, 1)

    def forward(self, features: list[Tensor], ground: Tensor) -> Tensor:
        """(n, c, h, w) of each scale, (n, gsd_width) → (n, 31, 8, 8) logits."""
        side = CLIMATE_SQUARES
        total = self.ground(ground)[:, :, None, None]
        for take, values in zip(self.taken, features, strict=True):
            total = total + functional.interpolate(
                take(values), size=(side, side), mode="bilinear", align_corners=False
            )
        inner = functional.silu(total)
        logits: Tensor = self.last(inner + functional.silu(self.middle(inner)))
        return logits


class GeographicExpert(nn.Module):
    """Normalised pixels and their size on the ground → places, climate, season, abstaining, embedding, maps."""

    basis: Tensor
    centres: Tensor

    def __init__(self, settings: GeographicSettings, centres: Tensor, basis: Tensor, kappa: float) -> None:
        """``centres`` (k, 3) unit vectors; ``basis`` (b, k); ``kappa`` is where the learned κ of every centre starts.

        An empty basis gives every centre a logit of its own: so is a network that has its basis multiplied out.
        """
        super().__init__()
        self.stem = MobileStem(3, settings.stem)
        self.ground = GroundPixel(settings.gsd_width)
        self.tail = Block(settings.stem.channels[-1], settings.width, 1, settings.gsd_width)
        self.neck = nn.Sequential(
            nn.Dropout(settings.dropout), nn.Linear(2 * settings.width + settings.gsd_width, settings.dim), nn.SiLU()
        )
        self.drop = nn.Dropout(settings.dropout)
        self.register_buffer("centres", centres.float())
        self.register_buffer("basis", basis.float())
        self.place = nn.Linear(settings.dim, len(basis) or len(centres))
        self.climate = nn.Linear(settings.dim, CLIMATES)
        self.season = nn.Linear(settings.dim, 2)
        self.abstain = nn.Linear(settings.dim, 1)
        self.shore = Shore()
        scales = settings.stem.channels
        self.scales = (len(scales) - 2, len(scales) - 1)
        self.climates = ClimateMap((*(scales[at] for at in self.scales), settings.width), settings.gsd_width)
        self.plain = nn.Linear(settings.dim, 5) if settings.is_plain else None
        self.raw_kappa = nn.Parameter(torch.full((len(centres),), float(kappa)).log())
        for head in (self.place, self.season):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    @property
    def kappa(self) -> Tensor:
        """(k,) within 1e-3…1e6."""
        return self.raw_kappa.clamp(-6.9, 13.8).exp()

    def forward(self, image: Tensor, gsd_m: Tensor) -> ExpertOutput:
        """(n, 3, h, w) normalised, (n,) metres."""
        ground = self.ground(gsd_m)
        scales = self.stem.scales(image, self.scales)
        deepest = self.tail(scales[-1], ground).float()
        pooled = [deepest.mean(dim=(2, 3)), deepest.amax(dim=(2, 3)), ground.float()]
        vector: Tensor = self.neck(torch.cat(pooled, dim=1))
        features = self.drop(vector)
        plain = self.plain(features) if self.plain is not None else features[:, :0]
        place = self.place(features).float()
        return ExpertOutput(
            place=place @ self.basis if len(self.basis) else place,
            climate=self.climate(features).float(),
            season=self.season(features).float(),
            abstain=self.abstain(features).float().squeeze(1),
            embedding=functional.normalize(vector.float(), dim=1),
            plain=plain.float(),
            land=self.shore(image).float(),
            climates=self.climates([*scales, deepest], ground).float(),
        )
