"""``geomm train compare``: recipes side by side over several seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import terminal, train_options
from geomm_engine.training.libraries import need_libraries


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = kinds.add_parser("compare", help="recipes side by side over several seeds: does a difference hold?")
    verb.add_argument(
        "configs", nargs="+", metavar="CONFIG", help="TOML files, or names of recipes that ship: ablation_scale_alibi …"
    )
    verb.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each recipe (default: 3)")
    verb.add_argument("--output", type=Path, metavar="DIR", help="for comparison.json (default: build/runs/comparison)")
    train_options.add_data(verb)
    train_options.add_json(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train and measure every recipe with every seed.

    Raises:
        ModelError: a library that training needs is not installed.
        WordsError: no seed.
    """
    from geomm_engine.contract import ErrorCode
    from geomm_engine.errors import WordsError

    need_libraries()
    if args.seeds < 1:
        raise WordsError(ErrorCode.CLASS_LIST_INVALID, "A comparison takes at least one seed.", "Give --seeds 3.")
    from geomm_engine.training.compare import compare
    from geomm_engine.training.config import data_folder, find_config, read_config

    configs = [read_config(find_config(name)) for name in args.configs]
    output = args.output or Path("build") / "runs" / "comparison"
    data = args.data or data_folder()
    table = terminal.follow(compare(configs, data, output, seeds=range(1, args.seeds + 1)))
    if args.json:
        terminal.print_json(table)
        return 0
    print(
        f"top-1 of typed class names, mean of {args.seeds} seeds ± their standard deviation; * the size of the lessons"
    )
    for row in table.summary:
        mark = "*" if row.is_usual else " "
        where = f"{row.set_name}, {row.px} px of {row.gsd_m:g} m"
        spread = "" if row.deviation is None else f" ± {100 * row.deviation:.1f}"
        across = "" if row.is_usual else f"   same name as at *: {100 * row.agreement:.1f} %, cosine {row.cosine:.3f}"
        print(f"  {row.recipe:28s} {where:32s}{mark} {100 * row.mean:5.1f}{spread} %{across}")
    return 0
