"""The contrastive loss: ln N when nothing is known, small when everything is, right with several answers."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from geomm_engine.training.losses import anchor_loss, contrastive_loss


def unit(*shape: int) -> torch.Tensor:
    return functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(3)), dim=-1)


@pytest.mark.parametrize("count", [256, 1024])
def test_untrained_towers_lose_ln_n(count: int) -> None:
    images, texts = unit(2 * count, 512).chunk(2)
    loss = contrastive_loss(images, texts, torch.tensor(1 / 0.07), torch.eye(count))
    assert loss == pytest.approx(math.log(count), rel=0.05)


def test_perfect_towers_lose_nothing() -> None:
    vectors = torch.eye(8)
    assert contrastive_loss(vectors, vectors, torch.tensor(100.0), torch.eye(8)) < 1e-6


def test_answers_share_the_target() -> None:
    # Two pictures of one class, two texts of that class: the best any scale can do is to give each ½.
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    relation = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    best = 2 * math.log(2) / 3
    assert contrastive_loss(vectors, vectors, torch.tensor(100.0), relation) == pytest.approx(best, abs=1e-6)


def test_unsure_pairs_do_not_count() -> None:
    images, texts = torch.eye(3), torch.eye(3)
    texts[2] = torch.tensor([1.0, 0.0, 0.0])
    relation = torch.eye(3)
    wrong = contrastive_loss(images, texts, torch.tensor(10.0), relation)
    relation[0, 2] = -1
    assert contrastive_loss(images, texts, torch.tensor(10.0), relation) < wrong


@pytest.mark.parametrize("relation", [[[1]], [[0]], [[-1]]])
def test_batch_of_one_is_finite(relation: list[list[int]]) -> None:
    images = unit(1, 4).requires_grad_()
    loss = contrastive_loss(images, unit(1, 4), torch.tensor(14.0), torch.tensor(relation))
    loss.backward()
    assert torch.isfinite(loss)
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()


def test_pictures_compete_within_their_set_only() -> None:
    anchors = torch.eye(3)
    sets, labels = torch.tensor([0, 0, 1]), torch.tensor([2])
    shows = torch.tensor([[0, 0, 1]])
    loss = anchor_loss(anchors[[0]], anchors[[2]], anchors, torch.tensor(100.0), labels, sets, shows)
    assert loss == pytest.approx(0.0, abs=1e-6)
