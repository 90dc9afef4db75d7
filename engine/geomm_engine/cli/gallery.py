"""``geomm gallery``: a layer or a photograph and a location model of other people in, probable places out."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import layer, terminal
from geomm_engine.contract import LocatePriors


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("gallery", help="where is this? by SatCLIP or GeoCLIP, once added with “models add”")
    layer.add_arguments(verb)
    verb.add_argument("--output", type=Path, metavar="DIR", help="folder for heatmap.tif")
    verb.add_argument("--anywhere", action="store_true", help="it may lie on the sea as well")
    verb.add_argument("--country", default="", metavar="NAME", help="it lies in this country (France, or FRA)")
    verb.add_argument(
        "--temperature", type=float, default=0.0, metavar="T", help="above 1: more cautious than published"
    )
    verb.add_argument("--top-k", type=int, default=5, help="how many places to list (default 5)")
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from geomm_engine.pipeline.gallery_search import GallerySearch, gallery_search

    params = GallerySearch(
        source=layer.source(args),
        model=args.model,
        output_dir=str(args.output.resolve()) if args.output else "",
        area=layer.area(args),
        priors=LocatePriors(is_land_only=not args.anywhere, country=args.country),
        device=args.device,
        temperature=max(0.0, args.temperature),
        top_k=max(1, args.top_k),
    )
    answer = terminal.follow(gallery_search(params))
    terminal.say_notes(answer.notes)
    if args.json:
        terminal.print_json(answer)
        return 0
    rows = [
        (str(place.rank), f"{place.lat:.2f}", f"{place.lon:.2f}", f"{place.probability:.1%}", place.country or "–")
        for place in answer.places
    ]
    terminal.print_table(("rank", "latitude", "longitude", "within 250 km", "country"), rows)
    print(f"\nby {answer.model}, {answer.tiles} tiles; not calibrated for your imagery. 50 % lies within "
          f"{answer.radius_50_km:,.0f} km of the best place, 90 % within {answer.radius_90_km:,.0f} km.")  # fmt: skip
    if answer.own_level >= 0:
        print(f"The layer’s own coordinates lie in its {max(answer.own_level, 0.01):.0%} region.")
    if answer.heatmap_path:
        print(answer.heatmap_path)
    return 0
