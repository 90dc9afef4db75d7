"""What a chain's student knows of places that it never saw: every labelled place is left out of a lesson once.

The bridge report of a student asks it on strips beside its lesson, which also chose the step at which it stopped. Here all
ground of a place leaves the lesson, whatever raster shows it, and the student that learned without it is asked all over it. The
tiles of all places make one report: more ground than the strips have, and none that anything was chosen on.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.warp import transform_bounds
from torch import nn

from geomm_engine.contract import ErrorCode, encode
from geomm_engine.encoders.card import Bridge
from geomm_engine.errors import EngineError, writing
from geomm_engine.grid import PixelGrid, overlaps
from geomm_engine.networks.views import ready
from geomm_engine.progress import Job
from geomm_engine.training.bridge import Vectors, bridge_of, student_ways
from geomm_engine.training.chain import load_best, student_vectors, train_chain
from geomm_engine.training.chain_config import ChainConfig, RasterPair
from geomm_engine.training.chain_data import Lessons, Tiles
from geomm_engine.training.rounding import round_weights
from geomm_engine.training.run_folder import RunFolder

REPORT_FILE = "place_folds.json"


def evaluate_place_folds(config: ChainConfig, data: Path, output: Path, *, device: str = "cpu") -> Job[Bridge]:
    """Teach a student without each labelled place in turn and ask it there; writes ``place_folds.json``.

    Raises:
        EngineError: what the lessons refuse, or fewer than two places have labels.
    """
    every = Lessons(config, data)
    labelled = tuple(pair for pair in every.pairs if pair.labels)
    if len(labelled) < 2:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            "Leaving places out takes at least two with labels.",
            "Add “labels” to more pairs of the recipe.",
        )
    config = replace(config, bands=every.bands, crops=replace(config.crops, tile_px=every.tile_px))
    asked = Lessons(replace(config, pairs=labelled), data)
    yield from asked.prepare_report()
    students: dict[RasterPair, tuple[Lessons, nn.Module]] = {}
    for at, left_out in enumerate(asked.grounds):
        kept = tuple(
            pair
            for pair, ground in zip(every.pairs, every.grounds, strict=True)
            if not _share_ground(ground.joint.grid, left_out.joint.grid)
        )
        lessons = Lessons(replace(config, pairs=kept), data)
        folder = output / f"without_{at + 1}"
        yield from train_chain(lessons, folder, device=device)
        network = load_best(lessons, RunFolder(folder))
        round_weights(network)
        students[left_out.pair] = lessons, ready(network, network.look)

    def embed(tiles: Tiles) -> Vectors:
        """Each tile by the student that never saw its place."""
        vectors = np.zeros((len(tiles), asked.dim), dtype=np.float32)
        for at in np.unique(tiles.place):
            lessons, student = students[asked.places[at].pair]
            rows = np.flatnonzero(tiles.place == at).astype(np.int64)
            vectors[rows] = student_vectors(student, lessons, tiles.subset(rows))
        return vectors

    bridge = bridge_of(asked, student_ways(asked, embed), "whole places, each asked of a student taught without it")
    with writing(output):
        text = json.dumps(encode(bridge), indent=1, ensure_ascii=False) + "\n"
        (output / REPORT_FILE).write_text(text, encoding="utf-8")
    return bridge


def _share_ground(first: PixelGrid, second: PixelGrid) -> bool:
    boxes = [
        transform_bounds(CRS.from_wkt(grid.crs_wkt), CRS.from_epsg(4326), *grid.bounds_xyxy) for grid in (first, second)
    ]
    return overlaps(*boxes)
