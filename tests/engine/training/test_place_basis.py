"""The basis of the expert's places: smooth in space, and the same for places that the maps call the same."""

from __future__ import annotations

import numpy as np

from geomm_engine.sphere import fibonacci_points, lat_lon
from geomm_engine.training.drawn_earth import draw_world
from geomm_engine.training.place_basis import place_basis, surroundings

WORLD = draw_world(1)
CENTRES = fibonacci_points(400)


def test_neighbours_share_more_of_the_basis_than_antipodes() -> None:
    basis = place_basis(WORLD, CENTRES)
    assert basis.dtype == np.float32
    assert basis.shape[1] == len(CENTRES)
    assert np.isfinite(basis).all()
    unit = basis / np.linalg.norm(basis, axis=0)
    alike = unit.T @ unit
    near = np.argsort(-(CENTRES @ CENTRES.T), axis=1)
    rows = np.arange(len(CENTRES))
    assert alike[rows, near[:, 1]].mean() > alike[rows, near[:, -1]].mean() + 0.5


def test_surroundings_tell_climates_apart() -> None:
    known = surroundings(WORLD, CENTRES)
    assert np.abs(known.mean(axis=0)).max() < 0.1
    lat = np.abs(lat_lon(CENTRES)[0])
    polar, tropical = known[lat > 70], known[lat < 12]
    assert np.linalg.norm(polar.mean(axis=0) - tropical.mean(axis=0)) > 2.0
