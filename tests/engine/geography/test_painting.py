"""What is painted is what was found: a hill of a single cell keeps its mass and its outline."""

from __future__ import annotations

import math

import numpy as np
import shapely

from geomm_engine import sphere
from geomm_engine.geography import atlas, painting
from geomm_engine.geography.posterior import Posterior, cell_prior, world_grid


def test_a_hill_of_one_cell_keeps_its_mass() -> None:
    share = atlas.prior([], is_land_only=False)
    lat, lon = 47.0, 8.0
    cell = int(world_grid().cell_of(lat, lon))
    log_density = np.zeros(len(world_grid()))
    log_density[cell] = math.log(3.0 * (len(world_grid()) - 1))
    posterior = Posterior.of(log_density, cell_prior(share))
    rows, columns = atlas.pixel_centres()
    said = painting.density(posterior, rows, len(columns))
    painted = painting.mass(said, share, atlas.row_area_km2())
    away = sphere.distance_km(sphere.unit_vectors(rows[:, None], columns[None]), sphere.unit_vectors(lat, lon))
    assert math.isclose(painted.sum(), 1.0, abs_tol=1e-9)
    assert math.isclose(float(posterior.mass[cell]), 0.75, abs_tol=1e-6)
    assert math.isclose(float(painted[away < 200].sum()), 0.75, abs_tol=0.05)
    half = painting.outline(said, share, painted, 0.5)
    assert half.area < 4
    assert half.distance(shapely.Point(lon, lat)) < 0.5
