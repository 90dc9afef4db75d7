"""``geomm anomaly``: a raster in, a map of what the model cannot guess out."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import layer, terminal
from geomm_engine.contract import AnomalyParams


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("anomaly", help="a raster → what is unlike everything that the model has seen")
    layer.add_arguments(verb)
    verb.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="folder for anomaly.tif, anomalies.gpkg"
    )
    verb.add_argument(
        "--threshold", type=float, default=3.0, metavar="Z", help="deviations from the usual for a polygon (default 3)"
    )
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from geomm_engine.pipeline.anomaly import anomaly

    params = AnomalyParams(layer.source(args), str(args.output.resolve()), args.model, layer.area(args), args.threshold)
    result = terminal.follow(anomaly(params))
    terminal.say_notes(result.notes)
    if args.json:
        terminal.print_json(result)
        return 0
    print(f"{result.strange:,} of {result.tiles:,} tiles are strange (from {args.threshold:g} deviations); the strangest: "
          f"{result.highest:.1f}")  # fmt: skip
    print(result.anomaly_path)
    print(result.tiles_path)
    return 0
