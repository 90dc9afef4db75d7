"""The losses against the known answers, in float32; masks; gradients of an all-sea batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geomm_engine.geography import koppen, season
from geomm_engine.geography.mixture import Mixture, log_softmax
from geomm_engine.training import geographic_losses as losses
from tests.engine.geography.test_mixture import D1


@pytest.mark.parametrize("kappa", D1)
def test_mixture_is_the_known_answer_in_float32(kappa: float) -> None:
    cosine = 1 - 1e-4
    point = torch.tensor([[math.sqrt(1 - cosine**2), 0.0, cosine]])
    centre = torch.tensor([[0.0, 0.0, 1.0]])
    found = losses.log_mvmf(torch.zeros(1, 1), centre, torch.tensor([kappa]), point)
    assert float(found) + math.log(4 * math.pi) == pytest.approx(D1[kappa], abs=2e-3)


def test_mixture_is_that_of_the_engine_a_sample_each() -> None:
    random = np.random.default_rng(1)
    logits, centres = random.normal(0, 5, (4, 20)), random.normal(size=(20, 3))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    points, kappa = centres[[3, 5, 7, 9]], np.exp(random.uniform(-6, 9, 20))
    found = losses.log_mvmf(*(torch.tensor(item, dtype=torch.float32) for item in (logits, centres, kappa, points)))
    for row in range(4):
        exact = Mixture(centres, kappa, log_softmax(logits[row])).log_density(points[row : row + 1])[0]
        assert float(found[row]) == pytest.approx(exact, abs=5e-3)


def test_climate_loss_is_half_fine_and_half_coarse() -> None:
    logits = torch.randn(3, 31)
    shares = torch.zeros(3, 31)
    shares[:, 3] = 0.75
    shares[:, 0] = 0.25
    log_p = log_softmax(logits.numpy())
    coarse = koppen.coarse(log_p)
    expected = -0.5 * (0.75 * log_p[:, 3] + 0.25 * log_p[:, 0]) - 0.5 * (0.75 * coarse[:, 1] + 0.25 * coarse[:, 0])
    assert losses.climate_loss(logits, shares).numpy() == pytest.approx(expected, abs=1e-4)


def test_season_loss_is_a_von_mises() -> None:
    vector = torch.tensor([[3.0, 0.0], [0.0, 0.0], [0.0, -500.0]])
    angle = torch.tensor([0.5, 2.0, 4.7])
    mean, kappa = season.mean_and_kappa(vector.numpy())
    expected = -season.log_von_mises(angle.numpy(), mean, kappa)
    assert losses.season_loss(vector, angle).numpy() == pytest.approx(expected, abs=1e-3)


def test_a_masked_mean_of_nothing_is_zero_with_finite_gradients() -> None:
    values = torch.tensor([1.0, float("inf"), 3.0], requires_grad=True)
    assert float(losses.masked_mean(values, torch.zeros(3)).detach()) == 0.0
    mean = losses.masked_mean(values, torch.tensor([1.0, 0.0, 1.0]))
    assert float(mean.detach()) == 2.0


def test_plain_targets_are_the_document_s() -> None:
    points = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    found = losses.plain_targets(points, torch.tensor([0.0, math.pi]))
    assert found[0].tolist() == pytest.approx([0.0, 0.5, 1.0, 0.5, 1.0], abs=1e-6)
    assert found[1].tolist() == pytest.approx([0.5, 1.0, 0.5, 0.5, 0.0], abs=1e-6)
    assert losses.plain_loss(found, points, torch.tensor([0.0, math.pi])).tolist() == pytest.approx([0, 0], abs=1e-6)
