"""``geomm train fusion``: several sensors in one vector. Torch is imported only when a training starts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from geomm_engine.cli import terminal, train_options


@dataclass(frozen=True)
class FusionSummary:
    """``retrieval`` and ``agreement`` are on held-out ground, with intervals; empty where nothing was trained."""

    run: str
    model: str
    step: int
    image_deviation: float
    retrieval: object
    agreement: object


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = kinds.add_parser(
        "fusion",
        help="one vector from several sensors that see the same ground",
        description="Encoders for optical low, optical high, radar, … that learn from co-registered scenes without labels; "
        "the model takes any of them, alone or together.",
    )
    verb.add_argument("config", help="a TOML file, or the name of a recipe that ships: sentinel, drawn")
    train_options.add_run(verb, "fusion-NAME", kept="network")
    verb.set_defaults(run=run_fusion)


def run_fusion(args: argparse.Namespace) -> int:
    """Train, export, and say how well the sensors find each other.

    Raises:
        EngineError: what the configuration, the scenes or the environment refuse.
    """
    from geomm_engine.training.libraries import need_libraries

    need_libraries()
    from geomm_engine.training.config import data_folder
    from geomm_engine.training.device import choose_device
    from geomm_engine.training.fusion import train_fusion
    from geomm_engine.training.fusion_config import find_fusion_config
    from geomm_engine.training.fusion_export import export_fusion
    from geomm_engine.training.fusion_measure import Retrieval

    config = find_fusion_config(args.config)
    folder = args.output or Path("build") / "runs" / f"fusion-{config.stem}"
    data = args.data or data_folder()
    step, rows = 0, tuple[Retrieval, ...]()
    if not args.export_only:
        device = choose_device(args.device)
        result = terminal.follow(train_fusion(config, folder, data=data, is_resumed=args.resume, device=device))
        step, rows = result.step, result.retrieval
    exported = export_fusion(config, folder, args.export or folder / "model", data=data)
    if args.json:
        summary = FusionSummary(
            str(folder.resolve()), str(exported.folder.resolve()), step, exported.image_deviation, rows, exported.agreement
        )  # fmt: skip
        terminal.print_json(summary)
        return 0
    if rows:
        terminal.print_table(
            ("seen by → found by", "tiles", "found first", "95 %", "chance", "untrained"),
            [
                (
                    f"{row.query} → {row.gallery}", f"{row.tiles:,}", f"{row.recall_1:.1%}",
                    f"{row.interval_95[0]:.1%} – {row.interval_95[1]:.1%}", f"{row.chance:.1%}", f"{row.untrained:.1%}",
                )
                for row in rows
            ],
        )  # fmt: skip
    if exported.agreement:
        print()
        terminal.print_table(
            ("the teacher's word, by", "tiles", "share", "95 %", "commonest word"),
            [
                (
                    item.name, f"{item.tiles:,}", f"{item.share:.1%}",
                    f"{item.interval_95[0]:.1%} – {item.interval_95[1]:.1%}", f"{item.commonest:.1%}",
                )
                for item in exported.agreement
            ],
        )  # fmt: skip
    print(f"\nThe model: {exported.folder}\nTry it: geomm embed OPTICAL.tif RADAR.tif --model {exported.folder}")
    return 0
