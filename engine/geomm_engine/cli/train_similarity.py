"""``geomm train similarity``: a model learns what a person calls the same. Torch is imported only when it starts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from geomm_engine.cli import terminal


@dataclass(frozen=True)
class SimilaritySummary:
    """Accuracy of the 5 nearest neighbours on pictures that taught nothing."""

    run: str
    model: str
    before: float
    before_interval_95: tuple[float, float]
    after: float
    after_interval_95: tuple[float, float]
    tested: int
    best_step: int


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = kinds.add_parser("similarity", help="teach a model what is the same: class folders, or marked tiles")
    verb.add_argument("config", nargs="?", type=Path, help="a TOML file; or give --folders, or --index and --marks")
    verb.add_argument("--folders", type=Path, metavar="DIR", help="class folders of 8-bit pictures")
    verb.add_argument("--gsd-m", type=float, default=10.0, metavar="METRES", help="ground size of a picture's pixel")
    verb.add_argument("--index", type=Path, metavar="DIR", help="an embedded layer (geomm embed --index DIR)")
    verb.add_argument("--marks", type=Path, metavar="CSV", help="row_a,col_a,row_b,col_b,same: pairs of its tiles")
    verb.add_argument("--model", default="", help="the model that learns (default: the built-in one)")
    verb.add_argument("--name", default="", help="the new model's id (default: the name of the export folder)")
    verb.add_argument("--data", type=Path, default=Path(), metavar="DIR", help="what the paths in the file start from")
    verb.add_argument("--output", type=Path, metavar="DIR", help="the run folder (default: build/runs/NAME)")
    verb.add_argument("--export", type=Path, metavar="DIR", help="the model folder (default: model, in the run folder)")
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run_similarity)


def run_similarity(args: argparse.Namespace) -> int:
    """Train, export, say the accuracy before and after.

    Raises:
        EngineError: what the configuration, the pictures or the environment refuse.
    """
    from geomm_engine.training.libraries import need_libraries

    need_libraries()
    from geomm_engine.training.similarity import export_similarity, train_similarity
    from geomm_engine.training.similarity_data import SimilarityConfig, checked, read_similarity_config

    if args.config:
        config, data = read_similarity_config(args.config), args.data
    else:
        name = args.name or (args.export.name if args.export else "") or "similarity"
        folders, index, marks = (str(path.resolve()) if path else "" for path in (args.folders, args.index, args.marks))
        config = checked(
            SimilarityConfig(name, args.model, folders=folders, gsd_m=args.gsd_m, index=index, marks=marks)
        )
        data = Path()
    folder = args.output or Path("build") / "runs" / config.id
    result = terminal.follow(train_similarity(config, folder, data))
    model = export_similarity(config, result, args.export or folder / "model")
    if args.json:
        summary = SimilaritySummary(
            str(folder.resolve()), str(model.path), result.before, result.before_interval_95, result.after,
            result.after_interval_95, result.tested, result.best_step,
        )  # fmt: skip
        terminal.print_json(summary)
        return 0
    rows = [
        (when, f"{value:.3f}", f"{interval[0]:.3f} – {interval[1]:.3f}", str(result.tested))
        for when, value, interval in (
            ("before", result.before, result.before_interval_95),
            ("after", result.after, result.after_interval_95),
        )
    ]
    terminal.print_table(("5 nearest neighbours", "right group", "95 %", "tested"), rows)
    if not result.best_step:
        print("No head did better than the model as it is: the model was left as it is.")
    print(f"\nThe model: {model.path}")
    return 0
