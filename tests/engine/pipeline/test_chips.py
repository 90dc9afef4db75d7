"""Chips lie where an independent formula puts them, keep values and masks, go on after a stop, and refuse what cannot be."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import Geod, Transformer

from geomm_engine.contract import Area, ChipsParams, RasterSource
from geomm_engine.errors import EngineError
from geomm_engine.pipeline.chips import chips
from geomm_engine.progress import run

UTM = "EPSG:32633"
ORIGIN = (5e5, 5_900_000.0)


def raster(
    path: Path,
    values: np.ndarray,
    *,
    pixel_m: float = 10.0,
    origin: tuple[float, float] = ORIGIN,
    crs: str = UTM,
    **options,
) -> RasterSource:
    profile = {"driver": "GTiff", "count": len(values), "height": values.shape[1], "width": values.shape[2]}
    transform = Affine(pixel_m, 0, origin[0], 0, -pixel_m, origin[1])
    with rasterio.open(
        path, "w", dtype=values.dtype.name, crs=crs, transform=transform, **profile | options
    ) as dataset:
        dataset.write(values)
    return RasterSource((str(path),))


def ramp(shape: tuple[int, int] = (200, 220)) -> np.ndarray:
    """Two float bands that hold their own easting and northing in kilometres: a chip tells where its pixels come from."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([(ORIGIN[0] + (x + 0.5) * 10) / 1e3, (ORIGIN[1] - (y + 0.5) * 10) / 1e3]).astype(np.float64)


def params(folder: Path, *sources: RasterSource, **options) -> ChipsParams:
    return ChipsParams(sources=sources, output_dir=str(folder / "chips é"), **{"tile_px": 64, **options})


def index(result) -> list[dict]:
    meta, _, geometry, columns = pyogrio.raw.read(result.index_path)
    names = [*meta["fields"], "geometry", "crs"]
    crs = [meta["crs"]] * len(geometry)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, shapely.from_wkb(geometry), crs, strict=True)]


def slippy(lon: float, lat: float, zoom: int) -> tuple[float, float]:
    """Fractional tile numbers by the formula of the OpenStreetMap wiki, not the project's."""
    phi = math.radians(lat)
    return (lon + 180) / 360 * 2**zoom, (1 - math.asinh(math.tan(phi)) / math.pi) / 2 * 2**zoom


def test_chips_lie_where_the_web_puts_them(folder: Path) -> None:
    source = raster(folder / "rampe é.tif", ramp())
    result = run(chips(params(folder, source)))
    rows = index(result)
    assert len(rows) == result.files == result.chips > 4
    to_degrees = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True)
    to_utm = Transformer.from_crs("EPSG:3857", UTM, always_xy=True)
    for row in rows:
        zoom, column, line = (int(part) for part in row["id"].split("/"))
        assert (row["level"], row["x"], row["y"]) == (str(zoom), column, line)
        path = Path(result.index_path).parent / row["path"]
        assert path == folder / "chips é" / "rampe é" / str(zoom) / str(column) / f"{line}.tif"
        with rasterio.open(path) as chip:
            assert (chip.crs.to_epsg(), chip.shape) == (3857, (64, 64))
            for corner, wanted in (((0, 0), (column, line)), ((64, 64), (column + 1, line + 1))):
                found = slippy(*to_degrees.transform(*(chip.transform @ corner)), zoom)
                assert np.abs(np.subtract(found, wanted)).max() * 64 < 1e-4
            assert row["geometry"].bounds == pytest.approx(tuple(chip.bounds), abs=1e-3)
            values, valid = chip.read(), chip.dataset_mask() > 0
            assert row["valid_share"] == pytest.approx(valid.mean(), abs=1e-6)
            rows_px, columns_px = np.nonzero(valid)
            x, y = chip.transform @ (columns_px + 0.5, rows_px + 0.5)
            easting, northing = to_utm.transform(x, y)
            inner = (easting > ORIGIN[0] + 20) & (easting < ORIGIN[0] + 2180) & (northing < ORIGIN[1] - 20)
            error_m = np.hypot(values[0][valid] * 1e3 - easting, values[1][valid] * 1e3 - northing)[inner]
            assert error_m.max() < 0.5 * row["gsd_m"]


def test_ground_pixel_is_the_true_one(folder: Path) -> None:
    result = run(chips(params(folder, raster(folder / "a.tif", ramp()))))
    row = index(result)[0]
    lat = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (row["y"] + 0.5) / 2 ** int(row["level"])))))
    assert row["gsd_m"] == pytest.approx(
        156543.03392 * math.cos(math.radians(lat)) / 2 ** int(row["level"]) * 4, rel=1e-7
    )
    assert row["gsd_m"] == pytest.approx(10, rel=0.42), "the level is the nearest to the raster's ten metres"
    with rasterio.open(Path(result.index_path).parent / row["path"]) as chip:
        to_degrees = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True)
        (west, middle), (east, _) = (to_degrees.transform(*(chip.transform @ at)) for at in ((31.5, 32), (32.5, 32)))
        assert Geod(ellps="WGS84").inv(west, middle, east, middle)[2] == pytest.approx(row["gsd_m"], rel=0.004)
        assert float(chip.tags()["GSD_M"]) == pytest.approx(row["gsd_m"])


def test_sensors_share_tiles_and_keep_their_values(folder: Path) -> None:
    classes = np.random.default_rng(0).integers(1, 9, (1, 200, 220)).astype(np.uint8)
    fine = raster(folder / "fine_20200704.tif", ramp())
    coarse = raster(folder / "coarse.tif", classes[:, ::2, ::2], pixel_m=20.0)
    result = run(chips(params(folder, replace(fine, name="S2"), replace(coarse, name="labels"), resampling="nearest")))
    rows = index(result)
    assert result.files == 2 * result.chips == len(rows)
    ids = [{row["id"] for row in rows if row["sensor"] == name} for name in ("S2", "labels")]
    assert ids[0] == ids[1]
    assert {(row["sensor"], row["date"]) for row in rows} == {("S2", "2020-07-04"), ("labels", "")}
    for row in rows:
        with rasterio.open(Path(result.index_path).parent / row["path"]) as chip:
            assert chip.dtypes[0] == ("float64" if row["sensor"] == "S2" else "uint8")
            if row["sensor"] == "labels":
                assert set(np.unique(chip.read(1, masked=True).compressed())) <= set(range(1, 9))
    assert any(note.code == "chip_finer_than_raster" for note in result.notes) is False


def test_coarse_chips_are_averages(folder: Path) -> None:
    board = np.indices((256, 256)).sum(axis=0) % 2 * 100.0
    source = raster(folder / "board.tif", board[None].astype(np.float32))
    result = run(chips(params(folder, source, matrix="utm", gsd_m=80.0, tile_px=16, min_valid_share=1.0)))
    row = index(result)[0]
    with rasterio.open(Path(result.index_path).parent / row["path"]) as chip:
        assert chip.read(1) == pytest.approx(np.full((16, 16), 50.0), abs=1.0)


def test_utm_chips_are_aligned_and_exact(folder: Path) -> None:
    source = raster(folder / "a.tif", ramp((256, 256)), origin=ORIGIN)
    result = run(chips(params(folder, source, matrix="utm", min_valid_share=0.9)))
    for row in index(result):
        assert row["gsd_m"] == 10.0
        assert row["level"] == "32633"
        with rasterio.open(Path(result.index_path).parent / row["path"]) as chip:
            assert chip.crs.to_epsg() == 32633
            assert (chip.transform.c % 640, (1e7 - chip.transform.f) % 640) == (0.0, 0.0)
            values, valid = chip.read(1), chip.dataset_mask() > 0
            x = chip.transform.c + (np.arange(64) + 0.5) * 10
            assert np.abs(values * 1e3 - x)[valid].max() < 5.1


def test_holes_are_masked_and_empty_places_left_out(folder: Path) -> None:
    values = np.full((1, 256, 256), 7, np.int16)
    values[:, 64:128, 64:128] = -1
    values[:, :, 150:] = -1
    source = raster(folder / "a.tif", values, nodata=-1)
    result = run(chips(params(folder, source, matrix="utm", min_valid_share=0.25)))
    assert result.empty > 0
    shares = []
    for row in index(result):
        with rasterio.open(Path(result.index_path).parent / row["path"]) as chip:
            mask = chip.dataset_mask() > 0
            assert (chip.read(1)[mask] == 7).all()
            assert (chip.read(1)[~mask] == 0).all()
            shares.append(mask.mean())
    assert min(shares) >= 0.25
    assert min(shares) < 1
    assert not any(item.name.startswith(".") for item in folder.rglob("*"))


def test_a_stopped_run_goes_on(folder: Path) -> None:
    told = params(folder, raster(folder / "a.tif", ramp()))
    job = chips(told)
    for _ in range(6):
        next(job)
    job.close()
    target = folder / "chips é"
    written = sorted(target.rglob("*.tif"))
    assert written
    assert not (target / "chips.gpkg").exists()
    written[0].write_bytes(b"half a chip")
    before = {path: path.stat().st_mtime_ns for path in written}
    result = run(chips(told))
    assert result.reused == len(written) - 1
    assert {path for path in written if path.stat().st_mtime_ns == before[path]} == set(written[1:])
    assert not any(item.name.startswith(".") for item in folder.rglob("*"))
    again = run(chips(told))
    assert (again.reused, again.files) == (result.files, result.files)
    assert len(index(again)) == result.files


def test_other_settings_are_refused_in_the_same_folder(folder: Path) -> None:
    source = raster(folder / "a.tif", ramp())
    run(chips(params(folder, source)))
    run(chips(params(folder, source, min_valid_share=0.9)))
    with pytest.raises(EngineError, match="other rasters or settings"):
        run(chips(params(folder, source, tile_px=32)))
    with pytest.raises(EngineError, match="other rasters or settings"):
        run(chips(params(folder, raster(folder / "a.tif", ramp() + 1))))


def test_area_limits_the_chips(folder: Path) -> None:
    source = raster(folder / "a.tif", ramp())
    all_of = run(chips(params(folder, source)))
    corner = shapely.box(ORIGIN[0] + 900, ORIGIN[1] - 1100, ORIGIN[0] + 1000, ORIGIN[1] - 900)
    told = replace(params(folder, source), output_dir=str(folder / "some"), area=Area(shapely.to_wkt(corner), UTM))
    some = run(chips(told))
    assert 0 < some.chips < all_of.chips


def test_an_area_makes_a_large_raster_feasible(folder: Path) -> None:
    """Many millions of chips over the raster, a few dozen over the area; they are those that the whole would have."""
    source = raster(folder / "a.tif", np.ones((1, 2000, 2000), np.uint8))
    corner = shapely.box(ORIGIN[0] + 10_000, ORIGIN[1] - 10_010, ORIGIN[0] + 10_010, ORIGIN[1] - 10_000)
    told = replace(params(folder, source, zoom=24, tile_px=16), area=Area(shapely.to_wkt(corner), UTM))
    result = run(chips(told))
    assert 10 < result.chips < 400
    to_utm = Transformer.from_crs("EPSG:3857", UTM, always_xy=True)
    for row in index(result):
        assert shapely.Point(to_utm.transform(*row["geometry"].centroid.coords[0])).distance(corner) < 3
    beside = shapely.box(ORIGIN[0] - 10, ORIGIN[1], ORIGIN[0] - 5, ORIGIN[1] + 5)
    with pytest.raises(EngineError, match="does not touch"):
        run(chips(replace(told, output_dir=str(folder / "none"), area=Area(shapely.to_wkt(beside), UTM))))


def past_the_date_line(path: Path) -> RasterSource:
    """Degrees from 179.975 to 180.026: each pixel holds its own longitude."""
    longitude = np.broadcast_to(179.975 + (np.arange(510) + 0.5) * 1e-4, (300, 510))
    return raster(path, longitude[None].copy(), pixel_m=1e-4, origin=(179.975, -17.0), crs="EPSG:4326")


def test_both_sides_of_the_date_line_are_cut(folder: Path) -> None:
    source = past_the_date_line(folder / "fidji.tif")
    result = run(chips(params(folder, source, tile_px=256, min_valid_share=0.01)))
    last = 2**result.zoom - 1
    assert {row["x"] for row in index(result)} == {last - 1, last, 0, 1}
    assert result.empty == 0
    to_degrees = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True)
    for row in index(result):
        with rasterio.open(Path(result.index_path).parent / row["path"]) as chip:
            rows_px, columns_px = np.nonzero(chip.dataset_mask())
            longitude, _ = to_degrees.transform(*(chip.transform @ (columns_px + 0.5, rows_px + 0.5)))
            assert chip.read(1)[rows_px, columns_px] == pytest.approx(longitude % 360, abs=1.1e-4)
    east = Area(shapely.to_wkt(shapely.box(-179.999, -17.02, -179.99, -17.005)), "EPSG:4326")
    told = replace(params(folder, source, tile_px=256, min_valid_share=0.01), output_dir=str(folder / "e"), area=east)
    assert {row["x"] for row in index(run(chips(told)))} == {0}


def test_utm_chips_of_degrees_past_180_are_whole(folder: Path) -> None:
    source = past_the_date_line(folder / "fidji.tif")
    result = run(chips(params(folder, source, matrix="utm", min_valid_share=0.99)))
    to_degrees = Transformer.from_crs(f"EPSG:{index(result)[0]['level']}", "EPSG:4326", always_xy=True)
    west, east = (to_degrees.transform(*shapely.union_all([row["geometry"] for row in index(result)]).bounds[at:at + 2])[0]
                  for at in (0, 2))  # fmt: skip
    assert west % 360 < 179.99
    assert east % 360 > 180.01


def test_places_of_any_raster_on_request(folder: Path) -> None:
    one = raster(folder / "one.tif", ramp())
    other = raster(folder / "other.tif", ramp(), origin=(ORIGIN[0] + 1500, ORIGIN[1]))
    both = run(chips(params(folder, one, other)))
    told = replace(params(folder, one, other), output_dir=str(folder / "any"), is_complete=False)
    any_of = run(chips(told))
    assert any_of.chips > both.chips
    assert any_of.files < 2 * any_of.chips


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"tile_px": 8}, "between 16 and 8192"),
        ({"matrix": "mars"}, "no tile matrix"),
        ({"zoom": 40}, "0 to 24"),
        ({"min_valid_share": 2.0}, "between 0 and 1"),
        ({"dates": ("2020-01-01", "2021-01-01")}, "one date for each"),
        ({"resampling": "cubic"}, "no resampling"),
        ({"gsd_m": -1.0}, "above 0"),
        ({"zoom": 24, "tile_px": 16}, "most"),
    ],
)
def test_settings_that_make_no_sense_are_refused(folder: Path, options: dict, reason: str) -> None:
    size = (2000, 2000) if "most" in reason else (64, 64)
    source = raster(folder / "a.tif", np.ones((1, *size), np.uint8))
    with pytest.raises(EngineError, match=reason):
        run(chips(params(folder, source, **options)))
    assert not (folder / "chips é").exists()


def test_rasters_that_cannot_be_cut_are_refused(folder: Path) -> None:
    one = raster(folder / "one.tif", ramp())
    far = raster(folder / "far.tif", ramp(), origin=(ORIGIN[0] + 1e5, ORIGIN[1]))
    with pytest.raises(EngineError, match="share no ground"):
        run(chips(params(folder, one, far)))
    with pytest.raises(EngineError, match="called"):
        run(chips(params(folder, one, replace(far, name="one"))))
    with rasterio.open(
        folder / "nowhere.tif", "w", driver="GTiff", count=1, height=9, width=9, dtype="uint8"
    ) as dataset:
        dataset.write(np.ones((1, 9, 9), np.uint8))
    with pytest.raises(EngineError, match="no coordinate reference system"):
        run(chips(params(folder, RasterSource((str(folder / "nowhere.tif"),)))))
    with pytest.raises(EngineError, match="does not exist"):
        run(chips(params(folder, RasterSource((str(folder / "lost.tif"),)))))
    empty = raster(folder / "empty.tif", np.zeros((1, 100, 100), np.uint8), nodata=0)
    with pytest.raises(EngineError, match="No chip holds data"):
        run(chips(params(folder, empty)))
    with pytest.raises(EngineError, match="no raster"):
        run(chips(params(folder)))
