"""``geomm train folds``: what a recipe knows of classes that it never saw."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import terminal, train_options
from geomm_engine.training.libraries import need_libraries


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = kinds.add_parser("folds", help="leave every class out once: what does a recipe know of what it never saw?")
    verb.add_argument("config", help="a TOML file, or the name of a recipe that ships: ablation_scale_alibi, …")
    verb.add_argument("--folds", type=int, default=5, metavar="N", help="how many trainings (default: 5)")
    verb.add_argument(
        "--output", type=Path, metavar="DIR", help="where class_folds.json goes (default: build/runs/NAME)"
    )
    train_options.add_data(verb)
    train_options.add_json(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train and measure every fold.

    Raises:
        ModelError: a library that training needs is not installed.
        WordsError: fewer than two folds.
    """
    from geomm_engine.contract import ErrorCode
    from geomm_engine.errors import WordsError

    need_libraries()
    if args.folds < 2:
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID, "Leaving classes out takes at least two folds.", "Give --folds 5."
        )
    from geomm_engine.training.class_folds import evaluate_folds
    from geomm_engine.training.config import data_folder, find_config, read_config

    path = find_config(args.config)
    output = args.output or Path("build") / "runs" / f"{path.stem}_folds"
    table = terminal.follow(evaluate_folds(read_config(path), args.data or data_folder(), output, count=args.folds))
    if args.json:
        terminal.print_json(table)
        return 0
    for name, shares in table.pooled.items():
        print(f"{name}, {args.folds} folds of {table.steps} steps")
        for what, values in shares.items():
            within = f" ({100 * values[1]:.1f}–{100 * values[2]:.1f})" if len(values) == 3 else ""
            print(f"  {what:44s} {100 * values[0]:5.1f} %{within}")
    return 0
