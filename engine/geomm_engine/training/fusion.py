"""Training three encoders and their fusion: contrasts between sensors, hidden patches rebuilt, a teacher's words. A generator.

The contrasts are between two sensors, and between one sensor and the others fused: never one with itself. The vectors of
each side come from the patches that the step did not hide. Nothing is chosen on the held-out ground: the network that is
kept is the averaged one of the last step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import EngineError
from geomm_engine.networks.fusion import FusionNetwork, Tokens, all_centres_m
from geomm_engine.progress import Job
from geomm_engine.sensors import is_same_role
from geomm_engine.training.fusion_config import FusionConfig, read_fusion_config
from geomm_engine.training.fusion_data import Ground, Tiles
from geomm_engine.training.fusion_measure import Retrieval, retrieval, write_report
from geomm_engine.training.loop import Learner, need_checkpoint, steps, threads
from geomm_engine.training.losses import UNSURE, contrastive_loss
from geomm_engine.training.run_folder import Check, RunFolder

MEASURED = "the same tile found by another sensor"
REPORT = "retrieval.json"
_OTHERS = "the others fused"
_CHUNK = 256


@dataclass(frozen=True)
class FusionResult:
    """The averaged network lies in ``folder``; ``retrieval`` is of the last step, ``history`` holds every check."""

    folder: Path
    step: int
    retrieval: tuple[Retrieval, ...]
    history: tuple[Check, ...]


class Teacher:
    """A model with words that looks at the tiles' own red, green and blue (whatever its card wants).

    Raises:
        ModelError: the model is not installed.
        EngineError: no scene shows the bands that it reads.
    """

    def __init__(self, config: FusionConfig) -> None:
        self.folder: ModelFolder = find_model(config.teacher)
        card = self.folder.card
        roles = [item.role for item in card.bands]
        self._places = [_place_of(config.network.bands, role) for role in roles]
        if None in self._places:
            raise EngineError(
                ErrorCode.BANDS_MISSING,
                f"The teacher {card.name} reads {', '.join(roles)}; no sensor of the configuration has all of them.",
                "Add the bands to a sensor, or train without a teacher.",
            )
        self._encoder = OnnxImageEncoder(self.folder)

    def vectors(self, tiles: Tiles, ground: Ground) -> tuple[Tensor, Tensor]:
        """(n, dim) unit vectors, and (n,) bool: tiles whose scene has the bands."""
        places = [place for place in self._places if place is not None]
        has = np.array([ground.scenes[at].has_band[places].all() for at in tiles.scene])
        vectors = np.zeros((len(tiles), self.folder.card.dim), dtype=np.float32)
        shown = tiles.display[:, places].numpy()
        levels = [ground.scenes[at].level for at in tiles.scene]
        for level in sorted(set(levels)):
            rows = np.flatnonzero(has & np.array([item == level for item in levels]))
            pixels = shown[rows]
            chosen = next((item for item in self.folder.card.radiometry.calibrations if item.unit == level), None)
            if chosen is not None:
                gain, offset = (np.array(item, np.float32)[:, None, None] for item in (chosen.gain, chosen.offset))
                pixels = np.clip(pixels * gain + offset, 0, 1)
            for gsd_m in sorted({float(item) for item in tiles.gsd_m[rows]}):
                alike = np.flatnonzero(tiles.gsd_m[rows].numpy() == np.float32(gsd_m))
                vectors[rows[alike]] = self._encoder.embed_images(pixels[alike], gsd_m)
        return torch.from_numpy(vectors), torch.from_numpy(has)


def _place_of(bands: tuple[str, ...], role: str) -> int | None:
    return next((at for at, band in enumerate(bands) if is_same_role(band, role)), None)


class FusionTrainer(Learner[FusionNetwork, Tiles, Check]):
    """One run of the encoders and their fusion."""

    check_kind = Check

    def __init__(self, config: FusionConfig, ground: Ground, teacher: Teacher | None, device: str) -> None:
        self.config = config
        self.ground = ground
        self.teacher = teacher
        torch.manual_seed(config.seed)
        super().__init__(FusionNetwork(config.network), config.schedule, config.seed, device)
        self.held_out = ground.held_out_tiles()
        self.untrained = self.measure(self.average)

    def batches(self, stop: int) -> Iterator[Tiles]:
        while self.step < stop:
            yield self.ground.batch(self.random)

    def loss(self, tiles: Tiles) -> tuple[Tensor, Tensor]:
        """All parts weighed; told is the mean contrast between two sensors alone."""
        network, weights = self.network, self.config.loss
        stack, gsd_m, present = (item.to(self.device) for item in (tiles.stack, tiles.gsd_m, tiles.present))
        relation, there = tiles.relation.to(self.device), network.sensors_of(present)
        centres = all_centres_m(network, stack, gsd_m)
        kept, hidden = self._hide([item.shape[1] for item in centres], len(tiles))
        tokens = network.encode(stack, gsd_m, kept)
        alone = network.alone(tokens)
        contrast = _mean([
            contrastive_loss(alone[one], alone[two], network.scale, _among(relation, there[:, one] & there[:, two]))
            for one, two in combinations(range(len(alone)), 2)
        ])  # fmt: skip
        total = weights.pairs * contrast
        if weights.joint > 0:
            total = total + weights.joint * _mean([
                self._joint(place, alone[place], tokens, there, relation) for place in range(len(alone))
            ])  # fmt: skip
        if weights.rebuild > 0 and hidden[0].shape[1]:
            total = total + weights.rebuild * self._rebuild(tiles, tokens, there, centres, hidden)
        if self.teacher is not None and weights.teacher > 0:
            total = total + weights.teacher * self._follow_teacher(tiles, [*alone, network.fuse(tokens, there)], there)
        return total, contrast

    def _hide(self, counts: list[int], tiles: int) -> tuple[list[Tensor], list[Tensor]]:
        """Numbers of the patches that stay and of those that are hidden, drawn for every tile and sensor."""
        kept, hidden = [], []
        for count in counts:
            order = torch.from_numpy(np.argsort(self.random.random((tiles, count)), axis=1)).to(self.device)
            stay = max(1, round(count * (1 - self.config.loss.hidden)))
            kept.append(order[:, :stay])
            hidden.append(order[:, stay:])
        return kept, hidden

    def _joint(self, place: int, own: Tensor, tokens: list[Tokens], there: Tensor, relation: Tensor) -> Tensor:
        others = there.clone()
        others[:, place] = False
        fused = self.network.fuse(tokens, others)
        return contrastive_loss(own, fused, self.network.scale, _among(relation, there[:, place] & others.any(dim=1)))

    def _rebuild(
        self, tiles: Tiles, tokens: list[Tokens], there: Tensor, centres: list[Tensor], hidden: list[Tensor]
    ) -> Tensor:
        """Mean squared error of the hidden patches, over the bands that the scenes have."""
        network, cells = self.network, self.config.network.target_px**2
        heard = network.listen(tokens, there)
        parts, first = [], 0
        pictures = network.pictures(tiles.whole.to(self.device))
        for place, (picture, sensor) in enumerate(zip(pictures, self.config.network.sensors, strict=True)):
            at = hidden[place].unsqueeze(2)
            said = network.rebuild(heard, there, place, centres[place].gather(1, at.expand(-1, -1, 2)))
            wanted = network.targets(picture, place)
            wanted = wanted.gather(1, at.expand(-1, -1, wanted.shape[2]))
            has = tiles.has_band[:, first : first + len(sensor.bands)].to(self.device)
            share = has.repeat_interleave(cells, dim=1).unsqueeze(1).expand_as(wanted)
            parts.append(((said - wanted).square() * share).sum() / share.sum().clamp(min=1.0))
            first += len(sensor.bands)
        return _mean(parts)

    def _follow_teacher(self, tiles: Tiles, vectors: list[Tensor], there: Tensor) -> Tensor:
        """1 − cosine to the teacher, of every sensor alone and of all together."""
        if self.teacher is None:
            return torch.zeros(())
        wanted, has = (item.to(self.device) for item in self.teacher.vectors(tiles, self.ground))
        parts = []
        for place, vector in enumerate(vectors):
            used = has & (there[:, place] if place < there.shape[1] else there.any(dim=1))
            distance = (1 - (vector * wanted).sum(dim=1)) * used
            parts.append(distance.sum() / used.sum().clamp(min=1))
        return _mean(parts)

    @torch.inference_mode()
    def measure(self, network: FusionNetwork) -> list[Retrieval]:
        """Each sensor against each other one, and against the others fused, on the held-out tiles."""
        alone, without, there = self._held_out_vectors(network)
        names = [item.name for item in self.config.network.sensors]
        rows: list[Retrieval | None] = []
        tiles = self.held_out
        for one, two in combinations(range(len(names)), 2):
            used = there[:, one] & there[:, two]
            for query, gallery in ((one, two), (two, one)):
                rows.append(
                    retrieval(
                        (names[query], names[gallery]), alone[query][used], alone[gallery][used],
                        tiles.scene[used], tiles.block[used],
                    )
                )  # fmt: skip
        for place, name in enumerate(names):
            used = there[:, place] & (there.sum(axis=1) == len(names))
            rows.append(
                retrieval(
                    (name, _OTHERS), alone[place][used], without[place][used], tiles.scene[used], tiles.block[used]
                )
            )
        return [row for row in rows if row is not None]

    def _held_out_vectors(
        self, network: FusionNetwork
    ) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]], NDArray[np.bool_]]:
        """Vectors of each sensor alone, of all but each, and which are there: (n, sensor)."""
        tiles, count = self.held_out, len(self.config.network.sensors)
        alone: list[list[Tensor]] = [[] for _ in range(count)]
        without: list[list[Tensor]] = [[] for _ in range(count)]
        found = []
        for at in range(0, len(tiles), _CHUNK):
            part = slice(at, at + _CHUNK)
            there = network.sensors_of(tiles.present[part].to(self.device))
            tokens = network.encode(tiles.stack[part].to(self.device), tiles.gsd_m[part].to(self.device))
            for place, vector in enumerate(network.alone(tokens)):
                others = there.clone()
                others[:, place] = False
                alone[place].append(vector.cpu())
                without[place].append(network.fuse(tokens, others).cpu())
            found.append(there.cpu())
        joined = [[torch.cat(item).numpy() for item in side] for side in (alone, without)]
        return joined[0], joined[1], torch.cat(found).numpy()

    def look(self) -> Check:
        """The held-out retrieval as it stands; the metric is the mean over the pairs of sensors, both ways."""
        rows = [row for row in self.measure(self.average) if row.gallery != _OTHERS]
        shares = {f"{row.query} → {row.gallery}": row.recall_1 for row in rows}
        metric = sum(shares.values()) / max(1, len(shares))
        scale = float(self.network.scale.detach())
        return Check(self.step, self.mean_loss, scale, metric, shares, round(self.elapsed_s, 1))

    def rank(self, check: Check) -> tuple[float, ...]:
        """The last look is kept: nothing is chosen on the held-out ground."""
        return (float(check.step),)

    def write_history(self, run: RunFolder) -> None:
        run.write_history(self.history)

    def report(self) -> list[Retrieval]:
        """The averaged network on the held-out ground, beside the same network before its first step."""
        before = {(row.query, row.gallery): row.recall_1 for row in self.untrained}
        return [replace(row, untrained=before.get((row.query, row.gallery), 0.0)) for row in self.measure(self.average)]


def _among(relation: Tensor, used: Tensor) -> Tensor:
    """The relation where rows and columns of tiles that lack a side are left out of the softmax."""
    both = used.unsqueeze(1) & used.unsqueeze(0)
    return relation.masked_fill(~both, UNSURE)


def _mean(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).mean()


def load_ground(config_file: Path, data: Path) -> tuple[FusionConfig, Ground, Teacher | None]:
    """The configuration, with the dimension of its teacher, and what it speaks of.

    Raises:
        EngineError: the file, a raster or the teacher is refused.
    """
    config = read_fusion_config(config_file)
    teacher = Teacher(config) if config.teacher else None
    if teacher is not None:
        config = replace(config, network=replace(config.network, dim=teacher.folder.card.dim))
    return config, Ground(config, data), teacher


def train_fusion(
    config_file: Path, folder: Path, *, data: Path, is_resumed: bool = False, device: str = "cpu"
) -> Job[FusionResult]:
    """Train the encoders and their fusion; yields progress, ends with the averaged network in the run folder.

    Raises:
        EngineError: a scene or the teacher is refused (before the first step), or there is nothing to resume.
    """
    run = RunFolder(folder, MEASURED)
    config, ground, teacher = load_ground(config_file, data)
    need_checkpoint(run, is_resumed)
    with threads(config.threads):
        trainer = FusionTrainer(config, ground, teacher, device)
        run.begin(config_file, device=device, threads=config.threads)
        if is_resumed:
            trainer.restore(run.checkpoint)
        yield from steps(trainer, run)
        rows = trainer.report()
    write_report(rows, folder / REPORT)
    return FusionResult(folder, trainer.step, tuple(rows), tuple(trainer.history))
