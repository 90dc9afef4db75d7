"""What a location tower is: places in, vectors of length 1 out. Opens the one that a model's card names."""

from __future__ import annotations

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


class PlaceEncoder(Protocol):
    """Turns places into vectors, as its authors' network does, before they are scaled to length 1."""

    def vectors(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.floating]:
        """(n,) degrees → (n, dim); longitudes are −180 to 180."""
        ...


class LocationTower:
    """The location tower of one model, on the processor. ``dim`` is the length of its vectors."""

    def __init__(self, encoder: PlaceEncoder, dim: int) -> None:
        self._encoder = encoder
        self.dim = dim

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
        encoder: PlaceEncoder
        if card.location.encoder == SATCLIP:
            encoder = SatclipPlaces(weights)
        elif card.location.encoder == GEOCLIP:
            encoder = GeoclipPlaces(weights)
        else:
            raise KeyError(f"its kind “{card.location.encoder}” is none that GeoMM runs")
        tower = LocationTower(encoder, card.dim)
        tower.embed_places(0.0, 0.0)
    except (KeyError, ValueError) as problem:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The location tower of {card.name} cannot be used: {problem}.",
            "Add the model again from its authors' files.",
            model=card.id,
        ) from problem
    return tower
