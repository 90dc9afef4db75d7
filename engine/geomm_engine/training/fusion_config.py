"""What a fusion training is told: sensors, scenes where they look at the same ground, how long. Reads no raster."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from geomm_engine.networks.fusion import FusionSettings
from geomm_engine.training.config import Schedule
from geomm_engine.training.recipe_files import RECIPES, RecipeKind

FUSION_RECIPES = RECIPES / "fusion"
DRAWN = "drawn"


@dataclass(frozen=True)
class SceneSource:
    """Rasters that lie on one another, relative to the data folder, stacked in this order; or "drawn".

    ``each`` is a pattern: the scene then stands for one scene for every file or folder that matches, and ``{}`` in the
    paths for it. ``roles`` name the bands of the stack where the files do not. ``share`` weighs the scene in the batches;
    a sensor of which the scene has no band is missing there.
    """

    paths: tuple[str, ...]
    name: str = ""
    each: str = ""
    roles: tuple[str, ...] = ()
    unit: str = ""
    share: float = 1.0


@dataclass(frozen=True)
class Cutting:
    """Tiles of ``tile_px`` of the finest sensor's pixels of ``gsd_m``; training tiles show ``factors`` times the ground.

    Each scene is cut into blocks of ``block_px``, a quarter of which is held out with a margin around it.
    """

    tile_px: int = 32
    gsd_m: float = 10.0
    factors: tuple[float, ...] = (0.75, 1.0, 1.25)
    block_px: int = 64
    margin_px: int = 4


@dataclass(frozen=True)
class FusionLoss:
    """Weights: contrasts of each pair of sensors, of each sensor with the others fused, of rebuilding hidden patches, and
    of pointing where the teacher points. ``hidden`` is the share of patches that a training step hides.

    ``band_absent``: chance that a band of a sensor is left out of a tile.
    """

    pairs: float = 1.0
    joint: float = 1.0
    rebuild: float = 1.0
    teacher: float = 0.0
    hidden: float = 0.5
    gain: float = 0.1
    band_absent: float = 0.0


@dataclass(frozen=True)
class FusionFacts:
    """What the model's card will say beside what is measured."""

    name: str = "Unnamed"
    version: str = "0"
    description: str = ""
    licence: str = "GPL-2.0-or-later"
    licence_url: str = "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html"
    data: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class FusionConfig:
    """``teacher`` is an installed model (or its folder) whose words the fused vectors shall answer to; "" for none."""

    id: str
    seed: int
    network: FusionSettings
    scenes: tuple[SceneSource, ...]
    schedule: Schedule
    batch: int = 64
    teacher: str = ""
    cutting: Cutting = field(default_factory=Cutting)
    loss: FusionLoss = field(default_factory=FusionLoss)
    threads: int = 2
    card: FusionFacts = field(default_factory=FusionFacts)


_KIND = RecipeKind("fusion", FusionConfig, FUSION_RECIPES)
find_fusion_config = _KIND.find


def read_fusion_config(path: Path) -> FusionConfig:
    """The configuration in a TOML file.

    Raises:
        EngineError: the file is no TOML, or a field is missing, unknown or contradicts another.
    """
    config = _KIND.read(path)
    network, cutting, schedule = config.network, config.cutting, config.schedule
    sides = [item.step * item.patch_px for item in network.sensors]
    problems = [
        (len(network.sensors) < 2, "there must be two sensors or more"),
        (len(set(network.bands)) < len(network.bands), "two sensors may not read the same band"),
        (any(item.patch_px % network.target_px for item in network.sensors), "target_px must divide every patch_px"),
        (min(sides, default=0) < 1 or any(cutting.tile_px % side for side in sides),
         f"step × patch_px of every sensor must divide tile_px ({cutting.tile_px})"),
        (any(width % network.heads for width in (network.width, network.decoder_width)), "heads must divide both widths"),
        (not config.scenes, "there are no scenes"),
        (min(schedule.steps, schedule.check_every, config.batch) < 1, "steps, check_every and batch must be at least 1"),
        (not cutting.factors or min(cutting.factors, default=0) <= 0, "cutting.factors must be above 0"),
        (cutting.block_px < cutting.tile_px, "block_px must be at least tile_px"),
        (not 0 <= config.loss.hidden < 1, "loss.hidden must lie between 0 and 1"),
        (config.loss.teacher > 0 and not config.teacher, "loss.teacher needs a teacher"),
    ]  # fmt: skip
    _KIND.refuse_if(problems, path)
    return config
