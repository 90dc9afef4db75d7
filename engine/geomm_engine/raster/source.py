"""Opening what a person calls a layer: one file, or several stacked; straightened where it is rotated or has GCPs.

Knows files, georeference and band roles. Refuses what cannot be read rightly, with the cause and the cure.
"""

from __future__ import annotations

import math
import re
import threading
import uuid
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import CRSError, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from geomm_engine import sensors
from geomm_engine.contract import ErrorCode, RasterSource
from geomm_engine.errors import RasterError
from geomm_engine.grid import PixelGrid
from geomm_engine.raster.ground import GroundScale

_SAMPLE_PX = 512
_COLOR_ROLES = {ColorInterp.red: "red", ColorInterp.green: "green", ColorInterp.blue: "blue"}
_BESIDE = (".aux.xml", ".ovr")
_READ_ERRORS = (RasterioError, RasterioIOError, CRSError)


@dataclass(frozen=True)
class Band:
    """One band of the stack: where it lies (``file`` counts paths, ``index`` from 1) and what it measures."""

    file: int
    index: int
    role: str
    dtype: str
    scale: float
    offset: float


@dataclass(frozen=True)
class Stack:
    """What is known of a layer before any pixel is read.

    ``assumed`` names what was taken for granted ("sentinel2_order", "rgb_order", "rgbn_order", "sentinel1_order"), "" if
    nothing was. ``crs`` is what a person said of the files, "" where they speak for themselves.
    """

    paths: tuple[str, ...]
    grid: PixelGrid
    bands: tuple[Band, ...]
    has_declared_nodata: bool
    is_straightened: bool
    ignores_alpha: bool
    assumed: str
    hint: sensors.ProductHint
    fingerprint: str
    crs: str = ""

    @property
    def reflectance_bands(self) -> int:
        """How many bands are neither radar nor height nor temperature."""
        return sum(sensors.quantity_of(band.role) == "reflectance" for band in self.bands)

    def band_for(self, role: str) -> int | None:
        """Position in the stack of the first band that measures this role."""
        return next((at for at, band in enumerate(self.bands) if sensors.is_same_role(band.role, role)), None)


class Files:
    """The open files of a stack: one set of handles for each thread, since GDAL datasets belong to a thread."""

    def __init__(
        self, paths: tuple[str, ...], grid: PixelGrid | None = None, crs: str = "", *, ignores_alpha: bool = False
    ) -> None:
        self._paths = paths
        self._crs = crs
        self._ignores_alpha = ignores_alpha
        self._grid = grid
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[DatasetReader] = []

    def get(self, file: int) -> DatasetReader:
        """This thread's handle of a file, on the stack's grid."""
        handles: dict[int, DatasetReader] = self._local.__dict__.setdefault("handles", {})
        if file not in handles:
            dataset = open_straight(self._paths[file], self._crs, ignores_alpha=self._ignores_alpha)
            if self._grid is not None and not _is_on(dataset, self._grid):
                dataset = self._keep(dataset) and _aligned(dataset, self._grid)
            handles[file] = self._keep(dataset)
        return handles[file]

    def _keep(self, dataset: DatasetReader) -> DatasetReader:
        with self._lock:
            self._open.append(dataset)
        return dataset

    def close(self) -> None:
        with self._lock:
            for dataset in reversed(self._open):
                with suppress(RasterioError):
                    dataset.close()
            self._open.clear()


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
    return dataset if _is_straight(dataset) and crs == dataset.crs else _straightened(dataset, crs)


def _is_straight(dataset: DatasetReader) -> bool:
    """Whether rows run east and columns south, and nothing has to be warped."""
    own = dataset.transform
    return own.b == 0 and own.d == 0 and own.a > 0 and own.e < 0 and not dataset.gcps[0]


def image_of(dataset: DatasetReader, band: Band) -> Hashable:
    """What bands of one image have in common: the kind of what they measure, and where their files lie."""
    return sensors.quantity_of(band.role), tuple(round(float(side), 3) for side in _stored(dataset).bounds)


def _stored(dataset: DatasetReader) -> DatasetReader:
    """What lies under a dataset that is straightened as it is read."""
    return dataset.src_dataset if isinstance(dataset, WarpedVRT) else dataset


def _crs_of(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except (RasterioError, ValueError) as problem:
        raise RasterError(
            ErrorCode.RASTER_NO_GEOREFERENCE,
            f"“{text}” is no coordinate reference system.",
            "Give an authority's code such as EPSG:32633, or WKT.",
        ) from problem


def _without_alpha(dataset: DatasetReader) -> DatasetReader:
    """The same bands, none of them marked as alpha: a view in memory, no pixel is copied."""
    view = f"/vsimem/geomm/{uuid.uuid4().hex}.vrt"
    kinds = [ColorInterp.undefined if kind is ColorInterp.alpha else kind for kind in dataset.colorinterp]
    try:
        rasterio.shutil.copy(dataset, view, driver="VRT")
        with rasterio.open(view, "r+") as marked:
            marked.colorinterp = kinds
        return rasterio.open(view)
    except _READ_ERRORS as problem:
        raise unreadable(dataset.name, problem) from problem


def _numpy_dtypes(dataset: DatasetReader) -> list[str]:
    return ["complex64" if "complex" in name else name for name in dataset.dtypes]


def _open(path: str) -> DatasetReader:
    if not _is_there(path):
        raise RasterError(
            ErrorCode.RASTER_MISSING,
            f"The raster {path} does not exist any more.",
            "Put the file back, or choose the layer's new place in its properties.",
            path=path,
        )
    try:
        dataset = rasterio.open(path)
    except _READ_ERRORS as problem:
        raise unreadable(path, problem) from problem
    lost = next((file for file in _pixel_files(dataset) if not _is_there(file)), None)
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


def _pixel_files(dataset: DatasetReader) -> list[str]:
    """Every file that the pixels come from, also behind virtual rasters of virtual rasters; not what lies beside them
    by looking at them (statistics, overviews)."""
    found, ahead = {dataset.name}, [file for file in dataset.files if not file.endswith(_BESIDE)]
    while ahead:
        file = ahead.pop()
        if file in found:
            continue
        found.add(file)
        if file.lower().endswith(".vrt"):
            with suppress(*_READ_ERRORS), rasterio.open(file) as inner:
                ahead += [name for name in inner.files if not name.endswith(_BESIDE)]
    return sorted(found)


def _is_there(file: str) -> bool:
    """Whether a part of a raster exists; what does not lie in the file system is given the benefit of the doubt."""
    return "://" in file or file.startswith("/vsi") or Path(file).exists()


def unreadable(path: str, problem: Exception) -> RasterError:
    """The refusal of a file, with GDAL's own words where rasterio keeps them behind its "see previous exception"."""
    reason = str(getattr(problem.__cause__, "errmsg", "") or problem)
    return RasterError(
        ErrorCode.RASTER_UNREADABLE,
        f"The raster {path} cannot be read: {reason.rstrip('.')}.",
        "Check that the file is complete (download or copy it again) and that QGIS itself shows it.",
        path=path,
    )


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
    except (*_READ_ERRORS, ValueError) as problem:
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


def _is_on(dataset: DatasetReader, grid: PixelGrid) -> bool:
    same_crs = dataset.crs is not None and dataset.crs.to_wkt() == grid.crs_wkt
    return same_crs and dataset.transform.almost_equals(grid.transform, 1e-9) and dataset.shape == grid.shape_yx


def _aligned(dataset: DatasetReader, grid: PixelGrid) -> DatasetReader:
    height, width = grid.shape_yx
    return WarpedVRT(
        dataset, crs=CRS.from_wkt(grid.crs_wkt), transform=grid.transform, width=width, height=height,
        resampling=Resampling.bilinear, add_alpha=dataset.nodata is None and ColorInterp.alpha not in dataset.colorinterp,
    )  # fmt: skip


def describe(source: RasterSource) -> Stack:
    """Look at a layer's files: grid, bands, roles. Reads no pixel but a thumbnail of an alpha band.

    The finest file gives the grid; the others are resampled to it as they are read.

    Raises:
        RasterError: a file cannot be read rightly, or the files do not lie on one another.
    """
    if not source.paths:
        raise RasterError(ErrorCode.RASTER_MISSING, "No raster was given.", "Choose a raster layer.")
    files = Files(source.paths, crs=source.crs)
    try:
        opened = [files.get(at) for at in range(len(source.paths))]
        grid = _finest([_grid_of(dataset) for dataset in opened])
        for dataset in opened:
            _check_overlap(dataset, grid, source.paths)
        ignores_alpha = [_is_data_alpha(dataset) for dataset in opened]
        bands, assumed = _bands(source, opened, ignores_alpha)
        tags = [f"{key}={value}" for dataset in opened for key, value in dataset.tags().items()]
        return Stack(
            paths=source.paths,
            grid=grid,
            bands=bands,
            has_declared_nodata=any(dataset.nodata is not None for dataset in opened),
            is_straightened=any(not _is_straight(_stored(dataset)) for dataset in opened),
            ignores_alpha=any(ignores_alpha),
            assumed=assumed,
            hint=sensors.product_hint(*source.paths, *_sidecar_texts(source.paths), *tags, source.name),
            fingerprint=_fingerprint(source.paths) + (f";crs {source.crs}" if source.crs else ""),
            crs=source.crs,
        )
    finally:
        files.close()


def _grid_of(dataset: DatasetReader) -> PixelGrid:
    return PixelGrid(dataset.crs.to_wkt(), Affine(*dataset.transform[:6]), (dataset.height, dataset.width))


def _finest(grids: list[PixelGrid]) -> PixelGrid:
    """The grid with the smallest pixels; on the ground where they are not all in one CRS."""
    if len({grid.crs_wkt for grid in grids}) == 1:
        return min(grids, key=lambda grid: abs(grid.transform.determinant))
    return min(grids, key=lambda grid: math.prod(GroundScale(grid).nominal_m_yx()))


def _check_overlap(dataset: DatasetReader, grid: PixelGrid, paths: tuple[str, ...]) -> None:
    own = _grid_of(dataset)
    first, second = own.bounds_xyxy, grid.bounds_xyxy
    if own.crs_wkt != grid.crs_wkt:
        try:
            first = transform_bounds(dataset.crs, CRS.from_wkt(grid.crs_wkt), *first)
        except _READ_ERRORS:
            return
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        raise RasterError(
            ErrorCode.RASTER_MISMATCH,
            f"The {len(paths)} files do not lie on one another: {Path(dataset.name).name} is elsewhere.",
            "Stack only bands of the same scene.",
            path=dataset.name,
        )


def _is_data_alpha(dataset: DatasetReader) -> bool:
    """Whether a band that is marked alpha really is data (near infrared saved by careless software): it has grey values."""
    dataset = _stored(dataset)
    if ColorInterp.alpha not in dataset.colorinterp:
        return False
    index = dataset.colorinterp.index(ColorInterp.alpha) + 1
    shape = min(dataset.height, _SAMPLE_PX), min(dataset.width, _SAMPLE_PX)
    try:
        alpha = dataset.read(index, out_shape=shape)
    except _READ_ERRORS:
        return False
    between = (alpha > alpha.min()) & (alpha < alpha.max())
    return bool(between.mean() > 0.1)


def _bands(source: RasterSource, opened: list[DatasetReader], data_alpha: list[bool]) -> tuple[tuple[Band, ...], str]:
    bands = []
    for file, dataset in enumerate(opened):
        name_role = sensors.role_of(Path(source.paths[file]).stem) if dataset.count <= 2 else ""
        for at in range(dataset.count):
            color = dataset.colorinterp[at]
            if color == ColorInterp.alpha and not data_alpha[file]:
                continue
            role = sensors.role_of(dataset.descriptions[at] or "") or name_role or _COLOR_ROLES.get(color, "")
            scale, offset = float(dataset.scales[at]), float(dataset.offsets[at])
            bands.append(Band(file, at + 1, role, dataset.dtypes[at], scale, offset))
    if source.roles:
        return _with_given_roles(source, bands), ""
    found, assumed = _with_assumed_roles(bands, opened[0])
    if assumed or len(opened) == 1:
        return found, assumed
    parts = [
        _with_assumed_roles([band for band in found if band.file == file], item) for file, item in enumerate(opened)
    ]
    return tuple(band for part, _ in parts for band in part), next((name for _, name in parts if name), "")


def _with_given_roles(source: RasterSource, bands: list[Band]) -> tuple[Band, ...]:
    if len(source.roles) > len(bands):
        raise RasterError(
            ErrorCode.BANDS_MISSING,
            f"Band {len(source.roles)} was named, but the layer has {len(bands)} bands.",
            f"Name bands from 1 to {len(bands)}.",
            given=len(source.roles),
            found=len(bands),
        )
    roles = list(source.roles) + [""] * (len(bands) - len(source.roles))
    known = [sensors.role_of(role) or role.lower() for role in roles]
    return tuple(_renamed(band, role) for band, role in zip(bands, known, strict=True))


def _renamed(band: Band, role: str) -> Band:
    return Band(band.file, band.index, role, band.dtype, band.scale, band.offset)


def _with_assumed_roles(bands: list[Band], dataset: DatasetReader) -> tuple[tuple[Band, ...], str]:
    has_rgb = all(any(sensors.is_same_role(band.role, role) for band in bands) for role in ("red", "green", "blue"))
    count, is_byte = len(bands), all(band.dtype == "uint8" for band in bands)
    if has_rgb:
        if count == 4 and not bands[3].role:
            return (*bands[:3], _renamed(bands[3], "nir")), ""
        return tuple(bands), ""
    if any(band.role for band in bands[1:]):
        return tuple(bands), ""
    if count in sensors.SENTINEL2_STACKS and not is_byte:
        names = sensors.SENTINEL2_STACKS[count]
        return tuple(_renamed(band, name) for band, name in zip(bands, names, strict=True)), "sentinel2_order"
    if count == 3 and is_byte:
        return tuple(_renamed(b, r) for b, r in zip(bands, ("red", "green", "blue"), strict=True)), "rgb_order"
    if count == 4 and is_byte:
        roles = ("red", "green", "blue", "nir")
        return tuple(_renamed(b, r) for b, r in zip(bands, roles, strict=True)), "rgbn_order"
    if count == 2 and not is_byte and sensors.is_sentinel1(Path(dataset.name).name):
        return tuple(_renamed(b, r) for b, r in zip(bands, ("vv", "vh"), strict=True)), "sentinel1_order"
    return tuple(bands), ""


def _sidecar_texts(paths: tuple[str, ...]) -> list[str]:
    """Names that lie beside the files and often carry the product id (SOURCE.txt, a metadata file)."""
    texts = []
    for folder in {Path(path).parent for path in paths if "://" not in path}:
        note = folder / "SOURCE.txt"
        if note.is_file():
            texts.append(note.read_text(encoding="utf-8", errors="replace")[:2000])
    return texts


def _fingerprint(paths: tuple[str, ...]) -> str:
    """Changes when a pixel may have: names, sizes and times of the files that hold any, and what counts as nodata.

    Not of what is written beside a raster by looking at it (statistics, overviews).
    """
    parts = []
    for path in paths:
        with rasterio.open(path) as dataset:
            files = _pixel_files(dataset)
            parts.append(f"nodata {dataset.nodatavals}")
        for name in files:
            file = _on_disk(name)
            stat = file.stat() if file is not None else None
            parts.append(f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}" if file and stat else name)
    return ";".join(parts)


def _on_disk(name: str) -> Path | None:
    """The file that a name stands for; of what lies inside an archive ("/vsizip/…/a.zip/b.tif") the archive."""
    path = Path(re.sub(r"^(/vsi[a-z0-9]+/)+", "", name) if name.startswith("/vsi") else name)
    return next((item for item in (path, *path.parents) if item.is_file()), None)
