"""Posteriors of pictures whose place is known: the best guess of each, and how much lies above the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geomm_engine.geography.posterior import Posterior, world_grid, world_points
from geomm_engine.sphere import Values, unit_vectors


@dataclass(frozen=True)
class Answers:
    """What was said of n pictures: guesses (n, 3), mass above the truth and share of land above it (n,)."""

    guess: Values
    above: Values
    land_share: Values


def answers_of(posteriors: Sequence[Posterior], lat: Values, lon: Values) -> Answers:
    """Guess and ranks of the true places (degrees)."""
    guess, above, share = [], [], []
    for posterior, own_lat, own_lon in zip(posteriors, lat, lon, strict=True):
        guess.append(unit_vectors(*posterior.best()))
        cell = allowed_cell(posterior.prior, own_lat, own_lon)
        own = posterior.log_density[cell]
        above.append(posterior.mass[posterior.log_density > own].sum() + 0.5 * posterior.mass[cell])
        share.append(posterior.prior[posterior.log_density >= own].sum() / posterior.prior.sum())
    return Answers(np.stack(guess), np.array(above), np.array(share))


def allowed_cell(prior: Values, lat: float, lon: float) -> int:
    """The cell of a place, or the nearest one that the prior allows."""
    cell = int(world_grid().cell_of(lat, lon))
    if prior[cell] > 0:
        return cell
    allowed = np.flatnonzero(prior > 0)
    return int(allowed[np.argmax(world_points()[allowed] @ unit_vectors(lat, lon))])
