"""``geomm chips``: co-registered rasters in, chips of the web's tiles (or of UTM squares) and their index out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path

from geomm_engine.cli import layer, terminal
from geomm_engine.contract import ChipsParams, ErrorCode, RasterSource
from geomm_engine.errors import EngineError

MOST_ZOOM = 24


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("chips", help="co-registered rasters → chips by map tile, with their true ground pixel")
    verb.add_argument(
        "raster",
        nargs="+",
        metavar="[NAME=]RASTER",
        help="a raster file, or a folder of band files, for each sensor; its chips go to a folder of this name",
    )
    verb.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="folder for SENSOR/z/x/y.tif, chips.gpkg"
    )
    verb.add_argument("--matrix", default="web", choices=("web", "utm"), help="web mercator tiles, or UTM squares")
    verb.add_argument(
        "--zoom", type=_level, default=-1, metavar="Z", help="level of the web tiles (default: as fine as the finest)"
    )
    verb.add_argument(
        "--gsd",
        type=terminal.above_zero,
        default=0.0,
        metavar="M",
        help="pixel of UTM chips (default: the finest raster's)",
    )
    verb.add_argument("--tile-px", type=int, default=256, metavar="PX", help="pixels along a chip (default 256)")
    verb.add_argument("--aoi", type=Path, metavar="FILE", help="polygons: only chips that they touch")
    verb.add_argument("--nearest", action="store_true", help="take the nearest pixel: for class numbers")
    verb.add_argument(
        "--min-valid",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="least share of a chip that holds data (default 0.5)",
    )
    verb.add_argument("--any", action="store_true", help="keep places that only some of the rasters show")
    verb.add_argument(
        "--date",
        action="append",
        default=[],
        type=_date,
        metavar="YYYY-MM-DD",
        help="when a raster was taken, once for each (default: by its name)",
    )
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run)


def _level(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_ZOOM:
        raise argparse.ArgumentTypeError(f"“{text}” is no level from 0 to {MOST_ZOOM}")
    return int(text)


def _date(text: str) -> str:
    """As it is kept: year, month, day; "" for a raster whose date is not known."""
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{text}” is no date such as 2024-07-31") from None


def _check_matrix(args: argparse.Namespace) -> None:
    is_web = args.matrix == "web"
    if (is_web and args.gsd) or (not is_web and args.zoom >= 0):
        option, other = (
            ("--gsd", "web tiles have levels") if is_web else ("--zoom", "UTM squares have a pixel in metres")
        )
        raise EngineError(
            ErrorCode.MESSAGE_INVALID,
            f"{option} means nothing with --matrix {args.matrix}: {other}.",
            "Give --zoom Z with web tiles, --gsd M with --matrix utm.",
        )


def run(args: argparse.Namespace) -> int:
    from geomm_engine.pipeline.chips import chips

    _check_matrix(args)
    params = ChipsParams(
        sources=tuple(_source(text) for text in args.raster),
        output_dir=str(args.output.resolve()),
        matrix=args.matrix,
        zoom=args.zoom,
        gsd_m=args.gsd,
        tile_px=args.tile_px,
        area=layer.area(args),
        resampling="nearest" if args.nearest else "",
        min_valid_share=args.min_valid,
        is_complete=not args.any,
        dates=tuple(args.date),
    )
    result = terminal.follow(chips(params))
    terminal.say_notes(result.notes)
    if args.json:
        terminal.print_json(result)
        return 0
    print(f"{result.chips:,} places, {result.files:,} chips ({result.reused:,} were there), {result.empty:,} places with too "
          f"little data; a pixel is {result.gsd_min_m:.4g} to {result.gsd_max_m:.4g} m on the ground")  # fmt: skip
    print(result.index_path)
    return 0


def _source(text: str) -> RasterSource:
    """A raster, with the name before "=" if it has one and there is no file of the whole name."""
    name, found, path = text.partition("=")
    if not found or Path(text).exists() or "/" in name or "\\" in name:
        name, path = "", text
    source = layer.source(argparse.Namespace(raster=[path], bands="", unit="", model="", crs=""))
    return replace(source, name=name) if name else source
