"""From words to a map: right classes in the right place, nothing where there is nothing, one inference for all questions."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from pyproj import Geod

from geomm_engine.contract import Area, ClassEntry, ClassifyParams, ErrorCode, RasterSource
from geomm_engine.encoders.card import CardFile, file_sha256, read_card, write_card
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder
from geomm_engine.errors import AreaError, EngineError, RasterError
from geomm_engine.pipeline.classify import classify
from geomm_engine.progress import Partial, run
from geomm_engine.scoring.familiarity import write_exemplars
from tests.data import make
from tests.engine.conftest import color_raster
from tests.engine.pipeline.asking import LAND, classified, classify_job, drawn, embedded, searched, shares, source
from tests.engine.raster.drawing import UTM, random_bands, write, write_damaged
from tests.engine.tiny_model import COLORS, write_tiny_model

WEST = "POLYGON ((500000 5000000, 501280 5000000, 501280 4998720, 500000 4998720, 500000 5000000))"


def agreement(values: np.ndarray, layout: np.ndarray, *, margin: int = 2) -> float:
    """Share of the map pixels, away from the borders of the layout, that have the class of the layout (from 1)."""
    step = layout.shape[0] // values.shape[0]
    truth = layout[step // 2 :: step, step // 2 :: step] + 1
    around = [np.roll(truth, (y, x), (0, 1)) for y in (-margin, 0, margin) for x in (-margin, 0, margin)]
    inner = np.logical_and.reduce([truth == item for item in around])
    return float((values == truth)[inner].mean())


def test_the_map_shows_what_is_there(landscape: Path, tiny_model: str, folder: Path) -> None:
    result = classified(landscape, tiny_model, folder / "out")
    layout = np.zeros((256, 320), dtype=int)
    layout[:, 160:] = 1
    layout[160:, :] = 2
    assert agreement(drawn(result.class_path), layout, margin=8) == 1.0
    areas = {item.name: item.area_ha for item in result.classes}
    assert areas == {
        "forest": pytest.approx(160 * 160 / 100, rel=0.05),
        "water": pytest.approx(160 * 160 / 100, rel=0.05),
        "town": pytest.approx(96 * 320 / 100, rel=0.05),
    }
    assert sum(item.area_ha for item in result.classes) == pytest.approx(819.2)
    assert sum(item.share for item in result.classes) == pytest.approx(1, abs=1e-5)
    assert sum(item.tiles for item in result.classes) == result.embed.tiles_total == 320
    assert result.mean_confidence > 0.8


@pytest.mark.parametrize("size", [(256, 320), (250, 311), (33, 47), (16, 200)])
def test_maps_lie_exactly_on_the_raster(folder: Path, tiny_model: str, size: tuple[int, int]) -> None:
    transform = Affine(10, 0, 500_003.7, 0, -10, 4_999_991.3)
    path = color_raster(folder / "odd.tif", np.zeros(size, dtype=int), transform=transform)
    result = classified(path, tiny_model, folder / "out", has_class_scores=True)
    for name in (result.class_path, result.confidence_path, result.scores_path):
        with rasterio.open(name) as raster:
            assert raster.transform == transform @ Affine.scale(2)
            assert raster.shape == (math.ceil(size[0] / 2), math.ceil(size[1] / 2))
            assert raster.crs.to_epsg() == 32633
    assert (drawn(result.class_path) == 1).all()
    assert sum(item.area_ha for item in result.classes) == pytest.approx(size[0] * size[1] / 100)


def test_the_files_say_what_the_result_says(landscape: Path, tiny_model: str, folder: Path) -> None:
    result = classified(
        landscape, tiny_model, folder / "out", "forest", "water", "town", "!snow", has_class_scores=True
    )
    values = drawn(result.class_path)
    with rasterio.open(result.scores_path) as raster:
        scores = raster.read()
        assert raster.descriptions == ("forest", "water", "town", "snow")
    np.testing.assert_allclose(scores.sum(axis=0), 1, atol=1e-5)
    confidence = drawn(result.confidence_path)
    np.testing.assert_allclose(confidence, scores.max(axis=0), atol=1e-6)
    np.testing.assert_array_equal(values, scores.argmax(axis=0) + 1)
    summary = json.loads(Path(result.summary_path).read_text(encoding="utf-8"))
    assert [item["name"] for item in summary["classes"]] == list(LAND)
    assert summary["provenance"]["model"]["id"] == "tiny"
    tiles = pyogrio.raw.read(result.tiles_path)
    names = list(tiles[0]["fields"])
    assert {"class", "value", "confidence", "reject", "p_forest", "p_water", "p_town", "p_snow"} <= set(names)
    assert len(tiles[2]) == 320


def test_nodata_stays_nodata(folder: Path, tiny_model: str) -> None:
    for draw in (make.with_nodata, make.with_alpha, make.with_mask, make.with_nan):
        path = draw(folder)
        result = classified(path, tiny_model, folder / f"out {draw.__name__}", has_class_scores=True)
        values, confidence = drawn(result.class_path), drawn(result.confidence_path)
        hole = np.zeros((make.SIZE, make.SIZE), dtype=bool)
        hole[make.HOLE] = True
        hole = hole[1::2, 1::2]
        assert not values[hole].any()
        assert np.isnan(confidence[hole]).all()
        assert np.isnan(drawn(result.scores_path)[hole]).all()
        assert (values[~hole] > 0).mean() > 0.99
        np.testing.assert_array_equal(np.isnan(confidence), values == 0)
        area_ha = sum(item.area_ha for item in result.classes)
        assert area_ha == pytest.approx((~hole).sum() * 400 / 10_000, rel=0.01)


def test_one_scene_stored_in_five_ways_is_one_map(folder: Path, tiny_model: str) -> None:
    ways = (
        make.sentinel2,
        make.sentinel2_with_offset,
        make.sentinel2_swapped,
        make.reflectance_float,
        make.reflectance_scaled,
    )
    maps = [drawn(classified(draw(folder), tiny_model, folder / draw.__name__).class_path) for draw in ways]
    assert len(shares(maps[0])) > 1
    for other in maps[1:]:
        assert (other == maps[0]).mean() > 0.995


def test_a_smooth_raster_has_no_seam(folder: Path, tiny_model: str) -> None:
    """On a slope of brightness, scores change as gently across the edges of cells and chunks as elsewhere."""
    ramp = np.linspace(125, 180, 640)[None, :] + np.linspace(0, 50, 640)[:, None]
    path = write(folder / "ramp.tif", np.stack([ramp, ramp, ramp]).astype(np.uint8), photometric="rgb")
    score = drawn(searched(folder / "out", "town", source=source(path), model=tiny_model).score_path).astype(np.float64)
    for axis in (0, 1):
        steps = np.abs(np.diff(score[16:-16, 16:-16], axis=axis)).mean(axis=1 - axis)
        at = np.arange(len(steps)) + 17  # the map pixel on the far side of each step
        mean = np.convolve(steps, np.ones(16) / 16, mode="same")
        ratio = (steps / mean)[16:-16]
        at = at[16:-16]
        at_chunks, at_cells, elsewhere = (
            ratio[at % 128 == 0],
            ratio[(at % 8 == 0) & (at % 128 != 0)],
            ratio[at % 8 != 0],
        )
        assert len(at_chunks) >= 2
        assert np.ptp(score) > 0.01
        assert at_chunks.max() <= 1.2 * at_cells.max()
        assert at_cells.max() <= 1.2 * elsewhere.max()


def test_one_class_everywhere_is_not_degraded(folder: Path, tiny_model: str) -> None:
    """K = 1: a raster of nothing but forest, asked for many things, is forest, with all defaults on."""
    path = color_raster(folder / "forest.tif", np.zeros((256, 256), dtype=int), noise=25)
    plain = classified(path, tiny_model, folder / "plain", "forest", "water", "town", "crops", "snow", is_smooth=False)
    smooth = classified(path, tiny_model, folder / "smooth", "forest", "water", "town", "crops", "snow")
    right = [(drawn(result.class_path) == 1).mean() for result in (plain, smooth)]
    assert right[1] >= right[0] > 0.95


def test_an_irrelevant_class_changes_nothing(landscape: Path, tiny_model: str, folder: Path) -> None:
    before = drawn(classified(landscape, tiny_model, folder / "few").class_path)
    after = drawn(classified(landscape, tiny_model, folder / "many", *LAND, "snow", "crops").class_path)
    assert (before != after).mean() < 0.02


def test_one_class_alone_is_warned_of(landscape: Path, tiny_model: str, folder: Path) -> None:
    result = classified(landscape, tiny_model, folder / "out", "forest")
    assert "one_class" in {note.code for note in result.notes}
    assert set(np.unique(drawn(result.class_path))) <= {1, 255}


def test_a_negative_takes_its_places_off_the_map(landscape: Path, tiny_model: str, folder: Path) -> None:
    result = classified(landscape, tiny_model, folder / "out", "forest", "town", "!water")
    values = drawn(result.class_path)
    assert (values[:70, 90:] == 255).all()
    assert [item.name for item in result.classes] == ["forest", "town", "unknown"]
    assert result.classes[2].area_ha == pytest.approx(256, rel=0.05)


def test_the_unknown_has_a_threshold(landscape: Path, tiny_model: str, folder: Path) -> None:
    everything = classified(landscape, tiny_model, folder / "all", reject_threshold=1.1)
    assert (drawn(everything.class_path) == 255).all()
    assert "mostly_unknown" in {note.code for note in everything.notes}
    none = classified(landscape, tiny_model, folder / "none", reject_threshold=1.1, has_unknown=False)
    assert 255 not in drawn(none.class_path)


def test_ground_unlike_anything_learned_is_told(landscape: Path, tiny_model: str, folder: Path) -> None:
    plain = classified(landscape, tiny_model, folder / "plain")
    assert plain.unfamiliar_share == 0
    with rasterio.open(plain.confidence_path) as raster:
        assert raster.descriptions == ("confidence", "reject")
    model = write_tiny_model(folder / "model")
    card = read_card(model).card
    colors = np.array([COLORS[word] for word in ("forest", "water")], dtype=np.float32)
    seen = OnnxImageEncoder(read_card(model)).embed_images(
        np.broadcast_to(colors[:, :, None, None], (2, 3, 32, 32)).copy(), 10.0
    )
    write_exemplars(seen, model / "exemplars.npz")
    path = model / "exemplars.npz"
    files = (*card.files, CardFile("exemplars", path.name, file_sha256(path), path.stat().st_size))
    write_card(replace(card, files=files, scoring=replace(card.scoring, familiar_threshold=0.9)), model)
    result = classified(landscape, str(model), folder / "out")
    np.testing.assert_array_equal(drawn(result.class_path), drawn(plain.class_path))
    town = next(item for item in result.classes if item.name == "town")
    assert result.unfamiliar_share == pytest.approx(town.tiles / 320, abs=0.1)
    assert [note.code for note in result.notes if note.code == "unfamiliar"]
    with rasterio.open(result.confidence_path) as raster:
        assert raster.descriptions == ("confidence", "reject", "familiarity")
        strange = raster.read(3) < 0.9
    is_town = drawn(result.class_path) == town.value
    assert (strange == is_town).mean() > 0.9
    tiles = pyogrio.raw.read(result.tiles_path)
    column = tiles[3][list(tiles[0]["fields"]).index("familiarity")]
    assert (column < 0.9).mean() == pytest.approx(result.unfamiliar_share, abs=1e-3)


def test_a_class_called_other_is_no_class(landscape: Path, tiny_model: str, folder: Path) -> None:
    result = classified(landscape, tiny_model, folder / "out", "forest", "water", "other")
    assert "other" not in {item.name for item in result.classes}
    assert "class_is_no_thing" in {note.code for note in result.notes}


def test_synonyms_find_their_class(landscape: Path, tiny_model: str, folder: Path) -> None:
    words = (ClassEntry("bosquet", ("woodland",)), ClassEntry("lake"), ClassEntry("houses"))
    params = ClassifyParams(source(landscape), words, str(folder / "out"), tiny_model)
    values = drawn(run(classify(params)).class_path)
    assert (values[:70, :70] == 1).all()
    assert (values[:70, 90:] == 2).all()


def test_a_second_question_costs_no_inference(
    landscape: Path, tiny_model: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = classified(landscape, tiny_model, folder / "out")
    monkeypatch.setattr(OnnxImageEncoder, "embed_images", None)
    second = classified(landscape, tiny_model, folder / "again", "snow", "town")
    assert second.embed.tiles_reused == first.embed.tiles_embedded == 320
    assert second.embed.tiles_embedded == 0
    assert second.index_dir == first.index_dir


def test_the_same_question_gives_the_same_map(landscape: Path, tiny_model: str, folder: Path) -> None:
    first = drawn(classified(landscape, tiny_model, folder / "a").class_path)
    np.testing.assert_array_equal(drawn(classified(landscape, tiny_model, folder / "b").class_path), first)


# --- areas --------------------------------------------------------------------------------------------------------------


def to_degrees(wkt: str) -> str:
    import shapely
    from pyproj import Transformer

    move = Transformer.from_crs(32633, 4326, always_xy=True).transform
    return shapely.to_wkt(
        shapely.transform(shapely.from_wkt(wkt), lambda xy: np.stack(move(*xy.T), axis=1)), rounding_precision=12
    )


@pytest.mark.parametrize("is_in_degrees", [False, True])
def test_nothing_is_drawn_outside_the_area(
    landscape: Path, tiny_model: str, folder: Path, *, is_in_degrees: bool
) -> None:
    area = Area(to_degrees(WEST), "EPSG:4326") if is_in_degrees else Area(WEST, "EPSG:32633")
    result = classified(landscape, tiny_model, folder / "out", area=area)
    values = drawn(result.class_path)
    assert values.shape == (128, 160)
    assert (values[:63, :63] > 0).all()
    assert not values[65:].any()
    assert not values[:, 65:].any()
    assert sum(item.area_ha for item in result.classes) == pytest.approx(128 * 128 / 100, rel=0.02)


def test_an_areas_map_does_not_depend_on_what_was_done_before(folder: Path, tiny_model: str) -> None:
    path = write(folder / "noise.tif", random_bands(3, 700, 700), photometric="rgb")
    area = Area(
        "POLYGON ((500100 4999900, 502400 4999900, 502400 4997600, 500100 4997600, 500100 4999900))", "EPSG:32633"
    )
    names = ("forest", "water", "town", "crops", "snow")
    first = drawn(classified(path, tiny_model, folder / "first", *names, area=area).class_path)
    embedded(path, tiny_model, Path(classified(path, tiny_model, folder / "all", *names).index_dir))
    again = drawn(classified(path, tiny_model, folder / "again", *names, area=area).class_path)
    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize(
    ("wkt", "crs", "code"),
    [("POLYGON ((0 0, 1 0, 1 1, 0 0))", "EPSG:32633", ErrorCode.AREA_OUTSIDE),
     ("POLYGON ((", "EPSG:32633", ErrorCode.AREA_INVALID),
     (WEST, "EPSG:999999", ErrorCode.AREA_INVALID), ("POINT (501000 4999000)", "EPSG:32633", ErrorCode.AREA_INVALID),
     ("LINESTRING (501000 4999000, 502000 4999000)", "EPSG:32633", ErrorCode.AREA_INVALID),
     ("POLYGON EMPTY", "EPSG:32633", ErrorCode.AREA_INVALID)],
)  # fmt: skip
def test_areas_that_are_none_are_refused(
    landscape: Path, tiny_model: str, folder: Path, wkt: str, crs: str, code: ErrorCode
) -> None:
    with pytest.raises(AreaError) as caught:
        classified(landscape, tiny_model, folder / "out", area=Area(wkt, crs))
    assert caught.value.code is code
    assert not (folder / "out").exists()


def test_an_area_without_data_is_refused(folder: Path, tiny_model: str) -> None:
    values = random_bands(3, 256, 256)
    values[:, :, 128:] = 0
    path = write(folder / "half.tif", values, photometric="rgb", nodata=0)
    east = Area(
        "POLYGON ((501600 4999900, 502400 4999900, 502400 4998000, 501600 4998000, 501600 4999900))", "EPSG:32633"
    )
    with pytest.raises(RasterError) as caught:
        classified(path, tiny_model, folder / "out", area=east)
    assert caught.value.code is ErrorCode.RASTER_EMPTY
    assert not (folder / "out").exists()


def test_what_is_in_view_is_shown_first(folder: Path, tiny_model: str) -> None:
    path = color_raster(folder / "wide.tif", np.zeros((600, 600), dtype=int))
    view = Area(
        "POLYGON ((500010 4999990, 500500 4999990, 500500 4999500, 500010 4999500, 500010 4999990))", "EPSG:32633"
    )
    said = list(classify_job(path, tiny_model, folder / "out", view=view))
    at = next(place for place, item in enumerate(said) if isinstance(item, Partial))
    assert all(item.done < item.total for item in said[:at] if item.stage == "embed")
    assert said[at].kind == "class_map"
    partial = drawn(said[at].path)
    assert partial.shape == (300, 300)
    assert (partial[:100, :100] == 1).all()
    assert not partial[140:, 140:].any()


# --- degrees ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [make.in_degrees, make.in_web_mercator], ids=lambda draw: draw.__name__)
def test_hectares_are_true_at_sixty_north(folder: Path, tiny_model: str, draw) -> None:
    result = classified(draw(folder), tiny_model, folder / "out")
    with rasterio.open(result.class_path) as raster:
        left, bottom, right, top = rasterio.warp.transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
    area_m2, _ = Geod(ellps="WGS84").polygon_area_perimeter([left, right, right, left], [bottom, bottom, top, top])
    assert sum(item.area_ha for item in result.classes) == pytest.approx(area_m2 / 10_000, rel=0.02)


# --- nothing half-written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_at", ["embed", "map", "write"])
def test_cancelling_leaves_nothing_half_written(landscape: Path, tiny_model: str, folder: Path, stop_at: str) -> None:
    job = classify_job(landscape, tiny_model, folder / "out", index_dir=str(folder / "index"))
    while next(job).stage != stop_at:
        pass
    job.close()
    assert not (folder / "out").exists()
    assert (folder / "index").exists()
    result = classified(landscape, tiny_model, folder / "out", index_dir=str(folder / "index"))
    assert result.embed.tiles_reused == (0 if stop_at == "embed" else 320)


def test_a_failed_run_leaves_an_earlier_result_alone(landscape: Path, tiny_model: str, folder: Path) -> None:
    classified(landscape, tiny_model, folder / "out")
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    job = classify_job(landscape, tiny_model, folder / "out", "snow", "crops")
    while next(job).stage != "write":
        pass
    job.close()
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == before


def test_damaged_parts_are_nodata_and_told(folder: Path, tiny_model: str) -> None:
    path = write_damaged(folder / "abîmé.tif", side=512)
    result = classified(path, tiny_model, folder / "out")
    assert result.embed.tiles_failed > 0
    assert "tiles_failed" in {note.code for note in result.notes}
    values = drawn(result.class_path)
    assert (values[:50, :50] > 0).all()
    assert not values[-1].any()


REFUSALS: dict[str, tuple[dict, ErrorCode]] = {
    "unknown model": ({"model": "no such model"}, ErrorCode.MODEL_UNKNOWN),
    "no model there": ({"model": "/no/such/model"}, ErrorCode.MODEL_INVALID),
    "empty class list": ({"classes": ()}, ErrorCode.CLASS_LIST_EMPTY),
    "negatives only": ({"classes": (ClassEntry("snow", is_negative=True),)}, ErrorCode.CLASS_LIST_EMPTY),
    "a class twice": ({"classes": (ClassEntry("forest"), ClassEntry("Forest"))}, ErrorCode.CLASS_LIST_INVALID),
    "no colour": ({"classes": (ClassEntry("forest", color="green"),)}, ErrorCode.CLASS_LIST_INVALID),
    "text too long": ({"classes": (ClassEntry("forest " * 9),)}, ErrorCode.TEXT_TOO_LONG),
    "vanished file": ({"source": RasterSource(("/no/such é.tif",))}, ErrorCode.RASTER_MISSING),
    "unknown unit": ({"unit": "furlongs"}, ErrorCode.UNIT_UNKNOWN),
    "unknown device": ({"device": "abacus"}, ErrorCode.DEVICE_UNAVAILABLE),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused_and_leaves_no_file(landscape: Path, tiny_model: str, folder: Path, case: str) -> None:
    changes, code = REFUSALS[case]
    changes = dict(changes)
    layer = RasterSource((str(landscape),), unit=changes.pop("unit", ""))
    plain = {"source": layer, "classes": (ClassEntry("forest"), ClassEntry("water")), "model": tiny_model}
    params = ClassifyParams(output_dir=str(folder / "out"), **(plain | changes))
    with pytest.raises(EngineError) as caught:
        run(classify(params))
    assert caught.value.code is code
    assert caught.value.text.endswith(".")
    assert caught.value.cure
    assert not (folder / "out").exists()


@pytest.mark.parametrize("draw", [make.one_band, make.complex_numbers, make.palette, make.no_raster, make.all_nodata])
def test_rasters_that_cannot_be_classified_leave_no_file(folder: Path, tiny_model: str, draw) -> None:
    with pytest.raises(RasterError) as caught:
        classified(draw(folder), tiny_model, folder / "out")
    assert caught.value.cure
    assert not (folder / "out").exists()


def test_a_band_too_few_is_named(folder: Path, tiny_model: str) -> None:
    path = write(folder / "two.tif", random_bands(2))
    with rasterio.open(path, "r+") as raster:
        raster.descriptions = ("B04", "B03")
    with pytest.raises(RasterError) as caught:
        classified(path, tiny_model, folder / "out")
    assert caught.value.code is ErrorCode.BANDS_MISSING
    assert "blue" in caught.value.text


@pytest.mark.parametrize("draw", [make.rotated, make.south_up, make.with_gcps], ids=lambda draw: draw.__name__)
def test_crooked_rasters_are_classified_where_they_are(folder: Path, tiny_model: str, draw) -> None:
    result = classified(draw(folder), tiny_model, folder / "out")
    assert "straightened" in {note.code for note in result.notes}
    assert sum(item.area_ha for item in result.classes) == pytest.approx(make.SIZE**2 / 100, rel=0.02)


def test_layers_of_another_size_have_another_map(folder: Path, tiny_model: str) -> None:
    fine = color_raster(folder / "fine.tif", np.zeros((300, 300), dtype=int), transform=UTM @ Affine.scale(0.02))
    result = classified(fine, tiny_model, folder / "out")
    assert "gsd_fine" in {note.code for note in result.notes}
    assert sum(item.area_ha for item in result.classes) == pytest.approx(60 * 60 / 10_000, rel=0.01)
