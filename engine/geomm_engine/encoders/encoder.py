"""What an encoder is: pixels or texts in, unit vectors out. Implementations differ in runtime, not in result.

Vectors of the ONNX and the torch encoder agree to a cosine of 1 − 1e-4 in float32 and 1 − 2e-3 in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ImageEncoder(Protocol):
    """The image tower of one model on one device."""

    @property
    def device(self) -> str:
        """Where it really runs, for people: "CPU, 2 threads", "NVIDIA H200, half precision"."""
        ...

    @property
    def fallback_reason(self) -> str:
        """Why it does not run where it was asked to; "" when it does."""
        ...

    def embed_images(self, images: NDArray[np.float32], gsd_m: float) -> NDArray[np.float32]:
        """(n, band, h, w) float32 in display units 0–1, ground pixel in metres → (n, dim) float32, each of length 1."""
        ...


class TextEncoder(Protocol):
    """The text tower of one model."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """n texts → (n, dim) float32, each of length 1.

        Raises:
            WordsError: a text is longer than the model's context.
        """
        ...


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; a row of zeros stays zeros.  (n, dim) float32 → (n, dim) float32."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)
