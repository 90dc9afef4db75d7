"""Teaching a new sensor to answer to words: a student of other bands learns a frozen teacher's vectors. A generator.

No label is used. The loss is distillation (1 − cos, and MSE), symmetric contrast with soft targets from the teacher's own
similarities, and the teacher's answers to probe words; the run stops on agreement in text space, not on the pair metric
(methods 001-02, 001-04): a student can go on matching vectors while words begin to fail.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.contract import ErrorCode, encode
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.registry import find_model
from geomm_engine.encoders.torch_encoder import has_scene_tower, load_scene_tower, scene_tower_settings
from geomm_engine.errors import EngineError, writing
from geomm_engine.networks.band_student import BandStudent, BandStudentSettings
from geomm_engine.networks.views import ready, sized
from geomm_engine.progress import Job
from geomm_engine.training.chain_config import ChainConfig, Loss
from geomm_engine.training.chain_data import Batch, Lessons, Tiles
from geomm_engine.training.loop import Learner, need_checkpoint, steps, threads
from geomm_engine.training.run_folder import METRICS, RunFolder

CONFIG_FILE = "config.json"
_LARGEST_SCALE = 100.0
_STEP = 256


@dataclass(frozen=True)
class ChainCheck:
    """One look at the held-out tiles. ``agreement``: share for which student and teacher choose the same probe word.

    ``overlap``: how much of the probability of the probe words they share, which a single tile moves less.
    ``by_others``: the overlap with the teacher's own bands hidden, where the student has others (else ``overlap`` again).
    ``cosine``: mean between both; ``retrieval``: share whose nearest teacher vector is their own.
    """

    step: int
    loss: float
    agreement: float
    overlap: float
    by_others: float
    cosine: float
    retrieval: float
    elapsed_s: float


@dataclass(frozen=True)
class ChainResult:
    """The best student by what it shares with its teacher lies in ``folder``; ``agreement`` is its own."""

    folder: Path
    best_step: int
    agreement: float
    history: tuple[ChainCheck, ...]


def settings_for(lessons: Lessons) -> BandStudentSettings:
    """Of the tower that the student takes over, with the values that this tower's pictures have; else of the recipe's."""
    origin = origin_of(lessons)
    if origin is None:
        return BandStudentSettings(lessons.codes, replace(lessons.config.network.tower, dim=lessons.dim))
    radiometry = origin.card.radiometry
    lowest, highest = (
        tuple((value - mean) / std for mean, std in zip(radiometry.mean, radiometry.std, strict=True))
        for value in (0.0, 1.0)
    )
    return BandStudentSettings(lessons.codes, replace(scene_tower_settings(origin), dim=lessons.dim), lowest, highest)


def origin_of(lessons: Lessons) -> ModelFolder | None:
    """Whose image tower the student starts as: the teacher's, or the built-in model's where that is of another kind."""
    if not lessons.config.network.starts_taught:
        return None
    return next((item for item in (lessons.teacher, find_model()) if has_scene_tower(item)), None)


def new_student(lessons: Lessons) -> BandStudent:
    """A student before its first step. Its bands resemble the teacher's pictures as well as they can."""
    network = BandStudent(settings_for(lessons))
    origin = origin_of(lessons)
    rows, shown = lessons.compared
    if origin is not None:
        taken = load_scene_tower(origin).state_dict()
        if origin.card.space_id != lessons.teacher.card.space_id:  # its own head, for vectors of another space
            taken = {name: value for name, value in taken.items() if not name.startswith("head.")}
        network.tower.load_state_dict(taken, strict=False)
    radiometry = (origin or lessons.teacher).card.radiometry
    batch = lessons.whole(lessons.training.subset(rows), slice(None))
    if shown.shape[1] == network.mix.scale.shape[0]:
        mean, std = (torch.tensor(item).view(1, -1, 1, 1) for item in (radiometry.mean, radiometry.std))
        network.mix.resemble(batch.images, batch.present, (torch.from_numpy(shown) - mean) / std)
    _to_unit_length(network.eval(), batch)
    return network


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


@torch.no_grad()
def _to_unit_length(network: BandStudent, batch: Batch) -> None:
    """The head gives vectors of length 1 on average: a tower that was only ever asked for directions may give any."""
    length = network(batch.images, batch.gsd_m, batch.present).norm(dim=1).mean().clamp_min(1e-6)
    network.tower.head.weight.div_(length)
    network.tower.head.bias.div_(length)


def student_vectors(
    network: nn.Module, lessons: Lessons, tiles: Tiles, kept: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """(n, dim) unit vectors of tiles as they are, or of some of their bands; the network is in evaluation mode."""
    device = next(network.parameters()).device
    parts: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for at in range(0, len(tiles), _STEP):
            batch = lessons.whole(tiles, slice(at, at + _STEP), kept)
            vectors = network(batch.images.to(device), batch.gsd_m.to(device), batch.present.to(device))
            parts.append(functional.normalize(vectors.float(), dim=1).cpu().numpy())
    return np.concatenate(parts)


def word_agreement(
    first: NDArray[np.float32], second: NDArray[np.float32], words: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """(n,) whether both vectors of a tile choose the same word."""
    return np.asarray(np.argmax(first @ words.T, axis=1) == np.argmax(second @ words.T, axis=1))


def word_overlap(
    first: NDArray[np.float32], second: NDArray[np.float32], words: NDArray[np.float32], scale: float
) -> NDArray[np.float64]:
    """(n,) probability that both vectors of a tile give to the same words, 0–1: one less their total variation."""
    shares = [softmax(scale * (vectors @ words.T).astype(np.float64), axis=1) for vectors in (first, second)]
    return np.asarray(np.minimum(*shares).sum(axis=1))


def retrieval_at_1(student: NDArray[np.float32], teacher: NDArray[np.float32]) -> float:
    """Share of the tiles whose nearest teacher vector is their own; chance is 1 / n."""
    return float(np.mean(np.argmax(student @ teacher.T, axis=1) == np.arange(len(student))))


class Trainer(Learner[BandStudent, Batch, ChainCheck]):
    """One run of a student."""

    check_kind = ChainCheck

    def __init__(self, config: ChainConfig, lessons: Lessons, device: str) -> None:
        self.config = config
        self.lessons = lessons
        torch.manual_seed(config.seed)
        self.log_scale = torch.nn.Parameter(torch.tensor(float(np.log(1 / config.loss.temperature)), device=device))
        super().__init__(new_student(lessons), config.schedule, config.seed, device, stem="tower.")
        self.words = torch.from_numpy(lessons.words).to(self.device)

    def extra(self) -> dict[str, torch.nn.Parameter]:
        return {"log_scale": self.log_scale}

    def batches(self, stop: int) -> Iterator[Batch]:
        while self.step < stop:
            yield self.lessons.batch(self.random)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        images = batch.images.to(self.device, memory_format=torch.channels_last)
        gsd_m, present, teacher = (item.to(self.device) for item in (batch.gsd_m, batch.present, batch.teacher))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.is_bfloat16):
            student = sized(self.network, self.network.look)(images, gsd_m, present)
        scale = self.log_scale.exp().clamp(max=_LARGEST_SCALE)
        loss = chain_loss(student.float(), teacher, self.words, scale, self.config.loss)
        return loss, loss

    def look(self) -> ChainCheck:
        """The averaged student beside its teacher on the held-out tiles."""
        held, words, others = self.lessons.held, self.lessons.words, self.lessons.others
        network = ready(self.average, self.average.look)
        scale = self.lessons.teacher.card.scoring.logit_scale
        vectors = student_vectors(network, self.lessons, held)
        overlap = float(word_overlap(vectors, held.teacher, words, scale).mean())
        by_others = overlap
        if others is not None:
            blind = student_vectors(network, self.lessons, held, others)
            by_others = float(word_overlap(blind, held.teacher, words, scale).mean())
        return ChainCheck(
            self.step,
            self.mean_loss,
            float(word_agreement(vectors, held.teacher, words).mean()),
            overlap,
            by_others,
            float(np.sum(vectors * held.teacher, axis=1).mean()),
            retrieval_at_1(vectors, held.teacher),
            round(self.elapsed_s, 1),
        )

    def rank(self, check: ChainCheck) -> tuple[float, ...]:
        """By agreement in words, with the teacher's bands and without, as shared probability: tiles may be few.

        Both are weighed with the teacher's scale; the student's own is fitted when it is exported.
        """
        return (0.5 * (check.overlap + check.by_others),)

    def write_history(self, run: RunFolder) -> None:
        write_history(self.history, run.path)


def train_chain(
    lessons: Lessons, folder: Path, *, is_resumed: bool = False, is_compiled: bool = False, device: str = "cpu"
) -> Job[ChainResult]:
    """Train a student; yields progress, ends with the best one saved in the run folder.

    Raises:
        EngineError: there is too little ground, or there is nothing to resume.
    """
    config, run = lessons.config, RunFolder(folder)
    need_checkpoint(run, is_resumed)
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
        yield from steps(trainer, run, is_compiled=is_compiled)
    agreement = next((item.agreement for item in trainer.history if item.step == trainer.best_step), 0.0)
    return ChainResult(folder, trainer.best_step, agreement, tuple(trainer.history))


def load_best(lessons: Lessons, run: RunFolder) -> BandStudent:
    """The best student of a run, ready to be used.

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
        at = [item.step for item in history]
        left.plot(at, [item.loss for item in history], marker=".")
        left.set(xlabel="step", ylabel="loss", title="training")
        for name, values in (
            ("same word as the teacher", [item.agreement for item in history]),
            ("shared probability of words", [item.overlap for item in history]),
            ("the same, the teacher's bands hidden", [item.by_others for item in history]),
            ("mean cosine to the teacher", [item.cosine for item in history]),
            ("nearest teacher vector is its own", [item.retrieval for item in history]),
        ):
            right.plot(at, [100 * value for value in values], marker=".", label=name)
        right.set(xlabel="step", ylabel="% of held-out tiles", title="held-out ground")
        right.legend()
        for axes in (left, right):
            axes.grid(alpha=0.3)
        figure.savefig(folder / "curves.png", dpi=110)
        pyplot.close(figure)
