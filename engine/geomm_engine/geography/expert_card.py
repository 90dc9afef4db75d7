"""The card of a geographic expert: what is known of it, read from ``expert.json`` and checked. Loads no graph.

An expert is a folder: ``expert.json``, ``expert.onnx``, ``centres.npz``. It has no text tower, so its card is another one
than that of the image-text models, and :func:`registry.list_models` does not show it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from geomm_engine.contract import ContractError, ErrorCode, ModelSummary, decode, encode
from geomm_engine.encoders.card import CardFile, Licence, Measurement, Training, size_mb
from geomm_engine.encoders.registry import BUILTIN_FOLDER, user_models_folder
from geomm_engine.errors import ModelError

EXPERT_FILE = "expert.json"
DEFAULT_EXPERT = "geomm-where"
KIND = "geographic-expert"


@dataclass(frozen=True)
class ExpertCalibration:
    """What validation blocks taught: temperatures of places and climates, a factor on the season's vector.

    ``tile_correlation`` is ρ of the pool: n tiles of one extent count as n / (1 + (n − 1) ρ) independent looks.
    ``land_weight`` and ``climate_weight`` are how much the maps' word counts (:class:`map_match.Weights`) beside the
    tiles', ``sureness`` what both together are multiplied with; ``climate_by_place`` is the share of the climate's answer that
    is read from the map where the picture seems to lie.
    """

    place_temperature: float = 1.0
    climate_temperature: float = 1.0
    season_scale: float = 1.0
    tile_correlation: float = 0.5
    land_weight: float = 0.0
    climate_weight: float = 0.0
    sureness: float = 1.0
    climate_by_place: float = 0.0


@dataclass(frozen=True)
class ExpertCard:
    """``gsd_min_m``…``gsd_max_m`` are the ground pixels it was trained for, ``tile_px`` the width of a tile it sees best.

    ``tile_min_km``…``tile_max_km`` are the ground widths of the tiles of its training. ``mean`` and ``std`` are of
    display values 0–1 of red, green and blue.
    """

    kind: str
    id: str
    name: str
    version: str
    description: str
    licence: Licence
    files: tuple[CardFile, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    gsd_min_m: float
    gsd_max_m: float
    tile_px: int
    tile_min_km: float
    tile_max_km: float
    dim: int
    places: int
    calibration: ExpertCalibration
    training: Training
    measured: tuple[Measurement, ...]

    @property
    def has_maps(self) -> bool:
        """Whether it holds maps of the world to find a picture's own map on."""
        return any(item.role == "maps" for item in self.files)


@dataclass(frozen=True)
class ExpertFolder:
    """A card and where its files lie."""

    card: ExpertCard
    path: Path
    card_sha256: str
    is_builtin: bool = False

    def file(self, role: str) -> Path:
        """The path of the file with this role: "graph", "centres" or "maps".

        Raises:
            ModelError: the card names none, or the file is absent or of another size.
        """
        for item in self.card.files:
            path = self.path / item.path
            if item.role == role and path.is_file() and path.stat().st_size == item.size_bytes:
                return path
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The file for “{role}” of the expert {self.card.id} in {self.path} is missing or damaged.",
            "Install the model again.",
            model=self.card.id,
            path=str(self.path),
        )

    def damaged_files(self) -> list[str]:
        """Names of the files whose SHA-256 is not the card's."""
        return [item.path for item in self.card.files if not item.is_whole_in(self.path)]

    def summary(self) -> ModelSummary:
        card = self.card
        return ModelSummary(
            id=card.id,
            name=card.name,
            version=card.version,
            licence=card.licence.name,
            gsd_min_m=card.gsd_min_m,
            gsd_max_m=card.gsd_max_m,
            bands=("red", "green", "blue"),
            dim=card.dim,
            size_mb=size_mb(card.files),
            description=card.description,
            is_builtin=self.is_builtin,
        )


def read_expert_card(folder: Path, *, is_builtin: bool = False) -> ExpertFolder:
    """The expert in this folder.

    Raises:
        ModelError: there is no card, or it does not say what a card must say; the message names the field.
    """
    path = folder / EXPERT_FILE
    try:
        raw = path.read_bytes()
        card = decode(ExpertCard, json.loads(raw), "card")
    except (OSError, ValueError, ContractError) as problem:
        raise _unusable(path, str(problem)) from problem
    if card.kind != KIND:
        raise _unusable(path, f"it is of the kind “{card.kind}”, not “{KIND}”")
    if len(card.mean) != 3 or len(card.std) != 3:
        raise _unusable(path, "mean and std must have three numbers")
    if min(*card.std, card.gsd_min_m, card.tile_px, card.tile_min_km, card.calibration.place_temperature) <= 0:
        raise _unusable(path, "a size, a deviation or a temperature is not above zero")
    return ExpertFolder(card, folder, hashlib.sha256(raw).hexdigest(), is_builtin)


def write_expert_card(card: ExpertCard, folder: Path) -> Path:
    """Write ``expert.json`` into the expert's folder."""
    path = folder / EXPERT_FILE
    path.write_text(json.dumps(encode(card), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def list_experts() -> tuple[ExpertFolder, ...]:
    """Every expert with a valid card, the built-in ones first."""
    found: dict[str, ExpertFolder] = {}
    for folder, is_builtin in ((BUILTIN_FOLDER, True), (user_models_folder(), False)):
        for path in sorted(folder.glob(f"*/{EXPERT_FILE}")) if folder.is_dir() else ():
            try:
                expert = read_expert_card(path.parent, is_builtin=is_builtin)
            except ModelError:
                continue
            found.setdefault(expert.card.id, expert)
    return tuple(found.values())


def find_expert(name: str = "") -> ExpertFolder:
    """An expert by id, by the path of its folder, or the default for "".

    Raises:
        ModelError: there is none of that name, or its card is damaged.
    """
    wanted = name or DEFAULT_EXPERT
    if Path(wanted).is_absolute() or os.sep in wanted:
        return read_expert_card(Path(wanted))
    for folder in (BUILTIN_FOLDER / wanted, user_models_folder() / wanted):
        if (folder / EXPERT_FILE).is_file():
            return read_expert_card(folder, is_builtin=folder.parent == BUILTIN_FOLDER)
    known = {item.card.id: item for item in list_experts()}
    if wanted in known:
        return known[wanted]
    raise ModelError(
        ErrorCode.MODEL_UNKNOWN,
        f"There is no geographic expert “{wanted}”.",
        f"Installed: {', '.join(known) or 'none'}. Put other model folders into {user_models_folder()}.",
        model=wanted,
    )


def _unusable(path: Path, problem: str) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_INVALID,
        f"The expert's card {path} cannot be used: {problem}.",
        "Correct the card or install the model again.",
        path=str(path),
    )
