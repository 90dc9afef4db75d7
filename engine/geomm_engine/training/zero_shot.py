"""The text metric of training: class names typed as text against validation pictures. Nothing of it is learnt from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.networks.two_towers import TwoTowers
from geomm_engine.training.pictures import PictureSet, whole

TEMPLATES = (
    "{}",
    "a satellite photo of {}",
    "an aerial photo of {}",
    "an aerial view of {}",
    "{} seen from above",
)
STEP = 256


def image_vectors(
    tower: nn.Module, pixels: Tensor, gsd_m: float, normalise: Callable[[Tensor], Tensor]
) -> NDArray[np.float32]:
    """(n, band, h, w) uint8 → (n, dim) float32 unit vectors; the image tower is in evaluation mode."""
    device = next(tower.parameters()).device
    vectors: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for part in torch.split(pixels, STEP):
            image = normalise(part.float() / 255.0).to(device, memory_format=torch.channels_last)
            ground = torch.full((len(part),), gsd_m, device=device)
            vectors.append(functional.normalize(tower(image, ground).float(), dim=1).cpu().numpy())
    return np.concatenate(vectors)


def whole_vectors(
    tower: nn.Module, pictures: PictureSet, size_px: int, normalise: Callable[[Tensor], Tensor]
) -> NDArray[np.float32]:
    """Every picture in full at this size: (n, dim) float32 unit vectors."""
    pixels, gsd_m = whole(pictures, size_px)
    return image_vectors(tower, pixels, gsd_m, normalise)


def prototypes(
    network: TwoTowers,
    names: Sequence[str],
    tokenise: Callable[[list[str]], Tensor],
    templates: Sequence[str] = TEMPLATES,
) -> NDArray[np.float32]:
    """One unit vector a name, the mean over the templates (F6): (n, dim) float32."""
    device = next(network.parameters()).device
    texts = [template.format(name) for name in names for template in templates]
    with torch.inference_mode():
        vectors = network.text_vectors(tokenise(texts).to(device))
    mean = vectors.view(len(names), len(templates), -1).mean(dim=1)
    return functional.normalize(mean, dim=1).cpu().numpy()


def top_1(vectors: NDArray[np.float32], texts: NDArray[np.float32], pictures: PictureSet) -> float:
    """Share of the pictures whose nearest class name is their own."""
    return float((np.argmax(vectors @ texts.T, axis=1) == pictures.labels).mean())
