"""``geomm locate``: a raster or a picture in, a probability map of where on Earth it may lie out."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import layer, terminal
from geomm_engine.contract import Area, LocateParams, LocatePriors, LocateResult, Verdict


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("locate", help="where on Earth is this? place, climate and season as probabilities")
    verb.add_argument("raster", nargs="+", metavar="RASTER", help="a raster or a picture; it needs no georeference")
    verb.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="folder for heatmap.tif, places.gpkg, map.png"
    )
    verb.add_argument(
        "--gsd-km",
        type=terminal.above_zero,
        default=0.0,
        metavar="X",
        help="ground size of a pixel, if the file does not say it",
    )
    verb.add_argument(
        "--date", default="", metavar="YYYY-MM-DD", help="what date it is said to be of; held against the season"
    )
    where = verb.add_mutually_exclusive_group()
    where.add_argument("--land-only", action="store_true", default=True, help="it shows land (the default)")
    where.add_argument("--anywhere", action="store_true", help="it may lie on the sea as well")
    verb.add_argument("--country", default="", metavar="NAME", help="it lies in this country (France, or FRA)")
    verb.add_argument("--within", type=Path, metavar="FILE", help="it lies inside these polygons")
    verb.add_argument("--aoi", type=Path, metavar="FILE", help="look only at this part of the raster")
    verb.add_argument("--bands", default="", help="band numbers of red, green and blue (4,3,2), or by name (red=4,…)")
    verb.add_argument("--unit", default="", choices=("", *layer.UNITS), metavar="UNIT", help="what the values are")
    layer.add_crs(verb)
    verb.add_argument("--top-k", type=int, default=5, help="how many places to list (default 5)")
    verb.add_argument("--model", default="", help="id or folder of a geographic expert (default: the built-in one)")
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from geomm_engine.pipeline.locate import locate
    from geomm_engine.pipeline.locate_answer import headline

    params = LocateParams(
        source=layer.source(args, ("red", "green", "blue")),
        output_dir=str(args.output.resolve()),
        model=args.model,
        area=_area(args.aoi),
        priors=LocatePriors(not args.anywhere, _area(args.within), args.country),
        gsd_m=1000 * args.gsd_km,
        date=args.date,
        top_k=max(1, args.top_k),
    )
    result = terminal.follow(locate(params))
    if args.json:
        terminal.say_notes(result.notes)
        terminal.print_json(result)
        return 0
    terminal.say_notes([note for note in result.notes if note.code not in ("place_disagrees", "cannot_be_placed")])
    print(f"\n{headline(result)}\n")
    _print(result)
    return 0


def _area(path: Path | None) -> Area:
    if path is None:
        return Area()
    from geomm_engine.pipeline.area import read_area

    return read_area(path)


def _print(result: LocateResult) -> None:
    rows = [
        (str(item.rank), f"{item.lat:.1f}", f"{item.lon:.1f}", item.country or "–", f"{item.probability:.0%}")
        for item in result.places
    ]
    if result.check is None or result.check.verdict is not Verdict.UNKNOWN:
        terminal.print_table(("place", "lat", "lon", "country", f"within {result.best.radius_km:.0f} km"), rows)
    area_50, area_90 = (f"{float(f'{area:.2g}'):,.0f} km²" for area in (result.area_50_km2, result.area_90_km2))
    print(f"\n50 % of the probability lies on {area_50}, 90 % on {area_90}.")
    climates = ", ".join(f"{item.code} {item.probability:.0%} ({item.name})" for item in result.climates[:3])
    print(f"Climate: {climates}")
    print(f"Season: {result.season.text}, ± {result.season.half_span_50_days:.0f} days (50 %), "
          f"± {result.season.half_span_90_days:.0f} days (90 %)")  # fmt: skip
    if result.date_check is not None:
        print(result.date_check.text)
    scales = ", ".join(f"{item:g}" for item in result.gsd_km)
    print(f"\n{result.model}; {result.tiles} tiles at {scales} km a pixel; {result.tiles_empty} empty\n")
    for path in (
        result.heatmap_path,
        result.equal_area_path,
        result.places_path,
        result.picture_path,
        result.summary_path,
    ):
        print(path)
