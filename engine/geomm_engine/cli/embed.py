"""``geomm embed``: a raster in, its index of embeddings out."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import layer, terminal
from geomm_engine.contract import EmbedParams


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("embed", help="compute a raster's embeddings once, for every later question")
    layer.add_arguments(verb)
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from geomm_engine.pipeline.embed import embed

    index = str(Path(args.index).resolve()) if args.index else ""
    result = terminal.follow(
        embed(EmbedParams(layer.source(args), args.model, layer.area(args), device=args.device, index_dir=index))
    )
    terminal.say_notes(result.notes)
    if args.json:
        terminal.print_json(result)
    else:
        print(f"{result.tiles_embedded:,} tiles embedded, {result.tiles_reused:,} reused, {result.tiles_empty:,} without data, "
              f"{result.tiles_failed:,} failed, in {terminal.duration(result.elapsed_s)} on {result.device}")  # fmt: skip
        print(result.index_dir)
    return 0
