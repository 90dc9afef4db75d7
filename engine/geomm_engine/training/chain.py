"""Teaching a new sensor to answer to words: a student of other bands learns a frozen teacher's vectors. A generator.

No label is used. The loss is distillation (1 − cos, and MSE), symmetric contrast with soft targets from the teacher's own
similarities, and the teacher's answers to probe words; the run stops on agreement in text space, not on the pair metric
(methods 001-02, 001-04): a student can go on matching vectors while words begin to fail.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geomm_engine.contract import ErrorCode, encode
from geomm_engine.errors import EngineError, writing
from geomm_engine.networks.band_student import BandStudent, BandStudentSettings
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.training.chain_config import ChainConfig, Loss
from geomm_engine.training.chain_data import Batch, Lessons, Tiles
from geomm_engine.training.run_folder import METRICS, RunFolder, save_atomically

CONFIG_FILE = "config.json"
_LARGEST_SCALE = 100.0
_STEP = 256


@dataclass(frozen=True)
class ChainCheck:
    """One look at the held-out tiles. ``agreement``: share for which student and teacher choose the same probe word.

    ``cosine``: mean between both; ``retrieval``: share whose nearest teacher vector is their own.
    """

    step: int
    loss: float
    agreement: float
    cosine: float
    retrieval: float
    elapsed_s: float


@dataclass(frozen=True)
class ChainResult:
    """The best student by agreement lies in ``folder``."""

    folder: Path
    best_step: int
    agreement: float
    history: tuple[ChainCheck, ...]


def settings_for(lessons: Lessons) -> BandStudentSettings:
    network = lessons.config.network
    return BandStudentSettings(lessons.dim, lessons.codes, network.widths, network.depths)


def chain_loss(student: Tensor, teacher: Tensor, words: Tensor, scale: Tensor, weights: Loss) -> Tensor:
    """Methods 001-02. ``student`` (n, dim) as it comes, ``teacher`` (n, dim) and ``words`` (w, dim) unit vectors.

    The soft target of a pair is the softmax of the teacher's own similarities, so that look-alikes in a batch are no
    wrong answers.
    """
    vector = functional.normalize(student, dim=1)
    loss = weights.cosine * (1 - (vector * teacher).sum(dim=1)).mean()
    if weights.mse:
        loss = loss + weights.mse * functional.mse_loss(student, teacher, reduction="sum") / len(teacher)
    if weights.contrast:
        target = torch.softmax(teacher @ teacher.T / weights.temperature, dim=1)
        logits = scale * vector @ teacher.T
        loss = loss + weights.contrast * 0.5 * (
            _soft_cross_entropy(logits, target) + _soft_cross_entropy(logits.T, target)
        )
    if weights.words:
        said = torch.softmax(teacher @ words.T / weights.temperature, dim=1)
        loss = loss + weights.words * _soft_cross_entropy(vector @ words.T / weights.temperature, said)
    return loss


def _soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()


def student_vectors(network: BandStudent, lessons: Lessons, tiles: Tiles) -> NDArray[np.float32]:
    """(n, dim) unit vectors of tiles as they are; the network is in evaluation mode."""
    device = next(network.parameters()).device
    parts: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for at in range(0, len(tiles), _STEP):
            batch = lessons.whole(tiles, slice(at, at + _STEP))
            vectors = network(batch.images.to(device), batch.gsd_m.to(device), batch.present.to(device))
            parts.append(functional.normalize(vectors.float(), dim=1).cpu().numpy())
    return np.concatenate(parts)


def word_agreement(
    first: NDArray[np.float32], second: NDArray[np.float32], words: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """(n,) whether both vectors of a tile choose the same word."""
    return np.asarray(np.argmax(first @ words.T, axis=1) == np.argmax(second @ words.T, axis=1))


def retrieval_at_1(student: NDArray[np.float32], teacher: NDArray[np.float32]) -> float:
    """Share of the tiles whose nearest teacher vector is their own; chance is 1 / n."""
    return float(np.mean(np.argmax(student @ teacher.T, axis=1) == np.arange(len(student))))


class Trainer:
    """One run: student, averaged student, optimiser, random state and history."""

    def __init__(self, config: ChainConfig, lessons: Lessons, device: str) -> None:
        self.config = config
        self.lessons = lessons
        self.device = torch.device(device)
        torch.manual_seed(config.seed)
        self.random = np.random.default_rng(config.seed)
        self.network = BandStudent(settings_for(lessons)).to(self.device)
        self.average = deepcopy(self.network).requires_grad_(False).eval()
        self.log_scale = torch.nn.Parameter(
            torch.tensor(float(np.log(1 / config.loss.temperature)), device=self.device)
        )
        self.words = torch.from_numpy(lessons.words).to(self.device)
        parameters = [item for item in self.network.parameters() if item.ndim >= 2]
        others = [self.log_scale, *(item for item in self.network.parameters() if item.ndim < 2)]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": parameters, "weight_decay": config.schedule.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=config.schedule.learning_rate,
        )
        self.step = 0
        self.history: list[ChainCheck] = []
        self.best = (-1.0, -2.0)
        self.best_step = 0
        self.losses: list[float] = []
        self.elapsed_s = 0.0

    def learn(self, batch: Batch) -> float:
        """One step; gives the loss."""
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
        images = batch.images.to(self.device, memory_format=torch.channels_last)
        gsd_m, present, teacher = (item.to(self.device) for item in (batch.gsd_m, batch.present, batch.teacher))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.is_bfloat16):
            student = self.network(images, gsd_m, present)
        scale = self.log_scale.exp().clamp(max=_LARGEST_SCALE)
        return chain_loss(student.float(), teacher, self.words, scale, self.config.loss)

    def _follow(self) -> None:
        """The averaged student moves a little towards the trained one; faster at first."""
        keep = min(self.config.schedule.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mine, other in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(other, 1 - keep)
                else:
                    mine.copy_(other)

    def check(self) -> ChainCheck:
        """The averaged student beside its teacher on the held-out tiles."""
        held = self.lessons.held
        vectors = student_vectors(self.average, self.lessons, held)
        check = ChainCheck(
            self.step,
            sum(self.losses) / max(1, len(self.losses)),
            float(word_agreement(vectors, held.teacher, self.lessons.words).mean()),
            float(np.sum(vectors * held.teacher, axis=1).mean()),
            retrieval_at_1(vectors, held.teacher),
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
            "log_scale": self.log_scale.detach(),
            "optimiser": self.optimiser.state_dict(),
            "numpy_random": json.dumps(self.random.bit_generator.state),
            "torch_random": torch.get_rng_state(),
            "step": self.step,
            "best": list(self.best),
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
            self.log_scale.copy_(state["log_scale"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.random.bit_generator.state = json.loads(state["numpy_random"])
        torch.set_rng_state(state["torch_random"].cpu())
        self.step, self.best_step = state["step"], state["best_step"]
        self.best, self.elapsed_s = (state["best"][0], state["best"][1]), state["elapsed_s"]
        self.losses = list(state["losses"])
        self.history = [ChainCheck(**item) for item in json.loads(state["history"])]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of torch inside, as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_chain(lessons: Lessons, folder: Path, *, is_resumed: bool = False, device: str = "cpu") -> Job[ChainResult]:
    """Train a student; yields progress, ends with the best one saved in the run folder.

    Raises:
        EngineError: there is too little ground, or there is nothing to resume.
    """
    config, run = lessons.config, RunFolder(folder)
    if is_resumed and not run.checkpoint.is_file():
        raise EngineError(
            ErrorCode.FOLDER_INVALID, f"There is no checkpoint in {folder} to go on from.", "Start a new run."
        )
    yield from lessons.prepare()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(encode(config), indent=1, ensure_ascii=False)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    run.note_environment(device=device, threads=config.threads)
    with threads(config.threads):
        trainer = Trainer(config, lessons, device)
        if is_resumed:
            trainer.restore(run.checkpoint)
        yield from _steps(trainer, run)
    return ChainResult(folder, trainer.best_step, trainer.best[0], tuple(trainer.history))


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
    write_history(trainer.history, run.path)


def _look(trainer: Trainer, run: RunFolder) -> None:
    """Keep the student that agrees best with its teacher in words; of equal ones the one nearest to its vectors."""
    check = trainer.check()
    if (check.agreement, check.cosine) > trainer.best:
        trainer.best, trainer.best_step = (check.agreement, check.cosine), check.step
        save_atomically({"network": trainer.average.state_dict(), "step": check.step}, run.best)
    write_history(trainer.history, run.path)


def load_best(lessons: Lessons, run: RunFolder) -> BandStudent:
    """The student with the best agreement of a run, ready to be used.

    Raises:
        EngineError: the run has not come to its first check.
    """
    if not run.best.is_file():
        raise EngineError(ErrorCode.FOLDER_INVALID, f"There is no trained student in {run.path}.", "Train first.")
    network = BandStudent(settings_for(lessons))
    network.load_state_dict(torch.load(run.best, map_location="cpu", weights_only=True)["network"])
    return network.eval().requires_grad_(False)


def write_history(history: list[ChainCheck], folder: Path) -> None:
    """``metrics.json`` and ``curves.png``."""
    with writing(folder / METRICS):
        text = json.dumps([vars(item) for item in history], indent=1)
        (folder / METRICS).write_text(text + "\n", encoding="utf-8")
        matplotlib.use("Agg")
        from matplotlib import pyplot

        figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
        steps = [item.step for item in history]
        left.plot(steps, [item.loss for item in history], marker=".")
        left.set(xlabel="step", ylabel="loss", title="training")
        for name, values in (
            ("same word as the teacher", [item.agreement for item in history]),
            ("mean cosine to the teacher", [item.cosine for item in history]),
            ("nearest teacher vector is its own", [item.retrieval for item in history]),
        ):
            right.plot(steps, [100 * value for value in values], marker=".", label=name)
        right.set(xlabel="step", ylabel="% of held-out tiles", title="held-out ground")
        right.legend()
        for axes in (left, right):
            axes.grid(alpha=0.3)
        figure.savefig(folder / "curves.png", dpi=110)
        pyplot.close(figure)
