"""The whole verb on pictures whose place the tiny expert knows by their colour."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.warp
import shapely
from affine import Affine
from PIL import Image

from geomm_engine.contract import (
    Area,
    ErrorCode,
    LocateParams,
    LocatePriors,
    LocateResult,
    RasterSource,
    Verdict,
    decode,
    encode,
)
from geomm_engine.errors import EngineError
from geomm_engine.pipeline.locate import OUTPUTS, locate
from geomm_engine.progress import Progress, run
from geomm_engine.sphere import distance_km, unit_vectors
from tests.data import make
from tests.engine.tiny_expert import PLACES, SEA_COLOR, write_tiny_expert

DEGREES = Affine(0.02, 0, 8, 0, -0.02, 25)


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_expert(tmp_path_factory.mktemp("modèle é") / "tiny"))


def paint(path: Path, color: tuple[float, float, float], *, crs: str | None = "EPSG:4326", **options) -> Path:
    """A GeoTIFF of one colour with some grain, 4° wide at 0.02° unless told otherwise."""
    transform, size = options.pop("transform", DEGREES), options.pop("size", (200, 200))
    values = np.random.default_rng(0).normal(0, 3, (3, *size)) + 255 * np.array(color)[:, None, None]
    place = {"crs": crs, "transform": transform} if crs else {}
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": size[0], "width": size[1]}
    with rasterio.open(path, "w", photometric="rgb", **profile, **place, **options) as raster:
        raster.write(values.clip(1, 255).astype(np.uint8))
    return path


def ask(path: Path, expert: str, folder: Path, **options) -> LocateResult:
    params = LocateParams(
        RasterSource((str(path),)), str(folder / "out é"), model=expert, **{"has_picture": False, **options}
    )
    result = run(locate(params))
    assert decode(LocateResult, json.loads(json.dumps(encode(result), allow_nan=False))) == result
    return result


def away_km(result: LocateResult, name: str) -> float:
    _, lat, lon, _ = PLACES[name]
    return float(distance_km(unit_vectors(result.best.lat, result.best.lon), unit_vectors(lat, lon)))


def test_a_desert_is_found_and_everything_is_written(folder: Path, expert: str) -> None:
    result = ask(paint(folder / "été.tif", PLACES["desert"][0]), expert, folder, date="2004-07-10", has_picture=True)
    assert away_km(result, "desert") < 100
    assert result.best.country in ("Algeria", "Niger", "Libya")
    assert [(item.code, item.group) for item in result.climates] == [("BWh", "Arid")]
    assert result.check is not None
    assert result.check.verdict is Verdict.AGREES
    assert result.date_check is not None
    assert result.date_check.verdict is Verdict.AGREES
    assert result.abstain < 0.5
    assert {path.name for path in (folder / "out é").iterdir()} >= set(OUTPUTS)
    summary = json.loads(Path(result.summary_path).read_text(encoding="utf-8"))
    assert summary["provenance"]["model"]["id"] == "tiny-expert"
    assert summary["best"]["lat"] == result.best.lat
    for path, width in ((result.picture_path, 1500), (result.world_path, 800)):
        with Image.open(path) as picture:
            assert picture.width > width


@pytest.mark.parametrize("name", ["heatmap_path", "equal_area_path"])
def test_the_heatmap_sums_to_one(folder: Path, expert: str, name: str) -> None:
    result = ask(paint(folder / "été.tif", PLACES["steppe"][0]), expert, folder)
    with rasterio.open(getattr(result, name)) as raster:
        mass, density = raster.read(out_dtype="float64")
        assert raster.descriptions == ("probability mass", "density per km²")
        assert "GEOMM_PROVENANCE" in raster.tags()
        assert mass.sum() == pytest.approx(1.0, abs=1e-6)
        assert mass.min() >= 0
        # A hair inside: beyond the pole by a rounding error there is no latitude.
        inside = [value * (1 - 1e-12) for value in raster.bounds]
        west, south, east, north = rasterio.warp.transform_bounds(raster.crs, "EPSG:4326", *inside)
        assert (round(west, 6), round(east, 6)) == (-180, 180)
        assert (round(south, 3), round(north, 3)) == (-90, 90)
        lat = np.linspace(north, south, 2 * raster.height + 1)[1::2] if raster.crs.is_geographic else None
    area = np.full(len(mass), 510065.6e3 / mass.size) if lat is None else np.cos(np.radians(lat)) * 27.798**2
    np.testing.assert_allclose(density[mass > 1e-9], (mass / area[:, None])[mass > 1e-9], rtol=2e-3)
    assert Path(getattr(result, name)).with_suffix(".qml").exists()


def test_regions_and_places_are_in_one_geopackage(folder: Path, expert: str) -> None:
    result = ask(paint(folder / "été.tif", PLACES["island"][0]), expert, folder)  # on the date line
    _, _, shapes, (names, levels, areas) = pyogrio.raw.read(result.places_path, layer="regions")
    regions = dict(zip(names, shapely.from_wkb(shapes), strict=True))
    assert list(names) == ["90 %", "50 %"]
    assert list(levels) == [0.9, 0.5]
    assert areas[0] > areas[1] > 0
    for region in regions.values():
        assert region.geom_type == "MultiPolygon"
        assert region.is_valid
        assert region.bounds[0] >= -180
        assert region.bounds[2] <= 180
    assert regions["90 %"].bounds[2] - regions["90 %"].bounds[0] > 350  # both sides of the date line
    assert max(part.bounds[2] - part.bounds[0] for part in regions["90 %"].geoms) < 20
    meta, _, points, columns = pyogrio.raw.read(result.places_path, layer="places")
    first = dict(zip(meta["fields"], (column[0] for column in columns), strict=True))
    assert first["rank"] == 1
    assert first["country"] == "Fiji"
    assert shapely.get_x(shapely.from_wkb(points))[0] == pytest.approx(result.places[0].lon)
    with sqlite3.connect(result.places_path) as database:
        assert {row[0] for row in database.execute("SELECT f_table_name FROM layer_styles")} == {"regions", "places"}
        assert database.execute("SELECT count(*) FROM gpkg_metadata").fetchone() == (1,)


def test_a_wrong_georeference_is_noticed_and_explained(folder: Path, expert: str) -> None:
    south = Affine(0.02, 0, 8, 0, -0.02, -21)
    result = ask(paint(folder / "été.tif", PLACES["desert"][0], transform=south), expert, folder)
    assert result.check is not None
    assert result.check.verdict is Verdict.DISAGREES
    assert "north and south" in result.check.hint
    assert result.check.distance_km == pytest.approx(5100, abs=150)
    assert [note.code for note in result.notes] == ["place_disagrees"]


def test_a_picture_without_georeference_is_placed(folder: Path, expert: str) -> None:
    path = folder / "été.png"
    Image.fromarray(np.full((300, 400, 3), np.array(PLACES["taiga"][0]) * 255, dtype=np.uint8)).save(path)
    known = ask(path, expert, folder, gsd_m=2000.0)
    assert away_km(known, "taiga") < 100
    assert known.check is None
    assert known.notes == ()
    unknown = ask(path, expert, folder)
    assert away_km(unknown, "taiga") < 150
    assert [note.code for note in unknown.notes] == ["ground_size_unknown"]
    assert len(unknown.gsd_km) > 3


def test_an_area_means_nothing_in_a_picture_without_coordinates(folder: Path, expert: str) -> None:
    path = paint(folder / "été.tif", PLACES["taiga"][0], crs=None)
    box = Area("POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))", "EPSG:4326")
    result = ask(path, expert, folder, gsd_m=2000.0, area=box)
    assert [note.code for note in result.notes] == ["area_ignored"]


@pytest.mark.parametrize(
    ("crs", "transform", "own"),
    [
        ("EPSG:4326", Affine(0.02, 0, 178, 0, -0.02, -15), (-17.0, 180.0)),
        ("EPSG:3857", Affine(2500, 0, 19_787_508, 0, -2500, -1_700_000), (-17.1, -180.0)),
        ("EPSG:3413", Affine(3000, 0, -300_000, 0, -3000, 300_000), (90.0, 0.0)),
        ("EPSG:4326", Affine(0.5, 0, -180, 0, -0.05, 90), (85.0, -130.0)),
        ("EPSG:3031", Affine(3000, 0, -300_000, 0, -3000, 300_000), (-90.0, 0.0)),
    ],
)
def test_over_the_date_line_and_at_the_poles(
    folder: Path, expert: str, crs: str, transform: Affine, own: tuple[float, float]
) -> None:
    name = "island" if abs(own[0]) < 45 else "ice"
    result = ask(paint(folder / "été.tif", PLACES[name][0], crs=crs, transform=transform), expert, folder)
    assert result.tiles > 0
    assert result.tiles_empty == 0
    assert away_km(result, name) < 250
    assert result.check is not None
    gap = distance_km(unit_vectors(*own), unit_vectors(result.check.lat, result.check.lon))
    assert gap < 20


def test_the_sea_cannot_be_placed_and_everything_is_finite(folder: Path, expert: str) -> None:
    result = ask(paint(folder / "été.tif", SEA_COLOR), expert, folder)
    assert result.abstain > 0.9
    assert "cannot_be_placed" in [note.code for note in result.notes]
    assert result.check is not None
    assert result.check.verdict is Verdict.UNKNOWN
    assert result.climates[0].code == "sea"
    with rasterio.open(result.heatmap_path) as raster:
        assert raster.read(1, out_dtype="float64").sum() == pytest.approx(1, abs=1e-6)


def test_a_picture_half_without_data_is_placed_by_the_other_half(folder: Path, expert: str) -> None:
    path = paint(folder / "été.tif", PLACES["desert"][0], nodata=0)
    with rasterio.open(path, "r+") as raster:
        raster.write(np.zeros((3, 200, 100), np.uint8), window=rasterio.windows.Window(0, 0, 100, 200))
    result = ask(path, expert, folder)
    assert away_km(result, "desert") < 300
    assert result.tiles_empty > 0


@pytest.mark.parametrize(
    ("make", "options", "code", "word"),
    [
        ({"size": (1, 1)}, {}, ErrorCode.EXTENT_TOO_SMALL, "needs about"),
        ({"size": (1, 1)}, {"gsd_m": 90_000.0}, ErrorCode.GSD_OUT_OF_RANGE, "90.0 km wide"),
        ({"transform": Affine(1e-4, 0, 8, 0, -1e-4, 25)}, {}, ErrorCode.EXTENT_TOO_SMALL, "2 km wide"),
        ({"crs": None, "size": (20, 20)}, {}, ErrorCode.EXTENT_TOO_SMALL, "20 pixels"),
        ({}, {"date": "15.7.2004"}, ErrorCode.MESSAGE_INVALID, "15.7.2004"),
        ({}, {"priors": LocatePriors(country="Atlantis")}, ErrorCode.PLACE_UNKNOWN, "Atlantis"),
        ({}, {"priors": LocatePriors(area=Area("POINT (1 1)", "EPSG:4326"))}, ErrorCode.AREA_INVALID, "polygon"),
        ({}, {"area": Area("POLYGON ((50 0, 51 0, 51 1, 50 0))", "EPSG:4326")}, ErrorCode.AREA_OUTSIDE, "touch"),
        ({"nodata": 255}, {}, ErrorCode.RASTER_EMPTY, "nodata"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_leaves_nothing(
    folder: Path, expert: str, make: dict, options: dict, code: ErrorCode, word: str
) -> None:
    color = (1.0, 1.0, 1.0) if make.get("nodata") else PLACES["desert"][0]
    path = paint(folder / "été.tif", color, **make)
    if make.get("nodata"):
        with rasterio.open(path, "r+") as raster:
            raster.write(np.full((3, 200, 200), 255, np.uint8))
    with pytest.raises(EngineError) as caught:
        ask(path, expert, folder, **options)
    assert caught.value.code is code
    assert word in str(caught.value)
    assert caught.value.cure
    assert not (folder / "out é").exists()


def test_priors_bind_the_answer_but_not_the_check(folder: Path, expert: str) -> None:
    path = paint(folder / "été.tif", PLACES["desert"][0])
    result = ask(path, expert, folder, priors=LocatePriors(country="Mali"))
    assert {place.country for place in result.places} == {"Mali"}
    assert result.check is not None
    assert result.check.verdict is Verdict.AGREES
    box = "POLYGON ((20 20, 30 20, 30 30, 20 30, 20 20))"
    inside = ask(path, expert, folder, priors=LocatePriors(area=Area(box, "EPSG:4326")))
    assert 20 <= inside.best.lon <= 30
    assert 20 <= inside.best.lat <= 30


def test_only_the_area_is_looked_at(folder: Path, expert: str) -> None:
    path = paint(folder / "été.tif", PLACES["desert"][0])
    with rasterio.open(path, "r+") as raster:
        ice = np.broadcast_to(255 * np.array(PLACES["ice"][0])[:, None, None], (3, 200, 100)).astype(np.uint8)
        raster.write(ice, window=rasterio.windows.Window(100, 0, 100, 200))
    east = Area("POLYGON ((10 21, 12 21, 12 25, 10 25, 10 21))", "EPSG:4326")
    result = ask(path, expert, folder, area=east)
    assert away_km(result, "ice") < 150
    assert result.check is not None
    assert result.check.lon == pytest.approx(11.0, abs=0.05)


def test_north_is_turned_up(folder: Path, expert: str) -> None:
    """A polar projection turns the ground; the expert gets it north up."""
    from geomm_engine.geography.expert_card import find_expert
    from geomm_engine.pipeline.locate_sampling import read_tile
    from geomm_engine.pipeline.locate_tiles import open_picture, scales, tile_windows

    path = folder / "été.tif"
    size, step = 200, 3000.0
    transform = Affine(step, 0, -300_000, 0, -step, 2_300_000)  # 180° E of the pole's projection: north is down
    to_degrees = rasterio.warp.transform
    x, y = np.meshgrid(-300_000 + (np.arange(size) + 0.5) * step, 2_300_000 - (np.arange(size) + 0.5) * step)
    _, lat = (np.array(part) for part in to_degrees("EPSG:3413", "EPSG:4326", x.ravel(), y.ravel()))
    high = (np.clip((lat - lat.min()) / np.ptp(lat), 0, 1) * 250).reshape(size, size).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", count=3, dtype="uint8", height=size, width=size, crs="EPSG:3413",
        transform=transform, photometric="rgb",
    ) as raster:  # fmt: skip
        raster.write(np.stack([high] * 3))
    assert high[0].mean() < high[-1].mean()  # in the file the pole is below
    with open_picture(RasterSource((str(path),)), Area(), 0.0) as picture:
        scale = scales(picture.extent, find_expert(expert).card)[0]
        tile = read_tile(picture, tile_windows(picture, scale)[0], scale)
    assert tile.image[0, 0].mean() > tile.image[0, -1].mean() + 0.2


def test_the_offset_is_decided_as_for_a_class_map(folder: Path, tiny_model: str) -> None:
    """A border of zeros and a few odd dark pixels do not hide the offset that Sentinel-2 adds since 2022."""
    from geomm_engine.pipeline.locate_tiles import open_picture
    from geomm_engine.pipeline.prepare import prepare

    path = make.sentinel2_with_offset(folder)
    with rasterio.open(path, "r+") as raster:
        values = raster.read()
        values[:, :, :20] = 0
        values[:, 100, 100] = 5
        raster.write(values)
    source = RasterSource((str(path),))
    with open_picture(source, Area(), 0.0) as picture:
        assert picture.radiometry.unit == prepare(source, tiny_model).radiometry.unit == "reflectance_e4_offset"


def test_it_can_be_stopped_and_leaves_nothing(folder: Path, expert: str) -> None:
    path = paint(folder / "été.tif", PLACES["desert"][0])
    job = locate(LocateParams(RasterSource((str(path),)), str(folder / "out é"), model=expert))
    stages = []
    for item in job:
        assert isinstance(item, Progress)
        stages.append(item.stage)
        if item.stage == "write":
            break
    job.close()
    assert stages[0] == "look"
    assert not (folder / "out é").exists()
