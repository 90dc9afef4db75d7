"""``geomm models``: what models there are, and what is known of one."""

from __future__ import annotations

import argparse

from geomm_engine.cli import terminal


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("models", help="list the installed models, or show a card")
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="one line a model")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=run_list)
    showing = actions.add_parser("show", help="everything on a model's card")
    showing.add_argument("model", nargs="?", default="", help="model id (default: the built-in one)")
    showing.add_argument("--json", action="store_true")
    showing.set_defaults(run=run_show)


def run_list(args: argparse.Namespace) -> int:
    from geomm_engine.encoders.registry import list_models, user_models_folder

    summaries = [folder.summary() for folder in list_models()]
    if args.json:
        terminal.print_json({"models": summaries})
        return 0
    rows = [
        (
            item.id,
            item.version,
            f"{item.gsd_min_m:g}–{item.gsd_max_m:g} m",
            " ".join(item.bands),
            f"{item.size_mb:g} MB",
            item.licence,
        )
        for item in summaries
    ]
    terminal.print_table(("model", "version", "ground pixel", "bands", "size", "licence"), rows)
    print(f"\nYour own models: {user_models_folder()}")
    return 0


def run_show(args: argparse.Namespace) -> int:
    from geomm_engine.encoders.registry import find_model

    folder = find_model(args.model)
    card = folder.card
    if args.json:
        terminal.print_json({"path": str(folder.path), "damaged_files": folder.damaged_files(), "card": card})
        return 0
    print(f"{card.name} {card.version} ({card.id})\n{card.description}\n")
    print(f"licence        {card.licence.name} {card.licence.url}")
    print(f"bands          {', '.join(f'{band.role} ({band.wavelength_nm:g} nm)' for band in card.bands)}")
    for scale in card.scales:
        print(f"ground pixel   {scale.gsd_min_m:g} to {scale.gsd_max_m:g} m: tiles of {scale.tile_px} pixels")
    print(f"vectors        {card.dim} numbers, space {card.space_id}")
    print(f"trained on     {'; '.join(card.training.data)}")
    print(
        f"files          {folder.path}{' – damaged: ' + ', '.join(folder.damaged_files()) if folder.damaged_files() else ''}\n"
    )
    rows = [
        (
            item.dataset,
            item.protocol,
            item.metric,
            f"{item.value:.3f}",
            " – ".join(f"{edge:.3f}" for edge in item.interval_95),
            item.date,
        )
        for item in card.measured
    ]
    terminal.print_table(("measured on", "how", "metric", "value", "95 %", "date"), rows)
    return 0
