"""What a chain training is told: who teaches, which rasters show the same ground, how long. Reads no raster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError
from geomm_engine.networks.scene_tower import SceneTowerSettings
from geomm_engine.training.config import Schedule
from geomm_engine.training.recipe_files import RECIPES, RecipeKind

CHAIN_RECIPES = RECIPES / "chain"
_SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt", ".img")
DEFAULT_WORDS = (
    "water", "forest", "crops", "grassland", "town", "industrial area", "bare ground", "desert", "snow", "wetland", "beach",
)  # fmt: skip
"""Words that exclude one another: where two fit the same tile, student and teacher would differ for nothing."""


@dataclass(frozen=True)
class Beside:
    """Another model to put into the bridge report, looking at the same ground through these rasters."""

    model: str
    route: str
    paths: tuple[str, ...]
    roles: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True)
class RasterPair:
    """One place seen by two sensors: what the teacher looks at and what the student looks at, lying on one another.

    ``each`` is a pattern (relative to the data folder); the pair then stands for one pair for every file or folder that
    matches, and ``{}`` in the other paths for it. The same file may stand on both sides. ``labels`` is a raster of class
    numbers: for the report alone, never for training. ``share`` weighs the places of this pair in the training.
    """

    teacher: tuple[str, ...]
    student: tuple[str, ...]
    name: str = ""
    each: str = ""
    teacher_roles: tuple[str, ...] = ()
    student_roles: tuple[str, ...] = ()
    teacher_unit: str = ""
    student_unit: str = ""
    labels: str = ""
    beside: tuple[Beside, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Chips:
    """More pictures for the teacher, in zipped folders of 8-bit red, green, blue chips; the student sees these three bands.

    A student that reads red, green and blue learns from them what its teacher sees where no other sensor looked.
    ``share`` is their part of a batch.
    """

    file: str
    gsd_m: float
    size_px: int
    count: int
    share: float


@dataclass(frozen=True)
class Crops:
    """Crops show ``factors`` times the ground of the teacher's tile; ``count`` of them are cut and shown to the teacher once.

    Fewer where the ground is small. ``tile_px`` 0 is the teacher's own. Held-out tiles lie ``stride`` of a tile apart, at
    most ``most_held`` a place.
    """

    count: int = 6000
    factors: tuple[float, ...] = (0.8, 1.0, 1.25)
    tile_px: int = 0
    stride: float = 0.25
    most_held: int = 64


@dataclass(frozen=True)
class Loss:
    """Weights of the parts: distillation (1 − cos, and MSE), symmetric contrast, the teacher's answers to words.

    ``temperature`` sharpens the teacher's similarities into soft targets.
    """

    cosine: float = 1.0
    mse: float = 1.0
    contrast: float = 0.2
    words: float = 0.2
    temperature: float = 0.07


@dataclass(frozen=True)
class BandJitter:
    """What the student's bands undergo: common and own gain (in octaves), offset, noise; absent bands.

    ``blind`` of the tiles lose every band that the teacher reads, where there are others: these must learn to speak alone.
    """

    gain: float = 0.15
    own_gain: float = 0.05
    offset: float = 0.01
    noise: float = 0.01
    absent: float = 0.5
    blind: float = 0.25
    fewest_bands: int = 0


@dataclass(frozen=True)
class Trunk:
    """``starts_taught``: the student takes over the tower of its teacher, or of the built-in model where the teacher's is of
    another kind, and looks at tiles as that does. Else it begins with a ``tower`` that knows nothing.
    """

    starts_taught: bool = True
    tower: SceneTowerSettings = field(default_factory=SceneTowerSettings)


@dataclass(frozen=True)
class ChainFacts:
    """What the model's card will say beside what is measured; ``recipe`` is the name by which it can be taught anew."""

    name: str = "Unnamed"
    version: str = "1.0"
    description: str = ""
    licence: str = "GPL-2.0-or-later"
    licence_url: str = "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html"
    data: tuple[str, ...] = ()
    note: str = ""
    route: str = ""
    recipe: str = ""


@dataclass(frozen=True)
class ChainConfig:
    """``bands``: what the student reads ("B02", "vv", "height"); empty: see :func:`chain_places.student_bands`.

    ``teacher_bands`` says which bands of the teacher's rasters are the bands of its card, in the card's order; empty: by
    their names. ``validation_share`` of each place is held out: one strip along an edge.
    """

    id: str
    seed: int
    pairs: tuple[RasterPair, ...]
    schedule: Schedule
    batch: int = 64
    teacher: str = ""
    teacher_bands: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    validation_share: float = 0.25
    split_seed: int = 1
    crops: Crops = field(default_factory=Crops)
    chips: tuple[Chips, ...] = ()
    loss: Loss = field(default_factory=Loss)
    jitter: BandJitter = field(default_factory=BandJitter)
    network: Trunk = field(default_factory=Trunk)
    probe_words: tuple[str, ...] = DEFAULT_WORDS
    label_words: dict[str, str] = field(default_factory=dict)
    is_bfloat16: bool = False
    threads: int = 2
    card: ChainFacts = field(default_factory=ChainFacts)

    def bands_needed(self, bands: int) -> int:
        """How few of its ``bands`` the student does with; 0 where it needs all."""
        return self.jitter.fewest_bands if self.jitter.fewest_bands < bands else 0


def default_schedule(steps: int = 800) -> Schedule:
    """A short lesson: some minutes on two processors."""
    return Schedule(
        steps=steps,
        learning_rate=1e-3,
        warmup=min(50, max(1, steps // 10)),
        weight_decay=0.02,
        averaging=0.99,
        check_every=max(1, steps // 16),
        patience=0,
        stem_rate=0.3,
    )


_KIND = RecipeKind("chain", ChainConfig, CHAIN_RECIPES, ", or --rasters or --pairs")
find_chain_config = _KIND.find


def read_chain_config(path: Path) -> ChainConfig:
    """The configuration in a TOML file, or in the JSON file that a run folder keeps.

    Raises:
        EngineError: the file cannot be read, or a field is missing, unknown or makes no sense.
    """
    return checked(_KIND.read(path), str(path))


def checked(config: ChainConfig, where: str = "of this run") -> ChainConfig:
    """The configuration itself, if it makes sense.

    Raises:
        EngineError: it does not; the message names the field.
    """
    schedule = config.schedule
    problems = [
        (not config.pairs, "there are no pairs of rasters"),
        (min(schedule.steps, schedule.check_every, config.batch, config.crops.count) < 1,
         "steps, check_every, batch and crops.count must be at least 1"),
        (not config.crops.factors or min(config.crops.factors, default=0) <= 0, "crops.factors must be above 0"),
        (not 0 < config.crops.stride <= 1, "crops.stride must lie between 0 and 1"),
        (not 0 < config.validation_share < 1, "validation_share must lie between 0 and 1"),
        (len(config.network.tower.stem.channels) != len(config.network.tower.stem.strides),
         "network.tower.stem must have as many strides as channels"),
        (len(set(config.probe_words)) < 2, "probe_words must be at least two"),
        (sum(item.share for item in config.chips) >= 1, "the shares of chips must leave room for the pairs"),
        (any(not pair.teacher or not pair.student for pair in config.pairs), "a pair needs a teacher's and a student's raster"),
    ]  # fmt: skip
    _KIND.refuse_if(problems, where)
    return config


def spread(pair: RasterPair, data: Path) -> list[RasterPair]:
    """The pairs that a pattern stands for, with absolute paths; a pair without a pattern is one.

    Raises:
        EngineError: nothing matches the pattern.
    """
    names = [""]
    if pair.each:
        names = [str(path.relative_to(data)) for path in sorted(data.glob(pair.each)) if path.name != "scenes.csv"]
        if not names:
            raise EngineError(
                ErrorCode.FOLDER_INVALID,
                f"Nothing in {data} matches “{pair.each}”.",
                "Check the data folder (--data, or GEOMM_SHARED_DATA).",
                path=str(data),
            )
    return [
        replace(
            pair,
            each="",
            name=pair.name or Path(name or pair.student[0]).stem,
            teacher=_absolute(pair.teacher, name, data),
            student=_absolute(pair.student, name, data),
            labels=_absolute((pair.labels,), name, data)[0] if pair.labels else "",
            beside=tuple(replace(item, paths=_absolute(item.paths, name, data)) for item in pair.beside),
        )
        for name in names
    ]


def _absolute(paths: tuple[str, ...], name: str, data: Path) -> tuple[str, ...]:
    return tuple(str(data / path.replace("{}", name)) for path in paths)


def pairs_of_rasters(paths: tuple[str, ...], labels: str = "") -> tuple[RasterPair, ...]:
    """One place: teacher and student both find their bands among these files."""
    return (RasterPair(teacher=paths, student=paths, labels=labels),)


def pairs_of_folder(folder: Path) -> tuple[RasterPair, ...]:
    """A pair for every name that lies in both sub-folders, "teacher" and "student".

    Raises:
        EngineError: there are no such folders, or a file lies in one of them only.
    """
    sides = []
    for side in ("teacher", "student"):
        found = {
            path.stem: str(path.resolve())
            for path in sorted((folder / side).glob("*"))
            if path.suffix.lower() in _SUFFIXES
        }
        sides.append(found)
    alone = sorted(set(sides[0]) ^ set(sides[1]))
    if not sides[0] or alone:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"{folder} has no partner for {', '.join(alone[:5])}."
            if alone
            else f"{folder} holds no rasters in “teacher” and “student”.",
            "Put the teacher's rasters into the folder “teacher” and the other sensor's, named the same, into “student”.",
            path=str(folder),
        )
    return tuple(RasterPair((sides[0][name],), (sides[1][name],), name) for name in sides[0])
