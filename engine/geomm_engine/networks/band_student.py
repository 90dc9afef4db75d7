"""A tower that reads any bands and may start as a tower that reads three. Knows no file, no card and no text.

Two ways lead in. The bands are mixed into the pictures that the tower was made for, each band counting as far as it
resembles them, so that a student with its teacher's bands is its teacher before the first step. And each band's own first
kernel is made from its wavelength, after DOFA (Xiong et al. 2024, arXiv 2403.15356); this way opens as it is learnt.
A missing band leaves a gap and not a wrong value: the others are weighed anew. Radar polarisations and height have a
learned code each instead of a wavelength.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.networks.scene_tower import SceneTower, SceneTowerSettings

ARCHITECTURE = "band-student-2"
LEARNED_CODES = ("vv", "vh", "hh", "hv", "height", "other")
KERNEL = 5
_WAVES = (0.5, 1.0, 2.0, 4.0, 8.0)
_SMALLEST_ERROR = 0.003
_ABSENT = -1e4
_FEWEST_PIXELS = 100


@dataclass(frozen=True)
class BandStudentSettings:
    """``codes`` holds a wavelength in micrometres for each band ("0.665"), or a name of ``LEARNED_CODES``.

    ``lowest`` and ``highest`` bound the mixed pictures, one number a channel; () bounds nothing.
    """

    codes: tuple[str, ...]
    tower: SceneTowerSettings = field(default_factory=SceneTowerSettings)
    lowest: tuple[float, ...] = ()
    highest: tuple[float, ...] = ()
    code_width: int = 64


def code_of(role: str, wavelength_nm: float) -> str:
    """The code of a band: its wavelength where it has one, else its own learned code."""
    if wavelength_nm > 0:
        return f"{wavelength_nm / 1000:.4g}"
    return role.lower() if role.lower() in LEARNED_CODES else "other"


class BandKernels(nn.Module):
    """From the bands' codes to their first kernels (band, width, 5, 5) and biases (band, width)."""

    octaves: Tensor
    is_learned: Tensor
    place: Tensor

    def __init__(self, codes: tuple[str, ...], width: int, code_width: int) -> None:
        super().__init__()
        self.width = width
        is_learned = [code in LEARNED_CODES for code in codes]
        octaves = [
            0.0 if learned else math.log2(float(code) / 0.5) for code, learned in zip(codes, is_learned, strict=True)
        ]
        place = [LEARNED_CODES.index(code) if learned else 0 for code, learned in zip(codes, is_learned, strict=True)]
        self.register_buffer("octaves", torch.tensor(octaves), persistent=False)
        self.register_buffer("is_learned", torch.tensor(is_learned), persistent=False)
        self.register_buffer("place", torch.tensor(place), persistent=False)
        self.wave_code = nn.Linear(1 + 2 * len(_WAVES), code_width)
        self.learned_code = nn.Embedding(len(LEARNED_CODES), code_width)
        self.inner = nn.Sequential(nn.SiLU(), nn.Linear(code_width, code_width), nn.SiLU())
        self.kernel = nn.Linear(code_width, width * KERNEL * KERNEL)
        self.bias = nn.Linear(code_width, width)
        nn.init.normal_(self.kernel.weight, std=math.sqrt(2.0 / (KERNEL * KERNEL)) / math.sqrt(code_width))
        nn.init.normal_(self.kernel.bias, std=math.sqrt(2.0 / (KERNEL * KERNEL)))

    def forward(self) -> tuple[Tensor, Tensor]:
        octaves = self.octaves.unsqueeze(1)
        waves = octaves * math.pi * torch.tensor(_WAVES, device=octaves.device)
        by_wave = self.wave_code(torch.cat([octaves / 2.0, torch.sin(waves), torch.cos(waves)], dim=1))
        code = torch.where(self.is_learned.unsqueeze(1), self.learned_code(self.place), by_wave)
        code = self.inner(code)
        return self.kernel(code).view(-1, self.width, KERNEL, KERNEL), self.bias(code)


class BandMix(nn.Module):
    """The bands that are there, each scaled to resemble a picture of the tower, and averaged by how well it does."""

    def __init__(self, bands: int, pictures: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(pictures, bands))
        self.shift = nn.Parameter(torch.zeros(pictures, bands))
        self.preference = nn.Parameter(torch.zeros(pictures, bands))

    def forward(self, image: Tensor, present: Tensor) -> Tensor:
        """(n, band, h, w), 0 where a band is absent, and (n, band) → (n, picture, h, w)."""
        is_there = present.unsqueeze(1)
        weight = torch.softmax(self.preference + (1.0 - is_there) * _ABSENT, dim=2) * is_there
        scaled = (weight * self.scale).to(image.dtype)
        mixed = torch.matmul(scaled, image.flatten(2)).view(
            image.shape[0], self.scale.shape[0], image.shape[2], image.shape[3]
        )
        return mixed + (weight * self.shift).sum(dim=2).unsqueeze(2).unsqueeze(3).to(image.dtype)

    @torch.no_grad()
    def resemble(self, image: Tensor, present: Tensor, pictures: Tensor) -> None:
        """Set from the same ground in bands (n, band, h, w) and in the tower's pictures (n, picture, h, w).

        A band takes the mean and the spread of a picture, with the sign of their correlation; it counts inversely to the
        squared error that is left.
        """
        for band in range(image.shape[1]):
            rows = present[:, band] > 0
            if not rows.any():
                continue
            own = image[rows, band].flatten()
            for picture in range(pictures.shape[1]):
                wanted = pictures[rows, picture].flatten()
                inside = (wanted > wanted.min()) & (wanted < wanted.max())  # what lies at an end may be cut off there
                if inside.sum() < _FEWEST_PIXELS:
                    continue
                mine, wanted = own[inside], wanted[inside]
                covariance = ((mine - mine.mean()) * (wanted - wanted.mean())).mean()
                spread = wanted.std() / mine.std().clamp_min(1e-6)
                scale = torch.where(covariance < 0, -spread, spread)
                shift = wanted.mean() - scale * mine.mean()
                error = (scale * mine + shift - wanted).square().mean() / wanted.var().clamp_min(1e-6)
                self.scale[picture, band], self.shift[picture, band] = scale, shift
                self.preference[picture, band] = -torch.log(error + _SMALLEST_ERROR)


class BandStudent(nn.Module):
    """Normalised bands, which of them are there, and the pixel's size on the ground → one vector, not yet of unit length."""

    lowest: Tensor
    highest: Tensor

    def __init__(self, settings: BandStudentSettings) -> None:
        super().__init__()
        stem = settings.tower.stem
        self.stride = stem.strides[0]
        self.mix = BandMix(len(settings.codes), settings.tower.bands)
        self.bands = BandKernels(settings.codes, stem.channels[0], settings.code_width)
        self.gain = nn.Parameter(torch.zeros(stem.channels[0]))
        self.tower = SceneTower(settings.tower)
        self.look = settings.tower
        for name, values, default in (("lowest", settings.lowest, -math.inf), ("highest", settings.highest, math.inf)):
            bound = torch.tensor(values or (default,) * settings.tower.bands).view(1, -1, 1, 1)
            self.register_buffer(name, bound, persistent=False)

    def forward(self, image: Tensor, gsd_m: Tensor, present: Tensor) -> Tensor:
        """(n, band, h, w) normalised, (n,) metres, (n, band) 1 where the band is there and 0 where not → (n, dim)."""
        kernels, biases = self.bands()
        return self.see(image, gsd_m, present, kernels, biases)

    def see(self, image: Tensor, gsd_m: Tensor, present: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
        """The same with the bands' kernels made beforehand."""
        pictures = torch.minimum(torch.maximum(self.mix(image, present), self.lowest), self.highest)
        first, *others = self.tower.stem.blocks
        share = present / present.sum(dim=1, keepdim=True).clamp(min=1.0)
        own = functional.conv2d(
            image * share.unsqueeze(2).unsqueeze(3), kernels.transpose(0, 1), stride=self.stride, padding=KERNEL // 2
        )
        own = own + (share @ biases).unsqueeze(2).unsqueeze(3)
        features: Tensor = first(pictures) + self.gain.view(1, -1, 1, 1) * own
        for block in others:
            features = block(features)
        return self.tower.sum_up(features, gsd_m)


class FrozenStudent(nn.Module):
    """For graphs: the kernels as constants."""

    kernels: Tensor
    biases: Tensor

    def __init__(self, student: BandStudent) -> None:
        super().__init__()
        self.student = student
        with torch.no_grad():
            kernels, biases = student.bands()
        self.register_buffer("kernels", kernels.clone())
        self.register_buffer("biases", biases.clone())

    def forward(self, image: Tensor, gsd_m: Tensor, present: Tensor) -> Tensor:
        return self.student.see(image, gsd_m, present, self.kernels, self.biases)
