"""``geomm evaluate``: how good a model is on labelled images that you have."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import evaluate_locate, evaluate_pictures, terminal


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("evaluate", help="measure a model on labelled images")
    kinds = verb.add_subparsers(dest="kind", required=True, metavar="KIND")
    evaluate_pictures.register(kinds)
    evaluate_locate.register(kinds)
    agreement = kinds.add_parser("map", help="a class map against a raster of known classes")
    agreement.add_argument("folder", type=Path, metavar="DIR", help="the output folder of “geomm classify”")
    agreement.add_argument("--truth", type=Path, required=True, metavar="RASTER")
    agreement.add_argument(
        "--names", type=Path, metavar="FILE", help='JSON: which truth value is which class, {"1": "water", …}'
    )
    agreement.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    agreement.set_defaults(run=run_map)


def run_map(args: argparse.Namespace) -> int:
    from geomm_engine.evaluation.agreement import CLEAR_SHARE, evaluate_map, read_names

    names = read_names(args.names) if args.names else None
    report = evaluate_map(args.folder / "tiles.gpkg", args.truth, names)
    if args.json:
        terminal.print_json(report)
        return 0
    rows = [
        (name, _share(report.recall[at], truth), _share(report.precision[at], said), f"{truth:,}")
        for at, name in enumerate(report.classes)
        for truth, said in [(sum(report.confusion[at]), sum(row[at] for row in report.confusion))]
    ]
    terminal.print_table(("class", "found", "right", "clear tiles"), rows)
    low, high = report.agreement_interval_95
    print(
        f"\n{report.agreement:.1%} of the {report.clear_tiles:,} tiles of one clear class (≥ {CLEAR_SHARE:.0%}) agree "
        f"(95 %: {low:.1%} – {high:.1%}); {report.agreement_all:.1%} of all {report.tiles:,} tiles"
    )
    return 0


def _share(value: float, of: int) -> str:
    """A share in percent, or a dash where there was nothing to count."""
    return f"{value:.1%}" if of else "–"
