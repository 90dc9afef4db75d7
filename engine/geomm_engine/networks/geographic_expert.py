"""The geographic expert: a convolutional trunk that is told the size of a ground pixel, and four heads. Knows no file.

The place logits are Σ a_b(image) · basis[b, centre]. With a basis of smooth functions on the sphere and of what maps say of
each centre, what is learned beside ground that was never seen carries over to it, where one free number a centre would
learn to say "never".
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.networks.mobile_stem import MobileStem, MobileStemSettings
from geomm_engine.networks.residual import Block, GroundPixel

ARCHITECTURE = "geographic-expert-2"
CLIMATES = 31


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
    """

    place: Tensor
    climate: Tensor
    season: Tensor
    abstain: Tensor
    embedding: Tensor
    plain: Tensor


class GeographicExpert(nn.Module):
    """Normalised pixels and their size on the ground → places, climate, season, abstaining, embedding."""

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
        self.plain = nn.Linear(settings.dim, 5) if settings.is_plain else None
        self.raw_kappa = nn.Parameter(torch.full((len(centres),), float(kappa)).log())
        for head in (self.place, self.season):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    @property
    def kappa(self) -> Tensor:
        """(k,) within 1e-3…1e6."""
        return self.raw_kappa.clamp(-6.9, 13.8).exp()

    def embed(self, image: Tensor, gsd_m: Tensor) -> Tensor:
        """(n, dim), not yet of unit length: means and largest values over the picture."""
        ground = self.ground(gsd_m)
        features = self.tail(self.stem(image), ground).float()
        pooled = [features.mean(dim=(2, 3)), features.amax(dim=(2, 3)), ground.float()]
        vector: Tensor = self.neck(torch.cat(pooled, dim=1))
        return vector

    def forward(self, image: Tensor, gsd_m: Tensor) -> ExpertOutput:
        """(n, 3, h, w) normalised, (n,) metres."""
        vector = self.embed(image, gsd_m)
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
        )
