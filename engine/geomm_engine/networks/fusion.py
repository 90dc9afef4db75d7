"""Three encoders and their fusion: each sensor speaks for itself, and listens to the others by distance on the ground.

After Scale-ALiBi (Kage 2023) and CROMA (Fuller et al. 2023) corrected: the bias of attention
between two sensors comes from the ground coordinates of the tokens that are there on both sides; the fused vector is the
normalised mean of what is present; masked patches are rebuilt as area averages. Knows tensors only.

One stack of bands on the grid of the finest sensor comes in; each sensor takes its own bands and averages them to its own
pixels. A sensor that is missing is neither heard nor counted; one alone gives exactly its own vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.networks.scale_alibi import AttentionStack, ScaleAlibiAttention, patch_centres_m


@dataclass(frozen=True)
class SensorSettings:
    """``bands`` are roles, in order; ``step`` pixels of the stack make one of the sensor's, ``patch_px`` of those a token."""

    name: str
    bands: tuple[str, ...]
    step: int = 1
    patch_px: int = 8


@dataclass(frozen=True)
class FusionSettings:
    """``ref_m`` is the ground size of a patch that the slopes are meant for; ``target_px``: averages a side to rebuild."""

    sensors: tuple[SensorSettings, ...]
    dim: int = 128
    width: int = 96
    heads: int = 6
    depth: int = 2
    ref_m: float = 80.0
    decoder_width: int = 48
    target_px: int = 2

    @property
    def bands(self) -> tuple[str, ...]:
        """All roles of the stack, in order."""
        return tuple(role for sensor in self.sensors for role in sensor.bands)


@dataclass(frozen=True)
class Tokens:
    """``values`` (n, t, width) and where they lie: ``centres_m`` (n, t, 2) from the tile's upper left corner."""

    values: Tensor
    centres_m: Tensor


class SensorEncoder(nn.Module):
    """The picture of one sensor, at its own pixels → tokens. Patches do not overlap: a hidden one leaves no trace."""

    def __init__(self, sensor: SensorSettings, settings: FusionSettings) -> None:
        super().__init__()
        self.patch_px = sensor.patch_px
        self.cut = nn.Conv2d(len(sensor.bands), settings.width, sensor.patch_px, sensor.patch_px)
        self.bend = nn.Linear(settings.width, settings.width)
        self.stack = AttentionStack(settings.width, settings.heads, settings.depth, ref_m=settings.ref_m)
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, picture: Tensor, gsd_m: Tensor, kept: Tensor | None = None) -> Tokens:
        """(n, band, h, w), (n,) metres a pixel, (n, k) numbers of the patches to keep (all) → k tokens."""
        cut = self.cut(picture)
        centres_m = patch_centres_m(cut.shape[2], cut.shape[3], self.patch_px, gsd_m)
        values = self.bend(functional.gelu(cut.flatten(2).transpose(1, 2)))
        if kept is not None:
            values = values.gather(1, kept.unsqueeze(2).expand(-1, -1, values.shape[2]))
            centres_m = centres_m.gather(1, kept.unsqueeze(2).expand(-1, -1, 2))
        return Tokens(self.norm(self.stack(values, centres_m)), centres_m)


class Listening(nn.Module):
    """Tokens of one sensor hear those of the others, then think; with nothing to hear they stay as they are."""

    def __init__(self, width: int, heads: int, *, ref_m: float) -> None:
        super().__init__()
        self.own_norm = nn.LayerNorm(width)
        self.others_norm = nn.LayerNorm(width)
        self.attention = ScaleAlibiAttention(width, heads, ref_m=ref_m)
        self.inner_norm = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, own: Tokens, others: Tokens, is_there: Tensor) -> Tokens:
        """``is_there`` (n, k) bool: which of the others' tokens may be heard."""
        hears = is_there.any(dim=1, keepdim=True)
        may_hear = is_there | ~hears  # a softmax over nothing is no number: what it gives is taken back below
        heard = self.attention(
            self.own_norm(own.values), own.centres_m, self.others_norm(others.values), others.centres_m, may_hear
        )
        share = hears.unsqueeze(2).to(heard.dtype)
        values = own.values + share * heard
        return Tokens(values + share * self.inner(self.inner_norm(values)), own.centres_m)


class Decoder(nn.Module):
    """Rebuilds hidden patches from the tokens that were kept, of every sensor that is there."""

    def __init__(self, settings: FusionSettings) -> None:
        super().__init__()
        width, cells = settings.decoder_width, settings.target_px**2
        self.asks = nn.Parameter(torch.randn(len(settings.sensors), width) * 0.02)
        self.norm = nn.LayerNorm(settings.width)
        self.attention = ScaleAlibiAttention(width, settings.heads, ref_m=settings.ref_m / 4, key_width=settings.width)
        self.inner_norm = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.out = nn.ModuleList([nn.Linear(width, len(sensor.bands) * cells) for sensor in settings.sensors])

    def forward(self, sensor: int, at_m: Tensor, heard: Tokens, is_there: Tensor) -> Tensor:
        """The patches of a sensor at (n, q, 2) metres from tokens of which (n, k) are there → (n, q, band·cells)."""
        asked = self.asks[sensor].expand(at_m.shape[0], at_m.shape[1], -1)
        answer = asked + self.attention(asked, at_m, self.norm(heard.values), heard.centres_m, is_there)
        answer = answer + self.inner(self.inner_norm(answer))
        rebuilt: Tensor = self.out[sensor](answer)
        return rebuilt


class FusionNetwork(nn.Module):
    """The encoders, the listening between them, a head for each, and the decoder of masked reconstruction."""

    def __init__(self, settings: FusionSettings) -> None:
        super().__init__()
        wrong = [item.name for item in settings.sensors if item.patch_px % settings.target_px]
        if wrong or len(settings.sensors) < 2:
            raise ValueError(f"two sensors or more, with patches that {settings.target_px} divides: {wrong}")
        self.settings = settings
        self.encoders = nn.ModuleList([SensorEncoder(item, settings) for item in settings.sensors])
        self.listening = nn.ModuleList(
            [Listening(settings.width, settings.heads, ref_m=settings.ref_m) for _ in settings.sensors]
        )
        self.heads = nn.ModuleList([_head(settings) for _ in settings.sensors])
        self.decoder = Decoder(settings)
        self.log_scale = nn.Parameter(torch.tensor(2.6593))  # ln(1 / 0.07)

    @property
    def scale(self) -> Tensor:
        """Inverse temperature of the contrasts, in (0, 100]."""
        return self.log_scale.clamp(max=4.6052).exp()

    def pictures(self, stack: Tensor) -> list[Tensor]:
        """(n, all bands, h, w) at the finest pixels → one picture a sensor at its own: averages over areas."""
        found, first = [], 0
        for sensor in self.settings.sensors:
            own = stack[:, first : first + len(sensor.bands)]
            found.append(functional.avg_pool2d(own, sensor.step) if sensor.step > 1 else own)
            first += len(sensor.bands)
        return found

    def encode(self, stack: Tensor, gsd_m: Tensor, kept: list[Tensor] | None = None) -> list[Tokens]:
        """Tokens of every sensor; ``gsd_m`` (n,) is of the stack's pixels."""
        return [
            encoder(picture, gsd_m * sensor.step, None if kept is None else kept[place])
            for place, (encoder, picture, sensor) in enumerate(
                zip(self.encoders, self.pictures(stack), self.settings.sensors, strict=True)
            )
        ]

    def alone(self, tokens: list[Tokens]) -> list[Tensor]:
        """(n, dim) unit vectors, of each sensor as if there were no other."""
        return [
            functional.normalize(head(item.values.mean(dim=1)).float(), dim=1)
            for head, item in zip(self.heads, tokens, strict=True)
        ]

    def listen(self, tokens: list[Tokens], is_there: Tensor) -> list[Tokens]:
        """Each sensor's tokens after hearing those of the others that are there; ``is_there`` (n, sensor) bool."""
        heard = []
        for place, (own, listening) in enumerate(zip(tokens, self.listening, strict=True)):
            places = [other for other in range(len(tokens)) if other != place]
            heard.append(listening(own, *_joined(tokens, places, is_there)))
        return heard

    def fuse(self, tokens: list[Tokens], is_there: Tensor) -> Tensor:
        """(n, dim) unit vectors: the normalised mean of the sensors that are there; zeros where none is."""
        vectors = torch.stack(self.alone(self.listen(tokens, is_there)), dim=1)
        return functional.normalize((vectors * is_there.unsqueeze(2).to(vectors.dtype)).sum(dim=1), dim=1)

    def forward(self, stack: Tensor, gsd_m: Tensor, is_there: Tensor) -> Tensor:
        """(n, all bands, h, w) normalised, (n,) metres, (n, sensor) bool → (n, dim) fused unit vectors."""
        return self.fuse(self.encode(stack, gsd_m), is_there)

    def sensors_of(self, present: Tensor) -> Tensor:
        """(n, all bands) 1 for a band that is there → (n, sensor) bool: a sensor is there with any band of it."""
        counts = [len(sensor.bands) for sensor in self.settings.sensors]
        return torch.stack([part.sum(dim=1) > 0 for part in torch.split(present, counts, dim=1)], dim=1)

    def targets(self, picture: Tensor, sensor: int) -> Tensor:
        """(n, band, h, w) → (n, patch, band·cells): area averages of each patch, what the decoder must say."""
        patch_px, cells = self.settings.sensors[sensor].patch_px, self.settings.target_px
        averages = functional.avg_pool2d(picture, patch_px // cells)
        rows, columns = picture.shape[2] // patch_px, picture.shape[3] // patch_px
        averages = averages[:, :, : rows * cells, : columns * cells]
        return functional.unfold(averages, cells, stride=cells).transpose(1, 2)

    def rebuild(self, heard: list[Tokens], is_there: Tensor, sensor: int, at_m: Tensor) -> Tensor:
        """Patches of a sensor at (n, q, 2) metres from what was heard; at least one sensor must be there in each row."""
        return self.decoder(sensor, at_m, *_joined(heard, list(range(len(heard))), is_there))


def _head(settings: FusionSettings) -> nn.Linear:
    """Every tile begins near one direction: untrained, all pairs are nearly alike and lose ln N."""
    head = nn.Linear(settings.width, settings.dim)
    nn.init.normal_(head.weight, std=0.5 * settings.width**-0.5)
    nn.init.normal_(head.bias)
    return head


def _joined(tokens: list[Tokens], places: list[int], is_there: Tensor) -> tuple[Tokens, Tensor]:
    """The tokens of these sensors in one row, and which of them are there."""
    chosen = [tokens[place] for place in places]
    there = [
        is_there[:, place : place + 1].expand(-1, item.values.shape[1])
        for place, item in zip(places, chosen, strict=True)
    ]
    joined = Tokens(torch.cat([item.values for item in chosen], 1), torch.cat([item.centres_m for item in chosen], 1))
    return joined, torch.cat(there, dim=1)


def all_centres_m(network: FusionNetwork, stack: Tensor, gsd_m: Tensor) -> list[Tensor]:
    """Centres of every patch of every sensor: a list of (n, patch, 2) metres."""
    found = []
    for sensor in network.settings.sensors:
        side = sensor.step * sensor.patch_px
        found.append(
            patch_centres_m(stack.shape[2] // side, stack.shape[3] // side, sensor.patch_px, gsd_m * sensor.step)
        )
    return found


def reconstruction_error(network: FusionNetwork, stack: Tensor, gsd_m: Tensor, is_there: Tensor) -> Tensor:
    """How badly each tile can be guessed from half of it: its strangeness to what the network has seen.

    Every patch is hidden once (the two colours of a chess board in turn) and rebuilt from the other half.

    Returns:
        (n,) mean squared error over the patches of the sensors that are there, in the units of the normalised bands.
    """
    centres, pictures = all_centres_m(network, stack, gsd_m), network.pictures(stack)
    errors = [torch.zeros_like(gsd_m) for _ in pictures]
    for colour in (0, 1):
        hidden, kept = [], []
        for sensor in network.settings.sensors:
            side = sensor.step * sensor.patch_px
            rows, columns = stack.shape[2] // side, stack.shape[3] // side
            board = (torch.arange(rows).unsqueeze(1) + torch.arange(columns).unsqueeze(0)).flatten() % 2
            hidden.append(torch.nonzero(board == colour).flatten())
            kept.append(torch.nonzero(board != colour).flatten().unsqueeze(0).expand(stack.shape[0], -1))
        heard = network.listen(network.encode(stack, gsd_m, kept), is_there)
        for place, picture in enumerate(pictures):
            wanted = network.targets(picture, place)[:, hidden[place]]
            said = network.rebuild(heard, is_there, place, centres[place][:, hidden[place]])
            error = (said - wanted).square().mean(dim=2).sum(dim=1) / centres[place].shape[1]
            errors[place] = errors[place] + error
    share = is_there.to(errors[0].dtype)
    return (torch.stack(errors, dim=1) * share).sum(dim=1) / share.sum(dim=1).clamp(min=1.0)
