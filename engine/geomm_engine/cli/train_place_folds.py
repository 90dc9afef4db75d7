"""``geomm train place-folds``: what the student of a recipe knows of places that it never saw."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import terminal, train_options
from geomm_engine.cli.bridge_table import print_bridge
from geomm_engine.training.libraries import need_libraries


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = kinds.add_parser(
        "place-folds", help="leave every labelled place out once: what does a student know of places it never saw?"
    )
    verb.add_argument("config", help="a TOML file, or a recipe that ships: sentinel2_ten, sentinel1")
    verb.add_argument(
        "--output", type=Path, metavar="DIR", help="where place_folds.json goes (default: build/runs/NAME_places)"
    )
    train_options.add_data(verb)
    train_options.add_device(verb)
    train_options.add_json(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Teach, ask, and print one bridge report of all places.

    Raises:
        EngineError: what the configuration, the rasters or the environment refuse.
    """
    need_libraries()
    from geomm_engine.training.chain_config import find_chain_config, read_chain_config
    from geomm_engine.training.config import data_folder
    from geomm_engine.training.device import choose_device
    from geomm_engine.training.place_folds import evaluate_place_folds

    path = find_chain_config(args.config)
    output = args.output or Path("build") / "runs" / f"{path.stem}_places"
    folds = evaluate_place_folds(
        read_chain_config(path), args.data or data_folder(), output, device=choose_device(args.device)
    )
    bridge = terminal.follow(folds)
    if args.json:
        terminal.print_json(bridge)
    else:
        print_bridge(bridge)
    return 0
