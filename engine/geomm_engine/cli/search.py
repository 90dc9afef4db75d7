"""``geomm search``: an index and a sentence or a place in, a score map and the best tiles out."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import terminal
from geomm_engine.contract import SearchParams


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("search", help="a sentence, or a place → where it is")
    verb.add_argument("index", type=Path, metavar="INDEX", help="the folder that “geomm embed” wrote")
    asked = verb.add_mutually_exclusive_group(required=True)
    asked.add_argument("--text", default="", help="what to look for")
    asked.add_argument(
        "--place",
        type=_place,
        metavar="LAT,LON",
        help="what looks like this place, for an index of a location model (in the south: --place=-33.9,18.4)",
    )
    verb.add_argument("--not", dest="not_text", default="", metavar="TEXT", help="but not this")
    verb.add_argument("--top-k", type=_count, default=100, help="how many tiles to list (default 100)")
    verb.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for score.tif and hits.gpkg")
    verb.add_argument("--model", default="", help="where the model lies, when it is not an installed one")
    verb.add_argument("--exact-text", action="store_true", help="use the words as typed, without templates")
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"“{text}” is no number from 1")
    return int(text)


def _place(text: str) -> tuple[float, float]:
    try:
        lat, lon = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{text}” is no latitude and longitude such as 48.2,16.4") from None
    return lat, lon


def run(args: argparse.Namespace) -> int:
    from pyproj import CRS

    from geomm_engine.pipeline.search import search

    params = SearchParams(
        text=args.text,
        output_dir=str(args.output.resolve()),
        not_text=args.not_text,
        top_k=args.top_k,
        model=args.model,
        index_dir=str(args.index.resolve()),
        is_exact_text=args.exact_text,
        place=args.place,
    )
    result = terminal.follow(search(params))
    terminal.say_notes(result.notes)
    if args.json:
        terminal.print_json(result)
        return 0
    digits = 6 if CRS.from_user_input(result.crs).is_geographic else 1
    rows = [
        (str(hit.rank), f"{hit.score:.2f}", f"{hit.cosine:.3f}", *(f"{value:,.{digits}f}" for value in hit.bounds_xyxy))
        for hit in result.hits[:10]
    ]
    terminal.print_table(("rank", "score", "cosine", "min x", "min y", "max x", "max y"), rows)
    print(
        f"\n{len(result.hits)} hits; scores {result.score_min:.2f} to {result.score_max:.2f}; proposed cut {result.threshold:.2f}"
    )
    print(result.score_path)
    print(result.hits_path)
    return 0
