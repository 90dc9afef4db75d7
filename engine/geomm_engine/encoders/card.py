"""The card of a model: everything that is known of it, read from ``card.json`` and checked. Loads no model.

A model is a folder: ``card.json``, the graphs, the tokenizer. What the card does not say is not guessed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from geomm_engine.contract import ContractError, ErrorCode, ModelSummary, decode, encode
from geomm_engine.errors import ModelError

CARD_FILE = "card.json"
TEXT_ROLES = ("text", "tokenizer", "words")
_IMAGE_ROLES = ("image", "weights")


@dataclass(frozen=True)
class Licence:
    name: str
    url: str
    is_noncommercial: bool = False
    is_gated: bool = False


@dataclass(frozen=True)
class CardFile:
    """``role``: "image" and "text" (ONNX graphs), "tokenizer", "words" (JSON: what was learned),
    "weights" (safetensors of the image tower, for torch), "location"
    (safetensors of the tower that knows places), "anomaly" (ONNX: how strange a tile is, in deviations from the usual),
    "exemplars" (npz: vectors that stand for the training pictures).
    """

    role: str
    path: str
    sha256: str
    size_bytes: int

    def is_whole_in(self, folder: Path) -> bool:
        """Whether the file lies in this folder with the SHA-256 that the card says."""
        return (folder / self.path).is_file() and file_sha256(folder / self.path) == self.sha256


@dataclass(frozen=True)
class CardBand:
    """A band that the image tower wants, in order."""

    role: str
    wavelength_nm: float


@dataclass(frozen=True)
class Calibration:
    """Turns one physical unit into what the tower was trained on: ``value = input × gain + offset``, clipped to 0–1."""

    unit: str
    gain: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True)
class CardRadiometry:
    """The tower sees ``(value − mean) / std`` of values in 0–1 "display" units (an 8-bit picture over 255).

    ``calibrations`` say how physical units become display units: "toa_reflectance", "surface_reflectance" (0–1),
    "decibel" (radar), "metres" (height), "kelvin". A unit fills the bands that it measures; its other entries do not
    count. ``takes_pictures``: whether 8-bit and stretched pictures may be read too.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    calibrations: tuple[Calibration, ...]
    takes_pictures: bool = True


@dataclass(frozen=True)
class Scale:
    """For ground pixels in this range (metres) the tower takes square tiles of ``tile_px`` pixels."""

    gsd_min_m: float
    gsd_max_m: float
    tile_px: int


@dataclass(frozen=True)
class CardText:
    """``templates`` hold one ``{}`` each; ``context_length`` counts tokens with the start and end marks."""

    context_length: int
    templates: tuple[str, ...]


@dataclass(frozen=True)
class CardScoring:
    """``logit_scale`` is the calibrated inverse temperature; the reference mean and threshold serve the reject score.

    ``background_similarity_mean`` and ``_std``: cosine of unrelated image and text pairs, to read a raw cosine by. A tile
    whose cosine with every exemplar is below ``familiar_threshold`` looks like nothing that was learned.
    """

    logit_scale: float
    logit_bias: float
    reference_mean: tuple[float, ...]
    reject_threshold: float
    background_similarity_mean: float
    background_similarity_std: float
    familiar_threshold: float = -1.0


@dataclass(frozen=True)
class Measurement:
    """A number that was measured, and how. ``interval_95`` is empty where none was computed."""

    dataset: str
    protocol: str
    metric: str
    value: float
    date: str
    interval_95: tuple[float, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """``settings_json`` are the arguments of the network in :mod:`geomm_engine.networks` that bears ``name``."""

    name: str
    settings_json: str


@dataclass(frozen=True)
class Training:
    data: tuple[str, ...]
    recipe: str
    seed: int
    note: str = ""


@dataclass(frozen=True)
class Lineage:
    """Which model taught this one. ``hops``: 1 when its teacher learnt from words itself, 2 when that one was taught too."""

    teacher: str
    teacher_version: str
    hops: int


@dataclass(frozen=True)
class BridgeRow:
    """One way from pixels to words (or to the teacher's vectors), measured on the held-out tiles.

    ``chance`` is what guessing would give; ``by_class`` the share of right tiles of each of the bridge's classes.
    """

    route: str
    model: str
    metric: str
    value: float
    interval_95: tuple[float, ...]
    chance: float
    tiles: int
    by_class: tuple[float, ...] = ()


@dataclass(frozen=True)
class Bridge:
    """How well words reach a sensor through its teacher; every row is about the same held-out tiles.

    ``classes`` are the words behind the labels, ``class_tiles`` how many tiles each has, ``probe_words`` those of the
    agreement. Intervals: bootstrap over the ``blocks``, squares of ground.
    """

    protocol: str
    tiles: int
    blocks: int
    probe_words: tuple[str, ...]
    classes: tuple[str, ...]
    class_tiles: tuple[int, ...]
    rows: tuple[BridgeRow, ...]


@dataclass(frozen=True)
class Origin:
    """A file of other people that the model was made from. ``is_as_published``: its SHA-256 is the one they publish."""

    file: str
    url: str
    sha256: str
    is_as_published: bool


@dataclass(frozen=True)
class CardLocation:
    """A tower for places, in the same space as the pictures: ``encoder`` "satclip" or "geoclip".

    ``logit_scale`` is the published inverse temperature of picture against place, ``temperature`` divides it: above 1 is
    more cautious than published. ``has_pictures`` says whether the model's image tower was added too.
    """

    encoder: str
    logit_scale: float
    temperature: float = 1.0
    has_pictures: bool = False
    origin: tuple[Origin, ...] = ()


@dataclass(frozen=True)
class Card:
    """Beside what every card says: a model that was taught by another one (``lineage``, ``bridge``) uses the text tower of
    the installed model ``text_from``, whose image tower must have this ``image_sha256``: it made the space, and words of any
    version of it serve. ``bands_needed`` says how many of the bands must be there, 0 all of them.
    """

    id: str
    name: str
    version: str
    space_id: str
    description: str
    licence: Licence
    files: tuple[CardFile, ...]
    architecture: Architecture
    bands: tuple[CardBand, ...]
    radiometry: CardRadiometry
    scales: tuple[Scale, ...]
    has_gsd_input: bool
    dim: int
    text: CardText
    scoring: CardScoring
    training: Training
    measured: tuple[Measurement, ...]
    bands_needed: int = 0
    text_from: str = ""
    image_sha256: str = ""
    lineage: Lineage | None = None
    bridge: Bridge | None = None
    location: CardLocation | None = None

    @property
    def hops(self) -> int:
        """How many models stand between this one and the words that it is asked with."""
        return self.lineage.hops if self.lineage else 0

    @property
    def gsd_min_m(self) -> float:
        return min(scale.gsd_min_m for scale in self.scales)

    @property
    def gsd_max_m(self) -> float:
        return max(scale.gsd_max_m for scale in self.scales)

    def scale_for(self, gsd_m: float) -> tuple[Scale, float]:
        """The scale for a layer's ground pixel, and the ground pixel (metres) that the tower will see.

        A finer layer is averaged to the finest pixel of the card; a coarser one keeps the coarsest.
        """
        seen_m = min(max(gsd_m, self.gsd_min_m), self.gsd_max_m)
        fitting = [scale for scale in self.scales if scale.gsd_min_m <= seen_m <= scale.gsd_max_m]
        if not fitting:
            fitting = [min(self.scales, key=lambda scale: abs(np.log(scale.gsd_max_m / seen_m)))]
        return fitting[0], seen_m

    def reference_mean(self) -> NDArray[np.float32]:
        """(dim,) float32, the mean image vector of the training set."""
        return np.asarray(self.scoring.reference_mean, dtype=np.float32)


@dataclass(frozen=True)
class ModelFolder:
    """A card and where its files lie."""

    card: Card
    path: Path
    card_sha256: str
    is_builtin: bool = False
    text_folder: ModelFolder | None = None

    @property
    def vectors_sha256(self) -> str:
        """Digest of what decides the vector of a tile: the image tower, and how pixels come to it. Not the words."""
        card = self.card
        decisive = {
            "files": sorted(item.sha256 for item in card.files if item.role in _IMAGE_ROLES),
            "model": card.id,
            "pixels": encode((card.bands, card.radiometry, card.scales, card.has_gsd_input, card.bands_needed)),
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def file(self, role: str) -> Path:
        """The path of the file with this role; text tower and tokenizer may be those of ``text_folder``.

        Raises:
            ModelError: the card names none, or the file is absent or shorter than the card says.
        """
        for item in self.card.files:
            if item.role == role:
                return self._checked(item)
        if self.text_folder is not None and role in TEXT_ROLES:
            return self.text_folder.file(role)
        raise self._lacking(role)

    def _lacking(self, role: str) -> ModelError:
        text, cure = (
            f"The model {self.card.id} has no file for “{role}”.",
            "Choose another model, or install this one again.",
        )
        if self.card.location is not None and role in TEXT_ROLES:
            text = (
                f"{self.card.name} was taught with places, not with words: it cannot be asked for classes or sentences."
            )
            cure = "Ask it by place (--place LAT,LON), or choose a model that knows words."
        elif self.card.location is not None and role in ("image", "weights"):
            text = f"{self.card.name} was added without its image tower: it knows places, but cannot look at pictures."
            cure = "Add it again with all of its authors’ files (“geomm models add” says which)."
        return ModelError(ErrorCode.MODEL_INVALID, text, cure, model=self.card.id)

    def has_file(self, role: str) -> bool:
        """Whether ``file`` would find one."""
        if any(item.role == role for item in self.card.files):
            return True
        return self.text_folder is not None and role in TEXT_ROLES and self.text_folder.has_file(role)

    def _checked(self, item: CardFile) -> Path:
        path = self.path / item.path
        if not path.is_file() or path.stat().st_size != item.size_bytes:
            raise ModelError(
                ErrorCode.MODEL_INVALID,
                f"The file {path} of the model {self.card.id} is missing or damaged.",
                "Install the model again.",
                model=self.card.id,
                path=str(path),
            )
        return path

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
            bands=tuple(band.role for band in card.bands),
            dim=card.dim,
            size_mb=size_mb(card.files),
            description=card.description,
            is_builtin=self.is_builtin,
            hops=card.hops,
            measured=tuple(
                f"{item.dataset}: {item.metric} {item.value:.3g} ({item.protocol}, {item.date})"
                for item in card.measured
            ),
        )


def size_mb(files: Sequence[CardFile]) -> float:
    """Megabytes of a model's files, to a tenth."""
    return round(sum(item.size_bytes for item in files) / 1e6, 1)


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_card(folder: Path, *, is_builtin: bool = False) -> ModelFolder:
    """The card in this folder.

    Raises:
        ModelError: there is no card, or it does not say what a card must say; the message names the field.
    """
    path = folder / CARD_FILE
    try:
        raw = path.read_bytes()
        card = decode(Card, json.loads(raw), "card")
    except (OSError, ValueError, ContractError) as problem:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The model card {path} cannot be used: {problem}.",
            "Correct the card or install the model again.",
            path=str(path),
        ) from problem
    _check(card, path)
    return ModelFolder(card, folder, hashlib.sha256(raw).hexdigest(), is_builtin)


def write_card(card: Card, folder: Path) -> Path:
    """Write ``card.json`` into the model folder."""
    path = folder / CARD_FILE
    path.write_text(json.dumps(encode(card), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _check(card: Card, path: Path) -> None:
    count = len(card.bands)
    lengths = {
        "radiometry.mean": (len(card.radiometry.mean), count),
        "radiometry.std": (len(card.radiometry.std), count),
        "scoring.reference_mean": (len(card.scoring.reference_mean), card.dim),
        **{f"radiometry.calibrations[{item.unit}]": (len(item.gain), count) for item in card.radiometry.calibrations},
    }
    wrong = [name for name, (found, wanted) in lengths.items() if found != wanted]
    wrong += [
        f"radiometry.calibrations[{item.unit}]"
        for item in card.radiometry.calibrations
        if len(item.offset) != count and len(item.gain) == count
    ]
    if not 0 <= card.bands_needed <= count:
        wrong.append("bands_needed")
    if not card.scales:
        wrong.append("scales")
    if card.location is not None and min(card.location.logit_scale, card.location.temperature) <= 0:
        wrong.append("location.logit_scale")
    if not card.text.templates or any(text.count("{}") != 1 for text in card.text.templates):
        wrong.append("text.templates")
    if wrong:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The model card {path} contradicts itself in {', '.join(wrong)}.",
            "Correct the card or install the model again.",
            path=str(path),
        )


def settings_of(card: Card) -> dict[str, object]:
    """The network's arguments that the card carries."""
    return cast("dict[str, object]", json.loads(card.architecture.settings_json))
