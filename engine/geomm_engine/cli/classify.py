"""``geomm classify``: a raster and class names in, a class map out."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from geomm_engine.cli import layer, terminal
from geomm_engine.contract import ClassifyParams, ClassifyResult, PlacePrior, encode
from geomm_engine.errors import RasterError


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("classify", help="typed classes → class map, tiles and areas")
    layer.add_arguments(verb)
    verb.add_argument("--classes", required=True, help="“forest, water, town”, a class list file, or a preset's id")
    verb.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="folder for class.tif, tiles.gpkg, summary.json"
    )
    verb.add_argument(
        "--threshold", type=_threshold, help="reject score under which a place is unknown (default: the model's)"
    )
    verb.add_argument(
        "--no-unknown", action="store_true", help="reject nothing; only what a negative wins stays unknown"
    )
    verb.add_argument("--no-smooth", action="store_true", help="do not let similar tiles agree")
    verb.add_argument("--exact-text", action="store_true", help="use the words as typed, without templates")
    verb.add_argument(
        "--prior", type=Path, metavar="RASTER", help="categories that make classes likely, such as an older map"
    )
    verb.add_argument(
        "--prior-table", type=Path, metavar="CSV", help="“value,forest,water” and a line of weights for each category"
    )
    verb.add_argument(
        "--prior-strength",
        type=_threshold,
        metavar="λ",
        help="how much the prior counts: 0 not at all, 1 by Bayes’ rule (default 1 with --prior; without a raster the "
        "model’s own location tower is asked)",
    )
    verb.add_argument("--class-scores", action="store_true", help="write scores.tif too: a band per class")
    verb.add_argument("--no-picture", action="store_true", help="do not draw map.png")
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run)


def _threshold(text: str) -> float:
    number = float(text)
    if math.isnan(number):
        raise argparse.ArgumentTypeError("a number is expected")
    return number


def _prior(args: argparse.Namespace) -> PlacePrior | None:
    if args.prior is None and args.prior_table is None and args.prior_strength is None:
        return None
    strength = 1.0 if args.prior_strength is None else args.prior_strength
    paths = [str(path.resolve()) if path else "" for path in (args.prior, args.prior_table)]
    return PlacePrior(strength, *paths)


def run(args: argparse.Namespace) -> int:
    from geomm_engine.pipeline.classify import classify
    from geomm_engine.pipeline.picture import draw_classes
    from geomm_engine.scoring.class_list import read_class_list

    classes, remarks = read_class_list(args.classes)
    params = ClassifyParams(
        source=layer.source(args),
        classes=classes,
        output_dir=str(args.output.resolve()),
        model=args.model,
        area=layer.area(args),
        device=args.device,
        index_dir=str(Path(args.index).resolve()) if args.index else "",
        has_unknown=not args.no_unknown,
        is_smooth=not args.no_smooth,
        is_exact_text=args.exact_text,
        has_class_scores=args.class_scores,
        reject_threshold=args.threshold,
        prior=_prior(args),
    )
    result = terminal.follow(classify(params, remarks))
    picture = ""
    (args.output / "map.png").unlink(missing_ok=True)
    if not args.no_picture:
        try:
            picture = str(draw_classes(params, result, args.output.resolve() / "map.png"))
        except RasterError as problem:  # the map stands; a damaged layer merely has no picture
            print(f"geomm: map.png is not drawn: {problem.text}", file=sys.stderr)
    terminal.say_notes(result.notes)
    if args.json:
        terminal.print_json(encode(result) | {"picture_path": picture})
    else:
        _print(result, picture)
    return 0


def _print(result: ClassifyResult, picture: str) -> None:
    rows = [(item.name, f"{item.area_ha:,.1f}", f"{item.share:.1%}", f"{item.tiles:,}") for item in result.classes]
    rows.append(
        (
            "total",
            f"{sum(item.area_ha for item in result.classes):,.1f}",
            "",
            f"{sum(item.tiles for item in result.classes):,}",
        )
    )
    print()
    terminal.print_table(("class", "hectares", "share", "tiles"), rows)
    print(f"\nmean confidence {result.mean_confidence:.2f}; {result.embed.device}; "
          f"{result.embed.tiles_embedded:,} tiles embedded, {result.embed.tiles_reused:,} reused\n")  # fmt: skip
    for path in (
        result.class_path,
        result.confidence_path,
        result.scores_path,
        result.tiles_path,
        result.summary_path,
        picture,
    ):
        if path:
            print(path)
