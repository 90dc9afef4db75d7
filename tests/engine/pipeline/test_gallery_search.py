"""A layer is placed by a location model: where its gallery looks like the tiles; probabilities are whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geomm_engine.contract import ErrorCode, LocatePriors
from geomm_engine.errors import EngineError
from geomm_engine.pipeline.gallery_search import GallerySearch, gallery_search
from geomm_engine.progress import run
from tests.engine.conftest import color_raster
from tests.engine.pipeline.asking import source
from tests.engine.placed_model import write_placed_model


def test_forest_lies_in_the_north_and_water_in_the_south(folder: Path) -> None:
    model = str(write_placed_model(folder / "placé"))
    answers = {}
    for name, kind in (("forest", 0), ("water", 1)):
        path = color_raster(folder / f"{name} é.tif", np.full((96, 128), kind))
        asked = GallerySearch(source(path), model, str(folder / name), priors=LocatePriors(is_land_only=False), top_k=3)
        answers[name] = run(gallery_search(asked))
    forest, water = answers["forest"], answers["water"]
    assert all(place.lat > 30 for place in forest.places)
    assert all(place.lat < -30 for place in water.places)
    assert forest.own_level < 0.6 < 0.99 < water.own_level, "the layers say that they lie at 45° north"
    assert forest.area_50_km2 < forest.area_90_km2
    assert forest.radius_50_km < forest.radius_90_km
    with rasterio.open(forest.heatmap_path) as heat:
        mass = heat.read(1).astype(np.float64)
    assert mass.sum() == pytest.approx(1.0, abs=1e-5)
    assert mass[:360].sum() > 0.95
    kept = sorted(path.name for path in (Path(folder).parent / "cache é" / "gallery").iterdir())
    assert len(kept) == 1, "both asked the same gallery"


def test_a_model_without_places_is_refused(landscape: Path, tiny_model: str, folder: Path) -> None:
    with pytest.raises(EngineError, match="knows no places") as refusal:
        run(gallery_search(GallerySearch(source(landscape), tiny_model, str(folder / "out"))))
    assert refusal.value.code == ErrorCode.MODEL_INVALID
    assert not (folder / "out").exists()
