"""A sheet of ground to draw on: shapes in metres, colours with grain, shadows of one sun. Knows no class and no training.

The ground is pieced together from training pictures, so that what is drawn stands among true textures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Mask = NDArray[np.float32]
Colour = tuple[float, float, float]
Point = tuple[float, float]
Points = Sequence[Point]
_FINER = 2
"""So many times finer than the finished picture is everything drawn, for smooth edges."""


@dataclass(frozen=True)
class Grounds:
    """``pictures`` of each kind of ground, (n, h, w, 3) uint8, and the ground pixel of each kind in metres."""

    pictures: Mapping[str, NDArray[np.uint8]]
    gsd_m: Mapping[str, float]


class Paper:
    """``side_px`` square pixels of ``gsd_m`` metres in the end; x runs east and y south, in metres from the corner."""

    def __init__(self, side_px: int, gsd_m: float, grounds: Grounds, random: np.random.Generator) -> None:
        self.random = random
        self.side_m = side_px * gsd_m
        self.middle: Point = (self.side_m / 2, self.side_m / 2)
        self._count = side_px * _FINER
        self._px_m = gsd_m / _FINER
        self._grounds = grounds
        turn = random.uniform(0, 2 * math.pi)
        self._sun = (math.cos(turn), math.sin(turn))
        self.pixels: NDArray[np.float32] = np.zeros((self._count, self._count, 3), np.float32)
        # Twice as wide as the sheet and repeating, so that any part of them is a window of its own.
        self._patches = np.tile(np.float32(0.7) * self.noise(self.side_m / 10), (2, 2))
        fine = random.standard_normal((self._count, self._count), dtype=np.float32)
        self._grain = np.tile(np.float32(1.4) * ndimage.gaussian_filter(fine, 0.8), (2, 2))

    # --- ground

    def ground(self, *kinds: str) -> NDArray[np.float32]:
        """The sheet full of one of these kinds: of different pictures side by side, or of one and its mirror images."""
        kind = kinds[int(self.random.integers(len(kinds)))]
        pictures, scale = self._grounds.pictures[kind], self._grounds.gsd_m[kind] / self._px_m
        side = max(8, round(pictures.shape[1] * scale))
        across = -(-self._count // side)
        is_one = self.random.random() < 0.5
        rows = self.random.integers(len(pictures), size=(across, across))
        tiles = [
            [
                self._tile(pictures[rows[0, 0] if is_one else rows[y, x]], side, (y, x) if is_one else None)
                for x in range(across)
            ]
            for y in range(across)
        ]
        sheet = np.concatenate([np.concatenate(row, axis=1) for row in tiles], axis=0)
        most = sheet.shape[0] - self._count
        top, left = int(self.random.integers(most + 1)), int(self.random.integers(most + 1))
        return sheet[top : top + self._count, left : left + self._count].astype(np.float32)

    def _tile(self, picture: NDArray[np.uint8], side: int, mirrored_at: tuple[int, int] | None) -> NDArray[np.uint8]:
        """A picture at the sheet's scale: turned at random, or as its mirror images meet at their edges."""
        scaled = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))
        if mirrored_at is None:
            return np.asarray(np.rot90(scaled, int(self.random.integers(4))))
        return scaled[:: -1 if mirrored_at[0] % 2 else 1, :: -1 if mirrored_at[1] % 2 else 1]

    def plain(self, colour: Colour, *, grain: float = 0.05) -> NDArray[np.float32]:
        """A colour (0–255) with fine grain, and broad patches a tenth of the sheet wide."""
        return self._coloured(colour, grain, (slice(0, self._count), slice(0, self._count)))

    def _coloured(self, colour: Colour, grain: float, box: tuple[slice, slice]) -> NDArray[np.float32]:
        value = np.ones((box[0].stop - box[0].start, box[1].stop - box[1].start), np.float32)
        for field in (self._patches, self._grain):
            top, left = (int(start) for start in self.random.integers(self._count, size=2))
            value += np.float32(grain) * field[top : top + value.shape[0], left : left + value.shape[1]]
        return np.asarray(value[:, :, None] * np.array(colour, np.float32))

    def noise(self, cell_m: float) -> NDArray[np.float32]:
        """Smooth noise of zero mean and unit deviation whose patches are about ``cell_m`` wide."""
        cells = max(3, math.ceil(self.side_m / cell_m) + 3)
        coarse = Image.fromarray(self.random.standard_normal((cells, cells)).astype(np.float32))
        inner = (0.5, 0.5, cells - 0.5, cells - 0.5)
        fine = np.asarray(coarse.resize((self._count, self._count), Image.Resampling.BICUBIC, box=inner))
        return np.asarray((fine - fine.mean()) / max(float(fine.std()), 1e-9))

    def relief(self, roughness: float = 0.5) -> NDArray[np.float32]:
        """Heights of fractal hills, zero mean and unit deviation."""
        field = np.zeros((self._count, self._count), np.float32)
        cell, weight = self.side_m / 2, 1.0
        while cell > 4 * self._px_m:
            field += np.float32(weight) * self.noise(cell)
            cell, weight = cell / 2, weight * roughness
        return np.asarray((field - field.mean()) / field.std())

    # --- shapes

    def polygon(self, points: Points) -> Mask:
        return self._mask(lambda pen: pen.polygon(self._px(points), fill=255))

    def line(self, points: Points, width_m: float) -> Mask:
        """A band of this width along a line that bends gently."""
        path = np.array(points, dtype=np.float64)
        course = np.gradient(path, axis=0)
        aside = np.stack([-course[:, 1], course[:, 0]], axis=1) / np.maximum(np.hypot(*course.T), 1e-9)[:, None]
        half = max(width_m, 1.4 * self._px_m) / 2
        return self.polygon([*map(tuple, path + half * aside), *map(tuple, (path - half * aside)[::-1])])

    def disc(self, place: Point, radius_m: float) -> Mask:
        (x, y), side = place, radius_m
        box = self._px([(x - side, y - side), (x + side, y + side)])
        return self._mask(lambda pen: pen.ellipse(box, fill=255))

    def ring(self, place: Point, radius_m: float, width_m: float) -> Mask:
        return self.disc(place, radius_m) - self.disc(place, radius_m - width_m)

    def rectangle(self, place: Point, length_m: float, width_m: float, turn: float) -> Mask:
        return self.polygon(corners(place, length_m, width_m, turn))

    def oval(self, place: Point, length_m: float, width_m: float, turn: float) -> Mask:
        """A rectangle with half discs at its short sides, as a running track."""
        straight = max(0.0, length_m - width_m)
        body = self.rectangle(place, straight, width_m, turn)
        for side in (-1, 1):
            body = np.maximum(body, self.disc(moved(place, turn, side * straight / 2), width_m / 2))
        return body

    def _mask(self, draw: Callable[[ImageDraw.ImageDraw], None]) -> Mask:
        sheet = Image.new("L", (self._count, self._count))
        draw(ImageDraw.Draw(sheet))
        return np.asarray(sheet, np.float32) / np.float32(255)

    def _px(self, points: Points) -> list[Point]:
        return [(x / self._px_m, y / self._px_m) for x, y in points]

    # --- paint

    def put(self, mask: Mask, texture: NDArray[np.float32]) -> None:
        box = self._around(mask, 0)
        self.pixels[box] += mask[box][:, :, None] * (texture[box] - self.pixels[box])

    def fill(self, mask: Mask, colour: Colour, grain: float = 0.05) -> None:
        box = self._around(mask, 0)
        self.pixels[box] += mask[box][:, :, None] * (self._coloured(colour, grain, box) - self.pixels[box])

    def shade(self, mask: Mask, height_m: float, strength: float = 0.45) -> None:
        """The shadow that something of this outline and height throws on the ground beside it."""
        length = max(1, round(height_m / self._px_m))
        box = self._around(mask, length)
        own = mask[box]
        dark = np.zeros_like(own)
        for step in np.linspace(1, length, min(length, 12)).round().astype(int):
            np.maximum(dark, _shifted(own, round(self._sun[1] * step), round(self._sun[0] * step)), out=dark)
        self.pixels[box] *= 1 - strength * np.clip(dark - own, 0, 1)[:, :, None]

    def _around(self, mask: Mask, margin: int) -> tuple[slice, slice]:
        """The rows and columns that the mask covers and so many more on each side; none where it is empty."""
        sides = []
        for axis in (1, 0):
            found = np.flatnonzero(mask.any(axis=axis))
            first, last = (int(found[0]), int(found[-1]) + 1) if len(found) else (0, -margin)
            sides.append(slice(max(0, first - margin), min(self._count, last + margin)))
        return sides[0], sides[1]

    def light(self, heights: NDArray[np.floating], strength: float) -> NDArray[np.float32]:
        """(n, n, 1) factor of a slope's brightness under the sun, around 1."""
        dy, dx = np.gradient(heights)
        slope = dx * self._sun[0] + dy * self._sun[1]
        return np.asarray(
            np.clip(1 + strength * slope / max(float(slope.std()), 1e-9), 0.15, 2.0)[:, :, None], np.float32
        )

    def finished(self) -> NDArray[np.uint8]:
        """(side, side, 3): averaged down, slightly softened."""
        side = self._count // _FINER
        mean = self.pixels.reshape(side, _FINER, side, _FINER, 3).mean(axis=(1, 3))
        soft = ndimage.gaussian_filter(mean, (0.4, 0.4, 0))
        return np.asarray(np.clip(soft, 0, 255).round(), np.uint8)


def _shifted(mask: Mask, down: int, right: int) -> Mask:
    """The mask moved by whole pixels; nothing comes in from outside."""
    height, width = mask.shape
    moved = np.zeros_like(mask)
    if abs(down) < height and abs(right) < width:
        moved[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = mask[
            max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
        ]
    return moved


def moved(place: Point, turn: float, along_m: float, aside_m: float = 0.0) -> Point:
    """From a place so far along a direction (radians from east towards south), and so far to the right of it."""
    east, south = math.cos(turn), math.sin(turn)
    return place[0] + east * along_m - south * aside_m, place[1] + south * along_m + east * aside_m


def corners(place: Point, length_m: float, width_m: float, turn: float) -> list[Point]:
    """The corners of a rectangle around a place whose long side points along ``turn``."""
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [moved(place, turn, a * length_m / 2, b * width_m / 2) for a, b in signs]
