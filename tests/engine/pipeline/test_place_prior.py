"""A class map with a prior: λ = 0 draws the same map, a large λ draws the prior, nodata draws the imagery's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geomm_engine.contract import ErrorCode, Level, PlacePrior
from geomm_engine.errors import EngineError
from tests.engine.pipeline.asking import classified, drawn
from tests.engine.placed_model import write_placed_model

TABLE = "value,forest,water,town\n1,0.98,0.01,0.01\n2,0.01,0.01,0.98\n"


@pytest.fixture
def categories(folder: Path) -> Path:
    """Category 2 (town) in the north, no data in the middle, 1 (forest) in the south; in degrees, coarser than the layer."""
    path = folder / "catégories.tif"
    values = np.zeros((40, 60), np.uint8)
    values[:20], values[26:] = 2, 1
    west, north, east, south = 15.0, 45.1534, 15.0407, 45.1300
    transform = Affine((east - west) / 60, 0, west, 0, (south - north) / 40, north)
    profile = {
        "driver": "GTiff",
        "count": 1,
        "dtype": "uint8",
        "height": 40,
        "width": 60,
        "nodata": 0,
        "crs": "EPSG:4326",
    }
    with rasterio.open(path, "w", transform=transform, **profile) as dataset:
        dataset.write(values, 1)
    (folder / "table é.csv").write_text(TABLE, encoding="utf-8")
    return path


def prior(categories: Path, strength: float) -> PlacePrior:
    return PlacePrior(strength, str(categories), str(categories.with_name("table é.csv")))


def test_strength_zero_draws_the_same_map(landscape: Path, tiny_model: str, folder: Path, categories: Path) -> None:
    plain = classified(landscape, tiny_model, folder / "plain", has_class_scores=True)
    zero = classified(
        landscape, tiny_model, folder / "zero", prior=prior(categories, 0.0), has_class_scores=True
    )  # not even looked at:
    absent = classified(
        landscape, tiny_model, folder / "absent", prior=PlacePrior(0.0, "nowhere.tif"), has_class_scores=True
    )
    for result in (zero, absent):
        for name in ("class_path", "confidence_path", "scores_path"):
            for band in (1, 2) if name != "class_path" else (1,):
                ours, theirs = drawn(getattr(result, name), band), drawn(getattr(plain, name), band)
                assert ours.tobytes() == theirs.tobytes()
        assert not [note for note in result.notes if note.code == "place_prior"]


def test_the_prior_wins_only_where_it_is_known_and_strong(
    landscape: Path, tiny_model: str, folder: Path, categories: Path
) -> None:
    plain = classified(landscape, tiny_model, folder / "plain")
    mild = classified(landscape, tiny_model, folder / "mild", prior=prior(categories, 0.3))
    strong = classified(landscape, tiny_model, folder / "strong", prior=prior(categories, 30.0), has_unknown=False)
    before, after = drawn(plain.class_path), drawn(strong.class_path)
    assert (drawn(mild.class_path) == before).mean() > 0.97
    assert (after[:50] == 3).mean() > 0.95, "town in the north"
    assert (after[95:] == 1).mean() > 0.9, "forest in the south"
    assert (after[73:76] == before[73:76]).all(), "no data in the middle: the imagery alone"
    note = next(note for note in strong.notes if note.code == "place_prior")
    assert (note.level, note.facts["strength"]) == (Level.AMBER, 30.0)
    provenance = json.loads(Path(strong.summary_path).read_text(encoding="utf-8"))["provenance"]
    assert "catégories.tif" in provenance["parameters"]["prior"]


def test_an_earlier_map_is_a_prior_by_itself(landscape: Path, tiny_model: str, folder: Path) -> None:
    earlier = classified(landscape, tiny_model, folder / "earlier")
    told = PlacePrior(5.0, earlier.class_path)
    again = classified(landscape, tiny_model, folder / "again", "water", "forest", "town", prior=told)
    names = {1: 2, 2: 1, 3: 3}  # other order, other values
    same = np.vectorize(names.get)(drawn(earlier.class_path)) == drawn(again.class_path)
    assert same.mean() > 0.95
    assert again.mean_confidence > earlier.mean_confidence


def test_a_prior_that_does_nothing_says_so(landscape: Path, tiny_model: str, folder: Path, categories: Path) -> None:
    """Where it holds no category of the table, as one of other ground or other numbers does."""
    plain = classified(landscape, tiny_model, folder / "plain")
    table = categories.with_name("table é.csv")
    table.write_text(TABLE.replace("\n1,", "\n11,").replace("\n2,", "\n12,"), encoding="utf-8")
    result = classified(landscape, tiny_model, folder / "out", prior=prior(categories, 1.0))
    np.testing.assert_array_equal(drawn(result.class_path), drawn(plain.class_path))
    notes = {note.code: note for note in result.notes}
    assert "place_prior" not in notes
    assert notes["place_prior_silent"].level is Level.AMBER
    assert "11, 12" in notes["place_prior_silent"].text


def test_columns_of_no_class_are_named(landscape: Path, tiny_model: str, folder: Path, categories: Path) -> None:
    table = categories.with_name("table é.csv")
    table.write_text("value,Forest,lake,town\n1,0.98,0.01,0.01\n2,0.01,0.01,0.98\n", encoding="utf-8")
    result = classified(landscape, tiny_model, folder / "out", prior=prior(categories, 1.0))
    notes = {note.code: note for note in result.notes}
    assert notes["place_prior_unasked"].facts["names"] == "lake"
    assert notes["place_prior_unasked"].level is Level.AMBER
    assert "place_prior" in notes
    table.write_text(TABLE, encoding="utf-8")
    told = classified(landscape, tiny_model, folder / "told", prior=prior(categories, 1.0))
    assert {note.code for note in told.notes} & {"place_prior", "place_prior_unasked"} == {"place_prior"}


def refused(landscape: Path, tiny_model: str, folder: Path, told: PlacePrior) -> EngineError:
    with pytest.raises(EngineError) as refusal:
        classified(landscape, tiny_model, folder / "refused", prior=told)
    assert refusal.value.cure
    assert not (folder / "refused").exists()
    return refusal.value


def test_what_cannot_be_a_prior_is_refused(landscape: Path, tiny_model: str, folder: Path, categories: Path) -> None:
    for strength in (-1.0, float("nan"), float("inf")):
        assert refused(landscape, tiny_model, folder, prior(categories, strength)).code == ErrorCode.MESSAGE_INVALID
    assert refused(landscape, tiny_model, folder, PlacePrior(1.0, "nowhere.tif")).code == ErrorCode.RASTER_UNREADABLE
    no_table = PlacePrior(1.0, str(categories))
    assert "no table" in refused(landscape, tiny_model, folder, no_table).text
    table = folder / "odd.csv"
    for text, said in (
        ("", "first line"), ("forest,water\n1,2\n", "first line"), ("value,forest\n1,many\n", "line 2"),
        ("value,forest\n1,-2\n", "line 2"), ("value,forest,water\n1,1\n", "line 2"),
        ("value,desert,ice\n1,1,2\n", "desert, ice"), ("value,forest\n1,1\n2,1\n1,0\n", "line 4 repeats the value 1"),
        ("value,forest\nnan,1\n", "line 2 has the value nan"), ("value,forest,Forest\n1,1,0\n", "twice"),
    ):  # fmt: skip
        table.write_text(text, encoding="utf-8")
        assert said in refused(landscape, tiny_model, folder, PlacePrior(1.0, str(categories), str(table))).text
    nowhere = folder / "no crs.tif"
    with rasterio.open(nowhere, "w", driver="GTiff", count=1, dtype="uint8", height=2, width=2) as dataset:
        dataset.write(np.ones((2, 2), np.uint8), 1)
    assert refused(landscape, tiny_model, folder, PlacePrior(1.0, str(nowhere), str(table))).code == (
        ErrorCode.RASTER_NO_GEOREFERENCE
    )
    no_raster = refused(landscape, tiny_model, folder, PlacePrior(1.0, "", str(table)))
    assert (no_raster.code, "no raster" in no_raster.text) == (ErrorCode.MESSAGE_INVALID, True)
    without = refused(landscape, tiny_model, folder, PlacePrior(1.0))
    assert (without.code, "location tower" in without.text) == (ErrorCode.MODEL_INVALID, True)


def test_a_model_that_knows_places_and_words_is_a_prior_of_its_own(landscape: Path, folder: Path) -> None:
    """The layer lies at 45° north, where the model expects forest; at first half of it is none."""
    model = str(write_placed_model(folder / "placed"))
    plain = classified(landscape, model, folder / "plain", has_unknown=False)
    placed = classified(landscape, model, folder / "placed map", has_unknown=False, prior=PlacePrior(20.0))
    assert (drawn(plain.class_path) == 1).mean() < 0.5
    assert (drawn(placed.class_path) == 1).mean() > 0.99
