"""What the verbs of ``geomm train`` ask for alike: where data lie, where a run and its model go, what does the arithmetic."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_data(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--data", type=Path, metavar="DIR", help="the data (default: GEOMM_SHARED_DATA or ../shared/data)"
    )


def add_device(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))


def add_compile(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--compile",
        action="store_true",
        help="fuse the arithmetic of a step first: takes minutes, pays on long runs and on a GPU (torch.compile)",
    )


def add_json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def add_run(verb: argparse.ArgumentParser, name: str = "NAME", *, kept: str = "best network") -> None:
    """A run that can be resumed and exported; its folder's default is build/runs/``name``, its export the ``kept`` one."""
    verb.add_argument("--output", type=Path, metavar="DIR", help=f"the run folder (default: build/runs/{name})")
    add_data(verb)
    verb.add_argument("--resume", action="store_true", help="go on exactly from the checkpoint in the run folder")
    add_device(verb)
    verb.add_argument("--export", type=Path, metavar="DIR", help="the model folder (default: model, in the run folder)")
    verb.add_argument("--export-only", action="store_true", help=f"train nothing; export the {kept} of the run")
    add_json(verb)
