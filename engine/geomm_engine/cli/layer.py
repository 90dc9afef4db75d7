"""The arguments that name a layer, its bands and its area; shared by the verbs that read rasters."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from geomm_engine.contract import Area, ErrorCode, RasterSource
from geomm_engine.errors import RasterError

MOST_BANDS = 10_000
UNITS = (
    "display", "reflectance", "reflectance_e4", "reflectance_e4_offset", "stretch", "decibel", "backscatter", "metres",
    "kelvin",
)  # fmt: skip


def add_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "raster",
        nargs="+",
        metavar="RASTER",
        help="a raster file; several single-band files, or their folder, are stacked",
    )
    verb.add_argument("--model", default="", help="model id or the path of a model folder (default: the built-in one)")
    verb.add_argument("--aoi", type=Path, metavar="FILE", help="polygons: nothing outside them is done")
    verb.add_argument(
        "--bands", default="", help="band numbers in the model's order (4,3,2) or by name (red=4,green=3,blue=2)"
    )
    verb.add_argument(
        "--unit", default="", choices=("", *UNITS), metavar="UNIT", help=f"what the values are: {', '.join(UNITS)}"
    )
    add_crs(verb)
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument(
        "--index", default="", metavar="DIR", help="where the embeddings are kept (default: the cache folder)"
    )


def add_crs(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--crs", default="", help="the CRS of files that state none or a wrong one, such as EPSG:32633")


def source(args: argparse.Namespace, roles: Sequence[str] = ()) -> RasterSource:
    """The layer that the arguments name; --bands counts in the order of ``roles``, or of the bands of the model.

    Raises:
        RasterError: the folder holds no band files, or --bands makes no sense.
    """
    paths = tuple(path for name in args.raster for path in _files(name))
    if not args.bands:
        return RasterSource(paths, unit=args.unit, name=Path(args.raster[0]).stem, crs=args.crs)
    paths, named = _with_bands(paths, args.bands, list(roles) or _model_roles(args.model))
    return RasterSource(paths, named, args.unit, Path(args.raster[0]).stem, args.crs)


def _files(name: str) -> list[str]:
    path = Path(name)
    if not path.is_dir():
        return [str(path.resolve()) if path.exists() else name]
    from geomm_engine.sensors import role_of

    found = [
        item
        for item in sorted(path.iterdir())
        if item.suffix.lower() in (".tif", ".tiff", ".jp2") and role_of(item.stem)
    ]
    if not found:
        raise RasterError(
            ErrorCode.RASTER_MISSING,
            f"The folder {name} holds no band files (B02.tif, red.tif, …).",
            "Name the raster files themselves.",
            path=name,
        )
    return [str(item.resolve()) for item in found]


def _model_roles(model: str) -> list[str]:
    from geomm_engine.encoders.registry import find_model

    return [band.role for band in find_model(model).card.bands]


def _with_bands(paths: tuple[str, ...], bands: str, wanted: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files and the role of each of their bands; bands by name may be fewer than the model's, which then decides."""
    parts = [part.strip() for part in bands.split(",") if part.strip()]
    are_named = all("=" in part for part in parts)
    pairs = [
        part.split("=", 1) if "=" in part else [role, part]
        for role, part in (zip(parts, parts, strict=True) if are_named else zip_longest(wanted, parts, fillvalue=""))
    ]
    if not pairs or any(
        not role.strip() or not number.strip().isdecimal() or not 0 < int(number) < MOST_BANDS for role, number in pairs
    ):
        numbers_text = ",".join(str(at + 1) for at in range(len(wanted)))
        names_text = ",".join(f"{role}={at}" for at, role in enumerate(wanted, start=1))
        raise RasterError(
            ErrorCode.BANDS_MISSING,
            f"--bands {bands} does not say which of the layer's bands is which of the {len(wanted)} that the model reads.",
            f"Give {len(wanted)} numbers from 1 for {', '.join(wanted)}, such as --bands {numbers_text}, "
            f"or name the bands: --bands {names_text}.",
        )
    numbers = {role.strip(): int(number) for role, number in pairs}
    if len(paths) == 1 and set(numbers.values()) == {1} and _has_one_band(paths[0]):
        return paths * len(numbers), tuple(numbers)
    if len(set(numbers.values())) < len(pairs):
        raise RasterError(ErrorCode.BANDS_MISSING, "--bands names a band twice.", "Name each band once.")
    roles = [""] * max(numbers.values())
    for role, number in numbers.items():
        roles[number - 1] = role
    return paths, tuple(roles)


def area(args: argparse.Namespace) -> Area:
    if args.aoi is None:
        return Area()
    from geomm_engine.pipeline.area import read_area

    return read_area(args.aoi)


def _has_one_band(path: str) -> bool:
    import rasterio

    try:
        with rasterio.open(path) as dataset:
            return bool(dataset.count == 1)
    except rasterio.errors.RasterioIOError:
        return True  # what is wrong with it will be said when it is opened for reading
