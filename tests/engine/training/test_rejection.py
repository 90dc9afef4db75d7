"""Where “unknown” begins: chosen on pictures as they are and in other light, told of pictures as they are."""

from __future__ import annotations

import numpy as np

from geomm_engine.encoders.encoder import unit
from geomm_engine.training.measure import LARGEST_FALSE_REJECT, Seen, fit_rejection, reject_scores

DIM, CLASSES = 24, 8


def seen(noise: float, seed: int) -> Seen:
    """Pictures round the vectors of their class names: the more noise, the less like them."""
    random = np.random.default_rng(seed)
    texts = np.eye(CLASSES, DIM, dtype=np.float32)
    labels = np.arange(1600) % CLASSES
    images = unit(texts[labels] + noise * random.standard_normal((len(labels), DIM)).astype(np.float32))
    return Seen("drawn", labels, images, texts)


def lost(part: Seen, threshold: float, reference: np.ndarray) -> float:
    """Share of the pictures that are called unknown although all names are typed."""
    return float((reject_scores(part.images, part.texts, reference) < threshold).mean())


def test_the_threshold_holds_in_other_light_too() -> None:
    plain, hazy = seen(0.2, 1), seen(0.3, 2)
    reference = plain.images.mean(axis=0)
    alone, both = (fit_rejection([plain], reference, 3, in_lights=lights) for lights in ([], [hazy]))
    assert both.threshold < alone.threshold
    assert lost(hazy, alone.threshold, reference) > 10 * LARGEST_FALSE_REJECT
    assert lost(hazy, both.threshold, reference) < LARGEST_FALSE_REJECT
    assert both.auroc == alone.auroc > 0.99
    assert both.kept > alone.kept >= 1 - LARGEST_FALSE_REJECT
    assert 0.3 < both.rejected < alone.rejected
