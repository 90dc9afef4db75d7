"""A run whose steps are compiled learns what plain steps learn; where torch cannot compile, that is said before the run."""

from __future__ import annotations

from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from torch import nn

from geomm_engine.errors import EngineError
from geomm_engine.progress import run
from geomm_engine.training import chain_data
from geomm_engine.training.chain import train_chain
from geomm_engine.training.chain_config import RasterPair
from geomm_engine.training.config import find_config, read_config
from geomm_engine.training.contrastive import Trainer
from geomm_engine.training.data import Lessons
from geomm_engine.training.device import choose_device
from geomm_engine.training.geographic import train_geographic
from geomm_engine.training.geographic_config import GEOGRAPHIC_RECIPES
from tests.engine.training import chain_scenes as scenes
from tests.engine.training.written_recipe import written_recipe

pytestmark = pytest.mark.slow


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are taken, forwards and backwards, but run by torch itself: no compiler is needed."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))


def graphs() -> int:
    """How many were taken."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


@pytest.mark.usefixtures("without_compiler")
def test_compiled_steps_learn_what_plain_ones_learn(folder: Path) -> None:
    config = read_config(find_config("drawn"))
    config = replace(config, schedule=replace(config.schedule, steps=3))
    lessons = Lessons(config, folder)
    plain, compiled = Trainer(config, lessons, "cpu"), Trainer(config, lessons, "cpu")
    compiled.compile()
    losses = [[trainer.learn(batch) for batch in trainer.batches(3)] for trainer in (plain, compiled)]
    assert graphs() >= 2  # both towers
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    learned = plain.network.state_dict()
    assert compiled.network.state_dict().keys() == learned.keys()
    for name, value in compiled.network.state_dict().items():
        assert torch.allclose(value.float(), learned[name].float(), atol=1e-3), name
    assert compiled.check().text_metric == pytest.approx(plain.check().text_metric, abs=0.05)


@pytest.mark.usefixtures("without_compiler")
def test_a_student_is_taught_by_compiled_steps(folder: Path, tiny_model: str) -> None:
    classes = scenes.layout()
    optical, radar = scenes.optical(folder / "optical.tif", classes), scenes.radar(folder / "radar.tif", classes)
    config = scenes.config(tiny_model, RasterPair(teacher=(str(optical),), student=(str(radar),)), steps=2)
    losses = [
        run(train_chain(chain_data.Lessons(config, folder), folder / name, is_compiled=is_compiled)).history[-1].loss
        for name, is_compiled in (("plain", False), ("compiled", True))
    ]
    assert graphs() >= 1
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


@pytest.mark.usefixtures("without_compiler")
def test_the_expert_learns_by_compiled_steps(folder: Path) -> None:
    drawn = (GEOGRAPHIC_RECIPES / "drawn.toml").read_text(encoding="utf-8")
    file = written_recipe(
        folder / "few.toml",
        drawn,
        (("pool = 512", "pool = 96"), ("validation = 48", "validation = 12"), ("steps = 30", "steps = 2")),
    )
    losses = [
        run(train_geographic(file, folder / name, data=folder, is_compiled=is_compiled)).history[-1].loss
        for name, is_compiled in (("plain", False), ("compiled", True))
    ]
    assert graphs() >= 1
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def test_a_missing_compiler_is_said_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_nothing(model: object) -> object:
        raise RuntimeError("No working C++ compiler found\nand a long trace")

    monkeypatch.setattr(torch, "compile", compile_nothing)
    with pytest.raises(EngineError, match="No working C") as refused:
        choose_device("cpu", is_compiled=True)
    assert "long trace" not in str(refused.value)
    assert choose_device("cpu") == "cpu"
