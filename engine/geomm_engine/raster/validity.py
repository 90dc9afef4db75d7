"""Joining the masks of several bands: which pixels hold data in all of them. Knows no file format's way of saying so."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class Validity:
    """Pixels (h, w) at which nothing that was said speaks against data."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._valid = np.ones(shape, dtype=bool)
        self._zeros: dict[Hashable, Mask] = {}

    def need(self, mask: Mask) -> None:
        """Where this is False there is no data."""
        self._valid &= mask

    def need_any(self, image: Hashable, mask: Mask) -> None:
        """A band whose nodata value is 0: a true 0 occurs, so only where all bands of its image are 0 there is no data."""
        before = self._zeros.get(image)
        self._zeros[image] = mask if before is None else before | mask

    def joined(self) -> Mask:
        for mask in self._zeros.values():
            self._valid &= mask
        return self._valid
