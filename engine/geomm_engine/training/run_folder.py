"""What a training run leaves behind: configuration, environment, history, curves, checkpoints. Knows no network."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch

from geomm_engine.errors import writing

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
METRICS = "metrics.json"


@dataclass(frozen=True)
class Check:
    """One look at the run: the mean loss since the last one and the text metric of every set."""

    step: int
    loss: float
    scale: float
    text_metric: float
    top_1: dict[str, float]
    elapsed_s: float


@dataclass(frozen=True)
class RunFolder:
    """``measured`` says in the curves what the shares of right answers are shares of."""

    path: Path
    measured: str = "class names typed as text, validation"

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    @property
    def best(self) -> Path:
        return self.path / BEST

    def begin(self, config_file: Path, *, device: str, threads: int) -> None:
        """Make the folder, copy the configuration, note the environment."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            target = self.path / "config.toml"
            if config_file.resolve() != target.resolve():
                shutil.copyfile(config_file, target)
        self.note_environment(device=device, threads=threads)

    def note_environment(self, *, device: str, threads: int) -> None:
        """``environment.json``: what the run ran on."""
        environment = {
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "numpy": np.__version__,
            "platform": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "device": device,
            "threads": threads,
        }
        with writing(self.path):
            (self.path / "environment.json").write_text(json.dumps(environment, indent=1) + "\n", encoding="utf-8")

    def write_history(self, history: list[Check]) -> None:
        """``metrics.json`` and ``curves.png``."""
        with writing(self.path / METRICS):
            text = json.dumps([vars(item) for item in history], indent=1)
            (self.path / METRICS).write_text(text + "\n", encoding="utf-8")
            draw_curves(history, self.path / "curves.png", self.measured)


def save_atomically(state: dict[str, object], path: Path) -> None:
    """A checkpoint that is either the old one or the new one, whenever the process dies."""
    draft = path.with_suffix(".part")
    with writing(path):
        torch.save(state, draft)
        draft.replace(path)


def draw_curves(history: list[Check], path: Path, measured: str) -> None:
    """Loss and the shares of right answers over the steps, as a PNG."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    steps = [item.step for item in history]
    left.plot(steps, [item.loss for item in history], marker=".")
    left.set(xlabel="step", ylabel="contrastive loss", title="training")
    for name in history[0].top_1 if history else {}:
        right.plot(steps, [100 * item.top_1[name] for item in history], marker=".", label=name)
    right.set(xlabel="step", ylabel="top-1 (%)", title=measured)
    if history:
        right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
