"""The same pictures in another light, air or colour: do their vectors, and their classes, stay what they were?

Simple models of what other days, seasons and cameras do to a picture; they stand in for pictures of those days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geomm_engine.evaluation import metrics

Vectors = NDArray[np.float32]

_AIR_PERCENTILE = 1.0
_HAZE = np.array([0.55, 0.60, 0.66], dtype=np.float32)


def _low_sun(share: float) -> Callable[[Vectors], Vectors]:
    """So much light from the ground. What the air adds, about the darkest value of each band, stays (Chavez 1988)."""

    def change(image: Vectors) -> Vectors:
        air = np.percentile(image, _AIR_PERCENTILE, axis=(1, 2), keepdims=True).astype(np.float32)
        return air + np.float32(share) * (image - air)

    return change


def _haze(share: float) -> Callable[[Vectors], Vectors]:
    return lambda image: (1 - np.float32(share)) * image + np.float32(share) * _HAZE[:, None, None]


def _times(red: float, green: float, blue: float) -> Callable[[Vectors], Vectors]:
    gain = np.array([red, green, blue], dtype=np.float32)[:, None, None]
    return lambda image: gain * image


LIGHTS: Mapping[str, Callable[[Vectors], Vectors]] = {
    "half the sun": _low_sun(0.5),
    "a third of the sun": _low_sun(0.33),
    "haze": _haze(0.3),
    "dark exposure": _times(0.6, 0.6, 0.6),
    "bright exposure": _times(1.5, 1.5, 1.5),
    "warm colours": _times(1.3, 1.0, 0.85),
    "cold colours": _times(0.85, 1.0, 1.2),
}
"""Name → what it does to the display values 0–1 of a picture (3, h, w)."""


@dataclass(frozen=True)
class LightRow:
    """Pictures in one light. ``cosine`` is the mean to the vectors as they are, ``agreement`` how often the class stays."""

    name: str
    top1: float
    top1_interval_95: tuple[float, float]
    cosine: float
    agreement: float
    agreement_interval_95: tuple[float, float]


@dataclass(frozen=True)
class LightsReport:
    """``rows`` begin with the pictures as they are."""

    pictures: int
    rows: tuple[LightRow, ...]


def in_light(image: Vectors, name: str) -> Vectors:
    """(3, h, w) display values 0–1 → the same in one of :data:`LIGHTS`, cut to 0–1 and to eight bits as a file would be."""
    changed = np.clip(LIGHTS[name](image), 0, 1)
    return np.asarray(np.round(changed * 255) / 255, dtype=np.float32)


def across_lights(
    vectors: Vectors, in_lights: Mapping[str, Vectors], labels: NDArray[np.int64], prototypes: Vectors
) -> LightsReport:
    """Compare every light with the pictures as they are.

    Args:
        vectors: (n, dim) of length 1, of the pictures as they are.
        in_lights: name → (n, dim) of length 1, rows in the same order.
        prototypes: (class, dim) of length 1.
    """
    said = (vectors @ prototypes.T).argmax(axis=1)
    rows = []
    for name, changed in {"as they are": vectors, **in_lights}.items():
        now = (changed @ prototypes.T).argmax(axis=1)
        right, same = int((now == labels).sum()), int((now == said).sum())
        rows.append(
            LightRow(
                name,
                right / len(labels),
                metrics.wilson_interval(right, len(labels)),
                float((vectors * changed).sum(axis=1).mean()),
                same / len(labels),
                metrics.wilson_interval(same, len(labels)),
            )
        )
    return LightsReport(len(labels), tuple(rows))
