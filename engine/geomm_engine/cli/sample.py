"""``geomm sample``: draw the built-in sample landscape, its truth and its class list."""

from __future__ import annotations

import argparse
from pathlib import Path

from geomm_engine.cli import terminal


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("sample", help="draw a landscape to try everything on")
    verb.add_argument("folder", type=Path, metavar="DIR")
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from geomm_engine.pipeline.sample import write_sample

    sample = terminal.follow(write_sample(args.folder.resolve()))
    paths = {"sample": str(sample.image), "truth": str(sample.truth), "classes": str(sample.classes)}
    if args.json:
        terminal.print_json(paths)
    else:
        print("\n".join(paths.values()))
    return 0
