"""``geomm train``: the school of the project's own networks. Torch is imported only when a training starts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from geomm_engine.progress import Progress

if TYPE_CHECKING:
    from geomm_engine.training.contrastive import TrainingResult


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``train`` and its own verbs."""
    train = verbs.add_parser("train", help="train a model from a recipe")
    kinds = train.add_subparsers(dest="kind", required=True, metavar="KIND")
    contrastive = kinds.add_parser("contrastive", help="image and text tower from pictures and captions")
    contrastive.add_argument("config", help="a TOML file, or the name of a recipe that ships: geomm_nano, drawn")
    contrastive.add_argument("--output", type=Path, help="the run folder (default: build/runs/NAME)")
    contrastive.add_argument("--data", type=Path, help="the data folder (default: GEOMM_SHARED_DATA or ../shared/data)")
    contrastive.add_argument("--resume", action="store_true", help="go on from the checkpoint in the run folder")
    contrastive.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    contrastive.add_argument(
        "--export", type=Path, metavar="DIR", help="write the model folder when the training is done"
    )
    contrastive.add_argument(
        "--export-only", action="store_true", help="export the run folder's best network, train nothing"
    )
    contrastive.add_argument("--json", action="store_true", help="print one JSON object at the end")
    contrastive.set_defaults(run=run_contrastive)


def run_contrastive(args: argparse.Namespace) -> int:
    """Train, and export where asked to; 0 when all went well."""
    from geomm_engine.training.config import data_folder, find_config
    from geomm_engine.training.contrastive import train_contrastive
    from geomm_engine.training.device import choose_device

    config_file = find_config(args.config)
    folder = args.output or Path("build") / "runs" / config_file.stem
    data = args.data or data_folder()
    summary: dict[str, object] = {"run": str(folder)}
    if not args.export_only:
        job = train_contrastive(
            config_file, folder, data=data, is_resumed=args.resume, device=choose_device(args.device)
        )
        result = _follow(job)
        summary |= {"best_step": result.best_step, "text_metric": result.text_metric}
    if args.export:
        from geomm_engine.training.export import export_model

        summary["model"] = str(export_model(config_file, folder, args.export, data=data))
    print(json.dumps(summary) if args.json else "\n".join(f"{key}: {value}" for key, value in summary.items()))
    return 0


def _follow(job: object) -> TrainingResult:
    """Drive the job; a line of progress on stderr, rewritten in place on a terminal."""
    from geomm_engine.progress import Job  # noqa: F401  (names the type for readers)

    end = "\r" if sys.stderr.isatty() else "\n"
    every = 1 if sys.stderr.isatty() else 20
    while True:
        try:
            item = next(job)  # type: ignore[call-overload]
        except StopIteration as stop:
            result: TrainingResult = stop.value
            return result
        if isinstance(item, Progress) and item.done % every == 0:
            left = f", {item.eta_s / 60:.1f} min left" if item.eta_s >= 0 else ""
            print(
                f"{item.stage} {item.done}/{item.total}, {item.rate:.2f} steps/s{left}   ",
                end=end,
                file=sys.stderr,
                flush=True,
            )
