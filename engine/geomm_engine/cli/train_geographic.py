"""``geomm train geographic``: where on Earth pictures lie. Torch is imported only when a training starts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from geomm_engine.cli import terminal, train_options


@dataclass(frozen=True)
class GeographicSummary:
    """``best_step`` and ``validation_loss`` are of the network that was exported; 0 where nothing was trained.

    ``measured`` are the card's numbers of the held-out blocks.
    """

    run: str
    model: str
    best_step: int
    validation_loss: float
    deviation: float
    measured: object


def register(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = kinds.add_parser(
        "geographic",
        help="the expert that guesses place, climate and season from imagery alone",
        description="Learns from monthly mosaics of the Earth, never seeing the blocks that are held out, and measures on them.",
    )
    verb.add_argument("config", help="a TOML file, or the name of a recipe that ships: geomm_where, drawn")
    train_options.add_run(verb, "geographic-NAME")
    train_options.add_compile(verb)
    verb.set_defaults(run=run_geographic)


def run_geographic(args: argparse.Namespace) -> int:
    """Train, then export and measure.

    Raises:
        EngineError: what the configuration, the maps or the environment refuse.
    """
    from geomm_engine.training.libraries import need_libraries

    need_libraries()
    from geomm_engine.training.config import data_folder
    from geomm_engine.training.device import choose_device
    from geomm_engine.training.geographic import train_geographic
    from geomm_engine.training.geographic_config import find_geographic_config
    from geomm_engine.training.geographic_export import export_expert

    config = find_geographic_config(args.config)
    folder = args.output or Path("build") / "runs" / f"geographic-{config.stem}"
    data = args.data or data_folder()
    best_step, validation_loss = 0, 0.0
    if not args.export_only:
        device = choose_device(args.device, is_compiled=args.compile)
        result = terminal.follow(
            train_geographic(config, folder, data=data, is_resumed=args.resume, is_compiled=args.compile, device=device)
        )
        best_step, validation_loss = result.best_step, result.validation_loss
    exported = export_expert(config, folder, args.export or folder / "model", data=data)
    shown = [item for item in exported.measured if item.dataset == "held-out blocks"]
    if args.json:
        terminal.print_json(
            GeographicSummary(
                str(folder.resolve()),
                str(exported.folder.resolve()),
                best_step,
                validation_loss,
                exported.deviation,
                tuple(shown),
            )
        )
        return 0
    for item in shown:
        low_high = " [{:g}, {:g}]".format(*item.interval_95) if item.interval_95 else ""
        print(f"{item.metric}: {item.value:g}{low_high} – {item.protocol.rsplit('; ', 1)[-1]}")
    print(f"model in {exported.folder.resolve()}")
    return 0
