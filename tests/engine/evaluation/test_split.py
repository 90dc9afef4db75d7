"""Splits: as the training draws them, every class alike, and never with common ground on both sides."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from geomm_engine.evaluation.pictures import opened
from geomm_engine.evaluation.split import blocked_folds, held_out, overlapping, stratified_folds
from geomm_engine.training.pictures import read_zip, split


def test_the_validation_pictures_are_those_of_the_training(folder: Path) -> None:
    path = folder / "jeu é.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("b", "a"):
            for at in range(20):
                stream = io.BytesIO()
                Image.new("RGB", (32, 32), (at, 10 if name == "a" else 20, 0)).save(stream, "PNG")
                archive.writestr(f"{name}/{at}.png", stream.getvalue())
    theirs = split(read_zip(path, "set", 10.0, 32), 0.15, 2026)[1]
    with opened(path) as pictures:
        rows = held_out(pictures.labels, 2, 0.15, 2026)
        ours = [(pictures.read(row).pixels[:2, 0, 0] * 255).round().astype(int).tolist() for row in rows]
    assert ours == theirs.pixels[:, 0, 0, :2].tolist()
    assert len(rows) == 6


def test_a_split_takes_the_same_share_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [100, 40, 20])
    rows = held_out(labels, 3, 0.15, 2026)
    assert np.bincount(labels[rows]).tolist() == [15, 6, 3]
    assert rows.tolist() == held_out(labels, 3, 0.15, 2026).tolist()
    assert rows.tolist() != held_out(labels, 3, 0.15, 1).tolist()


def test_stratified_folds_spread_every_class() -> None:
    labels = np.repeat([0, 1, 2], [50, 12, 5])
    fold = stratified_folds(labels, 5, 0)
    for label, count in enumerate((50, 12, 5)):
        inside = np.bincount(fold[labels == label], minlength=5)
        assert inside.max() - inside.min() <= 1
        assert inside.sum() == count


def test_blocks_keep_neighbours_together_and_overlaps_are_found() -> None:
    x, y = (axis.ravel() * 0.5 for axis in np.meshgrid(np.arange(64), np.arange(64)))  # half a width: all overlap
    bounds = np.stack([x, y, x + 1, y + 1], axis=1)
    fold, blocks = blocked_folds(bounds, 5)
    assert blocks == 25
    assert np.bincount(fold).min() > 0.1 * len(fold)
    tested = fold == 0
    out = overlapping(bounds, tested)
    assert not (out & tested).any()
    kept = ~out & ~tested
    gap = np.maximum(np.abs(x[kept][:, None] - x[tested][None]), np.abs(y[kept][:, None] - y[tested][None]))
    assert gap.min() >= 1
    left = ~tested & ~kept
    near = np.maximum(np.abs(x[left][:, None] - x[tested][None]), np.abs(y[left][:, None] - y[tested][None]))
    assert near.min(axis=1).max() < 1
