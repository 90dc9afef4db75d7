"""Classes, groups, and looking places up in a map of the Earth."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from geomm_engine.errors import RasterError
from geomm_engine.geography import koppen
from geomm_engine.geography.mixture import log_softmax
from geomm_engine.geography.world import read_koppen, read_land

DATA = Path(os.environ.get("GEOMM_SHARED_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")


def test_thirty_climates_and_the_sea() -> None:
    assert len(koppen.CLIMATES) == 31
    assert len(set(koppen.CODES)) == 31
    for climate in koppen.CLIMATES[1:]:
        assert koppen.GROUPS[climate.group].code == climate.code[0]
    assert koppen.climate_number("EF") == 30
    assert koppen.climate_number("As") == koppen.climate_number("Aw")
    assert koppen.climate_number("Ocean") == koppen.SEA
    with pytest.raises(KeyError):
        koppen.climate_number("Zz")


def test_a_group_is_the_sum_of_its_classes() -> None:
    log_p = log_softmax(np.random.default_rng(1).normal(0, 40, (5, 31)))
    found = np.exp(koppen.coarse(log_p))
    assert found.sum(axis=1) == pytest.approx(np.ones(5))
    assert found[:, 5] == pytest.approx(np.exp(log_p[:, 29:]).sum(axis=1))
    with np.errstate(divide="ignore"):
        assert np.isneginf(koppen.coarse(np.log(np.eye(31)[3]))[[0, 2, 3, 4, 5]]).all()


def test_shares_of_a_patch() -> None:
    found = koppen.shares(np.array([[0, 0, 3, 30], [5, 5, 5, 5]]))
    assert found.sum(axis=1) == pytest.approx([1, 1])
    assert found[0, [0, 3, 30]] == pytest.approx([0.5, 0.25, 0.25])
    assert found[1, 5] == 1


def test_a_global_raster_is_whole_round_the_earth() -> None:
    raster = koppen.GlobalRaster(np.arange(18 * 36).reshape(18, 36))
    assert raster.at(89.9, -179.9) == 0
    assert raster.at(90.0, 180.0) == 0
    assert raster.at(-90.0, 179.9) == 18 * 36 - 1
    assert raster.at(5.0, 190.0) == raster.at(5.0, -170.0)


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared imagery (GEOMM_SHARED_DATA)")
def test_the_shared_maps_know_some_places() -> None:
    climates, land = read_koppen(DATA), read_land(DATA)
    for code, lat, lon in (("Cfb", 48.8, 2.3), ("Af", -3.1, -60), ("BWh", 23, 10), ("sea", 0, -30), ("EF", -80, 0)):
        assert koppen.CODES[int(climates.at(lat, lon))] == code
        assert bool(land.at(lat, lon)) == (code != "sea")


def test_missing_maps_are_said(folder: Path) -> None:
    with pytest.raises(RasterError, match="GEOMM_SHARED_DATA"):
        read_koppen(folder)
    with pytest.raises(RasterError, match="cannot be read"):
        read_land(folder)
