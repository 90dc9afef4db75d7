"""A text tower before its first picture: it learns to place phrases as a published sentence encoder does. A generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from geomm_engine.networks.text_tower import TextTower
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.training.config import falling
from geomm_engine.training.data import Lessons
from geomm_engine.training.phrases import phrase_loss


@dataclass(frozen=True)
class Language:
    """States of a text tower and of the head that its phrase vectors are read from: (width) → (dim of the phrases)."""

    tower: dict[str, Tensor]
    head: dict[str, Tensor]

    def head_on(self, device: str) -> nn.Linear:
        """The head, ready to learn on."""
        dim, width = self.head["weight"].shape
        head = nn.Linear(width, dim)
        head.load_state_dict(self.head)
        return head.to(device)


def learn_language(lessons: Lessons, device: str = "cpu") -> Job[Language | None]:
    """Phrases alone, as the recipe's ``phrases`` says; nothing where it names none. The same for every fold."""
    start = untaught(lessons)
    plan = lessons.config.phrases
    if start is None or plan.steps == 0:
        return start
    random = np.random.default_rng(lessons.config.seed)
    tower = TextTower(lessons.config.network.text).to(device)
    tower.load_state_dict(start.tower)
    head = start.head_on(device)
    optimiser = torch.optim.AdamW([*tower.parameters(), *head.parameters()], lr=plan.learning_rate, weight_decay=0.01)
    watch = Stopwatch("words", plan.steps)
    for step in range(plan.steps):
        warm = min(1.0, (step + 1) / 100)
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * warm * falling(step / plan.steps)
        loss = phrase_loss(tower, head, lessons.phrase_batch(plan.batch, random))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        yield watch.step()
    return Language(_state(tower), _state(head))


def untaught(lessons: Lessons) -> Language | None:
    """Tower and head as random numbers make them; None where the recipe teaches no phrases."""
    if lessons.phrases is None:
        return None
    torch.manual_seed(lessons.config.seed)
    tower = TextTower(lessons.config.network.text)
    return Language(
        _state(tower), _state(nn.Linear(lessons.config.network.text.width, lessons.phrases.vectors.shape[1]))
    )


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
