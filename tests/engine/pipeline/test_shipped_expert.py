"""The expert that ships places a coast by its outline, although the picture was painted and no satellite ever took it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geomm_engine import sphere
from geomm_engine.contract import Area, RasterSource
from geomm_engine.geography import atlas
from geomm_engine.geography.expert import open_expert
from geomm_engine.geography.posterior import Posterior, cell_prior
from geomm_engine.pipeline.locate_look import Locator, Sight
from geomm_engine.pipeline.locate_tiles import open_picture
from geomm_engine.progress import run

WIDTH_KM, PX = 500.0, 72
SEA, LAND = (10, 18, 52), (96, 104, 62)


@pytest.fixture(scope="module")
def locator() -> Locator:
    return Locator(open_expert())


def paint(path: Path, lat: float, lon: float) -> Path:
    """Land and sea of the map that ships round a place, in two colours and some noise, without a georeference."""
    at = WIDTH_KM * ((np.arange(PX) + 0.5) / PX - 0.5)
    lats, lons = sphere.destination(lat, lon, *np.broadcast_arrays(at[None, :], -at[:, None]))
    share = atlas.land_share()[((90 - lats) * 4).astype(int), ((lons + 180) * 4).astype(int) % 1440][..., None]
    colors = share * np.array(LAND) + (1 - share) * np.array(SEA)
    grain = np.random.default_rng(0).normal(0, 1, colors.shape) * (1 + 7 * share)
    with rasterio.open(path, "w", driver="PNG", width=PX, height=PX, count=3, dtype="uint8") as picture:
        picture.write(np.moveaxis(np.clip(colors + grain, 0, 255).astype(np.uint8), 2, 0))
    return path


def look(locator: Locator, path: Path) -> Sight:
    with open_picture(RasterSource((str(path),)), Area(), 1000 * WIDTH_KM / PX) as picture:
        return run(locator.look(picture))[0]


@pytest.mark.parametrize(("lat", "lon"), [(48.0, -3.0), (55.8, 11.0)])
def test_a_painted_coast_is_found(locator: Locator, folder: Path, lat: float, lon: float) -> None:
    sight = look(locator, paint(folder / "côte é.png", lat, lon))
    posterior = Posterior.of(sight.log_density, cell_prior(atlas.prior([])))
    assert float(sphere.distance_km(sphere.unit_vectors(*posterior.best()), sphere.unit_vectors(lat, lon))) < 200
    assert posterior.mass.sum() == pytest.approx(1.0)


def test_the_open_sea_is_given_up(locator: Locator, folder: Path) -> None:
    sight = look(locator, paint(folder / "mer é.png", 0.0, -140.0))
    assert sight.is_lost
    assert np.isfinite(sight.log_density).all()
    assert np.ptp(sight.log_density) == 0.0


def test_its_card_says_how_it_was_measured(locator: Locator) -> None:
    card = locator.expert.card
    metrics = {item.metric for item in card.measured if item.dataset == "held-out blocks"}
    assert metrics >= {"median error (km)", "in the 90% region", "Köppen fine", "with coast, median error (km)"}
    assert not locator.expert.folder.damaged_files()
    assert sum(item.size_bytes for item in card.files) <= 8_000_000
    assert card.calibration.land_weight > 0
