"""Short ways to ask the pipeline, for its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from geomm_engine.contract import (
    ClassEntry,
    ClassifyParams,
    ClassifyResult,
    EmbedParams,
    EmbedResult,
    RasterSource,
    SearchParams,
    SearchResult,
)
from geomm_engine.index.store import ChunkData, EmbeddingIndex
from geomm_engine.pipeline.classify import classify
from geomm_engine.pipeline.embed import embed
from geomm_engine.pipeline.search import search
from geomm_engine.progress import Job, run

LAND = ("forest", "water", "town")


def source(*paths: Path, **options: Any) -> RasterSource:
    return RasterSource(tuple(str(path) for path in paths), **options)


def classes(*names: str) -> tuple[ClassEntry, ...]:
    """Classes by name; "!name" is a negative."""
    return tuple(ClassEntry(name.removeprefix("!"), is_negative=name.startswith("!")) for name in names)


def classify_job(path: Path, model: str, output: Path, *names: str, **options: Any) -> Job[ClassifyResult]:
    return classify(ClassifyParams(source(path), classes(*(names or LAND)), str(output), model, **options))


def classified(path: Path, model: str, output: Path, *names: str, **options: Any) -> ClassifyResult:
    return run(classify_job(path, model, output, *names, **options))


def embedded(path: Path, model: str, index: Path, **options: Any) -> EmbedResult:
    return run(embed(EmbedParams(source(path), model, index_dir=str(index), **options)))


def searched(output: Path, text: str, **options: Any) -> SearchResult:
    return run(search(SearchParams(text, str(output), **options)))


def everything(index: Path | str) -> ChunkData:
    """All cells of an index."""
    opened = EmbeddingIndex.open(Path(index))
    return opened.read(0, 0, *opened.grid.shape_yx)


def drawn(path: str | Path, band: int = 1) -> NDArray[Any]:
    with rasterio.open(path) as raster:
        return raster.read(band)


def shares(values: NDArray[np.uint8]) -> dict[int, float]:
    """Class value → share of the pixels."""
    found, counts = np.unique(values, return_counts=True)
    return {int(value): float(count) / values.size for value, count in zip(found, counts, strict=True)}
