"""What a location tower is: places in, vectors of length 1 out. Opens the one that a model's card names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.location.geoclip import GeoclipPlaces
from geomm_engine.encoders.location.satclip import SatclipPlaces
from geomm_engine.encoders.tensor_file import read_tensors
from geomm_engine.errors import ModelError

GEOCLIP = "geoclip"
SATCLIP = "satclip"
LOCATION_ROLE = "location"
_CHUNK = 2048
Scores = NDArray[np.float32]
_BACKGROUND_MEAN = "background.mean"
_BACKGROUND_COVARIANCE = "background.covariance"


class PlaceEncoder(Protocol):
    """Turns places into vectors, as its authors' network does, before they are scaled to length 1."""

    def vectors(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.floating]:
        """(n,) degrees → (n, dim); longitudes are −180 to 180."""
        ...


@dataclass(frozen=True)
class PlaceBackground:
    """Mean (dim,) and covariance (dim, dim) of the vectors of places all over the land: what "any place" looks like."""

    mean: NDArray[np.float32]
    covariance: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> PlaceBackground:
        """From (n, dim) vectors of places."""
        moved = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
        covariance = moved.T @ moved / len(vectors)
        return cls(vectors.mean(axis=0), covariance.astype(np.float32))

    @classmethod
    def read(cls, weights: Mapping[str, NDArray[np.generic]]) -> PlaceBackground:
        return cls(
            np.asarray(weights[_BACKGROUND_MEAN], np.float32), np.asarray(weights[_BACKGROUND_COVARIANCE], np.float32)
        )

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """As they stand in the file of the location tower."""
        return {_BACKGROUND_MEAN: self.mean, _BACKGROUND_COVARIANCE: self.covariance}

    def scores(self, vectors: NDArray[np.float32], place: NDArray[np.float32]) -> tuple[Scores, Scores]:
        """How far (n, dim) pictures lie from "any place" towards a place (dim,), and the raw cosine.

        The unit is the standard deviation of the land's places along that way; one unit for all pictures, so that those
        that hardly tell places apart do not come first.
        """
        way = place - self.mean
        spread = float(np.sqrt(max(float(way @ self.covariance @ way), 1e-12)))
        return np.asarray(vectors @ way / spread, np.float32), np.asarray(vectors @ place, np.float32)


class LocationTower:
    """The location tower of one model, on the processor. ``dim`` is the length of its vectors."""

    def __init__(self, encoder: PlaceEncoder, dim: int, background: PlaceBackground | None = None) -> None:
        self._encoder = encoder
        self.dim = dim
        self._background = background

    @property
    def background(self) -> PlaceBackground:
        """What any place looks like.

        Raises:
            KeyError: the tower was made without it.
        """
        if self._background is None:
            raise KeyError(_BACKGROUND_MEAN)
        return self._background

    def embed_places(self, lat: ArrayLike, lon: ArrayLike) -> NDArray[np.float32]:
        """n places in degrees → (n, dim) float32, each of length 1. Any longitude; latitudes −90 to 90."""
        lats, lons = np.broadcast_arrays(np.atleast_1d(np.asarray(lat, np.float64)), np.asarray(lon, np.float64))
        found = np.empty((len(lats), self.dim), np.float32)
        for at in range(0, len(lats), _CHUNK):
            part = slice(at, at + _CHUNK)
            vectors = self._encoder.vectors(lats[part], (lons[part] + 180.0) % 360.0 - 180.0)
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            found[part] = vectors / np.maximum(length, 1e-12)
        return found


def place_encoder(kind: str, weights: Mapping[str, NDArray[np.generic]]) -> PlaceEncoder:
    """The network of this kind ("satclip", "geoclip").

    Raises:
        KeyError, ValueError: there is none of that name, a tensor is missing, or the shapes do not fit.
    """
    if kind == SATCLIP:
        return SatclipPlaces(weights)
    if kind == GEOCLIP:
        return GeoclipPlaces(weights)
    raise KeyError(f"its kind “{kind}” is none that GeoMM runs")


def open_location_tower(folder: ModelFolder) -> LocationTower:
    """The tower that the card names, with its weights.

    Raises:
        ModelError: the model has none, or its file is damaged or not what the card says.
    """
    card = folder.card
    if card.location is None:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"{card.name} knows no places: it has no location tower.",
            "Choose a model that has one, such as SatCLIP (“geomm models add” says where to get it).",
            model=card.id,
        )
    weights = read_tensors(folder.file(LOCATION_ROLE))
    try:
        tower = LocationTower(place_encoder(card.location.encoder, weights), card.dim, PlaceBackground.read(weights))
        tower.embed_places(0.0, 0.0)
    except (KeyError, ValueError) as problem:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The location tower of {card.name} cannot be used: {problem}.",
            "Add the model again from its authors' files.",
            model=card.id,
        ) from problem
    return tower
