"""Teaching similarity: what a person calls the same comes together, on top of a frozen model. A generator.

Methods 004-02, done right: supervised contrast (SupCon, Khosla et al. 2020) over in-batch negatives that are drawn anew in
every step, in place of fixed pairs and MSE on the cosine. The head is one matrix that starts as the identity, so that the
model without a lesson is the first candidate; the choice among candidates and the stated accuracy are on different pictures.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from geomm_engine.contract import ErrorCode, encode
from geomm_engine.encoders.card import CardFile, Lineage, Measurement, ModelFolder, file_sha256, write_card
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import EngineError, writing
from geomm_engine.evaluation.metrics import wilson_interval
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.training.similarity_data import Marked, SimilarityConfig, load_marked
from geomm_engine.training.similarity_data import split as split_marked

NEIGHBOURS = 5
HEAD_FILE = "head.npy"
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class SimilarityCheck:
    """``choice``: nearest-neighbour accuracy on the pictures by which the head is chosen."""

    step: int
    loss: float
    choice: float


@dataclass(frozen=True)
class SimilarityResult:
    """Accuracy of the 5 nearest neighbours on test pictures, before and after; the head (dim, dim)."""

    before: float
    after: float
    before_interval_95: tuple[float, float]
    after_interval_95: tuple[float, float]
    tested: int
    best_step: int
    head: Vectors
    history: tuple[SimilarityCheck, ...]


def supcon_loss(vectors: Tensor, is_same: Tensor, is_known: Tensor, temperature: float) -> Tensor:
    """Mean over the rows that have a partner of −log of the partners' share; (n, dim) unit vectors.

    ``is_same`` (n, n) marks the partners, ``is_known`` (n, n) the pairs that anything is known of: the others are no wrong
    answers. A row is never compared with itself. Without any pair of partners the loss is 0.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool)
    logits = (vectors @ vectors.T / temperature).masked_fill(itself | ~is_known, -1e9)
    partners = (is_same & ~itself).to(vectors.dtype)
    count = partners.sum(dim=1)
    share = torch.log_softmax(logits, dim=1)
    loss = -(share * partners).sum(dim=1) / count.clamp(min=1.0)
    has_partner = (count > 0).to(vectors.dtype)
    return (loss * has_partner).sum() / has_partner.sum().clamp(min=1.0)


def neighbour_right(known: Marked, asked: Marked, head: Vectors | None = None) -> NDArray[np.bool_]:
    """(n,) whether most of the 5 nearest known pictures are of the asked one's group; nearer ones decide ties."""
    first, second = (_through(item.vectors, head) for item in (known, asked))
    cosine = second @ first.T
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(first))]
    votes = np.zeros((len(second), int(max(known.groups.max(), asked.groups.max())) + 1))
    weight = 1.0 - 0.01 * np.arange(nearest.shape[1])
    for place in range(nearest.shape[1]):
        np.add.at(votes, (np.arange(len(second)), known.groups[nearest[:, place]]), weight[place])
    return np.asarray(votes.argmax(axis=1) == asked.groups)


def _through(vectors: Vectors, head: Vectors | None) -> Vectors:
    moved = vectors if head is None else vectors @ head
    return np.asarray(moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def train_similarity(config: SimilarityConfig, folder: Path, data: Path) -> Job[SimilarityResult]:
    """Embed what was marked, train the head, measure it; writes ``head.npy``, ``config.json`` and ``metrics.json``.

    Raises:
        EngineError: there is nothing to compare: fewer than two groups, or too few of each.
    """
    model = find_model(config.model)
    marked = yield from load_marked(config, model, data)
    training, choosing, testing = split_marked(marked, config.seed)
    torch.manual_seed(config.seed)
    random = np.random.default_rng(config.seed)
    head = torch.nn.Parameter(torch.eye(model.card.dim))
    identity = torch.eye(model.card.dim)
    optimiser = torch.optim.Adam([head], lr=config.learning_rate)
    best = (float(neighbour_right(training, choosing).mean()), 0, np.eye(model.card.dim, dtype=np.float32))
    history = [SimilarityCheck(0, 0.0, best[0])]
    losses: list[float] = []
    watch = Stopwatch("train", config.steps)
    for step in range(1, config.steps + 1):
        rows = balanced_rows(training.groups, config.batch, random)
        vectors = torch.from_numpy(training.vectors[rows])
        is_same, is_known = (torch.from_numpy(table[np.ix_(rows, rows)]) for table in (training.same, training.known))
        loss = supcon_loss(functional.normalize(vectors @ head, dim=1), is_same, is_known, config.temperature)
        loss = loss + config.stay * ((head - identity) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
        if step % config.check_every == 0 or step == config.steps:
            now = head.detach().numpy().copy()
            right = float(neighbour_right(training, choosing, now).mean())
            history.append(SimilarityCheck(step, float(np.mean(losses)), right))
            losses.clear()
            if right > best[0]:
                best = (right, step, now)
        yield watch.step()
    known = _joined(training, choosing)
    before, after = neighbour_right(known, testing), neighbour_right(known, testing, best[2])
    result = SimilarityResult(
        float(before.mean()),
        float(after.mean()),
        wilson_interval(int(before.sum()), len(before)),
        wilson_interval(int(after.sum()), len(after)),
        len(before),
        best[1],
        best[2],
        tuple(history),
    )
    _write(folder, config, result)
    return result


def balanced_rows(groups: NDArray[np.int64], batch: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Rows of a batch, groups equally often, none twice where there are enough; drawn anew each time."""
    names = np.unique(groups)
    each = max(2, batch // len(names))
    parts = []
    for group in random.permutation(names)[: max(2, batch // 2)]:
        own = np.flatnonzero(groups == group)
        parts.append(random.permutation(own)[:each])
    return np.concatenate(parts)


def _joined(first: Marked, second: Marked) -> Marked:
    vectors, groups = np.concatenate([first.vectors, second.vectors]), np.concatenate([first.groups, second.groups])
    return Marked(
        vectors, groups, first.names, groups[:, None] == groups, np.ones((len(groups), len(groups)), dtype=bool)
    )


def _write(folder: Path, config: SimilarityConfig, result: SimilarityResult) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / HEAD_FILE, result.head)
        (folder / "config.json").write_text(json.dumps(encode(config), indent=1) + "\n", encoding="utf-8")
        values = {name: value for name, value in encode(result).items() if name != "head"}
        (folder / "metrics.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def export_similarity(config: SimilarityConfig, result: SimilarityResult, folder: Path) -> ModelFolder:
    """The model with the head behind both towers, as a model of its own: in a space of its own, so that no vector of the
    old model is mistaken for one of its.

    Raises:
        EngineError: there is a folder already, or it cannot be written.
    """
    base, folder = find_model(config.model), folder.resolve()
    if folder.exists():
        raise EngineError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"{folder} exists already.",
            "Choose another folder, or delete this one.",
            path=str(folder),
        )
    part = folder.with_name(folder.name + ".part")
    with writing(folder):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for role in ("image", "text"):
            with_head(base.file(role), part / f"{role}.onnx", result.head)
        shutil.copyfile(base.file("tokenizer"), part / "tokenizer.json")
    files = tuple(
        CardFile(role, name, file_sha256(part / name), (part / name).stat().st_size)
        for role, name in (("image", "image.onnx"), ("text", "text.onnx"), ("tokenizer", "tokenizer.json"))
    )
    card, date = base.card, datetime.now(UTC).date().isoformat()
    how = f"{result.tested} marked pictures that taught nothing; 5 nearest neighbours"
    mean = _through(card.reference_mean()[None], result.head)[0]
    measured = tuple(
        Measurement("what was marked", how, f"right group, {when}", round(value, 4), date, interval)
        for when, value, interval in (
            ("before", result.before, result.before_interval_95),
            ("after", result.after, result.after_interval_95),
        )
    )
    write_card(
        replace(
            card,
            id=config.id,
            name=config.name or config.id,
            version="1.0",
            space_id=f"{card.space_id}+{config.id}",
            description=f"{card.name} with a head that brings together what was marked as the same.",
            files=files,
            scoring=replace(card.scoring, reference_mean=tuple(round(float(value), 5) for value in mean)),
            training=replace(card.training, recipe="geomm train similarity", seed=config.seed),
            measured=measured,
            text_from="",
            image_sha256="",
            lineage=Lineage(card.id, card.version, card.hops),
            bridge=None,
        ),
        part,
    )
    with writing(folder):
        part.replace(folder)
    return find_model(str(folder))


def with_head(source: Path, target: Path, head: Vectors) -> None:
    """The graph with one matrix and a scaling to length 1 behind its output."""
    model = onnx.load(source)
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["before_head" if name == "embedding" else name for name in node.output]
        node.input[:] = ["before_head" if name == "embedding" else name for name in node.input]
    graph.initializer.append(numpy_helper.from_array(head.astype(np.float32), "head"))
    graph.node.append(onnx.helper.make_node("MatMul", ["before_head", "head"], ["headed"]))
    graph.node.append(onnx.helper.make_node("LpNormalization", ["headed"], ["embedding"], axis=-1, p=2))
    onnx.checker.check_model(model)
    onnx.save(model, target)
