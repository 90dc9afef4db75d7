"""The contrastive training loop: seeds, steps, checks on the text metric, checkpoints, exact resume. A generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.networks.two_towers import TwoTowers
from geomm_engine.networks.views import ready
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.training.config import ContrastiveConfig, read_config
from geomm_engine.training.data import Batch, Lessons
from geomm_engine.training.language import Language, learn_language, untaught
from geomm_engine.training.locked_image import check_unchanged, locked_tower
from geomm_engine.training.loop import Learner, need_checkpoint, steps, threads
from geomm_engine.training.losses import anchor_loss, contrastive_loss
from geomm_engine.training.mobilenet import read_convolutions
from geomm_engine.training.phrases import phrase_loss
from geomm_engine.training.run_folder import Check, RunFolder
from geomm_engine.training.zero_shot import prototypes, top_1, whole_vectors


@dataclass(frozen=True)
class TrainingResult:
    """The network that was kept, the best by the text metric or the last, lies in ``folder``; ``history`` holds every check."""

    folder: Path
    best_step: int
    text_metric: float
    history: tuple[Check, ...]


class Trainer(Learner[TwoTowers, Batch, Check]):
    """One run of both towers."""

    check_kind = Check

    def __init__(
        self,
        config: ContrastiveConfig,
        lessons: Lessons,
        device: str,
        start: Sequence[tuple[Tensor, Tensor]] = (),
        language: Language | None = None,
    ) -> None:
        self.config = config
        self.lessons = lessons
        torch.manual_seed(config.seed)
        network = TwoTowers(config.network)
        if config.locked_image:
            network.image.load_state_dict(locked_tower(config).state_dict())
        elif start:
            # Pictures of their own: the batches of the run do not depend on where it starts from.
            network.image.stem.start_from(start, lessons.batch(np.random.default_rng(config.seed + 1)).images)
        _freeze(network, config)
        if language is not None:
            network.text.load_state_dict(language.tower)
        self.phrase_head = None if language is None else language.head_on(device)
        self._last_seen: tuple[Tensor, Tensor] | None = None  # by a locked tower: pictures and their vectors
        self.anchors = nn.Parameter(torch.randn(len(lessons.classes), config.network.image.dim, device=device) * 0.1)
        super().__init__(network, config.schedule, config.seed, device, stem="image.stem.")

    def extra(self) -> dict[str, nn.Parameter]:
        of_phrases = {} if self.phrase_head is None else dict(self.phrase_head.named_parameters(prefix="phrase_head"))
        return {"anchors": self.anchors, **of_phrases}

    def batches(self, stop: int) -> Iterator[Batch]:
        while self.step < stop:
            is_natural = self.config.schedule.is_in_natural_light(self.step)
            batch = self.lessons.batch(self.random, is_in_natural_light=is_natural)
            yield batch
            for _ in range(1, self.config.tellings):
                yield self.lessons.retold(batch, self.random)

    def called(self) -> Sequence[nn.Module]:
        return (self.network.text,) if self.config.locked_image else (self.network.image, self.network.text)

    def wake(self) -> None:
        """Ready to learn, but for what is frozen: a part of the stem, or the whole image tower."""
        self.network.train()
        _freeze(self.network, self.config)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        tokens, relation = (item.to(self.device) for item in (batch.tokens, batch.relation))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.is_bfloat16):
            image_vector = self._image_vectors(batch)
            text_vector = self.network.text_vectors(tokens)
        told = contrastive_loss(image_vector, text_vector, self.network.scale, relation)
        if self.config.anchor_weight > 0:
            labels, shows, sets = (
                item.to(self.device) for item in (batch.labels, batch.shows, self.lessons.set_of_class)
            )
            anchors = functional.normalize(self.anchors, dim=1)
            mixed_in = (batch.other_labels.to(self.device), batch.own_share.to(self.device))
            told = told + self.config.anchor_weight * anchor_loss(
                image_vector, text_vector, anchors, self.network.scale, labels, sets, shows, mixed_in
            )
        if self.phrase_head is None or batch.phrases is None:
            return told, told
        of_phrases = phrase_loss(self.network.text, self.phrase_head, batch.phrases)
        return told + self.config.phrases.weight * of_phrases, told

    def look(self) -> Check:
        """Class names typed as text against the validation pictures; the stopping metric is the mean over the sets."""
        found: dict[str, float] = {}
        tower = ready(self.average.image, self.config.network.image)
        for place in self.lessons.measured_places:
            source, pictures = self.config.pictures[place], self.lessons.validation[place]
            vectors = whole_vectors(tower, pictures, source.whole_px, self.lessons.normalise)
            names = [self.lessons.captions.classes[item] for item in pictures.classes]
            found[source.name] = top_1(vectors, prototypes(self.average, names, self.lessons.tokens), pictures)
        metric = sum(found.values()) / len(found)
        scale = float(self.network.scale.detach())
        return Check(self.step, self.mean_loss, scale, metric, found, round(self.elapsed_s, 1))

    def _image_vectors(self, batch: Batch) -> Tensor:
        """As the tower that learns sees them; one that is finished looks as it will when used, and once at every picture."""
        if self._last_seen is not None and self._last_seen[0] is batch.images:
            return self._last_seen[1]
        images = batch.images.to(self.device, memory_format=torch.channels_last)
        gsd_m = batch.gsd_m.to(self.device)
        if not self.config.locked_image:
            return self.network.image_vectors(images, gsd_m)
        with torch.no_grad():
            vectors = self.network.image_vectors(images, gsd_m, ready(self.network.image, self.config.network.image))
        self._last_seen = batch.images, vectors
        return vectors

    def rank(self, check: Check) -> tuple[float, ...]:
        return (check.text_metric,)

    def write_history(self, run: RunFolder) -> None:
        run.write_history(self.history)


def _freeze(network: TwoTowers, config: ContrastiveConfig) -> None:
    if config.locked_image:
        network.image.requires_grad_(False).eval()
    else:
        network.image.stem.freeze(config.frozen_blocks)


def trainer_for(lessons: Lessons, data: Path, device: str = "cpu", language: Language | None = None) -> Trainer:
    """A trainer before its first step, its stem from the network that the configuration starts from.

    Args:
        language: what :func:`~geomm_engine.training.language.learn_language` gave; None has phrases learned from nothing.

    Raises:
        EngineError: that network cannot be read.
    """
    config = lessons.config
    start = read_convolutions(data / config.start) if config.start and not config.locked_image else []
    return Trainer(config, lessons, device, start, language or untaught(lessons))


def learned(lessons: Lessons, data: Path, language: Language | None, watch: Stopwatch) -> Job[TwoTowers]:
    """The averaged network at the end of the schedule; for comparisons, which keep no run: no checks, no checkpoints."""
    trainer = trainer_for(lessons, data, language=language)
    for batch in trainer.batches(lessons.config.schedule.all_steps):
        trainer.learn(batch)
        yield watch.step()
    return trainer.average


def train_contrastive(
    config_file: Path,
    folder: Path,
    *,
    data: Path,
    is_resumed: bool = False,
    is_compiled: bool = False,
    device: str = "cpu",
) -> Job[TrainingResult]:
    """Train both towers; yields progress, ends with the best network saved in the run folder.

    Raises:
        EngineError: data or captions are wrong (before the first step), or there is nothing to resume.
    """
    config = read_config(config_file)
    run = RunFolder(folder)
    need_checkpoint(run, is_resumed)
    if config.locked_image:
        locked_tower(config)  # what is wrong with it is said before the words are learned
    lessons = Lessons(config, data)
    run.begin(config_file, device=device, threads=config.threads)
    with threads(config.threads):
        # What is resumed brings its words along.
        language = None if is_resumed else (yield from learn_language(lessons, device))
        trainer = trainer_for(lessons, data, device, language)
        if is_resumed:
            trainer.restore(run.checkpoint)
            if config.locked_image:
                check_unchanged(trainer.network.image, config)
        yield from steps(trainer, run, is_compiled=is_compiled)
    return TrainingResult(folder, trainer.best_step, trainer.best_rank[0], tuple(trainer.history))
