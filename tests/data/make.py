"""Draws the rasters that tests need: good ones, odd ones, broken ones. ``python tests/data/make.py DIR`` draws them all.

All show the same drawn landscape of 256 × 256 pixels at ten metres, so that one raster's result can be held against
another's. Every function takes a folder, writes one raster into it under its own name, and gives its path.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from geomm_engine.landscape import LAND_COVERS, Landscape, draw_landscape

SIZE = 256
UTM = 32633
TO_UTM = Affine(10.0, 0.0, 345_600.0, 0.0, -10.0, 5_925_120.0)
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
LEVEL_1C = {"PRODUCT_URI": "S2A_MSIL1C_20200706T101031_N0209_R022_T33UUV_20200706T121314.SAFE"}
"""Says that values are reflectance at the top of the atmosphere, as the drawn landscape's are."""

HOLE = (slice(40, 150), slice(60, 200))
"""Rows and columns without data, in the rasters that have some."""


@cache
def landscape() -> Landscape:
    return draw_landscape(11, (SIZE, SIZE))


def rgb() -> NDArray[np.uint8]:
    """(3, h, w)"""
    return np.moveaxis(landscape().rgb, 2, 0).copy()


def reflectance() -> NDArray[np.float32]:
    """(4, h, w): red, green, blue, near infrared, 0–1."""
    return np.moveaxis(landscape().reflectance, 2, 0).copy()


def numbers() -> NDArray[np.uint16]:
    """(4, h, w): red, green, blue, near infrared, reflectance × 10000."""
    return (reflectance() * 1e4).round().astype(np.uint16)


def hollow(values: NDArray[Any], fill: float) -> NDArray[Any]:
    values[(slice(None), *HOLE)] = fill
    return values


def _write(
    path: Path,
    values: NDArray[Any],
    *,
    names: Sequence[str] = (),
    colors: Sequence[ColorInterp] = (),
    tags: dict[str, str] | None = None,
    **options: Any,
) -> Path:
    bands, height, width = values.shape
    profile = {
        "driver": "GTiff", "crs": UTM, "transform": TO_UTM, "count": bands, "height": height, "width": width,
        "dtype": values.dtype.name, "compress": "deflate",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **{**profile, **options}) as raster:
            if colors:
                raster.colorinterp = colors
            raster.write(values)
            for band, name in enumerate(names, start=1):
                raster.set_band_description(band, name)
            raster.update_tags(**(tags or {}))
    return path


# --- rasters that are as they should be -------------------------------------------------------------------------------


def picture(folder: Path) -> Path:
    """8-bit red, green, blue."""
    return _write(folder / "picture.tif", rgb(), colors=RGB, photometric="rgb")


def picture_with_blank_and_accent(folder: Path) -> Path:
    return _write(folder / "été à la mer.tif", rgb(), colors=RGB, photometric="rgb")


def picture_with_infrared(folder: Path) -> Path:
    """8-bit red, green, blue, near infrared without band names."""
    infrared = np.clip(reflectance()[3:] * (255 / 0.6), 0, 255).astype(np.uint8)
    return _write(folder / "picture with infrared.tif", np.concatenate([rgb(), infrared]), photometric="minisblack")


def sentinel2(folder: Path) -> Path:
    """Reflectance × 10000 as Sentinel-2 Level-1C; blue first, as products have it."""
    values = numbers()[[2, 1, 0, 3]]
    return _write(folder / "sentinel2.tif", values, names=("B02", "B03", "B04", "B08"), tags=LEVEL_1C)


def sentinel2_with_offset(folder: Path) -> Path:
    """The same as Sentinel-2 stores it since January 2022: 1000 added."""
    values = (numbers()[[2, 1, 0, 3]] + 1000).astype(np.uint16)
    tags = {"PRODUCT_URI": "S2A_MSIL1C_20220706T101031_N0400_R022_T33UUV_20220706T121314.SAFE"}
    return _write(folder / "sentinel2 with offset.tif", values, names=("B02", "B03", "B04", "B08"), tags=tags)


def sentinel2_swapped(folder: Path) -> Path:
    """Red, green, blue, near infrared, said to be so: the order of bands must not matter."""
    return _write(folder / "sentinel2 swapped.tif", numbers(), names=("B04", "B03", "B02", "B08"), tags=LEVEL_1C)


def reflectance_float(folder: Path) -> Path:
    return _write(folder / "reflectance.tif", reflectance(), names=("red", "green", "blue", "nir"), tags=LEVEL_1C)


def reflectance_scaled(folder: Path) -> Path:
    """int16 whose scale and offset stand in the file."""
    values = ((reflectance() + 0.1) * 2e4).round().astype(np.int16)
    path = _write(folder / "reflectance scaled.tif", values, names=("red", "green", "blue", "nir"), tags=LEVEL_1C)
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (5e-5,) * 4, (-0.1,) * 4
    return path


def single_bands(folder: Path) -> Path:
    """A folder of one file a band: 10 m, and B11 at 20 m."""
    inside = folder / "single bands é"
    inside.mkdir()
    for name, band in zip(("B04", "B03", "B02", "B08"), numbers(), strict=True):
        _write(inside / f"{name}.tif", band[None], tags=LEVEL_1C)
    coarse = numbers()[0].reshape(SIZE // 2, 2, SIZE // 2, 2).mean(axis=(1, 3)).astype(np.uint16)
    _write(inside / "B11.tif", coarse[None], tags=LEVEL_1C, transform=TO_UTM @ Affine.scale(2))
    return inside


# --- holes ------------------------------------------------------------------------------------------------------------


def with_nodata(folder: Path) -> Path:
    return _write(folder / "with nodata.tif", hollow(np.maximum(rgb(), 1), 0), colors=RGB, photometric="rgb", nodata=0)


def with_alpha(folder: Path) -> Path:
    alpha = hollow(np.full((1, SIZE, SIZE), 255, np.uint8), 0)
    values = np.concatenate([rgb(), alpha])
    return _write(folder / "with alpha.tif", values, colors=(*RGB, ColorInterp.alpha), photometric="rgb")


def with_mask(folder: Path) -> Path:
    path = _write(folder / "with mask.tif", rgb(), colors=RGB, photometric="rgb")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as raster:
        raster.write_mask(hollow(np.full((1, SIZE, SIZE), 255, np.uint8), 0)[0])
    return path


def with_nan(folder: Path) -> Path:
    return _write(
        folder / "with NaN.tif", hollow(reflectance(), np.nan), names=("red", "green", "blue", "nir"), tags=LEVEL_1C
    )


def all_nodata(folder: Path) -> Path:
    return _write(
        folder / "all nodata.tif", np.zeros((3, SIZE, SIZE), np.uint8), colors=RGB, photometric="rgb", nodata=0
    )


# --- places -----------------------------------------------------------------------------------------------------------


def in_degrees(folder: Path) -> Path:
    """EPSG:4326 at 60° north, with as many degrees to a pixel along x as along y: twice as tall as wide on the ground."""
    step = 10 / 111_412.0
    return _write(
        folder / "in degrees.tif",
        rgb(),
        colors=RGB,
        photometric="rgb",
        crs=4326,
        transform=Affine(step, 0, 24.9, 0, -step, 60.2),
    )


def in_web_mercator(folder: Path) -> Path:
    """EPSG:3857 at 60° north, where a metre of the map is half a metre of the ground."""
    transform = Affine(20, 0, 2_771_000, 0, -20, 8_437_000)
    return _write(folder / "in web mercator.tif", rgb(), colors=RGB, photometric="rgb", crs=3857, transform=transform)


def rotated(folder: Path) -> Path:
    return _write(folder / "rotated.tif", rgb(), colors=RGB, photometric="rgb", transform=TO_UTM @ Affine.rotation(20))


def south_up(folder: Path) -> Path:
    transform = Affine(10, 0, TO_UTM.c, 0, 10, TO_UTM.f - 10 * SIZE)
    return _write(folder / "south up.tif", rgb()[:, ::-1], colors=RGB, photometric="rgb", transform=transform)


def with_gcps(folder: Path) -> Path:
    """Ground control points instead of a transform: the picture lies as in ``picture``."""
    corners = [(0, 0), (0, SIZE), (SIZE, 0), (SIZE, SIZE), (SIZE / 2, SIZE / 2)]
    points = [GroundControlPoint(row, col, *(TO_UTM @ (col, row))) for row, col in corners]
    return _write(folder / "with gcps.tif", rgb(), colors=RGB, photometric="rgb", transform=None, gcps=points)


def without_georeference(folder: Path) -> Path:
    return _write(folder / "without georeference.tif", rgb(), colors=RGB, photometric="rgb", crs=None, transform=None)


# --- what cannot be classified ----------------------------------------------------------------------------------------


def complex_numbers(folder: Path) -> Path:
    values = reflectance()[:1] * np.exp(1j * 6 * reflectance()[3:])
    return _write(folder / "complex.tif", values.astype(np.complex64))


def palette(folder: Path) -> Path:
    path = _write(folder / "palette.tif", landscape().classes[None], photometric="palette")
    with rasterio.open(path, "r+") as raster:
        raster.write_colormap(1, {cover.value: (*bytes.fromhex(cover.color[1:]), 255) for cover in LAND_COVERS})
    return path


def one_band(folder: Path) -> Path:
    """16-bit grey that says nothing of itself."""
    return _write(folder / "one band.tif", numbers()[:1])


def one_pixel(folder: Path) -> Path:
    return _write(folder / "one pixel.tif", rgb()[:, :1, :1], photometric="rgb")


def truncated(folder: Path) -> Path:
    path = _write(
        folder / "truncated.tif", rgb(), colors=RGB, photometric="rgb", tiled=True, blockxsize=64, blockysize=64
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def no_raster(folder: Path) -> Path:
    path = folder / "no raster.tif"
    path.write_text("This is text.\n", encoding="utf-8")
    return path


# --- size -------------------------------------------------------------------------------------------------------------

_PIECE = 2000


def huge(folder: Path, size: int = 20_000) -> Path:
    """A virtual raster of ``size``² pixels, one small file repeated; ``size`` is a multiple of 2000."""
    piece = folder / "piece of huge.tif"
    if not piece.exists():
        values = np.pad(rgb(), ((0, 0), (0, _PIECE - SIZE), (0, _PIECE - SIZE)), mode="symmetric")
        _write(piece, values, colors=RGB, photometric="rgb", tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(piece) as raster:
        wkt = raster.crs.to_wkt().replace('"', "&quot;")
    bands = "".join(
        _virtual_band(band, color, piece.name, size) for band, color in enumerate(("Red", "Green", "Blue"), 1)
    )
    place = ", ".join(str(number) for number in TO_UTM.to_gdal())
    path = folder / f"huge {size}.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}"><SRS>{wkt}</SRS>'
        f"<GeoTransform>{place}</GeoTransform>{bands}</VRTDataset>\n",
        encoding="utf-8",
    )
    return path


def _virtual_band(band: int, color: str, name: str, size: int) -> str:
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1" shared="1">{name}</SourceFilename><SourceBand>{band}</SourceBand>'
        f'<SourceProperties RasterXSize="{_PIECE}" RasterYSize="{_PIECE}" DataType="Byte" BlockXSize="256" BlockYSize="256"/>'
        f'<SrcRect xOff="0" yOff="0" xSize="{_PIECE}" ySize="{_PIECE}"/>'
        f'<DstRect xOff="{x}" yOff="{y}" xSize="{_PIECE}" ySize="{_PIECE}"/></SimpleSource>'
        for y in range(0, size, _PIECE)
        for x in range(0, size, _PIECE)
    )
    return f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{color}</ColorInterp>{sources}</VRTRasterBand>'


def huge_60000(folder: Path) -> Path:
    return huge(folder, 60_000)


RASTERS: dict[str, Callable[[Path], Path]] = {
    draw.__name__: draw
    for draw in (
        picture, picture_with_blank_and_accent, picture_with_infrared, sentinel2, sentinel2_with_offset, sentinel2_swapped,
        reflectance_float, reflectance_scaled, single_bands, with_nodata, with_alpha, with_mask, with_nan, all_nodata,
        in_degrees, in_web_mercator, rotated, south_up, with_gcps, without_georeference, complex_numbers, palette, one_band,
        one_pixel, truncated, no_raster, huge, huge_60000,
    )
}  # fmt: skip


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for draw in RASTERS.values():
        print(draw(folder))


if __name__ == "__main__":
    main()
