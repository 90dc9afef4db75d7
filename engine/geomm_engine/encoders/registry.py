"""Finding models: the built-in ones, and those in the user's models folder. Reads cards only."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import platformdirs

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import CARD_FILE, ModelFolder, read_card
from geomm_engine.encoders.location.published import PUBLISHED
from geomm_engine.errors import ModelError

DEFAULT_MODEL = "geomm-nano"
BUILTIN_FOLDER = Path(__file__).resolve().parent.parent / "resources" / "models"


def user_models_folder() -> Path:
    """Where a person's own models lie; ``GEOMM_MODELS`` overrides it."""
    return Path(os.environ.get("GEOMM_MODELS") or platformdirs.user_data_path("geomm") / "models")


def list_models() -> tuple[ModelFolder, ...]:
    """Every model with a valid card, the built-in ones first. A damaged card hides its model, not the others."""
    found = []
    for model in _cards():
        try:
            found.append(_with_text(model))
        except ModelError:
            continue
    return tuple(found)


def _cards() -> tuple[ModelFolder, ...]:
    """Every folder with a valid card, as it lies there."""
    found: dict[str, ModelFolder] = {}
    for folder, is_builtin in ((BUILTIN_FOLDER, True), (user_models_folder(), False)):
        for card_path in sorted(folder.glob(f"*/{CARD_FILE}")) if folder.is_dir() else ():
            try:
                model = read_card(card_path.parent, is_builtin=is_builtin)
            except ModelError:
                continue
            found.setdefault(model.card.id, model)
    return tuple(found.values())


def find_model(model: str = "") -> ModelFolder:
    """A model by id, by the path of its folder, or the default for "".

    Raises:
        ModelError: there is none of that name, or its card is damaged.
    """
    return _with_text(_find(model))


def _find(model: str) -> ModelFolder:
    wanted = model or DEFAULT_MODEL
    if Path(wanted).is_absolute() or os.sep in wanted:
        return read_card(Path(wanted))
    for folder in (BUILTIN_FOLDER / wanted, user_models_folder() / wanted):
        if (folder / CARD_FILE).is_file():
            return read_card(folder, is_builtin=folder.parent == BUILTIN_FOLDER)
    known = _cards()
    for item in known:
        if item.card.id == wanted:
            return item
    raise ModelError(
        ErrorCode.MODEL_UNKNOWN,
        f"There is no model “{wanted}”.",
        _where_to_get(wanted)
        or f"Installed: {', '.join(item.card.id for item in known) or 'none'}. "
        f"Put other model folders into {user_models_folder()}.",
        model=wanted,
    )


def _where_to_get(wanted: str) -> str:
    """What to do for a model that other people publish; "" for any other."""
    published = next((item for item in PUBLISHED if item.id == wanted.lower()), None)
    if published is None:
        return ""
    files = " and ".join(file.name for file in published.files if file.is_needed)
    return f"Fetch {files} from {published.files[0].url}, then run “geomm models add” with it."


def _with_text(model: ModelFolder) -> ModelFolder:
    """The model joined to the installed model whose text tower its card names; models with a tower of their own as they are.

    Raises:
        ModelError: that model is not installed, or has another image tower than the one that this model was taught by.
    """
    card = model.card
    if not card.text_from or model.has_file("text"):
        return model
    if card.text_from == card.id:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The model {card.id} names itself for its text tower.",
            "Correct its card.",
            model=card.id,
        )
    owner = _find(card.text_from)
    owned = next((item.sha256 for item in owner.card.files if item.role == "image"), "")
    if owner.card.space_id != card.space_id or owned != card.image_sha256:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The model {card.id} was taught by another version of {card.text_from} than is installed.",
            f"Install both of one release, or teach it anew: {card.training.recipe}.",
            model=card.id,
        )
    return replace(model, card=replace(card, text=owner.card.text), text_folder=owner)
