"""What a training run is told: a TOML file as frozen values. Reads no data."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError
from geomm_engine.networks.two_towers import TwoTowersSettings
from geomm_engine.training.augmentation import Jitter
from geomm_engine.training.recipe_files import RECIPES, RecipeKind

OF_PHRASES = "phrases"
DRAWN = "drawn"
CLOUDS = "clouds"
EARTH_TILES = "earth tiles"
EARTH_MONTHS = "earth months"
WORLD = "sentinel-2 world"
SQUARES = "sentinel-2 squares"
DRAWN_NEAR = "drawn near"
DRAWN_FAR = "drawn far"


@dataclass(frozen=True)
class PictureSource:
    """``file`` is a zip of class folders, relative to the data folder, or "drawn", "clouds", "earth tiles", "earth months",
    "sentinel-2 world", "sentinel-2 squares", "drawn near" or "drawn far"; ``share`` its part of a batch. The last two stand on
    ground of "eurosat", "ucmerced" and "world", which come before them.

    ``whole_px`` is the size at which a whole picture is looked at when the set is validated. A set that is not measured
    (drawn pictures that help the others) counts neither for stopping nor on the card. Sets of one ``group`` (their own
    name, unless said) show the same kind of place: what a class is not, its neighbours in the group tell. A set that
    ``is_never_tinted`` was mapped, not photographed under some light.
    """

    name: str
    file: str
    gsd_m: float
    size_px: int
    share: float
    whole_px: int
    is_measured: bool = True
    is_never_tinted: bool = False
    group: str = ""

    @property
    def is_drawn(self) -> bool:
        """Whether its pictures are drawings that stand for photographs."""
        return self.file in (CLOUDS, DRAWN_NEAR, DRAWN_FAR)

    @property
    def is_drawn_on_others(self) -> bool:
        """Whether its pictures stand on ground cut from other sets, and so show their classes."""
        return self.file in (DRAWN_NEAR, DRAWN_FAR)


@dataclass(frozen=True)
class InputSize:
    """A share of the batches has this size; ``gsd_m`` gives each set's range of ground pixels in it."""

    px: int
    share: float
    batch: int
    gsd_m: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Normalisation:
    """The tower sees (value − mean) / std of display values 0–1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Vocabulary:
    """``merges_file`` is relative to the data folder, or "phrases": the merges that one of the recipe's phrase files holds,
    and how it spells with them. Without a file ("") every byte is a token.
    """

    merges_file: str
    merges: int


@dataclass(frozen=True)
class PhraseLessons:
    """What the text tower learns of language: to place phrases as a published sentence encoder places them.

    ``files`` lie beside this module; none teach none. First ``steps`` batches of phrases alone, from ``learning_rate`` as a
    cosine after a short warm-up; then ``beside`` phrases in every step, their loss counted ``weight`` times. The captions
    are phrases too, unless ``has_captions`` says no: then a dictionary and a map's tags are all.
    """

    files: tuple[str, ...] = ()
    steps: int = 0
    batch: int = 384
    learning_rate: float = 2e-3
    beside: int = 128
    weight: float = 3.0
    has_captions: bool = True


@dataclass(frozen=True)
class Fall:
    """So many more steps, whose rate falls from ``learning_rate`` as a cosine; in natural light no low sun, no tint."""

    steps: int
    learning_rate: float
    is_in_natural_light: bool = False


@dataclass(frozen=True)
class Schedule:
    """Warm-up, then a cosine down to a hundredth; then ``falls`` one after another, each from its own rate.

    The network of the best check is kept, or with ``keeps_last`` that of the last one: its validation figures are then not
    flattered by a choice. ``patience`` counts checks without a better text metric; 0 is for ever.

    ``stop_after`` ends a run early, as an interruption would: to be resumed. The convolutional stem learns at
    ``stem_rate`` times the rate of the rest.
    """

    steps: int
    learning_rate: float
    warmup: int
    weight_decay: float
    averaging: float
    check_every: int
    patience: int = 0
    stop_after: int = 0
    falls: tuple[Fall, ...] = ()
    stem_rate: float = 1.0
    keeps_last: bool = False

    @property
    def all_steps(self) -> int:
        return self.steps + sum(fall.steps for fall in self.falls)

    def rate_at(self, step: int) -> float:
        """The learning rate of the step with this number, from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if step < self.steps:
            return self.learning_rate * falling((step - self.warmup) / max(1, self.steps - self.warmup))
        fall, part = self._fall_at(step)
        return fall.learning_rate * falling(part) if fall else 0.01 * self.learning_rate

    def is_in_natural_light(self, step: int) -> bool:
        """Whether the step with this number learns from pictures in the light that they were taken in."""
        fall, _ = self._fall_at(step)
        return fall is not None and fall.is_in_natural_light

    def _fall_at(self, step: int) -> tuple[Fall | None, float]:
        """The further fall that a step belongs to, and how much of it has passed."""
        start = self.steps
        for fall in self.falls:
            if start <= step < start + fall.steps:
                return fall, (step - start) / fall.steps
            start += fall.steps
        return None, 0.0


def falling(part: float) -> float:
    """From 1 down to a hundredth as ``part`` goes from 0 to 1."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part))


@dataclass(frozen=True)
class UnitCalibration:
    """``display = unit × gain + offset`` for each band."""

    unit: str
    gain: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True)
class TileScale:
    gsd_min_m: float
    gsd_max_m: float
    tile_px: int


@dataclass(frozen=True)
class CardFacts:
    """What the model's card will say beside what is measured; ``coarse_words`` are tried on the first set.

    ``recipe`` names what makes the model ("" is the recipe of its id).
    """

    name: str = "Unnamed"
    version: str = "0"
    space_id: str = "unnamed"
    description: str = ""
    recipe: str = ""
    licence: str = "GPL-2.0-or-later"
    licence_url: str = "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html"
    data: tuple[str, ...] = ()
    note: str = ""
    templates: tuple[str, ...] = ("{}",)
    coarse_words: tuple[str, ...] = ()
    calibrations: tuple[UnitCalibration, ...] = ()
    scales: tuple[TileScale, ...] = (TileScale(0.3, 15.0, 64),)


@dataclass(frozen=True)
class ContrastiveConfig:
    """``captions``: a caption file, beside this module unless its path is absolute.

    ``cross_set_unsure``: how often a picture is no wrong answer to a concept that its own set never shows.

    ``anchor_weight``: weight of the loss that pulls both towers to one learnt vector a class; 0 is contrast alone.
    ``absent_captions``: captions a batch that no picture of it answers to; ``absent_words_file`` (a JSON object whose keys
    are OpenStreetMap tags, relative to the data folder) adds words to them.
    ``start``: a MobileNetV1 file, relative to the data folder, that the stem starts from; "" starts from random numbers.
    ``frozen_blocks``: blocks of the stem that keep what they started with.
    ``locked_image``: an installed model whose image tower is taken as it is and stays so; the text tower alone learns
    (locked-image tuning: Zhai et al. 2022). Pictures keep their vectors. "" lets both learn.
    ``tellings``: steps in a row that tell the same pictures in other captions; beside a locked image tower, which looks once.
    ``gsd_lie_share``: pictures whose ground pixel is told wrong by up to ± ``gsd_lie_octaves``, as where metadata lie.
    ``unseen``: classes ("set/folder") that leave training entirely, with every caption that speaks of them alone.
    ``without``: sets of ``pictures`` that are left out, so that a recipe can take another's but some.
    ``mix_share``: pictures that are mixed with another of their set, half by mixup and half by cutmix.
    """

    id: str
    seed: int
    captions: str
    validation_share: float
    split_seed: int
    pictures: tuple[PictureSource, ...]
    sizes: tuple[InputSize, ...]
    normalisation: Normalisation
    vocabulary: Vocabulary
    schedule: Schedule
    network: TwoTowersSettings
    phrases: PhraseLessons = field(default_factory=PhraseLessons)
    jitter: Jitter = field(default_factory=Jitter)
    gsd_jitter_octaves: float = 0.2
    cross_set_unsure: float = 0.5
    anchor_weight: float = 0.0
    absent_captions: int = 0
    absent_words_file: str = ""
    start: str = ""
    frozen_blocks: int = 0
    locked_image: str = ""
    tellings: int = 1
    gsd_lie_share: float = 0.0
    gsd_lie_octaves: float = 2.5
    mix_share: float = 0.0
    unseen: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    is_bfloat16: bool = True
    threads: int = 2
    card: CardFacts = field(default_factory=CardFacts)


def data_folder() -> Path:
    """Where the training data lies: ``GEOMM_SHARED_DATA``, else ``../shared/data`` beside the repository."""
    told = os.environ.get("GEOMM_SHARED_DATA")
    return Path(told) if told else Path(__file__).resolve().parents[4] / "shared" / "data"


_KIND = RecipeKind("training", ContrastiveConfig, RECIPES)
find_config = _KIND.find


def read_config(path: Path) -> ContrastiveConfig:
    """The configuration in a TOML file.

    Raises:
        EngineError: the file is no TOML, or a field is missing, unknown or contradicts another.
    """
    config = _KIND.read(path)
    config = without_sets(config, config.without)
    names = {item.name for item in config.pictures}
    bands = config.network.image.bands
    schedule = config.schedule
    turns = [schedule.steps, schedule.check_every, *(fall.steps for fall in schedule.falls)]
    counts = [*turns, *(size.batch for size in config.sizes)]
    problems = [
        (any(set(size.gsd_m) != names for size in config.sizes),
         f"every size must give a ground pixel range for each of {sorted(names)}"),
        ({len(config.normalisation.mean), len(config.normalisation.std)} != {bands}, f"normalisation must have {bands} bands"),
        (bool(config.locked_image and config.unseen), "a locked image tower has seen every class: none can be unseen"),
        (config.tellings < 1 or (config.tellings > 1 and not config.locked_image),
         "tellings must be 1 where the image tower learns too, and at least 1 beside a locked one"),
        (any(count % config.tellings for count in [*turns, schedule.stop_after] if config.tellings > 0),
         f"steps, check_every and stop_after must be multiples of tellings, which is {config.tellings}"),
        (config.network.image.dim != config.network.text.dim, "both towers must have the same dim"),
        (min(counts) < 1, "steps, check_every and every batch must be at least 1"),
        (min(config.phrases.steps, config.phrases.beside) < 0 or config.phrases.batch < 1,
         "steps and beside of phrases must be at least 0, their batch at least 1"),
    ]  # fmt: skip
    _KIND.refuse_if(problems, path)
    return config


def without_sets(config: ContrastiveConfig, names: Collection[str]) -> ContrastiveConfig:
    """The configuration without the picture sets of these names."""
    pictures = tuple(item for item in config.pictures if item.name not in names)
    sizes = tuple(
        replace(size, gsd_m={name: gsd_m for name, gsd_m in size.gsd_m.items() if name not in names})
        for size in config.sizes
    )
    return replace(config, pictures=pictures, sizes=sizes)


def refuse_namesakes(configs: Sequence[ContrastiveConfig]) -> None:
    """Raises EngineError where two recipes have one id: their figures could not be told apart."""
    if len({config.id for config in configs}) < len(configs):
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"Two of the recipes have the same id: {', '.join(config.id for config in configs)}.",
            "Give each recipe an id of its own, and name it once.",
        )
