"""The symmetric contrastive loss with several right answers a row, and pairs that are left out. Pure tensors.

Methods F5: cross entropy over rows and over columns of ``scale · images · textsᵀ``. A row's target is shared equally by
all texts that the picture shows; pairs of unsure relation are taken out of the softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHOWS = 1
UNSURE = -1


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, relation: Tensor) -> Tensor:
    """Mean of both directions; (n, dim) and (m, dim) unit vectors, (n, m) relation of 1, 0 and −1.

    Rows and columns without any right answer are left out; a batch without any gives zero.
    """
    logits = scale * images @ texts.T
    logits = logits.masked_fill(relation == UNSURE, -1e4)
    shown = (relation == SHOWS).to(logits.dtype)
    return 0.5 * (_direction(logits, shown) + _direction(logits.T, shown.T))


def _direction(logits: Tensor, shown: Tensor) -> Tensor:
    answers = shown.sum(dim=1)
    log_share = torch.log_softmax(logits, dim=1)
    loss = -(log_share * shown).sum(dim=1) / answers.clamp(min=1.0)
    has_answer = (answers > 0).to(logits.dtype)
    return (loss * has_answer).sum() / has_answer.sum().clamp(min=1.0)


def anchor_loss(
    images: Tensor, texts: Tensor, anchors: Tensor, scale: Tensor, labels: Tensor, sets: Tensor, shows: Tensor
) -> Tensor:
    """Pulls pictures and texts to one learnt vector a class, which both towers then meet at sooner than at each other.

    Args:
        anchors: (class, dim) unit vectors.
        labels: (n,) class of each picture; it competes with the classes of its own set only.
        sets: (class,) number of the set of each class.
        shows: (m, class) relation of each text to the classes: 1, 0, −1.
    """
    logits = scale * images @ anchors.T
    logits = logits.masked_fill(sets[labels].unsqueeze(1) != sets.unsqueeze(0), -1e4)
    by_picture = -torch.log_softmax(logits, dim=1).gather(1, labels.unsqueeze(1)).mean()
    answers = (scale * texts @ anchors.T).masked_fill(shows == UNSURE, -1e4)
    by_text = _direction(answers, (shows == SHOWS).to(answers.dtype))
    return by_picture + by_text
