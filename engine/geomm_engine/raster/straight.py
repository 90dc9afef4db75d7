"""One file as a dataset that is north-up with a CRS, warped on the fly where it is not. Knows no stack."""

from __future__ import annotations

import math
import uuid
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import RasterError
from geomm_engine.grid import PixelGrid
from geomm_engine.raster.files import READ_ERRORS, is_there, pixel_files, unreadable

_SAMPLE_PX = 512


def open_straight(path: str, said_crs: str = "", *, ignores_alpha: bool = False) -> DatasetReader:
    """A dataset that is north-up with a CRS; rotated, south-up and GCP rasters are warped on the fly.

    Args:
        said_crs: stands in for what the file says of its CRS, or does not say.
        ignores_alpha: a band that is marked alpha is data like the others, and hides nothing.

    Raises:
        RasterError: the file is missing, no raster, without georeference, complex, or paletted.
    """
    dataset = _open(path)
    if any(np.issubdtype(np.dtype(name), np.complexfloating) for name in _numpy_dtypes(dataset)):
        raise RasterError(
            ErrorCode.RASTER_UNSUPPORTED,
            f"{Path(path).name} holds complex numbers (raw radar).",
            "Convert it to intensity or decibel first (for Sentinel-1: terrain-corrected backscatter).",
            path=path,
        )
    if dataset.count == 1 and dataset.colorinterp[0] == ColorInterp.palette:
        raise RasterError(
            ErrorCode.RASTER_UNSUPPORTED,
            f"{Path(path).name} is a paletted map, not an image: its values are colour numbers.",
            "Convert it to red, green and blue first (Raster ▸ Conversion ▸ PCT to RGB).",
            path=path,
        )
    gcps, gcp_crs = dataset.gcps
    crs = _crs_of(said_crs) if said_crs else dataset.crs or gcp_crs
    if crs is None or (not gcps and dataset.transform.is_identity):
        raise RasterError(
            ErrorCode.RASTER_NO_GEOREFERENCE,
            f"{Path(path).name} has no {'coordinate reference system' if crs is None else 'georeference'}.",
            "Georeference it in QGIS (Layer ▸ Georeferencer)."
            if crs is not None
            else "Say which it is: right-click the layer, Layer CRS ▸ Set Layer CRS; on the command line --crs.",
            path=path,
        )
    if ignores_alpha and ColorInterp.alpha in dataset.colorinterp:
        dataset = _without_alpha(dataset)
    return dataset if is_straight(dataset) and crs == dataset.crs else _straightened(dataset, crs)


def is_straight(dataset: DatasetReader) -> bool:
    """Whether rows run east and columns south, and nothing has to be warped."""
    own = dataset.transform
    return own.b == 0 and own.d == 0 and own.a > 0 and own.e < 0 and not dataset.gcps[0]


def stored(dataset: DatasetReader) -> DatasetReader:
    """What lies under a dataset that is straightened as it is read."""
    return dataset.src_dataset if isinstance(dataset, WarpedVRT) else dataset


def is_data_alpha(dataset: DatasetReader) -> bool:
    """Whether a band that is marked alpha really is data (near infrared saved by careless software): it has grey values."""
    dataset = stored(dataset)
    if ColorInterp.alpha not in dataset.colorinterp:
        return False
    index = dataset.colorinterp.index(ColorInterp.alpha) + 1
    shape = min(dataset.height, _SAMPLE_PX), min(dataset.width, _SAMPLE_PX)
    try:
        alpha = dataset.read(index, out_shape=shape)
    except READ_ERRORS:
        return False
    between = (alpha > alpha.min()) & (alpha < alpha.max())
    return bool(between.mean() > 0.1)


def is_on(dataset: DatasetReader, grid: PixelGrid) -> bool:
    same_crs = dataset.crs is not None and dataset.crs.to_wkt() == grid.crs_wkt
    return same_crs and dataset.transform.almost_equals(grid.transform, 1e-9) and dataset.shape == grid.shape_yx


def aligned(dataset: DatasetReader, grid: PixelGrid) -> DatasetReader:
    height, width = grid.shape_yx
    return WarpedVRT(
        dataset, crs=CRS.from_wkt(grid.crs_wkt), transform=grid.transform, width=width, height=height,
        resampling=Resampling.bilinear, add_alpha=dataset.nodata is None and ColorInterp.alpha not in dataset.colorinterp,
    )  # fmt: skip


def _open(path: str) -> DatasetReader:
    if not is_there(path):
        raise RasterError(
            ErrorCode.RASTER_MISSING,
            f"The raster {path} does not exist any more.",
            "Put the file back, or choose the layer's new place in its properties.",
            path=path,
        )
    try:
        dataset = rasterio.open(path)
    except READ_ERRORS as problem:
        raise unreadable(path, problem) from problem
    lost = next((file for file in pixel_files(dataset) if not is_there(file)), None)
    if lost is not None:
        dataset.close()
        raise RasterError(
            ErrorCode.RASTER_MISSING,
            f"The raster {path} is put together from {lost}, which does not exist.",
            "Put the file back, or make the virtual raster again.",
            path=path,
            missing=lost,
        )
    return dataset


def _crs_of(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except (RasterioError, ValueError) as problem:
        raise RasterError(
            ErrorCode.RASTER_NO_GEOREFERENCE,
            f"“{text}” is no coordinate reference system.",
            "Give an authority's code such as EPSG:32633, or WKT.",
        ) from problem


def _numpy_dtypes(dataset: DatasetReader) -> list[str]:
    return ["complex64" if "complex" in name else name for name in dataset.dtypes]


def _without_alpha(dataset: DatasetReader) -> DatasetReader:
    """The same bands, none of them marked as alpha: a view in memory, no pixel is copied."""
    view = f"/vsimem/geomm/{uuid.uuid4().hex}.vrt"
    kinds = [ColorInterp.undefined if kind is ColorInterp.alpha else kind for kind in dataset.colorinterp]
    try:
        rasterio.shutil.copy(dataset, view, driver="VRT")
        with rasterio.open(view, "r+") as marked:
            marked.colorinterp = kinds
        return rasterio.open(view)
    except READ_ERRORS as problem:
        raise unreadable(dataset.name, problem) from problem


def _straightened(dataset: DatasetReader, crs: CRS) -> DatasetReader:
    has_alpha = dataset.nodata is not None or ColorInterp.alpha in dataset.colorinterp
    try:
        if dataset.gcps[0]:  # GDAL must choose the grid: given one, it forgets the control points
            return WarpedVRT(dataset, src_crs=crs, crs=crs, resampling=Resampling.bilinear, add_alpha=not has_alpha)
        transform, width, height = _upright(dataset)
        # Pixels keep their size: GDAL, left to guess from a block, takes a turned one for reduced and blurs it.
        return WarpedVRT(
            dataset, src_crs=crs, crs=crs, transform=transform, width=width, height=height,
            resampling=Resampling.bilinear, add_alpha=not has_alpha, XSCALE="1", YSCALE="1",
        )  # fmt: skip
    except (*READ_ERRORS, ValueError) as problem:
        raise unreadable(dataset.name, problem) from problem


def _upright(dataset: DatasetReader) -> tuple[Affine, int, int]:
    """The smallest north-up grid around a rotated one, with pixels of the same size: transform, width, height."""
    own = dataset.transform
    corners = [own @ (x, y) for x in (0, dataset.width) for y in (0, dataset.height)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    size_x, size_y = math.hypot(own.a, own.d), math.hypot(own.b, own.e)
    if abs(own.b) > abs(own.a):  # nearer to a quarter turn than to none
        size_x, size_y = size_y, size_x
    width, height = (
        max(1, math.ceil(round(span, 6))) for span in ((max(xs) - min(xs)) / size_x, (max(ys) - min(ys)) / size_y)
    )
    return Affine(size_x, 0, min(xs), 0, -size_y, max(ys)), width, height
