"""The world that ships: land, countries, priors."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import AreaError
from geomm_engine.geography import atlas
from geomm_engine.sphere import EARTH_AREA_KM2


def test_the_pixels_cover_the_earth_once() -> None:
    assert atlas.row_area_km2().sum() * atlas.SHAPE_YX[1] == pytest.approx(EARTH_AREA_KM2, rel=1e-12)


def test_land_is_where_land_is() -> None:
    share = atlas.land_share()
    assert share.shape == atlas.SHAPE_YX
    land = float((share * atlas.row_area_km2()[:, None]).sum() / EARTH_AREA_KM2)
    assert land == pytest.approx(0.29, abs=0.01)
    for lat, lon, expected in ((48.9, 2.3, 1.0), (0.1, 0.1, 0.0), (-85.0, 10.0, 1.0), (89.0, 0.0, 0.0)):
        assert share[int((90 - lat) * 4), int((lon + 180) * 4)] == expected


@pytest.mark.parametrize(
    ("lat", "lon", "name"),
    [(48.9, 2.3, "France"), (-17.8, 178.0, "Fiji"), (-17.8, -181.9, "Fiji"), (67.0, -179.5, "Russia"), (0, -150, ""),
     (39.0, 8.3, "Italy"), (-90, 0, "Antarctica")],
)  # fmt: skip
def test_a_place_has_its_country(lat: float, lon: float, name: str) -> None:
    assert atlas.country_at(lat, lon) == name


@pytest.mark.parametrize("text", ["France", "france", " FRA "])
def test_a_country_is_found_by_name_and_by_letters(text: str) -> None:
    assert atlas.find_country(text).name == "France"


@pytest.mark.parametrize(
    ("text", "cure"), [("korea", "South Korea"), ("Frnace", "France"), ("xyzzy", "FRA"), ("", "FRA")]
)
def test_an_unknown_country_is_refused_with_what_is_alike(text: str, cure: str) -> None:
    with pytest.raises(AreaError, match=cure) as caught:
        atlas.find_country(text)
    assert caught.value.code is ErrorCode.PLACE_UNKNOWN


def test_a_polygon_over_the_date_line_is_on_both_sides() -> None:
    for box in (shapely.box(175, -20, 185, -15), shapely.box(-185, -20, -175, -15)):
        found = atlas.inside(box)
        cols = np.flatnonzero(found.any(axis=0))
        assert set(cols) == {*range(20), *range(1420, 1440)} | ({20, 1419} & set(cols))


def test_a_prior_is_land_inside_the_polygon() -> None:
    polygon = shapely.box(0, 40, 10, 50)
    allowed = atlas.prior([polygon])
    assert allowed[:, : 178 * 4].max() == 0
    assert 0.5 < allowed[161:199, 721:759].mean() < 1
    assert atlas.prior([polygon], is_land_only=False)[161:199, 721:759].min() == 1


def test_a_prior_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(AreaError, match="allow the sea"):
        atlas.prior([shapely.box(-150, -5, -149, -4)])
    with pytest.raises(AreaError) as caught:
        atlas.prior([shapely.box(0, 0, 1, 1), shapely.box(50, 50, 51, 51)], is_land_only=False)
    assert caught.value.code is ErrorCode.PLACE_UNKNOWN
