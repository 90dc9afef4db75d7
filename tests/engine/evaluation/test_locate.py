"""Pictures whose place is known: the table has known answers, and a bad row is refused before any work."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geomm_engine.cli import main
from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError, RasterError
from geomm_engine.evaluation.locate import CLIMATE, EXPERT, NEAREST, UNIFORM, evaluate_locate, table
from geomm_engine.evaluation.locate_points import read_climates, read_points, true_climates
from geomm_engine.geography.koppen import climate_number
from geomm_engine.progress import run
from tests.engine.tiny_expert import PLACES, write_tiny_expert

HEADER = ["image", "lat", "lon", "date", "width_km"]


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_expert(tmp_path_factory.mktemp("modèle é") / "tiny"))


def write_points(folder: Path, rows: list[list[object]], header: list[str] = HEADER) -> Path:
    path = folder / "points é.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def picture(folder: Path, name: str, color: tuple[float, float, float] | None = None) -> str:
    values = np.full((48, 48, 3), np.array(color or PLACES[name][0]) * 255, dtype=np.uint8)
    Image.fromarray(values).save(folder / f"{name}.png")
    return f"{name}.png"


@pytest.fixture
def points(folder: Path) -> Path:
    """Four pictures at their places, one at the wrong one."""
    rows: list[list[object]] = [
        [picture(folder, name), PLACES[name][1], PLACES[name][2], date, 300]
        for name, date in (
            ("desert", "2004-07-01"),
            ("taiga", "2004-01-01"),
            ("steppe", ""),
            ("rainforest", "2004-01-03"),
        )
    ]
    rows.append([picture(folder, "ice"), -75.0, 20.0, "", 300])
    return write_points(folder, rows)


def koppen_map(folder: Path) -> Path:
    """Each place's climate in 20° round it, tundra elsewhere."""
    lat, lon = 89.5 - np.arange(180)[:, None], -179.5 + np.arange(360)[None, :]
    values = np.full((180, 360), climate_number("ET"), np.uint8)
    for _, at_lat, at_lon, code in PLACES.values():
        values[(np.abs(lat - at_lat) < 20) & (np.abs(lon - at_lon) < 20)] = climate_number(code)
    path = folder / "koppen.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="uint8", height=180, width=360, crs="EPSG:4326",
        transform=Affine(1, 0, -180, 0, -1, 90),
    ) as raster:  # fmt: skip
        raster.write(values, 1)
    return path


def test_the_table_has_its_known_answers(folder: Path, expert: str, points: Path) -> None:
    report = run(evaluate_locate(points, model=expert, koppen_map=koppen_map(folder), gallery=points))
    by_name = {method.name: method for method in report.methods}
    assert list(by_name) == [EXPERT, UNIFORM, NEAREST, CLIMATE]
    scores = by_name[EXPERT].scores
    assert scores["median error (km)"].value < 100
    assert scores["within 750 km"].value == pytest.approx(0.8)
    assert scores["in the 90% region"].value == pytest.approx(0.8)
    assert scores["Köppen fine"].value == pytest.approx(0.8)
    assert scores["season (days)"].value < 60
    assert report.points == 5
    assert report.blocks == 5
    assert report.mean_mass_50 == pytest.approx(0.5, abs=0.08)
    assert report.mean_mass_90 == pytest.approx(0.9, abs=0.05)
    assert by_name[UNIFORM].scores["median error (km)"].value > 3000
    assert by_name[NEAREST].scores["median error (km)"].value < 1  # the gallery is the test itself
    assert by_name[CLIMATE].scores["median error (km)"].value < 2500
    recall = by_name[EXPERT].recall
    assert list(recall) == sorted(recall)
    assert recall[-1] == 1.0
    at_one_percent = recall[int(np.argmin(np.abs(np.array(report.curve_shares) - 0.01)))]
    assert at_one_percent == pytest.approx(0.8)
    header, rows = table(report)
    assert header[1:] == [EXPERT, UNIFORM, NEAREST, CLIMATE]
    assert all(len(row) == 5 for row in rows)


def test_what_was_not_given_is_said_in_the_table(expert: str, points: Path, folder: Path, capsys) -> None:
    output = folder / "report é"
    assert main(["evaluate", "locate", str(points), "--model", expert, "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert "no gallery" in said
    assert "no climate map" in said
    assert (output / "report.json").stat().st_size > 0
    with Image.open(output / "recall.png") as drawn:
        assert drawn.width > 500


def test_one_picture_alone_has_no_interval_and_is_json(expert: str, folder: Path, capsys) -> None:
    path = write_points(folder, [[picture(folder, "taiga"), 62.0, 100.0, "2004-01-01", 300]])
    assert main(["evaluate", "locate", str(path), "--model", expert, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["methods"][0]["scores"]
    assert scores["median error (km)"]["value"] < 100
    assert scores["median error (km)"]["low"] is None


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (["no.png", 1, 2, "", 300], "no image no.png"),
        (["a.png", 91, 2, "", 300], "beyond a pole"),
        (["a.png", 1, 400, "", 300], "longitude 400"),
        (["a.png", "x", 2, "", 300], "“x” is no number for lat"),
        (["a.png", 1, 2, "1.7.2004", 300], "1.7.2004"),
        (["a.png", 1, 2, "", 0], "ground width 0"),
        (["a.png", 1, 2, "", "nan"], "no number for width_km"),
    ],
)
def test_a_bad_row_is_named_before_any_work(folder: Path, row: list[object], word: str) -> None:
    picture(folder, "a", (0.5, 0.5, 0.5))
    path = write_points(folder, [["a.png", 1, 2, "2004-07-01", 300], row])
    with pytest.raises(EngineError) as caught:
        read_points(path)
    assert caught.value.code is ErrorCode.FOLDER_INVALID
    assert "line 3" in str(caught.value)
    assert word in str(caught.value)
    assert "width_km" in caught.value.cure


def test_many_bad_rows_are_counted(folder: Path) -> None:
    path = write_points(folder, [["no.png", 1, 2, "", 3]] * 9)
    with pytest.raises(EngineError, match="and 4 more"):
        read_points(path)


@pytest.mark.parametrize(
    ("text", "word"), [("image,lat,lon\n", "width_km"), ("image,lat,lon,width_km\n", "no row"), ("", "must be there")]
)
def test_a_file_without_rows_or_columns_is_refused(folder: Path, text: str, word: str) -> None:
    path = folder / "points.csv"
    path.write_text(text)
    with pytest.raises(EngineError, match=word):
        read_points(path)


def test_other_spellings_and_the_climate_column_are_read(folder: Path) -> None:
    picture(folder, "a", (0.5, 0.5, 0.5))
    header = ["Path", "Latitude", "Lng", "Date", "Ground width in km", "Köppen"]
    path = write_points(folder, [["a.png", -10, 350, "", 400, "BSk"]], header)
    (point,) = read_points(path)
    assert (point.lat, point.lon, point.width_km) == (-10, -10, 400)
    assert true_climates([point], None).tolist() == [climate_number("BSk")]


def test_a_climate_map_with_its_own_numbers_is_read(folder: Path) -> None:
    path = koppen_map(folder)
    assert read_climates(path).at(23.0, 10.0) == climate_number("BWh")
    (folder / "koppen_classes.txt").write_text("5 Af\n4 BWh\n32 Ocean\n")
    changed = read_climates(path)
    assert changed.at(23.0, 10.0) == climate_number("BWh")
    assert changed.at(-4.0, -62.0) == 0  # 1 has no name in this table


def test_what_is_no_climate_map_is_refused(folder: Path) -> None:
    with pytest.raises(RasterError, match="cannot be used"):
        read_climates(folder / "none.tif")
