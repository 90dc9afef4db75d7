"""Every awkward raster gives a right result or one clear refusal, and the engine lives on.

One row a file; a file without a row fails. All go through one real engine process, one after the other. Files of one band
are tried twice: as they are, which is refused for want of colours, and with their band as red, green and blue.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Geod, Transformer

from geomm_engine.contract import ClassEntry, ClassifyParams, ClassifyResult, ErrorCode, RasterSource, decode
from tests.engine.rpc.talking import Engine
from tests.engine.tiny_model import write_tiny_model

SHARED = Path(os.environ.get("GEOMM_SHARED_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
TORTURE = SHARED / "torture"
CLASSES = tuple(ClassEntry(name) for name in ("forest", "water", "town", "crops"))

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not TORTURE.is_dir(), reason=f"the shared imagery is not here ({SHARED}; set GEOMM_SHARED_DATA)"
    ),
]


@dataclass(frozen=True)
class Good:
    """A class map comes out. ``nodata``: its share without data; ``notes``: codes of the remarks that must be made.

    ``is_moved``: the layer is straightened, so that its grid is not the file's.
    """

    nodata: float = 0.0
    notes: tuple[str, ...] = ()
    is_moved: bool = False
    has_failed_tiles: bool = False


@dataclass(frozen=True)
class Refused:
    """Refused with this code; the cause names ``word``."""

    code: ErrorCode
    word: str


@dataclass(frozen=True)
class Row:
    """What is expected of a file as it is, and with its one band as red, green and blue."""

    plain: Good | Refused
    grey: Good | Refused | None = None


NO_COLOR = Refused(ErrorCode.BANDS_MISSING, "red")
NO_PLACE = Refused(ErrorCode.RASTER_NO_GEOREFERENCE, "coordinate reference system")
UNIT = ("unit_assumed",)

TABLE = {
    "rasterio/RGB.byte.tif": Row(Good(0.33)),
    "rasterio/RGBA.byte.tif": Row(Good(0.33)),
    "rasterio/RGBA.uint16.tif": Row(Good(0.51, UNIT)),  # alpha 0 and 255 in 16 bits; blue first
    "rasterio/all-nodata.tif": Row(Refused(ErrorCode.RASTER_EMPTY, "no valid pixel")),
    "rasterio/alpha.tif": Row(Good(0.985)),
    "rasterio/cogeo.tif": Row(Good()),
    "rasterio/corrupt.tif": Row(Good(0.56, ("tiles_failed",), has_failed_tiles=True)),  # one block of four is damaged
    "rasterio/float.tif": Row(NO_PLACE, NO_PLACE),
    "rasterio/float_nan.tif": Row(NO_PLACE, NO_PLACE),
    "rasterio/float_raster_with_nodata.tif": Row(NO_COLOR, Good(0.46, ("smaller_than_tile", *UNIT))),
    "rasterio/goes.tif": Row(Refused(ErrorCode.RASTER_UNSUPPORTED, "too much of the globe")),
    "rasterio/rgb1_fake_nir_epsg3857.tif": Row(NO_COLOR, Good(0.35)),
    "rasterio/rgb_lzw.tif": Row(Good(0.33)),
    "rasterio/rotated.tif": Row(NO_PLACE, NO_PLACE),
    "rasterio/shade.tif": Row(NO_COLOR, Good(0.89)),
    "rasterio/test_esri_wkt.tif": Row(NO_COLOR, Good(0.0, ("smaller_than_tile", *UNIT))),
    "rasterio/white-gemini-iv.vrt": Row(Refused(ErrorCode.RASTER_MISSING, "389225main_sw_1965_1024.jpg")),
    "rasterio/world.byte.tif": Row(NO_COLOR, Good()),
    "rio_tiler/cog_cmap.tif": Row(*[Refused(ErrorCode.RASTER_UNSUPPORTED, "palette")] * 2),
    "rio_tiler/cog_dateline.tif": Row(NO_COLOR, Good(0.0, UNIT)),
    "rio_tiler/cog_gcps.tif": Row(NO_COLOR, Good(0.3, ("straightened", *UNIT), is_moved=True)),
    "rio_tiler/cog_int16.tif": Row(NO_COLOR, Good(0.48, UNIT)),
    "rio_tiler/cog_nodata.tif": Row(NO_COLOR, Good(0.48, UNIT)),
    "rio_tiler/cog_nodata_nan.tif": Row(NO_COLOR, Good(0.51, UNIT)),
    "rio_tiler/cog_nonearth.tif": Row(NO_COLOR, Refused(ErrorCode.RASTER_NOT_ON_EARTH, "EUROPA")),
    "rio_tiler/cog_scale.tif": Row(NO_COLOR),
    "rio_tiler/cog_tags.tif": Row(NO_COLOR, Good(0.0, UNIT)),  # its scale and offset make no reflectance
}
LARGE = ("world.byte.tif", "cog_dateline.tif", "cog_int16.tif", "cog_nodata.tif", "cog_gcps.tif")
CASES = [
    pytest.param(
        name, is_grey, id=name + " grey" * is_grey, marks=[pytest.mark.slow] * (is_grey and name.endswith(LARGE))
    )
    for name, row in TABLE.items()
    for is_grey in ((False, True) if row.grey else (False,))
]


def test_every_file_has_its_row() -> None:
    files = {
        path.relative_to(TORTURE).as_posix()
        for path in TORTURE.rglob("*")
        if path.is_file() and not path.name.endswith(".aux.xml")
    }
    assert files == set(TABLE)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(tmp_path_factory.mktemp("cache é"))
    yield made
    assert made.hang_up() == 0
    assert "Traceback" not in made.said_aside
    made.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Models for pixels of any size, by the width of their tiles in pixels."""
    folder = tmp_path_factory.mktemp("modèles")
    return {
        px: str(write_tiny_model(folder / str(px), tile_px=px, gsd_min_m=0.1, gsd_max_m=100_000)) for px in (32, 64)
    }


@pytest.mark.parametrize(("name", "is_grey"), CASES)
def test_a_right_result_or_one_clear_refusal(
    engine: Engine, models: dict[int, str], folder: Path, name: str, *, is_grey: bool
) -> None:
    path, row, output = TORTURE / name, TABLE[name], folder / "out"
    source = RasterSource((str(path),) * 3, ("red", "green", "blue")) if is_grey else RasterSource((str(path),))
    params = ClassifyParams(
        source, CLASSES, str(output), models[64 if name.endswith(LARGE) else 32], index_dir=str(folder / "index")
    )
    answer = engine.answer("classify", params)
    expected = row.grey if is_grey else row.plain
    if isinstance(expected, Refused):
        assert "error" in answer, answer["result"]
        check_refusal(expected, answer["error"], output)
    else:
        assert "result" in answer, answer["error"]
        check_result(expected, decode(ClassifyResult, answer["result"]), path)


def check_refusal(expected: Refused, error: dict, output: Path) -> None:
    assert error["data"]["code"] == expected.code
    assert expected.word in error["message"]
    assert error["data"]["cure"]
    assert "Traceback" not in str(error)
    assert not output.exists()


def check_result(expected: Good, result: ClassifyResult, path: Path) -> None:
    with rasterio.open(result.class_path) as drawn, rasterio.open(path) as source:
        values = drawn.read(1)
        assert drawn.crs == (source.crs or source.gcps[1])
        assert set(np.unique(values)) <= {0, 1, 2, 3, 4, 255}
        assert (values == 0).mean() == pytest.approx(expected.nodata, abs=0.03)
        if not expected.is_moved:
            check_place(drawn, source)
            check_nodata(values, drawn, source)
        area_ha = ground_ha(drawn) * (values > 0).mean()
        assert sum(item.area_ha for item in result.classes) == pytest.approx(area_ha, rel=0.06)
    assert set(expected.notes) == {note.code for note in result.notes} & {
        *expected.notes,
        "unit_assumed",
        "tiles_failed",
        "straightened",
    }
    assert (result.embed.tiles_failed > 0) == expected.has_failed_tiles
    assert Path(result.tiles_path).stat().st_size > 0


def check_place(drawn: rasterio.DatasetReader, source: rasterio.DatasetReader) -> None:
    """The same origin, a whole number of map pixels a cell, and at most a map pixel beyond the raster's far edges."""
    own, place = source.transform, drawn.transform
    assert (place.c, place.f) == (own.c, own.f)
    for size, map_size, count, map_count in (
        (own.a, place.a, source.width, drawn.width),
        (own.e, place.e, source.height, drawn.height),
    ):
        step = map_size / size
        assert step * min(8, round(step * 8)) == pytest.approx(round(step * 8), abs=1e-6)
        assert count - 1e-6 <= map_count * step < count + step


def check_nodata(values: np.ndarray, drawn: rasterio.DatasetReader, source: rasterio.DatasetReader) -> None:
    """Where the middle of a map pixel holds no data, no class is drawn."""
    try:
        valid = source.dataset_mask() > 0
    except rasterio.errors.RasterioError:
        return
    rows = ((np.arange(drawn.height) + 0.5) * drawn.transform.e / source.transform.e + 1e-6).astype(int)
    cols = ((np.arange(drawn.width) + 0.5) * drawn.transform.a / source.transform.a + 1e-6).astype(int)
    seen = valid[np.ix_(rows.clip(max=source.height - 1), cols.clip(max=source.width - 1))]
    assert not values[~seen].any()


def ground_ha(drawn: rasterio.DatasetReader) -> float:
    """The ground area of a raster's outline on the ellipsoid, strip by strip so that its sides may be parallels."""
    to_lonlat = Transformer.from_crs(drawn.crs, "EPSG:4326", always_xy=True)
    edges = np.linspace(0, drawn.height, 41)
    total = 0.0
    across = np.linspace(0, drawn.width, 41)
    for top, bottom in itertools.pairwise(edges):
        for left, right in itertools.pairwise(across):
            corners = [
                drawn.transform @ place for place in ((left, top), (right, top), (right, bottom), (left, bottom))
            ]
            lon, lat = to_lonlat.transform(*zip(*corners, strict=True))
            total += abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])
    return total / 10_000
