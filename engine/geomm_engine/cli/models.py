"""``geomm models``: what models there are, what is known of one, and adding other people's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geomm_engine.cli import terminal
from geomm_engine.cli.bridge_table import print_bridge

if TYPE_CHECKING:
    from geomm_engine.encoders.card import Card, ModelFolder
    from geomm_engine.geography.expert_card import ExpertCard, ExpertFolder


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
    adding = actions.add_parser("add", help="add a location model (SatCLIP, GeoCLIP) from its authors’ files")
    adding.add_argument(
        "path",
        nargs="?",
        type=Path,
        help="a checkpoint of SatCLIP, or the folder with GeoCLIP’s files; none: what there is",
    )
    adding.add_argument(
        "--clip", type=Path, metavar="FILE", help="CLIP ViT-L/14 as model.safetensors, for GeoCLIP to see pictures"
    )
    adding.add_argument("--json", action="store_true")
    adding.set_defaults(run=run_add)


def run_list(args: argparse.Namespace) -> int:
    from geomm_engine.encoders.registry import list_models, user_models_folder
    from geomm_engine.geography.expert_card import list_experts

    summaries = [*(item.summary() for item in list_models()), *(item.summary() for item in list_experts())]
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

    expert = _expert(args.model)
    if expert is not None:
        return _show_expert(expert, args)
    folder = find_model(args.model)
    card = folder.card
    if args.json:
        return _print_as_json(folder)
    _print_head(card)
    print(f"bands          {', '.join(f'{band.role} ({band.wavelength_nm:g} nm)' for band in card.bands)}")
    for scale in card.scales:
        print(f"ground pixel   {scale.gsd_min_m:g} to {scale.gsd_max_m:g} m: tiles of {scale.tile_px} pixels")
    print(f"vectors        {card.dim} numbers, space {card.space_id}")
    if card.location is not None:
        eyes = "sees pictures" if card.location.has_pictures else "sees no pictures"
        warmth = f"logit scale {card.location.logit_scale:.3g}, temperature {card.location.temperature:g}"
        print(f"places         {card.location.encoder}; {warmth}; {eyes}")
        for item in card.location.origin:
            is_known = "as its authors publish it" if item.is_as_published else "no published checksum to compare with"
            print(f"made from      {item.file}, SHA-256 {item.sha256}: {is_known}")
    if card.lineage is not None:
        hops = f"{card.hops} hop{'s' if card.hops > 1 else ''} from the words"
        print(f"taught by      {card.lineage.teacher} {card.lineage.teacher_version}, {hops}")
    _print_making(folder)
    if card.bridge is not None:
        print(f"\nBridge report: {card.bridge.tiles} tiles in {card.bridge.blocks} blocks; {card.bridge.protocol}\n")
        print_bridge(card.bridge)
    return 0


def _expert(name: str) -> ExpertFolder | None:
    """The geographic expert of this id or in this folder; None where it is none."""
    from geomm_engine.geography.expert_card import EXPERT_FILE, list_experts, read_expert_card

    if name and (Path(name) / EXPERT_FILE).is_file():
        return read_expert_card(Path(name))
    return next((item for item in list_experts() if item.card.id == name), None)


def _show_expert(folder: ExpertFolder, args: argparse.Namespace) -> int:
    card = folder.card
    if args.json:
        return _print_as_json(folder)
    _print_head(card)
    print("bands          red, green, blue; for “geomm locate”, not for words")
    print(
        f"ground pixel   {card.gsd_min_m:g} to {card.gsd_max_m:g} m: tiles of {card.tile_min_km:g} to {card.tile_max_km:g} km"
    )
    print(f"places         {card.places:,} centres; {'with' if card.has_maps else 'without'} maps of the world")
    _print_making(folder)
    return 0


def _print_as_json(folder: ModelFolder | ExpertFolder) -> int:
    terminal.print_json({"path": str(folder.path), "damaged_files": folder.damaged_files(), "card": folder.card})
    return 0


def _print_head(card: Card | ExpertCard) -> None:
    """Who a model is, and under which licence."""
    print(f"{card.name} {card.version} ({card.id})\n{card.description}\n")
    print(f"licence        {card.licence.name} {card.licence.url}")


def _print_making(folder: ModelFolder | ExpertFolder) -> None:
    """What a model was made of, whether its files are whole, and what was measured."""
    card, damaged = folder.card, folder.damaged_files()
    print(f"trained on     {'; '.join(card.training.data)}")
    print(f"files          {folder.path}{' – damaged: ' + ', '.join(damaged) if damaged else ''}\n")
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


def run_add(args: argparse.Namespace) -> int:
    if args.path is None:
        return _run_published(args)
    from geomm_engine.pipeline.add_model import add_model

    folder = add_model(args.path.resolve(), args.clip.resolve() if args.clip else None)
    card = folder.card
    if args.json:
        terminal.print_json({"path": str(folder.path), "card": card})
        return 0
    print(f"{card.name} is added as {card.id}. {card.description}")
    for item in card.location.origin if card.location else ():
        if not item.is_as_published:
            print(f"{item.file} has a SHA-256 that its authors do not state; its layout is theirs.")
    print(f"\n{folder.path}")
    return 0


def _run_published(args: argparse.Namespace) -> int:
    from geomm_engine.encoders.location.published import PUBLISHED

    if args.json:
        terminal.print_json({"published": PUBLISHED})
        return 0
    rows = [
        (model.name, file.name, "" if file.is_needed else "for pictures", f"{file.size_bytes / 1e6:,.1f} MB",
         model.licence.name, file.url)
        for model in PUBLISHED
        for file in model.files
    ]  # fmt: skip
    terminal.print_table(("model", "file", "", "size", "licence", "where"), rows)
    print("\nGeoMM downloads nothing: fetch a file yourself, then “geomm models add FILE”.")
    return 0
