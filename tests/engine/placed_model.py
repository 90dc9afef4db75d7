"""The tests' tiny model with a location tower in its space: northern places look like forest, southern ones like water."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from geomm_engine.encoders.card import CardFile, CardLocation, file_sha256, read_card, write_card
from geomm_engine.encoders.location.satclip import FIRST_FREQUENCY, SatclipPlaces
from geomm_engine.encoders.location.tower import LocationTower, PlaceBackground
from geomm_engine.encoders.tensor_file import write_tensors
from geomm_engine.sphere import fibonacci_points, lat_lon
from tests.engine.tiny_model import COLORS, DIM, write_tiny_model

_COSINE_LATITUDE = 1.53499006191973
LOGIT_SCALE = 20.0


def write_placed_model(folder: Path) -> Path:
    """Write the model folder; returns it."""
    path = write_tiny_model(folder)
    north, south = ([value - 0.4 for value in COLORS[name]] + [0.05] for name in ("forest", "water"))
    weights = {
        "layers.0.weight": np.array(
            [[0.0, 0.0, -1.3 / FIRST_FREQUENCY / _COSINE_LATITUDE, 0.0]]
        ),  # sin(1.3 sin latitude)
        "layers.0.bias": np.zeros(1),
        "last_layer.weight": (np.array(north) - south)[:, None] / 2,
        "last_layer.bias": (np.array(north) + south) / 2,
    }
    tower = LocationTower(SatclipPlaces(weights), DIM)
    background = PlaceBackground.of(tower.embed_places(*lat_lon(fibonacci_points(500))))
    write_tensors(path / "location.safetensors", weights | background.tensors())
    size = (path / "location.safetensors").stat().st_size
    file = CardFile("location", "location.safetensors", file_sha256(path / "location.safetensors"), size)
    card = read_card(path).card
    write_card(replace(card, files=(*card.files, file), location=CardLocation("satclip", LOGIT_SCALE)), path)
    return path
