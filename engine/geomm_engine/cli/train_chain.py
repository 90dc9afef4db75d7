"""``geomm train chain``: a new sensor learns to answer to words. Torch is imported only when a training starts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from geomm_engine.cli import terminal, train_options
from geomm_engine.cli.bridge_table import print_bridge
from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError

if TYPE_CHECKING:
    from geomm_engine.training.chain_config import ChainConfig


@dataclass(frozen=True)
class ChainSummary:
    """``agreement``: share of held-out tiles for which student and teacher choose the same probe word."""

    run: str
    model: str
    best_step: int
    agreement: float
    image_deviation: float
    bridge: object


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = kinds.add_parser(
        "chain",
        help="teach a new sensor: from co-registered rasters, without labels",
        description="A model that reads words and pictures teaches a student of other bands. Give a recipe, or --rasters: all "
        "files lie on one another; the teacher's bands are found by name or by --teacher-bands.",
    )
    verb.add_argument("config", nargs="?", help="a TOML file, or a recipe that ships: sentinel2_ten, sentinel1")
    verb.add_argument("--rasters", nargs="+", default=[], metavar="FILE", help="co-registered rasters of one place")
    verb.add_argument(
        "--pairs", type=Path, metavar="DIR", help="a folder with “teacher” and “student”: files of the same names"
    )
    verb.add_argument(
        "--teacher", default="", metavar="MODEL", help="the model that teaches (default: the built-in one)"
    )
    verb.add_argument("--teacher-bands", default="", metavar="B,B,B", help="the teacher's bands in its card's order")
    verb.add_argument(
        "--bands", default="", metavar="B,…", help="what the student reads: B02,B8A,vv,height (default: found)"
    )
    verb.add_argument("--teacher-roles", default="", metavar="B,…", help="which band is which in the teacher's rasters")
    verb.add_argument("--student-roles", default="", metavar="B,…", help="which band is which in the student's rasters")
    verb.add_argument("--teacher-unit", default="", metavar="UNIT", help="what the teacher's pixel values are")
    verb.add_argument("--student-unit", default="", metavar="UNIT", help="what the student's pixel values are")
    verb.add_argument(
        "--labels", default="", metavar="FILE", help="class numbers, for the report alone; with --label-words"
    )
    verb.add_argument("--label-words", default="", metavar="1=water,…", help="the words behind the class numbers")
    verb.add_argument(
        "--words", default="", metavar="W,…", help="probe words, by which student and teacher are compared"
    )
    verb.add_argument("--name", default="", help="the model's id (default: the name of the export folder)")
    verb.add_argument("--steps", type=int, default=0, help="steps of training (default: 800, or the recipe's)")
    train_options.add_run(verb, kept="best student")
    train_options.add_compile(verb)
    verb.set_defaults(run=run_chain)


def run_chain(args: argparse.Namespace) -> int:
    """Train, export, and print the bridge report.

    Raises:
        EngineError: what the configuration, the rasters or the environment refuse.
    """
    from geomm_engine.training.libraries import need_libraries

    need_libraries()
    from geomm_engine.progress import run as drive
    from geomm_engine.training.chain import train_chain
    from geomm_engine.training.chain_data import Lessons
    from geomm_engine.training.chain_export import export_student
    from geomm_engine.training.config import data_folder
    from geomm_engine.training.device import choose_device

    config = _config(args)
    folder = args.output or Path("build") / "runs" / config.id
    lessons = Lessons(config, args.data or (data_folder() if args.config else Path()))
    terminal.say_notes(lessons.notes)
    best_step, agreement = 0, 0.0
    if args.export_only:
        drive(lessons.prepare())
    else:
        device = choose_device(args.device, is_compiled=args.compile)
        result = terminal.follow(
            train_chain(lessons, folder, is_resumed=args.resume, is_compiled=args.compile, device=device)
        )
        best_step, agreement = result.best_step, result.agreement
    exported = export_student(lessons, folder, args.export or folder / "model")
    if args.json:
        summary = ChainSummary(
            str(folder.resolve()),
            str(exported.folder.resolve()),
            best_step,
            agreement,
            exported.image_deviation,
            exported.bridge,
        )
        terminal.print_json(summary)
        return 0
    print_bridge(exported.bridge)
    print(f"\nThe model: {exported.folder}\nTry it: geomm classify RASTER --model {exported.folder} --classes CLASSES")
    return 0


def _config(args: argparse.Namespace) -> ChainConfig:
    from geomm_engine.training.chain_config import checked, find_chain_config, read_chain_config

    told = [bool(args.config), bool(args.rasters), args.pairs is not None]
    if sum(told) != 1:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            "Say once what to learn from: a configuration, --rasters or --pairs.",
            "For example: geomm train chain --teacher-bands B04,B03,B02 --rasters A.tif B.tif",
        )
    config = read_chain_config(find_chain_config(args.config)) if args.config else _direct(args)
    if args.steps:
        schedule = replace(
            config.schedule, steps=args.steps, check_every=max(1, min(config.schedule.check_every, args.steps))
        )
        config = replace(config, schedule=schedule)
    return checked(config)


def _direct(args: argparse.Namespace) -> ChainConfig:
    """A configuration from the arguments alone."""
    from geomm_engine.training.chain_config import (
        DEFAULT_WORDS,
        ChainConfig,
        default_schedule,
        pairs_of_folder,
        pairs_of_rasters,
    )

    teacher_bands = _words(args.teacher_bands)
    if args.pairs is not None:
        pairs = pairs_of_folder(args.pairs)
    else:
        pairs = pairs_of_rasters(
            tuple(str(Path(item).resolve()) for item in args.rasters), labels=_resolved(args.labels)
        )
    pairs = tuple(
        replace(
            pair,
            teacher_roles=_words(args.teacher_roles),
            student_roles=_words(args.student_roles),
            teacher_unit=args.teacher_unit,
            student_unit=args.student_unit,
        )
        for pair in pairs
    )
    name = args.name or (args.export.name if args.export else "") or "student"
    labels = dict(item.split("=", 1) for item in _words(args.label_words) if "=" in item)
    return ChainConfig(
        id=name,
        seed=1,
        pairs=pairs,
        schedule=default_schedule(),
        teacher=args.teacher,
        teacher_bands=teacher_bands,
        bands=_words(args.bands),
        probe_words=_words(args.words) or DEFAULT_WORDS,
        label_words=labels,
    )


def _resolved(path: str) -> str:
    return str(Path(path).resolve()) if path else ""


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
