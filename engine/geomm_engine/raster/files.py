"""The files that the pixels of a raster come from: whether they are there, and whether they changed. Reads no pixel."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import rasterio
from rasterio.errors import CRSError, RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import RasterError

_BESIDE = (".aux.xml", ".ovr")
READ_ERRORS = (RasterioError, RasterioIOError, CRSError)
"""What rasterio raises where a file cannot be read."""


def pixel_files(dataset: DatasetReader) -> list[str]:
    """Every file that the pixels come from, also behind virtual rasters of virtual rasters; not what lies beside them
    by looking at them (statistics, overviews)."""
    found, ahead = {dataset.name}, [file for file in dataset.files if not file.endswith(_BESIDE)]
    while ahead:
        file = ahead.pop()
        if file in found:
            continue
        found.add(file)
        if file.lower().endswith(".vrt"):
            with suppress(*READ_ERRORS), rasterio.open(file) as inner:
                ahead += [name for name in inner.files if not name.endswith(_BESIDE)]
    return sorted(found)


def is_there(file: str) -> bool:
    """Whether a part of a raster exists; what does not lie in the file system is given the benefit of the doubt."""
    return "://" in file or file.startswith("/vsi") or Path(file).exists()


def fingerprint(paths: tuple[str, ...]) -> str:
    """Changes when a pixel may have: names, sizes and times of the files that hold any, and what counts as nodata.

    Not of what is written beside a raster by looking at it (statistics, overviews).
    """
    parts = []
    for path in paths:
        with rasterio.open(path) as dataset:
            files = pixel_files(dataset)
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


def unreadable(path: str, problem: Exception) -> RasterError:
    """The refusal of a file, with GDAL's own words where rasterio keeps them behind its "see previous exception"."""
    reason = str(getattr(problem.__cause__, "errmsg", "") or problem)
    return RasterError(
        ErrorCode.RASTER_UNREADABLE,
        f"The raster {path} cannot be read: {reason.rstrip('.')}.",
        "Check that the file is complete (download or copy it again) and that QGIS itself shows it.",
        path=path,
    )
