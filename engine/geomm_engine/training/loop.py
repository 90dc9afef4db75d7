"""What every training does the same way: steps, a following average, looks, one network kept, exact resume. A generator.

A :class:`Learner` says what is learnt; :func:`steps` takes it through its schedule and leaves the run folder behind.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from geomm_engine.contract import ErrorCode, encode
from geomm_engine.errors import EngineError
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.training.config import Schedule
from geomm_engine.training.run_folder import RunFolder, save_atomically

NetworkT = TypeVar("NetworkT", bound=nn.Module)
BatchT = TypeVar("BatchT")
CheckT = TypeVar("CheckT")
_LARGEST_GRADIENT = 1.0
_MAY_CHANGE = ("schedule", "card", "threads")


class Learner(ABC, Generic[NetworkT, BatchT, CheckT]):
    """One run: its network, averaged network, optimiser, random states and history.

    ``rank`` orders looks; the larger tuple is the better one. ``best_rank`` and ``best_step`` are of the look whose network is
    kept: the best so far, or the last where the schedule says so.
    """

    check_kind: type[CheckT]
    config: Any  # a dataclass; each trainer has its own kind

    def __init__(self, network: NetworkT, schedule: Schedule, seed: int, device: str, *, stem: str = "") -> None:
        """``stem`` is how the names of the parameters begin that learn at ``schedule.stem_rate``; "" where none do."""
        self.device = torch.device(device)
        self.schedule = schedule
        self.random = np.random.default_rng(seed)
        self.network = network.to(self.device)
        self.average = deepcopy(self.network).requires_grad_(False).eval()
        groups = rate_groups(self.network, schedule, stem)
        groups.append({"params": list(self.extra().values()), "weight_decay": 0.0, "rate": 1.0})
        self.optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=schedule.learning_rate)
        self.step = 0
        self.history: list[CheckT] = []
        self.best_rank: tuple[float, ...] = (-math.inf,)
        self.best_step = 0
        self.losses: list[float] = []
        self.elapsed_s = 0.0

    # --- what a training is

    @abstractmethod
    def batches(self, stop: int) -> Iterator[BatchT]:
        """The batches of the steps from ``self.step`` to ``stop``."""

    @abstractmethod
    def loss(self, batch: BatchT) -> tuple[Tensor, Tensor]:
        """What is descended, and what is told of it."""

    @abstractmethod
    def look(self) -> CheckT:
        """The averaged network on what it does not learn from."""

    @abstractmethod
    def rank(self, check: CheckT) -> tuple[float, ...]:
        """Orders looks: the larger, the better."""

    @abstractmethod
    def write_history(self, run: RunFolder) -> None:
        """Numbers and curves of the looks so far."""

    def extra(self) -> dict[str, nn.Parameter]:
        """What is learnt beside the network and does not belong to it."""
        return {}

    def called(self) -> Sequence[nn.Module]:
        """The modules that a step calls."""
        return (self.network,)

    def wake(self) -> None:
        """Ready to learn; called before every step."""
        self.network.train()

    def kept(self) -> dict[str, object]:
        """What is saved of a look whose network is kept."""
        return {"network": self.average.state_dict(), "step": self.step}

    # --- what all do

    def _recipe(self) -> str:
        """Digest of what a checkpoint has to agree with: all but how long it learns and what its card will say."""
        decisive = {name: value for name, value in encode(self.config).items() if name not in _MAY_CHANGE}
        told = json.loads(json.dumps(decisive), parse_int=float)  # 1 and 1.0 are one number, wherever they were written
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @property
    def mean_loss(self) -> float:
        """Since the last look."""
        return sum(self.losses) / max(1, len(self.losses))

    def compile(self) -> None:
        """Fuse the arithmetic of a step. What is learned differs in its last digits from what plain steps learn."""
        for module in self.called():
            module.compile()

    def learn(self, batch: BatchT) -> float:
        """One step; gives the loss that is told."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate_at(self.step) * group["rate"]
        self.wake()
        loss, told = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimiser.step()
        self._follow()
        self.step += 1
        value = float(told.detach())
        self.losses.append(value)
        return value

    def _follow(self) -> None:
        """The averaged network moves a little towards the trained one; faster at first."""
        keep = min(self.schedule.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mine, other in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(other, 1 - keep)
                else:
                    mine.copy_(other)

    def check(self) -> CheckT:
        """Look, and remember."""
        check = self.look()
        self.losses.clear()
        self.history.append(check)
        return check

    def state(self) -> dict[str, object]:
        """Everything that the rest of the run depends on; only tensors, numbers and texts."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "extra": {name: value.detach() for name, value in self.extra().items()},
            "optimiser": self.optimiser.state_dict(),
            "numpy_random": json.dumps(self.random.bit_generator.state),
            "torch_random": torch.get_rng_state(),
            "recipe": self._recipe(),
            "step": self.step,
            "best_rank": list(self.best_rank),
            "best_step": self.best_step,
            "losses": list(self.losses),
            "elapsed_s": self.elapsed_s,
            "history": json.dumps([vars(item) for item in self.history]),
        }

    def restore(self, path: Path) -> None:
        """Go on exactly where a checkpoint was written.

        Raises:
            EngineError: it is of another recipe, whose numbers would mean something else here.
        """
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        if state.get("recipe") != self._recipe():
            raise EngineError(
                ErrorCode.FOLDER_INVALID,
                f"The run in {path.parent} was begun with another recipe than the one to go on with.",
                "Start a new run in another folder, or delete this one.",
                path=str(path),
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        with torch.no_grad():
            for name, value in self.extra().items():
                value.copy_(state["extra"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.random.bit_generator.state = json.loads(state["numpy_random"])
        torch.set_rng_state(state["torch_random"].cpu())
        self.step, self.best_step, self.elapsed_s = state["step"], state["best_step"], state["elapsed_s"]
        self.best_rank, self.losses = tuple(state["best_rank"]), list(state["losses"])
        self.history = [self.check_kind(**item) for item in json.loads(state["history"])]


def steps(learner: Learner[Any, Any, Any], run: RunFolder, *, is_compiled: bool = False) -> Job[None]:
    """Through the schedule, from wherever the learner stands; checkpoints at every look and at the end."""
    if is_compiled:
        learner.compile()
    schedule = learner.schedule
    watch = Stopwatch("train", schedule.all_steps, learner.step)
    last = schedule.stop_after or schedule.all_steps
    started_s = time.monotonic()
    for batch in learner.batches(last):
        learner.learn(batch)
        yield watch.step()
        if learner.step % schedule.check_every == 0 or learner.step == schedule.all_steps:
            learner.elapsed_s += time.monotonic() - started_s
            _look(learner, run)
            save_atomically(learner.state(), run.checkpoint)
            started_s = time.monotonic()
            if schedule.patience and learner.step - learner.best_step >= schedule.patience * schedule.check_every:
                break
    learner.elapsed_s += time.monotonic() - started_s
    save_atomically(learner.state(), run.checkpoint)
    learner.write_history(run)


def _look(learner: Learner[Any, Any, Any], run: RunFolder) -> None:
    rank = learner.rank(learner.check())
    if rank > learner.best_rank or learner.schedule.keeps_last:
        learner.best_rank, learner.best_step = rank, learner.step
        save_atomically(learner.kept(), run.best)
    learner.write_history(run)


def need_checkpoint(run: RunFolder, is_resumed: bool) -> None:
    """Refuse to go on from nothing.

    Raises:
        EngineError: the run is to be resumed and has no checkpoint.
    """
    if is_resumed and not run.checkpoint.is_file():
        raise EngineError(
            ErrorCode.FOLDER_INVALID, f"There is no checkpoint in {run.path} to go on from.", "Start a new run."
        )


def rate_groups(network: nn.Module, schedule: Schedule, stem: str = "") -> list[dict[str, Any]]:
    """Matrices and kernels decay; norms, biases, scales do not. What begins with ``stem`` has a rate of its own."""
    groups: list[dict[str, Any]] = []
    for is_stem, rate in ((True, schedule.stem_rate), (False, 1.0)):
        own: Sequence[nn.Parameter] = [
            item
            for name, item in network.named_parameters()
            if item.requires_grad and (bool(stem) and name.startswith(stem)) == is_stem
        ]
        groups.append({"params": [x for x in own if x.ndim >= 2], "weight_decay": schedule.weight_decay, "rate": rate})
        groups.append({"params": [x for x in own if x.ndim < 2], "weight_decay": 0.0, "rate": rate})
    return groups


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of torch inside, as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
