"""The symmetric contrastive loss with several right answers a row, and pairs that are left out. Pure tensors.

Methods F5: cross entropy over rows and over columns of ``scale · images · textsᵀ``. A row's target is shared equally by
all texts that the picture shows; pairs of unsure relation are taken out of the softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor

UNSURE = -1


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, relation: Tensor) -> Tensor:
    """Mean of both directions; (n, dim) and (m, dim) unit vectors, (n, m) relation: the share 0–1 of a picture that a text
    speaks of, or −1.

    Rows and columns without any right answer are left out; a batch without any gives zero.
    """
    logits = scale * images @ texts.T
    logits = logits.masked_fill(relation == UNSURE, -1e4)
    shown = relation.clamp(min=0).to(logits.dtype)
    return 0.5 * (_direction(logits, shown) + _direction(logits.T, shown.T))


def _direction(logits: Tensor, shown: Tensor) -> Tensor:
    answers = shown.sum(dim=1)
    log_share = torch.log_softmax(logits, dim=1)
    loss = -(log_share * shown).sum(dim=1) / answers.clamp(min=1e-6)
    has_answer = (answers > 0).to(logits.dtype)
    return (loss * has_answer).sum() / has_answer.sum().clamp(min=1.0)


def anchor_loss(
    images: Tensor,
    texts: Tensor,
    anchors: Tensor,
    scale: Tensor,
    labels: Tensor,
    sets: Tensor,
    shows: Tensor,
    mixed_in: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Pulls pictures and texts to one learnt vector a class, which both towers then meet at sooner than at each other.

    Args:
        anchors: (class, dim) unit vectors.
        labels: (n,) class of each picture; it competes with the classes of its own set only.
        sets: (class,) number of the set of each class.
        shows: (m, class) relation of each text to the classes: 1, 0, −1.
        mixed_in: (n,) class that was mixed into each picture, of the same set, and (n,) share of its own class.
    """
    logits = scale * images @ anchors.T
    logits = logits.masked_fill(sets[labels].unsqueeze(1) != sets.unsqueeze(0), -1e4)
    log_share = torch.log_softmax(logits, dim=1)
    by_picture = -log_share.gather(1, labels.unsqueeze(1)).squeeze(1)
    if mixed_in is not None:
        others, own = mixed_in
        by_picture = own * by_picture - (1.0 - own) * log_share.gather(1, others.unsqueeze(1)).squeeze(1)
    answers = (scale * texts @ anchors.T).masked_fill(shows == UNSURE, -1e4)
    by_text = _direction(answers, shows.clamp(min=0).to(answers.dtype))
    return by_picture.mean() + by_text
