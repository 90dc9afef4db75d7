"""The geographic expert: one residual trunk that is told the size of a ground pixel, and four heads. Knows no file.

The place logits are smooth functions on the sphere, Σ a_lm(image) Y_lm(centre) with l ≤ ``degree``: what is learned beside
ground that was never seen carries over to it, where one free number a centre would learn to say "never".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.networks.residual import Block, GroundPixel

ARCHITECTURE = "geographic-expert-1"
CLIMATES = 31


@dataclass(frozen=True)
class GeographicSettings:
    """``widths`` are the channels of the stem and of each stage, ``depths`` the blocks of each stage; each halves the picture.

    ``degree`` limits the spherical harmonics of the place logits; 0 gives every centre a logit of its own.
    ``is_plain`` adds the document's baseline: three encoded coordinates and two of the day, by squared error.
    """

    dim: int = 256
    widths: tuple[int, ...] = (24, 64, 128)
    depths: tuple[int, ...] = (1, 1)
    gsd_width: int = 16
    degree: int = 6
    dropout: float = 0.3
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


def spherical_harmonics(points: Tensor, degree: int) -> Tensor:
    """(k, 3) unit vectors → (k, (degree + 1)²) real harmonics, orthonormal over the sphere; row l has m = −l…l."""
    x, y, z = points.double().unbind(1)
    radius = torch.sqrt(x * x + y * y).clamp_min(1e-12)
    turn = torch.atan2(y, x)
    legendre: dict[tuple[int, int], Tensor] = {(0, 0): torch.full_like(z, (4 * torch.pi) ** -0.5)}
    for m in range(1, degree + 1):
        legendre[m, m] = -(((2 * m + 1) / (2 * m)) ** 0.5) * radius * legendre[m - 1, m - 1]
    for m in range(degree):
        legendre[m + 1, m] = (2 * m + 3) ** 0.5 * z * legendre[m, m]
    for m in range(degree + 1):
        for n in range(m + 2, degree + 1):
            first = ((4 * n * n - 1) / (n * n - m * m)) ** 0.5
            second = (((n - 1) ** 2 - m * m) / (4 * (n - 1) ** 2 - 1)) ** 0.5
            legendre[n, m] = first * (z * legendre[n - 1, m] - second * legendre[n - 2, m])
    columns = []
    for n in range(degree + 1):
        for m in range(-n, n + 1):
            wave = (
                torch.ones_like(turn) if m == 0 else 2**0.5 * (torch.cos(m * turn) if m > 0 else torch.sin(-m * turn))
            )
            columns.append(legendre[n, abs(m)] * wave)
    return torch.stack(columns, dim=1).float()


class Palette(nn.Module):
    """What colours a picture has and how they change from pixel to pixel, wherever in it: 185 numbers.

    Means, spreads and correlations of the channels and of their shares, gradients at three scales, a soft histogram of
    5 × 5 × 5 colours (square roots on both sides), and means of thirds. Ground that was never seen shares these with its
    neighbours, while its outlines are its own.
    """

    mean: Tensor
    std: Tensor
    BINS = 5
    FEATURES = 6 + 3 + 6 + 18 + BINS**3 + 27

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, h, w) normalised → (n, FEATURES)."""
        color = (image.float() * self.std + self.mean).clamp(0.0, 1.0)
        parts = [*_moments(color)]
        deviation = (color - parts[0][:, :, None, None]) / (parts[1][:, :, None, None] + 0.01)
        red, green, blue = deviation.unbind(1)
        parts.append(torch.stack([(a * b).mean(dim=(1, 2)) for a, b in ((red, green), (red, blue), (green, blue))], 1))
        parts += _moments(color / (color.sum(dim=1, keepdim=True) + 0.05))
        smooth = color
        for _ in range(3):
            parts += _moments(_gradient(smooth))
            smooth = functional.avg_pool2d(smooth, 2, ceil_mode=True)
        parts.append(self._histogram(color))
        parts.append(_thirds(color))
        return torch.cat(parts, dim=1)

    def _histogram(self, color: Tensor) -> Tensor:
        """(n, 125): square root of the share of each colour, every pixel spread over its neighbouring bins."""
        place = torch.sqrt(color + 1e-6) * (self.BINS - 1)
        centres = torch.arange(self.BINS, dtype=color.dtype, device=color.device)[None, :, None, None]
        red, green, blue = (functional.relu(1.0 - (place[:, at : at + 1] - centres).abs()) for at in range(3))
        pairs = (red[:, :, None] * green[:, None]).flatten(1, 2).flatten(2)
        shares = pairs @ blue.flatten(2).transpose(1, 2) / (color.shape[2] * color.shape[3])
        return torch.sqrt(shares.flatten(1) + 1e-4)


def _moments(values: Tensor) -> list[Tensor]:
    """(n, c) means and standard deviations over the picture."""
    mean = values.mean(dim=(2, 3))
    spread = (values * values).mean(dim=(2, 3)) - mean * mean
    return [mean, torch.sqrt(spread.clamp_min(0.0) + 1e-6)]


def _gradient(values: Tensor) -> Tensor:
    """(n, c, h, w): absolute differences to the pixels below and beside; 0 at the far edges."""
    down = functional.pad((values[:, :, 1:] - values[:, :, :-1]).abs(), (0, 0, 0, 1))
    across = functional.pad((values[:, :, :, 1:] - values[:, :, :, :-1]).abs(), (0, 1))
    return down + across


def _thirds(color: Tensor) -> Tensor:
    """(n, 27): mean colours of 3 × 3 parts, by overlapping triangular weights, so that any size will do."""
    height, width = color.shape[2], color.shape[3]
    rows, columns = (
        functional.relu(
            1.0
            - (
                (torch.arange(size, device=color.device, dtype=color.dtype) + 0.5)[None] * (3.0 / size)
                - torch.tensor([0.5, 1.5, 2.5], device=color.device)[:, None]
            ).abs()
        )
        + 1e-6
        for size in (height, width)
    )
    rows = rows / rows.sum(dim=1, keepdim=True)
    columns = columns / columns.sum(dim=1, keepdim=True)
    return (rows @ color @ columns.T).flatten(1)


class GeographicExpert(nn.Module):
    """Normalised pixels and their size on the ground → places, climate, season, abstaining, embedding."""

    basis: Tensor
    centres: Tensor

    def __init__(
        self,
        settings: GeographicSettings,
        centres: Tensor,
        kappa: float,
        mean: tuple[float, float, float] = (0.3, 0.3, 0.3),
        std: tuple[float, float, float] = (0.25, 0.25, 0.25),
    ) -> None:
        """``centres`` (k, 3) unit vectors; ``kappa`` is where the learned κ of every centre starts.

        ``mean`` and ``std`` are those that pictures are normalised with.
        """
        super().__init__()
        self.palette = Palette(mean, std)
        self.palette_norm = nn.BatchNorm1d(Palette.FEATURES)
        widths, depths = settings.widths, settings.depths
        self.stem = nn.Conv2d(3, widths[0], 5, 2, 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        self.ground = GroundPixel(settings.gsd_width)
        blocks: list[Block] = []
        inputs = widths[0]
        for width, depth in zip(widths[1:], depths, strict=True):
            for place in range(depth):
                stride = 2 if place == 0 else 1
                blocks.append(Block(inputs, width, stride, settings.gsd_width))
                inputs = width
        self.blocks = nn.ModuleList(blocks)
        self._stage_ends = [sum(depths[: stage + 1]) - 1 for stage in range(len(depths))]
        pooled = sum(2 * widths[stage + 1] for stage in range(len(depths)))
        inputs = pooled + Palette.FEATURES + settings.gsd_width
        self.neck = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear(inputs, settings.dim),
            nn.SiLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.dim, settings.dim),
            nn.SiLU(),
        )
        self.drop = nn.Dropout(settings.dropout)
        self.register_buffer("centres", centres.float())
        if settings.degree:
            basis = spherical_harmonics(centres, settings.degree)
            falloff = torch.cat(
                [torch.full((2 * n + 1,), 1.0 / (1.0 + n / settings.degree)) for n in range(settings.degree + 1)]
            )
            self.register_buffer("basis", (basis * falloff * (4 * torch.pi) ** 0.5).T.contiguous())
        else:
            self.register_buffer("basis", torch.eye(len(centres)))
        self.place = nn.Linear(settings.dim, len(self.basis))
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
        """(n, dim), not yet of unit length: means and spreads over the picture of the later stages."""
        ground = self.ground(gsd_m)
        features = functional.relu(self.stem_norm(self.stem(image)))
        pooled: list[Tensor] = [self.palette_norm(self.palette(image)).clamp(-5.0, 5.0), ground.float()]
        for number, block in enumerate(self.blocks):
            features = block(features, ground)
            if number in self._stage_ends:
                whole = features.float()
                mean = whole.mean(dim=(2, 3))
                spread = (whole * whole).mean(dim=(2, 3)) - mean * mean
                pooled += [mean, torch.sqrt(spread.clamp_min(0.0) + 1e-4)]
        vector: Tensor = self.neck(torch.cat(pooled, dim=1))
        return vector

    def forward(self, image: Tensor, gsd_m: Tensor) -> ExpertOutput:
        """(n, 3, h, w) normalised, (n,) metres."""
        vector = self.embed(image, gsd_m)
        features = self.drop(vector)
        plain = self.plain(features) if self.plain is not None else features[:, :0]
        return ExpertOutput(
            place=self.place(features).float() @ self.basis,
            climate=self.climate(features).float(),
            season=self.season(features).float(),
            abstain=self.abstain(features).float().squeeze(1),
            embedding=functional.normalize(vector.float(), dim=1),
            plain=plain.float(),
        )
