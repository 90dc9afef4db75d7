"""``geomm train folds``: what recipes know of classes that they never saw."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import terminal, train_options
from geomm_engine.training.libraries import need_libraries


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = kinds.add_parser("folds", help="leave every class out once: what do recipes know of what they never saw?")
    verb.add_argument(
        "configs", nargs="+", metavar="CONFIG", help="TOML files, or names of recipes that ship: ablation_scale_alibi …"
    )
    verb.add_argument(
        "--folds", type=int, default=5, metavar="N", help="trainings of each recipe a repeat (default: 5)"
    )
    verb.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="how often classes are dealt into folds (default: once)"
    )
    verb.add_argument(
        "--output", type=Path, metavar="DIR", help="where class_folds.json goes (default: build/runs/NAME_folds)"
    )
    train_options.add_data(verb)
    train_options.add_json(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train and measure every fold of every recipe.

    Raises:
        ModelError: a library that training needs is not installed.
        WordsError: fewer than two folds, or no repeat.
    """
    from geomm_engine.contract import ErrorCode
    from geomm_engine.errors import WordsError

    need_libraries()
    if args.folds < 2 or args.repeats < 1:
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID,
            "Leaving classes out takes at least two folds, once or more.",
            "Give --folds 5 --repeats 1.",
        )
    from geomm_engine.training.class_folds import evaluate_folds
    from geomm_engine.training.config import data_folder, find_config, read_config

    paths = [find_config(name) for name in args.configs]
    output = args.output or Path("build") / "runs" / f"{paths[0].stem}_folds"
    configs = [read_config(path) for path in paths]
    table = terminal.follow(
        evaluate_folds(configs, args.data or data_folder(), output, count=args.folds, repeats=args.repeats)
    )
    if args.json:
        terminal.print_json(table)
        return 0
    for recipe, sets in table.shares.items():
        for name, shares in sets.items():
            print(f"{recipe}, {name}: {args.repeats} × {args.folds} folds of {table.steps[recipe]} steps")
            for what, values in shares.items():
                print(f"  {what:44s} {_percent(values)}")
    for other, leads in table.lead.items():
        print(f"{next(iter(table.shares))} over {other}, among unseen names")
        for name, values in leads.items():
            print(f"  {name:44s} {_percent(values)}")
    return 0


def _percent(values: tuple[float, ...]) -> str:
    within = f" ({100 * values[1]:.1f} – {100 * values[2]:.1f})" if len(values) == 3 else ""
    return f"{100 * values[0]:5.1f} %{within}"
