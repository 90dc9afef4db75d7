"""What pixel values may mean, in the contract's words and in a person's."""

from __future__ import annotations

from typing import Tuple

from .translation import Translated


class _Texts(Translated):
    def names(self) -> Tuple[Tuple[str, str], ...]:
        return (
            ("", self.tr("find out")),
            ("reflectance", self.tr("reflectance, 0 to 1")),
            ("reflectance_e4", self.tr("reflectance × 10000")),
            ("reflectance_e4_offset", self.tr("Sentinel-2 since 2022: (value − 1000) / 10000")),
            ("display", self.tr("a picture, 0 to 255")),
            ("stretch", self.tr("something else: stretch the contrast")),
            ("decibel", self.tr("radar, in decibel")),
            ("backscatter", self.tr("radar, linear backscatter")),
        )


def unit_names() -> Tuple[Tuple[str, str], ...]:
    """Pairs of contract unit and name, the automatic one first."""
    return _Texts().names()
