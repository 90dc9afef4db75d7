"""Makes ``resources/geography``: the share of land in each quarter degree, and simplified country outlines.

Run once with the shared data at hand: ``python -m tests.data.make_geography``. Sources are in the data's own README:
the land mask is global-land-mask (MIT, after NOAA's GLOBE), the outlines are Natural Earth (public domain).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.features import shapes
from shapely.geometry import MultiPolygon, mapping, shape

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("GEOMM_SHARED_DATA") or ROOT.parent / "shared" / "data")
OUTPUT = ROOT / "resources" / "geography"
CELLS_A_DEGREE = 4
DECIMALS = 3


def make_land(path: Path) -> None:
    """Percent of land, uint8, (720, 1440), north up; a cell with any land has at least 1."""
    with np.load(SHARED / "geo" / "land_mask_30arcsec.npz") as found:
        is_land = ~found["mask"]
        if found["lat"][0] < found["lat"][-1]:
            is_land = is_land[::-1]
    side = is_land.shape[0] // (180 * CELLS_A_DEGREE)
    rows, cols = 180 * CELLS_A_DEGREE, 360 * CELLS_A_DEGREE
    share = is_land.reshape(rows, side, cols, side).mean(axis=(1, 3), dtype=np.float32)
    percent = np.where(share > 0, np.maximum(1, np.rint(100 * share)), 0).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=1, dtype="uint8", crs="EPSG:4326",
        transform=Affine(1 / CELLS_A_DEGREE, 0, -180, 0, -1 / CELLS_A_DEGREE, 90), compress="deflate", zlevel=9,
        predictor=2,
    ) as raster:  # fmt: skip
        raster.write(percent, 1)
        raster.set_band_description(1, "percent of land")
        raster.update_tags(TIFFTAG_COPYRIGHT="global-land-mask 1.0.0 (MIT), after NOAA GLOBE")


def make_countries(path: Path) -> None:
    """Name, ISO 3166-1 alpha-3 code and outline, degrees with three decimals."""
    found = json.loads((SHARED / "geo" / "countries.geojson").read_text(encoding="utf-8"))
    features = [
        {
            "type": "Feature",
            "properties": {"name": item["properties"]["name"], "iso": item["id"] if len(item["id"]) == 3 else ""},
            "geometry": {"type": item["geometry"]["type"], "coordinates": _rounded(item["geometry"]["coordinates"])},
        }
        for item in found["features"]
    ]
    for item in features:
        if not item["properties"]["iso"].isalpha():
            item["properties"]["iso"] = ""
    features.append(_antarctica())
    head = '{"type":"FeatureCollection","name":"countries","features":[\n'
    lines = [json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in features]
    path.write_text(head + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


def _antarctica() -> dict[str, object]:
    """The one outline that the source lacks, from the land mask in half degrees."""
    with rasterio.open(OUTPUT / "land.tif") as raster:
        percent = raster.read(1).astype(np.float32)
    share = percent.reshape(360, 2, 720, 2).mean(axis=(1, 3))
    share[: 360 - 60] = 0
    found = shapes((share > 50).astype(np.uint8), transform=Affine(0.5, 0, -180, 0, -0.5, 90))
    parts = [shape(item).simplify(0.5) for item, value in found if value]
    outline = mapping(MultiPolygon([part for part in parts if part.area > 3]))
    coordinates = json.loads(json.dumps(outline["coordinates"]))
    return {
        "type": "Feature",
        "properties": {"name": "Antarctica", "iso": "ATA"},
        "geometry": {"type": "MultiPolygon", "coordinates": _rounded(coordinates)},
    }


def _rounded(value: object) -> object:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DECIMALS) if isinstance(value, float) else value


def main() -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    make_land(OUTPUT / "land.tif")
    make_countries(OUTPUT / "countries.geojson")


if __name__ == "__main__":
    main()
