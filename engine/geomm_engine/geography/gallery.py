"""Where a picture may be by a location model: its vector against those of places all over the Earth (gallery search).

The gallery is a grid of equal areas, so that the softmax over it is a posterior under a uniform prior over the sphere;
priors for land or countries are multiplied on afterwards.
"""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geomm_engine.encoders.card import CardLocation, ModelFolder
from geomm_engine.encoders.location.tower import LOCATION_ROLE, LocationTower, open_location_tower
from geomm_engine.errors import writing
from geomm_engine.geography import atlas
from geomm_engine.geography.mixture import log_softmax
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.raster.resample import axis_weights
from geomm_engine.sphere import EqualAreaGrid, Values, fibonacci_points, lat_lon

_CHUNK = 2048


class Gallery:
    """The vectors of a grid's cells in one model's space: ``vectors`` (cell, dim) float16 or float32, unit length."""

    def __init__(self, vectors: NDArray[np.floating], grid: EqualAreaGrid, location: CardLocation) -> None:
        self.vectors = vectors
        self.grid = grid
        self.location = location

    def log_mass(self, images: NDArray[np.float32], temperature: float | None = None) -> Values:
        """Log of the probability of each cell for each picture: log-softmax of scale × cosine / temperature.

        Args:
            images: (n, dim) unit vectors of pictures in the model's space.
            temperature: None takes the card's; above 1 is more cautious.

        Returns:
            (n, cell) float64; the exponentials of a row sum to 1.
        """
        chosen = self.location.temperature if temperature is None else temperature
        scale = self.location.logit_scale / chosen
        cosine = np.empty((len(images), len(self.vectors)), np.float64)
        for at in range(0, len(self.vectors), _CHUNK):
            part = np.asarray(self.vectors[at : at + _CHUNK], np.float32)
            cosine[:, at : at + _CHUNK] = images.astype(np.float32) @ part.T
        return log_softmax(scale * cosine)

    def log_density(self, images: NDArray[np.float32], temperature: float | None = None) -> Values:
        """(n, cell) log density per steradian, as :func:`posterior.pool` takes it: all cells are equally large."""
        return self.log_mass(images, temperature) - math.log(self.grid.cell_area_sr)

    def best(self, images: NDArray[np.float32]) -> tuple[Values, Values]:
        """(n,) latitudes and longitudes of the most probable cells' centres."""
        lat, lon = self.grid.centres_lat_lon()
        found = self.log_mass(images).argmax(axis=1)
        return lat[found], lon[found]


def open_gallery(folder: ModelFolder, grid: EqualAreaGrid, cache: Path | None = None) -> Job[Gallery]:
    """The gallery of a model's location tower on a grid; with ``cache`` it is computed once and kept there (float16).

    Raises:
        ModelError: the model has no location tower, or it is damaged.
        OutputError: the cache cannot be written.
    """
    location = folder.card.location
    tower = open_location_tower(folder)
    assert location is not None  # the tower would have been refused
    path = cache / f"{_key(folder, grid)}.npy" if cache is not None else None
    if path is not None and (kept := _kept(path, (len(grid), tower.dim))) is not None:
        return Gallery(kept, grid, location)
    lat, lon = grid.centres_lat_lon()
    watch = Stopwatch("gallery", len(grid))
    vectors = np.empty((len(grid), tower.dim), np.float16)
    for at in range(0, len(grid), _CHUNK):
        part = slice(at, at + _CHUNK)
        vectors[part] = tower.embed_places(lat[part], lon[part])
        yield watch.step(len(lat[part]))
    if path is not None:
        _keep(path, vectors)
    return Gallery(vectors, grid, location)


def land_vectors(tower: LocationTower, count: int) -> NDArray[np.float32]:
    """(about count, dim): vectors of places evenly spread over the land, the same every time."""
    lat, lon = lat_lon(fibonacci_points(round(count / 0.29)))
    rows, cols = atlas.SHAPE_YX
    row = np.minimum(((90.0 - lat) / atlas.STEP_DEG).astype(np.int64), rows - 1)
    col = np.minimum(((lon + 180.0) / atlas.STEP_DEG).astype(np.int64), cols - 1)
    is_land = atlas.land_share()[row, col] > 0.5
    return tower.embed_places(lat[is_land], lon[is_land])


def squared(image: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """(band, h, w) → (band, side, side): the middle square of a picture, averaged by area, as towers for photos take it."""
    height, width = image.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = np.nan_to_num(image[:, top : top + side, left : left + side])
    weights = axis_weights(0.0, float(side), side_px, side)
    return np.asarray(np.matmul(np.matmul(weights, middle), weights.T), np.float32)


def _key(folder: ModelFolder, grid: EqualAreaGrid) -> str:
    weights = next(item.sha256 for item in folder.card.files if item.role == LOCATION_ROLE)
    edges = hashlib.sha256(grid.edges.tobytes()).hexdigest()
    return f"{folder.card.id[:40]}-{hashlib.sha256((weights + edges).encode()).hexdigest()[:16]}"


def _kept(path: Path, shape: tuple[int, int]) -> NDArray[np.floating] | None:
    """What is kept, if it is whole; a damaged file is as good as none."""
    try:
        found: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.float16 else None


def _keep(path: Path, vectors: NDArray[np.float16]) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.stem}.{os.getpid()}.part.npy")
        try:
            np.save(draft, vectors, allow_pickle=False)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
