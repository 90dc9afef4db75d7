"""``geomm evaluate locate``: pictures whose place is known in, one table with three baselines out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from geomm_engine.cli import terminal
from geomm_engine.errors import writing


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = kinds.add_parser("locate", help="pictures whose place is known: how far off, how well calibrated")
    verb.add_argument("points", type=Path, metavar="POINTS.csv", help="columns: image, lat, lon, date, width_km")
    verb.add_argument(
        "--koppen", type=Path, metavar="RASTER", help="Köppen–Geiger map of the Earth: the truth of climates"
    )
    verb.add_argument("--gallery", type=Path, metavar="CSV", help="pictures of the training, for the nearest embedding")
    verb.add_argument("--model", default="", help="id or folder of a geographic expert (default: the built-in one)")
    verb.add_argument("--output", type=Path, metavar="DIR", help="folder for report.json and recall.png")
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from geomm_engine.evaluation.locate import as_json, evaluate_locate, table
    from geomm_engine.writers.recall_figure import draw_recall

    report = terminal.follow(
        evaluate_locate(args.points, model=args.model, koppen_map=args.koppen, gallery=args.gallery)
    )
    if args.output:
        with writing(args.output):
            args.output.mkdir(parents=True, exist_ok=True)
            text = json.dumps(as_json(report), indent=1, ensure_ascii=False, allow_nan=False)
            (args.output / "report.json").write_text(text + "\n", encoding="utf-8")
        curves = {method.name: method.recall for method in report.methods if method.recall}
        subtitle = f"{report.model} · {report.points:,} pictures in {report.blocks} blocks of 10°"
        draw_recall(args.output / "recall.png", report.curve_shares, curves, subtitle=subtitle)
    if args.json:
        terminal.print_json(as_json(report))
        return 0
    terminal.print_table(*table(report))
    print(f"\n{report.points:,} pictures in {report.blocks} blocks of 10°, {report.abstained:,} abstained from; "
          f"the regions hold {report.mean_mass_50:.1%} and {report.mean_mass_90:.1%} of the mass")  # fmt: skip
    for method in report.methods:
        if method.note:
            print(f"{method.name}: {method.note}")
    if report.unreadable:
        print(f"left out: {'; '.join(report.unreadable[:5])}{' …' if len(report.unreadable) > 5 else ''}")
    return 0
