"""``geomm evaluate zero-shot|retrieval|knn|scales|lights|all``: a model on labelled pictures, beside what costs nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geomm_engine.cli import terminal

if TYPE_CHECKING:
    from geomm_engine.evaluation.retrieval import Direction, RetrievalReport
    from geomm_engine.evaluation.study import SetReport, Study
    from geomm_engine.evaluation.zero_shot import ZeroShotReport

_KINDS = {
    "zero-shot": "class names typed as text: accuracy by class, calibration, unknown classes, baselines",
    "retrieval": "pictures found by words and words by pictures: R@k, mR, mAP, precision; also captions.csv",
    "knn": "nearest neighbours and a linear probe on the vectors, cross-validated, beside band statistics",
    "scales": "the same pictures averaged down: do vectors and classes stay?",
    "lights": "the same pictures under a low sun, in haze, in other colours: do vectors and classes stay?",
    "all": "everything, each picture read once",
}


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for kind, words in _KINDS.items():
        verb = kinds.add_parser(kind, help=words, description=words)
        verb.add_argument(
            "paths", type=Path, nargs="+", metavar="FOLDER", help="class folders with pictures, or a zip of them"
        )
        if kind == "scales":
            verb.add_argument("--gsd", "--gsd-m", dest="scales", type=float, nargs="+", default=[], metavar="X",
                              help="ground pixels to compare, in metres; the first is the files' own "
                              "(one alone: that and its octaves)")  # fmt: skip
        else:
            verb.add_argument("--gsd", "--gsd-m", dest="gsd", type=float, nargs="+", default=[], metavar="X",
                              help="ground size of the files' pixel in metres, one for all sets or one each "
                              "(default: what the files say, else what the model is surest of)")  # fmt: skip
        if kind == "all":
            verb.add_argument("--scales", type=float, nargs="+", default=[], metavar="X",
                              help="ground pixels to compare in metres (default: octaves of the files' own)")  # fmt: skip
        if kind in ("retrieval", "all"):
            verb.add_argument("--captions", type=Path, metavar="CSV", help="captions: image, class, caption")
            verb.add_argument("--images", type=Path, metavar="FOLDER", help="the pictures of a captions.csv")
            verb.add_argument(
                "--wordings", type=Path, metavar="TOML", help='other words for classes: Forest = ["woodland", "trees"]'
            )
        _register_common(verb)
        verb.set_defaults(run=run)


def _register_common(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--classes", default="", metavar="FILE", help="class list with synonyms; names equal the folders'"
    )
    verb.add_argument(
        "--split",
        choices=("all", "validation", "training"),
        default="all",
        help="the split of the built-in recipes: 15 %% of every class held out",
    )
    verb.add_argument("--limit", type=int, default=0, metavar="N", help="at most N pictures a class")
    verb.add_argument("--seed", type=int, default=0, help="of the limit, the folds and the draws")
    verb.add_argument("--model", default="", help="model id or folder (default: the built-in one)")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument(
        "--output", type=Path, metavar="DIR", help="write report.html, report.json and answers-*.csv here"
    )
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    from geomm_engine.evaluation import files
    from geomm_engine.evaluation.study import evaluate

    result = terminal.follow(evaluate(_study(args)))
    written = files.write(result, args.output) if args.output else ()
    if args.json:
        terminal.print_json(result.report)
        return 0
    for item in result.report.sets:
        _print_set(item)
    if written:
        print(f"\nThe report: {written[0]}")
    return 0


def _study(args: argparse.Namespace) -> Study:
    from geomm_engine.contract import ErrorCode
    from geomm_engine.errors import EngineError
    from geomm_engine.evaluation.study import Part, Study
    from geomm_engine.scoring.class_list import read_class_list

    parts = {
        "zero-shot": {Part.ZERO_SHOT},
        "retrieval": {Part.RETRIEVAL},
        "knn": {Part.PROBE},
        "scales": {Part.SCALES},
        "lights": {Part.LIGHTS},
        "all": set(Part),
    }
    if args.limit < 0:
        raise EngineError(ErrorCode.FOLDER_INVALID, f"A limit of {args.limit} takes nothing.", "Give 1 or more.")
    scales = tuple(getattr(args, "scales", ()))
    return Study(
        paths=tuple(args.paths),
        parts=frozenset(parts[args.kind]),
        gsd_m=scales[:1] if args.kind == "scales" else tuple(args.gsd),
        scales_m=scales[1:] if args.kind == "scales" else scales,
        entries=tuple(read_class_list(args.classes)[0]) if args.classes else (),
        captions=getattr(args, "captions", None),
        images=getattr(args, "images", None),
        wordings=getattr(args, "wordings", None),
        model=args.model,
        device=args.device,
        split=args.split,
        limit=args.limit,
        seed=args.seed,
    )


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _span(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.1%} ({interval[0]:.1%} – {interval[1]:.1%})"


def _print_set(item: SetReport) -> None:
    source = {"given": "", "georeference": ", as the files say", "guessed": ", guessed: the model is surest there"}
    print(f"\n{item.name}: {item.pictures:,} pictures, ground pixel {item.gsd_m:.3g} m{source[item.gsd_source]}\n")
    if item.zero_shot:
        _print_zero_shot(item.zero_shot)
    if item.retrieval:
        _print_retrieval(item.retrieval)
    if item.knn:
        rows = [
            (row.features, row.method, _span(row.top1, row.top1_interval_95), _percent(row.macro_f1))
            for row in item.knn.rows
        ]
        terminal.print_table(("features", "method", "top-1", "macro F1"), rows)
        print(f"\n{item.knn.protocol}\n")
    if item.scales:
        terminal.print_table(
            ("ground pixel", "told", "top-1"),
            [(f"{row.gsd_m:.3g} m", f"{row.told_m:.3g} m", _percent(row.top1)) for row in item.scales.rows],
        )
        print()
        terminal.print_table(
            ("same place", "cosine", "same class"),
            [
                (f"{pair.finer_m:.3g} → {pair.coarser_m:.3g} m", f"{pair.cosine:.3f}", _percent(pair.agreement))
                for pair in item.scales.pairs
            ],
        )
        print()
    if item.lights:
        terminal.print_table(
            ("light", "top-1", "same class", "cosine"),
            [
                (row.name, _span(row.top1, row.top1_interval_95), _percent(row.agreement), f"{row.cosine:.3f}")
                for row in item.lights.rows
            ],
        )
        print()
    for note in item.notes:
        print(note)
    if item.unreadable:
        more = " …" if len(item.unreadable) > 5 else ""
        print(f"left out, not readable: {', '.join(item.unreadable[:5])}{more}")


def _print_zero_shot(zero: ZeroShotReport) -> None:
    rows = [
        (row.name, _percent(row.precision), _percent(row.recall), _percent(row.f1), f"{row.images:,}")
        for row in zero.by_class
    ]
    terminal.print_table(("class", "precision", "recall", "F1", "images"), rows)
    print(
        f"\n{zero.images:,} images, top-1 {_span(zero.top1, zero.top1_interval_95)}, macro F1 {_percent(zero.macro_f1)}, "
        f"calibration error {zero.calibration.error:.3f}"
        + (f", unknown AUROC {zero.unknown.auroc:.3f}" if zero.unknown else "")
    )
    for base in zero.baselines:
        print(f"  beside it, {base.name}: {_percent(base.top1)}{' (learns from labels)' if base.learns else ''}")
    print()


def _print_retrieval(found: RetrievalReport) -> None:
    ways = [found.text_to_picture, found.picture_to_text]
    for item in found.captions:
        ways += [item.text_to_picture, item.picture_to_text]
    header = ("search", "R@1", "R@5", "R@10", "mAP@20", "mAP@100", "right in 20")
    terminal.print_table(header, [_way(item) for item in ways])
    for item in found.captions:
        print(f"\nmR {_percent(item.mean_recall)} (random order {_percent(item.mean_recall_chance)}): {item.protocol}")
    if found.wordings:
        print()
        rows = [
            (row.wording, row.name, _percent(row.precision_20), _percent(row.precision_20_of_name))
            for row in found.wordings
        ]
        terminal.print_table(("wording", "class", "right in 20", "class's name"), rows)
    if found.captions_too_long:
        print(f"\n{found.captions_too_long:,} captions are longer than the model reads and were left out")
    print()


def _way(item: Direction) -> tuple[str, ...]:
    shares = (*item.recall, item.map_20, item.map_100, item.precision_20)
    return (item.name, *(_percent(share.value) for share in shares))
