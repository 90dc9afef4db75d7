"""The contrastive training loop: seeds, steps, checks on the text metric, checkpoints, exact resume. A generator."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError
from geomm_engine.networks.two_towers import TwoTowers
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.training.config import ContrastiveConfig, Schedule, read_config
from geomm_engine.training.data import Batch, Lessons
from geomm_engine.training.losses import anchor_loss, contrastive_loss
from geomm_engine.training.mobilenet import read_convolutions
from geomm_engine.training.pictures import whole
from geomm_engine.training.run_folder import Check, RunFolder, save_atomically
from geomm_engine.training.zero_shot import image_vectors, prototypes, top_1


@dataclass(frozen=True)
class TrainingResult:
    """The best network by the text metric lies in ``folder``; ``history`` holds every check."""

    folder: Path
    best_step: int
    text_metric: float
    history: tuple[Check, ...]


class Trainer:
    """One run: its network, averaged network, optimiser, random state and history."""

    def __init__(
        self, config: ContrastiveConfig, lessons: Lessons, device: str, start: Sequence[tuple[Tensor, Tensor]] = ()
    ) -> None:
        self.config = config
        self.lessons = lessons
        self.device = torch.device(device)
        torch.manual_seed(config.seed)
        self.random = np.random.default_rng(config.seed)
        self.network = TwoTowers(config.network)
        if start:
            # Pictures of their own: the batches of the run do not depend on where it starts from.
            images = lessons.batch(np.random.default_rng(config.seed + 1)).images
            self.network.image.stem.start_from(start, images)
        self.network.to(self.device)
        self._wake()
        self.average = deepcopy(self.network).requires_grad_(False).eval()
        self.anchors = nn.Parameter(
            torch.randn(len(lessons.classes), config.network.image.dim, device=self.device) * 0.1
        )
        groups = _groups(self.network, config.schedule)
        groups.append({"params": [self.anchors], "weight_decay": 0.0, "rate": 1.0})
        self.optimiser = torch.optim.AdamW(groups, lr=config.schedule.learning_rate)
        self.step = 0
        self.history: list[Check] = []
        self.best_metric = -1.0
        self.best_step = 0
        self.losses: list[float] = []
        self.elapsed_s = 0.0

    def learn(self, batch: Batch) -> float:
        """One step; gives the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.schedule.rate_at(self.step) * group["rate"]
        self._wake()
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

    def _wake(self) -> None:
        """Ready to learn, but for the frozen part of the stem."""
        self.network.train()
        self.network.image.stem.freeze(self.config.frozen_blocks)

    def loss(self, batch: Batch) -> Tensor:
        images = batch.images.to(self.device, memory_format=torch.channels_last)
        gsd_m, tokens, relation = (item.to(self.device) for item in (batch.gsd_m, batch.tokens, batch.relation))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.is_bfloat16):
            image_vector, text_vector = self.network(images, gsd_m, tokens)
        image_vector, text_vector = image_vector.float(), text_vector.float()
        loss = contrastive_loss(image_vector, text_vector, self.network.scale, relation)
        if self.config.anchor_weight <= 0:
            return loss
        labels, shows, sets = (item.to(self.device) for item in (batch.labels, batch.shows, self.lessons.set_of_class))
        anchors = functional.normalize(self.anchors, dim=1)
        mixed_in = (batch.other_labels.to(self.device), batch.own_share.to(self.device))
        return loss + self.config.anchor_weight * anchor_loss(
            image_vector, text_vector, anchors, self.network.scale, labels, sets, shows, mixed_in
        )

    def _follow(self) -> None:
        """The averaged network moves a little towards the trained one; faster at first."""
        keep = min(self.config.schedule.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mine, other in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(other, 1 - keep)
                else:
                    mine.copy_(other)

    def check(self) -> Check:
        """Class names typed as text against the validation pictures; the stopping metric is the mean over the sets."""
        found: dict[str, float] = {}
        for place in self.lessons.measured_places:
            source, pictures = self.config.pictures[place], self.lessons.validation[place]
            pixels, gsd_m = whole(pictures, source.whole_px)
            vectors = image_vectors(self.average, pixels, gsd_m, self.lessons.normalise)
            names = [self.lessons.captions.classes[item] for item in pictures.classes]
            found[source.name] = top_1(vectors, prototypes(self.average, names, self.lessons.tokens), pictures)
        metric = sum(found.values()) / len(found)
        mean_loss = sum(self.losses) / max(1, len(self.losses))
        self.losses.clear()
        check = Check(self.step, mean_loss, float(self.network.scale.detach()), metric, found, round(self.elapsed_s, 1))
        self.history.append(check)
        return check

    def state(self) -> dict[str, object]:
        """Everything that the rest of the run depends on; only tensors, numbers and texts."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "anchors": self.anchors.detach(),
            "optimiser": self.optimiser.state_dict(),
            "numpy_random": json.dumps(self.random.bit_generator.state),
            "torch_random": torch.get_rng_state(),
            "step": self.step,
            "best_metric": self.best_metric,
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
        with torch.no_grad():
            self.anchors.copy_(state["anchors"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.random.bit_generator.state = json.loads(state["numpy_random"])
        torch.set_rng_state(state["torch_random"].cpu())
        self.step, self.best_step = state["step"], state["best_step"]
        self.best_metric, self.elapsed_s = state["best_metric"], state["elapsed_s"]
        self.losses = list(state["losses"])
        self.history = [Check(**item) for item in json.loads(state["history"])]


def _groups(network: TwoTowers, schedule: Schedule) -> list[dict[str, object]]:
    """Matrices and kernels decay; norms, biases, positions and the scale do not. The stem has a rate of its own."""
    groups: list[dict[str, object]] = []
    for is_stem, rate in ((True, schedule.stem_rate), (False, 1.0)):
        own = [
            item
            for name, item in network.named_parameters()
            if item.requires_grad and name.startswith("image.stem.") == is_stem
        ]
        groups.append({"params": [x for x in own if x.ndim >= 2], "weight_decay": schedule.weight_decay, "rate": rate})
        groups.append({"params": [x for x in own if x.ndim < 2], "weight_decay": 0.0, "rate": rate})
    return groups


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def trainer_for(lessons: Lessons, data: Path, device: str = "cpu") -> Trainer:
    """A trainer before its first step, its stem from the network that the configuration starts from.

    Raises:
        EngineError: that network cannot be read.
    """
    config = lessons.config
    start = read_convolutions(data / config.start) if config.start else []
    return Trainer(config, lessons, device, start)


def train_contrastive(
    config_file: Path, folder: Path, *, data: Path, is_resumed: bool = False, device: str = "cpu"
) -> Job[TrainingResult]:
    """Train both towers; yields progress, ends with the best network saved in the run folder.

    Raises:
        EngineError: data or captions are wrong (before the first step), or there is nothing to resume.
    """
    config = read_config(config_file)
    run = RunFolder(folder)
    if is_resumed and not run.checkpoint.is_file():
        raise EngineError(
            ErrorCode.FOLDER_INVALID, f"There is no checkpoint in {folder} to go on from.", "Start a new run."
        )
    lessons = Lessons(config, data)
    run.begin(config_file, device=device, threads=config.threads)
    with _threads(config.threads):
        trainer = trainer_for(lessons, data, device)
        if is_resumed:
            trainer.restore(run.checkpoint)
        yield from _steps(trainer, run)
    return TrainingResult(folder, trainer.best_step, trainer.best_metric, tuple(trainer.history))


def _steps(trainer: Trainer, run: RunFolder) -> Job[None]:
    schedule = trainer.config.schedule
    watch = Stopwatch("train", schedule.all_steps, trainer.step)
    last = schedule.stop_after or schedule.all_steps
    while trainer.step < last:
        started_s = time.monotonic()
        trainer.learn(trainer.lessons.batch(trainer.random))
        trainer.elapsed_s += time.monotonic() - started_s
        yield watch.step()
        if trainer.step % schedule.check_every == 0 or trainer.step == schedule.all_steps:
            _look(trainer, run)
            save_atomically(trainer.state(), run.checkpoint)
            if schedule.patience and trainer.step - trainer.best_step >= schedule.patience * schedule.check_every:
                break
    save_atomically(trainer.state(), run.checkpoint)
    run.write_history(trainer.history)


def _look(trainer: Trainer, run: RunFolder) -> None:
    check = trainer.check()
    if check.text_metric > trainer.best_metric:
        trainer.best_metric, trainer.best_step = check.text_metric, check.step
        save_atomically({"network": trainer.average.state_dict(), "step": check.step}, run.best)
    run.write_history(trainer.history)
