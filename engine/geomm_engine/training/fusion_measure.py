"""How well a tile seen by one sensor finds itself among tiles seen by another. Pure NumPy; knows no network.

Every query asks a gallery of tiles of its own scene: finding the scene alone would be no feat. Guessing gives one over the
size of the gallery. Intervals: bootstrap over the held-out blocks, since neighbouring tiles are not independent.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geomm_engine.errors import writing
from geomm_engine.evaluation.metrics import percentiles, shares_by_block

SMALLEST_GALLERY = 4


@dataclass(frozen=True)
class Retrieval:
    """``query`` → ``gallery``: share of tiles found first and among the first five, in their own scene.

    ``chance`` is what guessing gives for the first, ``untrained`` what the network gave before its first step.
    """

    query: str
    gallery: str
    tiles: int
    scenes: int
    blocks: int
    recall_1: float
    interval_95: tuple[float, float]
    recall_5: float
    chance: float
    untrained: float = 0.0


def retrieval(
    names: tuple[str, str],
    queries: NDArray[np.float32],
    gallery: NDArray[np.float32],
    scene: NDArray[np.int64],
    block: NDArray[np.int64],
    seed: int = 0,
) -> Retrieval | None:
    """Find each query's own row of ``gallery`` among the rows of its scene; None where no scene has enough tiles.

    Args:
        names: of the query's and of the gallery's sensor.
        queries: (n, dim) unit vectors.
        gallery: (n, dim) unit vectors of the same tiles.
        scene: (n,) which scene each tile lies in.
        block: (n,) which held-out block.
        seed: of the bootstrap.
    """
    ranks = np.full(len(queries), -1.0)
    chance = np.zeros(len(queries))
    for number in np.unique(scene):
        rows = np.flatnonzero(scene == number)
        if len(rows) < SMALLEST_GALLERY:
            continue
        scores = queries[rows] @ gallery[rows].T
        own = np.diagonal(scores)[:, None]
        ties = (scores == own).sum(axis=1) - 1
        ranks[rows] = (scores > own).sum(axis=1) + ties / 2
        chance[rows] = 1 / len(rows)
    used = ranks >= 0
    if not used.any():
        return None
    first, five = (ranks[used] < 1).astype(float), (ranks[used] < 5).astype(float)
    low, high = _interval(first, block[used], seed)
    return Retrieval(
        *names,
        tiles=int(used.sum()),
        scenes=len(np.unique(scene[used])),
        blocks=len(np.unique(block[used])),
        recall_1=round(float(first.mean()), 4),
        interval_95=(round(low, 4), round(high, 4)),
        recall_5=round(float(five.mean()), 4),
        chance=round(float(chance[used].mean()), 4),
    )


def _interval(hits: NDArray[np.float64], block: NDArray[np.int64], seed: int) -> tuple[float, float]:
    _, place = np.unique(block, return_inverse=True)
    found, of = (np.bincount(place, weights=each).astype(np.float64) for each in (hits, np.ones_like(hits)))
    return percentiles(shares_by_block(found, of, seed=seed))


def write_report(rows: list[Retrieval], path: Path) -> None:
    """The rows as JSON."""
    with writing(path):
        path.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n", "utf-8")


@dataclass(frozen=True)
class Agreement:
    """How often ``name`` (a sensor, or all fused) chooses the same word as the teacher; ``commonest``: always one word."""

    name: str
    tiles: int
    blocks: int
    share: float
    interval_95: tuple[float, float]
    commonest: float


def agreement(
    name: str,
    cosines: NDArray[np.float32],
    teachers: NDArray[np.float32],
    block: NDArray[np.int64],
    seed: int = 0,
) -> Agreement:
    """Compare the best words of (n, word) cosines with those of the teacher on the same tiles."""
    said, wanted = cosines.argmax(axis=1), teachers.argmax(axis=1)
    hits = (said == wanted).astype(float)
    low, high = _interval(hits, block, seed)
    return Agreement(
        name,
        tiles=len(hits),
        blocks=len(np.unique(block)),
        share=round(float(hits.mean()), 4),
        interval_95=(round(low, 4), round(high, 4)),
        commonest=round(float(np.bincount(wanted).max() / len(wanted)), 4),
    )
