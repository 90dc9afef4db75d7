"""What a training of the geographic expert is told: a TOML file as frozen values. Reads no data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from geomm_engine.networks.geographic_expert import GeographicSettings
from geomm_engine.training.config import DRAWN, Schedule
from geomm_engine.training.places import ColorJitter, Widths
from geomm_engine.training.recipe_files import RECIPES, RecipeKind

GEOGRAPHIC_RECIPES = RECIPES / "geographic"


@dataclass(frozen=True)
class EarthSource:
    """``mosaics`` is a folder of twelve pictures, relative to the data folder, or "drawn"; ``tiles`` a zip, or ""."""

    mosaics: str
    tiles: str = ""
    fine_share: float = 0.0
    fine_widths_km: tuple[float, float] = (60.0, 250.0)


@dataclass(frozen=True)
class LossWeights:
    place: float = 1.0
    climate: float = 1.0
    season: float = 0.7
    abstain: float = 0.3
    land: float = 1.0
    climates: float = 0.5


@dataclass(frozen=True)
class ExpertFacts:
    """What the card will say beside what is measured; ``gsd`` in metres, ``tile`` widths in km."""

    name: str = "Unnamed"
    version: str = "0"
    description: str = ""
    licence: str = "GPL-2.0-or-later"
    licence_url: str = "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html"
    data: tuple[str, ...] = ()
    note: str = ""
    gsd_m: tuple[float, float] = (500.0, 8000.0)
    tile_km: tuple[float, float] = (100.0, 320.0)


@dataclass(frozen=True)
class GeographicConfig:
    """``lattice`` is the number of evenly spread points over the whole Earth of which those on land are centres.

    A picture to be measured is seen as a whole and in nine tiles half as wide, each ``px`` wide. ``pool`` crops are drawn
    before the first step; ``validation`` pictures are looked at each check, ``held_out`` ones when the card is written.
    ``start`` is a MobileNetV1 in the data folder that the stem starts from, or ""; its first ``frozen_blocks`` stay as they are.
    """

    id: str
    seed: int
    earth: EarthSource
    px: int
    batch: int
    lattice: int
    kappa: float
    pool: int
    validation: int
    held_out: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    schedule: Schedule
    network: GeographicSettings
    widths: Widths = field(default_factory=Widths)
    jitter: ColorJitter = field(default_factory=ColorJitter)
    weights: LossWeights = field(default_factory=LossWeights)
    start: str = ""
    frozen_blocks: int = 0
    is_bfloat16: bool = True
    threads: int = 2
    card: ExpertFacts = field(default_factory=ExpertFacts)

    @property
    def is_drawn(self) -> bool:
        return self.earth.mosaics == DRAWN


_KIND = RecipeKind("geographic", GeographicConfig, GEOGRAPHIC_RECIPES)
find_geographic_config = _KIND.find


def read_geographic_config(path: Path) -> GeographicConfig:
    """The configuration in a TOML file.

    Raises:
        EngineError: the file is no TOML, or a field is missing, unknown or impossible.
    """
    config = _KIND.read(path)
    schedule = config.schedule
    stem = config.network.stem
    problems = [
        (min(schedule.steps, schedule.check_every, config.batch, config.px, config.pool, config.validation) < 1,
         "steps, check_every, batch, px, pool and validation must be at least 1"),
        (len(stem.channels) != len(stem.strides),
         "network.stem.channels and network.stem.strides must be equally many"),
        (min(config.std) <= 0 or config.kappa <= 0 or config.lattice < 12, "std and kappa must be above 0, lattice at least 12"),
    ]  # fmt: skip
    _KIND.refuse_if(problems, path)
    return config
