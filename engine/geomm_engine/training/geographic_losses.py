"""What the geographic expert is taught by: mixtures on the sphere, soft climates, the year's circle. Masked means.

Every loss is Σ mask · loss / max(1, Σ mask), so that a batch with nothing to learn gives 0 and no NaN.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from geomm_engine.geography.koppen import GROUP_OF

_GROUPS = torch.nn.functional.one_hot(torch.from_numpy(GROUP_OF), 6).float()


def log_mvmf(logits: Tensor, centres: Tensor, kappa: Tensor, points: Tensor) -> Tensor:
    """(n,) log density per steradian at ``points`` (n, 3) of mixtures with ``logits`` (n, k): formula F1.

    μ·y − 1 is −½‖μ − y‖², so that float32 is enough for κ from 1e-3 to 1e6.
    """
    short = -0.5 * (points[:, None, :] - centres[None]).square().sum(dim=2)
    peak = torch.log(kappa) - math.log(2 * math.pi) - torch.log(-torch.expm1(-2.0 * kappa))
    return torch.logsumexp(torch.log_softmax(logits, dim=1) + peak + kappa * short, dim=1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the rows with mask 1; 0 where there are none."""
    kept = torch.where(mask > 0, values * mask, torch.zeros_like(values))
    return kept.sum() / mask.sum().clamp_min(1.0)


def climate_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """(n,) ½ cross-entropy of the 31 classes + ½ of the 6 groups; ``shares`` (n, 31) sum to one (F10 for the groups)."""
    log_p = torch.log_softmax(logits, dim=1)
    groups = _GROUPS.to(logits.device)
    hidden = torch.where(groups.T.bool()[None], log_p[:, None, :], log_p.new_tensor(-1e9))
    coarse = torch.logsumexp(hidden, dim=2)
    return -0.5 * (shares * log_p).sum(dim=1) - 0.5 * ((shares @ groups) * coarse).sum(dim=1)


def season_loss(vector: Tensor, angle: Tensor) -> Tensor:
    """(n,) −log von Mises of ``angle`` under natural vectors (n, 2)."""
    kappa = torch.sqrt(vector.square().sum(dim=1) + 1e-8)
    log_i0 = kappa + torch.log(torch.special.i0e(kappa))
    along = vector[:, 0] * torch.cos(angle) + vector[:, 1] * torch.sin(angle)
    return log_i0 + math.log(2 * math.pi) - along


def plain_targets(points: Tensor, angle: Tensor) -> Tensor:
    """(n, 5): the document's encoding: (90 − lat)/180, then sine and cosine of longitude and of the day, in 0–1."""
    lat = torch.asin(points[:, 2].clamp(-1, 1))
    lon = torch.atan2(points[:, 1], points[:, 0])
    around = torch.stack([lon.sin(), lon.cos(), angle.sin(), angle.cos()], dim=1)
    return torch.cat([(0.5 - lat / math.pi).unsqueeze(1), (around + 1) / 2], dim=1)


def plain_loss(plain: Tensor, points: Tensor, angle: Tensor) -> Tensor:
    """(n,) squared error of the plain heads."""
    return functional.mse_loss(plain, plain_targets(points, angle), reduction="none").sum(dim=1)
