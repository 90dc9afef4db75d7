"""A tower that reads any bands: each band's first kernel is made from its wavelength. Knows no file, no card and no text.

After DOFA (Xiong et al. 2024, arXiv 2403.15356): a small network turns a band's code into the kernels of its own first
convolution, and the bands that are there are averaged, so that a missing band leaves a gap and not a wrong value. Optical and
thermal bands are coded by their wavelength, radar polarisations and height by a learned code each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.networks.residual import Block, GroundPixel

ARCHITECTURE = "band-student-1"
LEARNED_CODES = ("vv", "vh", "hh", "hv", "height", "other")
KERNEL = 5
_WAVES = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class BandStudentSettings:
    """``codes`` holds a wavelength in micrometres for each band ("0.665"), or a name of ``LEARNED_CODES``.

    ``widths`` are the channels of the stem and of each stage, ``depths`` the blocks of each stage.
    """

    dim: int
    codes: tuple[str, ...]
    widths: tuple[int, ...] = (32, 48, 96, 128, 144)
    depths: tuple[int, ...] = (1, 1, 1, 1)
    gsd_width: int = 32
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


class BandStudent(nn.Module):
    """Normalised bands, which of them are there, and the pixel's size on the ground → one vector, not yet of unit length."""

    def __init__(self, settings: BandStudentSettings) -> None:
        super().__init__()
        widths, depths = settings.widths, settings.depths
        self.bands = BandKernels(settings.codes, widths[0], settings.code_width)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        self.ground = GroundPixel(settings.gsd_width)
        blocks: list[Block] = []
        inputs = widths[0]
        for stage, (width, depth) in enumerate(zip(widths[1:], depths, strict=True)):
            for place in range(depth):
                stride = 2 if stage > 0 and place == 0 else 1
                blocks.append(Block(inputs, width, stride, settings.gsd_width))
                inputs = width
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Sequential(nn.Linear(inputs, 2 * inputs), nn.SiLU(), nn.Linear(2 * inputs, settings.dim))

    def forward(self, image: Tensor, gsd_m: Tensor, present: Tensor) -> Tensor:
        """(n, band, h, w) normalised, (n,) metres, (n, band) 1 where the band is there and 0 where not → (n, dim)."""
        kernels, biases = self.bands()
        return self.see(image, gsd_m, present, kernels, biases)

    def see(self, image: Tensor, gsd_m: Tensor, present: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
        """The same with the bands' kernels made beforehand."""
        share = present / present.sum(dim=1, keepdim=True).clamp(min=1.0)
        features = functional.conv2d(
            image * share.unsqueeze(2).unsqueeze(3), kernels.transpose(0, 1), stride=2, padding=KERNEL // 2
        )
        features = features + (share @ biases).unsqueeze(2).unsqueeze(3)
        features = functional.relu(self.stem_norm(features))
        ground = self.ground(gsd_m)
        for block in self.blocks:
            features = block(features, ground)
        vector: Tensor = self.head(features.mean(dim=(2, 3)))
        return vector


class FrozenStudent(nn.Module):
    """For graphs: the kernels as constants, the vectors of length 1."""

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
        return functional.normalize(self.student.see(image, gsd_m, present, self.kernels, self.biases), dim=1)
