"""The training loop of the geographic expert: seeds, steps, checks on validation blocks, checkpoints, exact resume."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geomm_engine import sphere
from geomm_engine.errors import writing
from geomm_engine.evaluation.locate_metrics import best_points
from geomm_engine.geography.koppen import GlobalRaster
from geomm_engine.geography.mixture import log_softmax, log_vmf
from geomm_engine.geography.season import difference_days
from geomm_engine.geography.world import read_heights, read_koppen, read_land
from geomm_engine.networks.geographic_expert import ExpertOutput, GeographicExpert
from geomm_engine.progress import Job
from geomm_engine.training.blocks import Part
from geomm_engine.training.drawn_earth import draw_world
from geomm_engine.training.earth import read_fine_tiles, read_mosaics
from geomm_engine.training.geographic_config import GeographicConfig, read_geographic_config
from geomm_engine.training.geographic_losses import (
    climate_loss,
    log_mvmf,
    masked_mean,
    plain_loss,
    season_loss,
)
from geomm_engine.training.loop import Learner, need_checkpoint, steps, threads
from geomm_engine.training.mobilenet import read_convolutions
from geomm_engine.training.place_basis import place_basis
from geomm_engine.training.places import (
    Batch,
    Lessons,
    Pool,
    Widths,
    World,
    draw_pictures,
    draw_pool,
    plain_crops,
    tiles_over,
    to_batch,
)
from geomm_engine.training.run_folder import METRICS, RunFolder

TEMPERATURES = (1.0, 1.5, 2.0)
NEVER = -1e4
"""Logit offset of a centre that no training crop is near."""
_FIRST_LOOKS = 2
"""Batches that the norms of the stem are set from."""


@dataclass(frozen=True)
class GeographicCheck:
    """One look at the run: mean training loss since the last one, and what the averaged network does on validation."""

    step: int
    loss: float
    validation_loss: float
    median_km: float
    climate_fine: float
    season_days: float
    elapsed_s: float


@dataclass(frozen=True)
class GeographicResult:
    folder: Path
    best_step: int
    validation_loss: float
    history: tuple[GeographicCheck, ...]


def read_world(config: GeographicConfig, data: Path) -> World:
    """The maps of the recipe.

    Raises:
        RasterError: one is missing or damaged.
    """
    if config.is_drawn:
        return draw_world(config.seed)
    tiles = read_fine_tiles(data / config.earth.tiles) if config.earth.tiles else None
    mosaics = read_mosaics(data / config.earth.mosaics)
    return World(mosaics, read_koppen(data), read_land(data), read_heights(data), tiles)


def land_centres(land: GlobalRaster, lattice: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(k, 3) points of the lattice whose cells hold land, and (k,) each one's share of all land: the prior of places."""
    points = sphere.fibonacci_points(lattice)
    places = sphere.random_points(200 * lattice, np.random.default_rng(1))
    places = places[land.at(*sphere.lat_lon(places)).astype(bool)]
    count = np.zeros(lattice)
    for part in np.array_split(places, max(1, len(places) // 20000)):
        np.add.at(count, np.argmax(part @ points.T, axis=1), 1)
    kept = count >= 0.05 * 200
    return points[kept], count[kept] / count[kept].sum()


def training_prior(pool: Pool, centres: NDArray[np.float64], kappa: float) -> NDArray[np.float64]:
    """(k,) how much of the training crops each centre answers for: the prior that training sees."""
    points = sphere.unit_vectors(pool.lat, pool.lon)
    total = np.zeros(len(centres))
    for part in np.array_split(points, max(1, len(points) // 2000)):
        kernel = log_vmf(
            part[:, None].astype(np.float32), centres[None].astype(np.float32), np.array(kappa, np.float32)
        )
        total += np.exp(log_softmax(kernel)).sum(axis=0)
    return total / total.sum()


class Trainer(Learner[GeographicExpert, Batch, GeographicCheck]):
    """One run of the expert."""

    check_kind = GeographicCheck

    def __init__(
        self, config: GeographicConfig, world: World, device: str, start: Sequence[tuple[Tensor, Tensor]] = ()
    ) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        random = np.random.default_rng(config.seed)
        pool = draw_pool(world, config.pool, config.widths, Part.TRAINING, random)
        fine_pool = _fine_pool(config, world, random)
        self.lessons = Lessons(
            world, pool, fine_pool, config.px, config.batch, config.earth.fine_share, config.jitter, config.seed
        )
        self.validation = _looked_at(config, world)
        centres, land = land_centres(world.land, config.lattice)
        basis = torch.from_numpy(place_basis(world, centres))
        network = GeographicExpert(config.network, torch.from_numpy(centres), basis, config.kappa)
        if start:
            images = torch.cat([self.lessons.at(step).images for step in range(_FIRST_LOOKS)])
            network.stem.start_from(start, normalised(config, images))
        network.stem.freeze(config.frozen_blocks)
        super().__init__(network, config.schedule, config.seed, device, stem="stem.")
        self.log_land = torch.from_numpy(np.log(land).astype(np.float32)).to(self.device)
        seen = training_prior(pool.subset(pool.land > 0.05), centres, config.kappa)
        offset = np.where(seen > 0.02 / len(seen), np.log(np.maximum(seen, 1e-12)), NEVER)
        self.log_seen = torch.from_numpy(offset.astype(np.float32)).to(self.device)

    def batches(self, stop: int) -> Iterator[Batch]:
        """The next batch is made while the last is learnt from."""
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self.lessons.at, self.step)
            while self.step < stop:
                batch = coming.result()
                coming = reader.submit(self.lessons.at, min(self.step + 1, stop - 1))
                yield batch

    def wake(self) -> None:
        """Ready to learn, but for the frozen part of the stem. Dropout depends on the seed and the step alone."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        self.network.train()
        self.network.stem.freeze(self.config.frozen_blocks)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        images = normalised(self.config, batch.images).to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.is_bfloat16):
            found = self.network(images, batch.gsd_m.to(self.device))
        loss = self._weighed(found, batch)
        return loss, loss

    def _weighed(self, found: ExpertOutput, batch: Batch) -> Tensor:
        """The weighted sum of the heads' losses, each over the rows that it can be taught by."""
        weights, on = self.config.weights, self.device
        points, angle, is_land, is_dated = (
            item.to(on) for item in (batch.points, batch.angle, batch.is_land, batch.is_dated)
        )
        place = -log_mvmf(found.place + self.log_seen, self.network.centres, self.network.kappa, points)
        is_seen = batch.is_seen.to(on)
        abstain = nn.functional.binary_cross_entropy_with_logits(found.abstain, 1.0 - is_land, reduction="none")
        loss = weights.place * masked_mean(place, is_land)
        loss = loss + weights.climate * masked_mean(climate_loss(found.climate, batch.climate.to(on)), is_seen)
        loss = loss + weights.season * masked_mean(season_loss(found.season, angle), is_dated)
        loss = loss + weights.abstain * masked_mean(abstain, torch.ones_like(abstain))
        land = nn.functional.binary_cross_entropy_with_logits(found.land, batch.land.to(on), reduction="none")
        loss = loss + weights.land * masked_mean(land.mean(dim=(1, 2)), is_seen)
        drawn = -torch.log_softmax(found.climates, dim=1).gather(1, batch.climates.to(on))
        loss = loss + weights.climates * masked_mean(drawn.mean(dim=(1, 2, 3)), is_seen)
        if found.plain.shape[1]:
            loss = loss + masked_mean(plain_loss(found.plain, points, angle), is_dated)
        return loss

    def look(self) -> GeographicCheck:
        """The averaged network on pictures of the validation blocks, with the prior "anywhere on land".

        The validation loss takes the best of some temperatures for the places: how sure to be is calibrated later.
        """
        with torch.inference_mode():
            seen = [self.average(normalised(self.config, item.images), item.gsd_m) for item in self.validation]
            logits, climate, season = (
                torch.stack(items).mean(dim=0)
                for items in (
                    [torch.log_softmax(item.place + self.log_land, dim=1) for item in seen],
                    [torch.log_softmax(item.climate, dim=1) for item in seen],
                    [item.season for item in seen],
                )
            )
            known = self.validation[0]
            places = [
                -log_mvmf(logits / item, self.average.centres, self.average.kappa, known.points).mean()
                for item in TEMPERATURES
            ]
            loss = min(places) + climate_loss(climate, known.climate).mean() + season_loss(season, known.angle).mean()
        truth = known.points.double().numpy()
        best = logits / TEMPERATURES[places.index(min(places))]
        said = best_points(torch.log_softmax(best, dim=1).double().numpy(), self.average.centres.double().numpy())
        far = np.abs(truth[:, 2]) > math.sin(math.radians(35))
        days = difference_days(torch.atan2(season[:, 1], season[:, 0]).numpy(), known.angle.numpy())
        right = climate[:, 1:].argmax(dim=1) == known.climate[:, 1:].argmax(dim=1)
        return GeographicCheck(
            self.step,
            self.mean_loss,
            round(float(loss), 4),
            round(float(np.median(sphere.distance_km(said, truth))), 1),
            round(float(right.float().mean()), 4),
            round(float(np.median(days[far])) if far.any() else math.nan, 2),
            round(self.elapsed_s, 1),
        )

    def rank(self, check: GeographicCheck) -> tuple[float, ...]:
        return (-check.validation_loss,)

    def kept(self) -> dict[str, object]:
        return {**super().kept(), "log_land": self.log_land}

    def write_history(self, run: RunFolder) -> None:
        """``metrics.json`` and ``curves.png``."""
        with writing(run.path):
            text = json.dumps([vars(item) for item in self.history], indent=1)
            (run.path / METRICS).write_text(text + "\n", encoding="utf-8")
            _draw_curves(self.history, run.path / "curves.png")


def normalised(config: GeographicConfig, images: Tensor) -> Tensor:
    """Display values 0–1 (n, 3, h, w) as the network wants them."""
    mean, std = (torch.tensor(item, dtype=images.dtype)[:, None, None] for item in (config.mean, config.std))
    return (images - mean) / std


def _fine_pool(config: GeographicConfig, world: World, random: np.random.Generator) -> Pool:
    """Crops whose every pixel has a fine tile."""
    low, high = config.earth.fine_widths_km
    widths = Widths((low, high), (low, high), 1.0)
    if world.tiles is None or config.earth.fine_share <= 0:
        return draw_pool(world, 0, widths, Part.TRAINING, random)
    pool = draw_pool(world, config.pool // 3, widths, Part.TRAINING, random, sea_share=0.0)
    covered = [
        world.tiles.crop(pool.lat[at : at + 256], pool.lon[at : at + 256], pool.width_km[at : at + 256], 24)[1]
        for at in range(0, len(pool), 256)
    ]
    return pool.subset(np.concatenate(covered))


def _looked_at(config: GeographicConfig, world: World) -> list[Batch]:
    """Pictures of the validation blocks and nine tiles of each: ten batches with the pictures' labels, months in turn."""
    pictures = draw_pictures(world, config.validation, Part.VALIDATION, np.random.default_rng([config.seed, 1]))
    month = np.arange(len(pictures)) % 12 + 1
    return [
        replace(
            to_batch(plain_crops(world, item, month, config.px), item, month, config.px),
            points=torch.from_numpy(sphere.unit_vectors(pictures.lat, pictures.lon).astype(np.float32)),
        )
        for item in tiles_over(pictures)
    ]


def train_geographic(
    config_file: Path,
    folder: Path,
    *,
    data: Path,
    is_resumed: bool = False,
    is_compiled: bool = False,
    device: str = "cpu",
) -> Job[GeographicResult]:
    """Train the expert; yields progress, ends with the best network saved in the run folder.

    Raises:
        EngineError: data are missing (before the first step), or there is nothing to resume.
    """
    config = read_geographic_config(config_file)
    run = RunFolder(folder)
    need_checkpoint(run, is_resumed)
    world = read_world(config, data)
    start = read_convolutions(data / config.start) if config.start else []
    run.begin(config_file, device=device, threads=config.threads)
    with threads(config.threads):
        trainer = Trainer(config, world, device, start)
        if is_resumed:
            trainer.restore(run.checkpoint)
        yield from steps(trainer, run, is_compiled=is_compiled)
    return GeographicResult(folder, trainer.best_step, -trainer.best_rank[0], tuple(trainer.history))


def _draw_curves(history: list[GeographicCheck], path: Path) -> None:
    """Losses, the error in kilometres and the other heads over the steps, as a PNG."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    at = [item.step for item in history]
    left.plot(at, [item.loss for item in history], marker=".", label="training, one tile")
    left.plot(at, [item.validation_loss for item in history], marker=".", label="validation blocks, ten tiles")
    left.set(xlabel="step", ylabel="loss", title="losses")
    left.legend()
    middle.plot(at, [item.median_km for item in history], marker=".")
    middle.set(xlabel="step", ylabel="km", title="median error, validation blocks", ylim=(0, None))
    right.plot(at, [100 * item.climate_fine for item in history], marker=".", label="Köppen right (%)")
    right.plot(at, [item.season_days for item in history], marker=".", label="season error beyond 35° (days)")
    right.set(xlabel="step", title="climate and season, validation blocks", ylim=(0, None))
    right.legend()
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
