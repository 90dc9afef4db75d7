"""The training loop of the geographic expert: seeds, steps, checks on validation blocks, checkpoints, exact resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geomm_engine import sphere
from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError, writing
from geomm_engine.evaluation.locate_metrics import best_points
from geomm_engine.geography.koppen import GlobalRaster
from geomm_engine.geography.mixture import log_softmax, log_vmf
from geomm_engine.geography.season import difference_days
from geomm_engine.geography.world import read_koppen, read_land
from geomm_engine.networks.geographic_expert import ExpertOutput, GeographicExpert
from geomm_engine.progress import Job, Stopwatch
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
from geomm_engine.training.run_folder import METRICS, RunFolder, save_atomically

TEMPERATURES = (1.0, 1.5, 2.0)
NEVER = -1e4
"""Logit offset of a centre that no training crop is near."""


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
    return World(read_mosaics(data / config.earth.mosaics), read_koppen(data), read_land(data), tiles)


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


class Trainer:
    """One run: its network, averaged network, optimiser, lessons and history."""

    def __init__(self, config: GeographicConfig, world: World, device: str) -> None:
        self.config = config
        self.device = torch.device(device)
        torch.manual_seed(config.seed)
        random = np.random.default_rng(config.seed)
        pool = draw_pool(world, config.pool, config.widths, Part.TRAINING, random)
        fine_pool = _fine_pool(config, world, random)
        self.lessons = Lessons(
            world, pool, fine_pool, config.px, config.batch, config.earth.fine_share, config.jitter, config.seed
        )
        self.validation = _looked_at(config, world)
        centres, land = land_centres(world.land, config.lattice)
        self.network = GeographicExpert(config.network, torch.from_numpy(centres.astype(np.float32)), config.kappa).to(
            self.device
        )
        self.average = deepcopy(self.network).requires_grad_(False).eval()
        self.log_land = torch.from_numpy(np.log(land).astype(np.float32)).to(self.device)
        seen = training_prior(pool.subset(pool.land > 0.05), centres, config.kappa)
        offset = np.where(seen > 0.02 / len(seen), np.log(np.maximum(seen, 1e-12)), NEVER)
        self.log_seen = torch.from_numpy(offset.astype(np.float32)).to(self.device)
        self.optimiser = torch.optim.AdamW(
            _groups(self.network, config.schedule.weight_decay), lr=config.schedule.learning_rate
        )
        self.step = 0
        self.history: list[GeographicCheck] = []
        self.best_loss = math.inf
        self.best_step = 0
        self.losses: list[float] = []
        self.elapsed_s = 0.0

    def learn(self, batch: Batch) -> float:
        """One step; gives the loss. Its dropout depends on the seed and the step alone."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.schedule.rate_at(self.step)
        self.network.train()
        loss = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self._follow()
        self.step += 1
        value = float(loss.detach())
        self.losses.append(value)
        return value

    def loss(self, batch: Batch) -> Tensor:
        images = normalised(self.config, batch.images).to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.is_bfloat16):
            found = self.network(images, batch.gsd_m.to(self.device))
        return self.parts(self.network, found, batch, self.log_seen)

    def parts(self, network: GeographicExpert, found: ExpertOutput, batch: Batch, log_prior: Tensor) -> Tensor:
        """The weighted sum of the heads' losses, each over the rows that it can be taught by."""
        weights, on = self.config.weights, self.device
        points, angle, is_land, is_dated = (
            item.to(on) for item in (batch.points, batch.angle, batch.is_land, batch.is_dated)
        )
        place = -log_mvmf(found.place + log_prior, network.centres, network.kappa, points)
        is_seen = batch.is_seen.to(on)
        abstain = nn.functional.binary_cross_entropy_with_logits(found.abstain, 1.0 - is_land, reduction="none")
        loss = weights.place * masked_mean(place, is_land)
        loss = loss + weights.climate * masked_mean(climate_loss(found.climate, batch.climate.to(on)), is_seen)
        loss = loss + weights.season * masked_mean(season_loss(found.season, angle), is_dated)
        loss = loss + weights.abstain * masked_mean(abstain, torch.ones_like(abstain))
        if found.plain.shape[1]:
            loss = loss + masked_mean(plain_loss(found.plain, points, angle), is_dated)
        return loss

    def _follow(self) -> None:
        keep = min(self.config.schedule.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mine, other in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(other, 1 - keep)
                else:
                    mine.copy_(other)

    def check(self) -> GeographicCheck:
        """The averaged network on pictures of the validation blocks, with the prior "anywhere on land".

        The validation loss takes the best of some temperatures for the places: how sure to be is calibrated later.
        """
        with torch.inference_mode():
            seen = [self.average(normalised(self.config, item.images), item.gsd_m) for item in self.validation]
            logits = torch.stack([torch.log_softmax(item.place + self.log_land, dim=1) for item in seen]).mean(dim=0)
            climate = torch.stack([torch.log_softmax(item.climate, dim=1) for item in seen]).mean(dim=0)
            season = torch.stack([item.season for item in seen]).mean(dim=0)
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
        check = GeographicCheck(
            self.step,
            sum(self.losses) / max(1, len(self.losses)),
            round(float(loss), 4),
            round(float(np.median(sphere.distance_km(said, truth))), 1),
            round(float(right.float().mean()), 4),
            round(float(np.median(days[far])) if far.any() else math.nan, 2),
            round(self.elapsed_s, 1),
        )
        self.losses.clear()
        self.history.append(check)
        return check

    def state(self) -> dict[str, object]:
        """Everything that the rest of the run depends on; only tensors, numbers and texts."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "best_loss": self.best_loss,
            "best_step": self.best_step,
            "losses": list(self.losses),
            "elapsed_s": self.elapsed_s,
            "history": json.dumps([vars(item) for item in self.history]),
        }

    def restore(self, path: Path) -> None:
        """Go on exactly where a checkpoint was written."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best_step = state["step"], state["best_step"]
        self.best_loss, self.elapsed_s = state["best_loss"], state["elapsed_s"]
        self.losses = list(state["losses"])
        self.history = [GeographicCheck(**item) for item in json.loads(state["history"])]


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
    """Nine tiles of each picture of the validation blocks: nine batches with the pictures' labels, months in turn."""
    pictures = draw_pictures(world, config.validation, Part.VALIDATION, np.random.default_rng([config.seed, 1]))
    month = np.arange(len(pictures)) % 12 + 1
    return [
        replace(
            to_batch(plain_crops(world, item, month, config.px), item, month, config.px),
            points=torch.from_numpy(sphere.unit_vectors(pictures.lat, pictures.lon).astype(np.float32)),
        )
        for item in tiles_over(pictures, config.tile_km)
    ]


def _groups(network: GeographicExpert, weight_decay: float) -> list[dict[str, object]]:
    """Matrices and kernels decay; norms, biases and κ do not."""
    decaying = [item for item in network.parameters() if item.ndim >= 2]
    others = [item for item in network.parameters() if item.ndim < 2]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def train_geographic(
    config_file: Path, folder: Path, *, data: Path, is_resumed: bool = False, device: str = "cpu"
) -> Job[GeographicResult]:
    """Train the expert; yields progress, ends with the best network saved in the run folder.

    Raises:
        EngineError: data are missing (before the first step), or there is nothing to resume.
    """
    config = read_geographic_config(config_file)
    run = RunFolder(folder)
    if is_resumed and not run.checkpoint.is_file():
        raise EngineError(
            ErrorCode.FOLDER_INVALID, f"There is no checkpoint in {folder} to go on from.", "Start a new run."
        )
    world = read_world(config, data)
    run.begin(config_file, device=device, threads=config.threads)
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        trainer = Trainer(config, world, device)
        if is_resumed:
            trainer.restore(run.checkpoint)
        yield from _steps(trainer, run)
    finally:
        torch.set_num_threads(before)
    return GeographicResult(folder, trainer.best_step, trainer.best_loss, tuple(trainer.history))


def _batches(lessons: Lessons, start: int, stop: int) -> Iterator[Batch]:
    """Batches of the steps in order, the next one made while the last is learnt from."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(lessons.at, start)
        for step in range(start, stop):
            batch = coming.result()
            coming = reader.submit(lessons.at, min(step + 1, stop - 1))
            yield batch


def _steps(trainer: Trainer, run: RunFolder) -> Job[None]:
    schedule = trainer.config.schedule
    watch = Stopwatch("train", schedule.all_steps, trainer.step)
    last = schedule.stop_after or schedule.all_steps
    started_s = time.monotonic()
    for batch in _batches(trainer.lessons, trainer.step, last):
        trainer.learn(batch)
        yield watch.step()
        if trainer.step % schedule.check_every == 0 or trainer.step == schedule.all_steps:
            trainer.elapsed_s += time.monotonic() - started_s
            _look(trainer, run)
            save_atomically(trainer.state(), run.checkpoint)
            started_s = time.monotonic()
            if schedule.patience and trainer.step - trainer.best_step >= schedule.patience * schedule.check_every:
                break
    trainer.elapsed_s += time.monotonic() - started_s
    save_atomically(trainer.state(), run.checkpoint)
    write_history(run, trainer.history)


def _look(trainer: Trainer, run: RunFolder) -> None:
    check = trainer.check()
    if check.validation_loss < trainer.best_loss:
        trainer.best_loss, trainer.best_step = check.validation_loss, check.step
        state = {"network": trainer.average.state_dict(), "log_land": trainer.log_land, "step": check.step}
        save_atomically(state, run.best)
    write_history(run, trainer.history)


def write_history(run: RunFolder, history: list[GeographicCheck]) -> None:
    """``metrics.json`` and ``curves.png``."""
    with writing(run.path):
        text = json.dumps([vars(item) for item in history], indent=1)
        (run.path / METRICS).write_text(text + "\n", encoding="utf-8")
        _draw_curves(history, run.path / "curves.png")


def _draw_curves(history: list[GeographicCheck], path: Path) -> None:
    """Losses, the error in kilometres and the other heads over the steps, as a PNG."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    steps = [item.step for item in history]
    left.plot(steps, [item.loss for item in history], marker=".", label="training, one tile")
    left.plot(steps, [item.validation_loss for item in history], marker=".", label="validation blocks, nine tiles")
    left.set(xlabel="step", ylabel="loss", title="losses")
    left.legend()
    middle.plot(steps, [item.median_km for item in history], marker=".")
    middle.set(xlabel="step", ylabel="km", title="median error, validation blocks", ylim=(0, None))
    right.plot(steps, [100 * item.climate_fine for item in history], marker=".", label="Köppen right (%)")
    right.plot(steps, [item.season_days for item in history], marker=".", label="season error beyond 35° (days)")
    right.set(xlabel="step", title="climate and season, validation blocks", ylim=(0, None))
    right.legend()
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
