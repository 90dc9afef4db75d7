"""``geomm train``: the school of the project's own networks. Torch is imported only when a training starts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from geomm_engine.cli import terminal, train_options
from geomm_engine.training.libraries import need_libraries


@dataclass(frozen=True)
class TrainSummary:
    """``best_step`` and ``text_metric`` are of the network that was exported; 0 where nothing was trained."""

    run: str
    model: str
    best_step: int = 0
    text_metric: float = 0.0
    image_deviation: float = 0.0
    text_deviation: float = 0.0


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    train = verbs.add_parser("train", help="train a model from a recipe")
    kinds = train.add_subparsers(dest="kind", required=True, metavar="KIND")
    verb = kinds.add_parser("contrastive", help="image and text tower from pictures and captions")
    verb.add_argument(
        "config", help="a TOML file, or the name of a recipe that ships: geomm_nano, geomm_nano_words, drawn"
    )
    train_options.add_run(verb)
    train_options.add_compile(verb)
    verb.set_defaults(run=run_contrastive)
    from geomm_engine.cli import (
        train_chain,
        train_compare,
        train_folds,
        train_fusion,
        train_geographic,
        train_place_folds,
        train_similarity,
    )

    train_chain.register(kinds)
    train_compare.register(kinds)
    train_folds.register(kinds)
    train_place_folds.register(kinds)
    train_fusion.register(kinds)
    train_similarity.register(kinds)
    train_geographic.register(kinds)


def run_contrastive(args: argparse.Namespace) -> int:
    """Train, then export and measure.

    Raises:
        ModelError: a library that training needs is not installed.
    """
    need_libraries()
    from geomm_engine.training.config import data_folder, find_config
    from geomm_engine.training.contrastive import train_contrastive
    from geomm_engine.training.device import choose_device
    from geomm_engine.training.export import export_model

    config = find_config(args.config)
    folder = args.output or Path("build") / "runs" / config.stem
    data = args.data or data_folder()
    best_step, text_metric = 0, 0.0
    if not args.export_only:
        device = choose_device(args.device, is_compiled=args.compile)
        result = terminal.follow(
            train_contrastive(
                config, folder, data=data, is_resumed=args.resume, is_compiled=args.compile, device=device
            )
        )
        best_step, text_metric = result.best_step, result.text_metric
    exported = export_model(config, folder, args.export or folder / "model", data=data)
    summary = TrainSummary(
        str(folder.resolve()),
        str(exported.folder.resolve()),
        best_step,
        text_metric,
        exported.image_deviation,
        exported.text_deviation,
    )
    if args.json:
        terminal.print_json(summary)
        return 0
    if not args.export_only:
        print(f"text metric {summary.text_metric:.3f} at step {summary.best_step}, whose network is kept")
    print(f"model in {summary.model}")
    return 0
