"""A sentence or a place → where it is: score every tile, find the best, draw the heat; and export what passes a threshold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray
from shapely import Geometry

from geomm_engine import __version__
from geomm_engine.contract import (
    Area,
    EmbedParams,
    EmbedResult,
    ErrorCode,
    ExportParams,
    ExportResult,
    Hit,
    Level,
    Note,
    SearchParams,
    SearchResult,
)
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.location.tower import PlaceBackground, open_location_tower
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.encoders.registry import find_model, list_models
from geomm_engine.errors import AreaError, RasterError, StoreError
from geomm_engine.grid import Chunk
from geomm_engine.index.store import EmbeddingIndex
from geomm_engine.pipeline import area as areas
from geomm_engine.pipeline import mapping
from geomm_engine.pipeline.embed import EmbedRun, tile_count
from geomm_engine.pipeline.mapping import MARGIN, Region
from geomm_engine.pipeline.prepare import prepare
from geomm_engine.pipeline.words import word_remarks
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.scoring.prompts import query_vector
from geomm_engine.scoring.zero_shot import similarity_scores
from geomm_engine.writers.cog import CogWriter
from geomm_engine.writers.geopackage import TileWriter
from geomm_engine.writers.provenance import SOFTWARE, ModelMark, Provenance
from geomm_engine.writers.styles import score_raster_style, score_tile_style

HISTOGRAM_BINS = 64
_PROPOSED_SHARE = 0.02
_SHOWN_PERCENTILES = (2.0, 99.8)
_OUTPUTS = ("score.tif", "hits.gpkg")
_WEAK_SCORE = 1.5


class Query(Protocol):
    """What is looked for, made ready by one ``model``; ``text``, ``not_text`` and ``remarks`` are for a person."""

    @property
    def model(self) -> ModelMark: ...

    @property
    def text(self) -> str: ...

    @property
    def not_text(self) -> str: ...

    @property
    def remarks(self) -> tuple[Note, ...]: ...

    def score(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(n, dim) → scores in standard deviations above what is unrelated, and cosines."""
        ...


@dataclass(frozen=True)
class TextQuery:
    """A typed sentence."""

    model: ModelMark
    text: str
    not_text: str
    wanted: NDArray[np.float32]
    unwanted: NDArray[np.float32] | None
    background: tuple[float, float]
    remarks: tuple[Note, ...] = ()

    @classmethod
    def of(cls, folder: ModelFolder, text: str, not_text: str, is_exact_text: bool) -> TextQuery:
        encoder, card = OnnxTextEncoder(folder), folder.card
        templates = card.text.templates
        wanted = query_vector(encoder.embed_texts, text, templates, is_exact_text=is_exact_text)
        unwanted = None
        if not_text.strip():
            unwanted = query_vector(encoder.embed_texts, not_text, templates, is_exact_text=is_exact_text)
        background = card.scoring.background_similarity_mean, card.scoring.background_similarity_std
        remarks = word_remarks(folder, (text.strip(),))
        return cls(_mark(folder), text, not_text, wanted, unwanted, background, remarks)

    def score(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return similarity_scores(vectors, self.wanted, self.unwanted, *self.background)


@dataclass(frozen=True)
class PlaceQuery:
    """A place on Earth, in the space of a location model: which tiles look like it, more than like any other place."""

    model: ModelMark
    text: str
    vector: NDArray[np.float32]
    background: PlaceBackground
    not_text: str = ""
    remarks: tuple[Note, ...] = ()

    @classmethod
    def of(cls, folder: ModelFolder, place: tuple[float, float]) -> PlaceQuery:
        """Embed the place.

        Raises:
            AreaError: it is no latitude and longitude.
            ModelError: the model has no location tower.
        """
        lat, lon = place
        if not (-90.0 <= lat <= 90.0 and -360.0 <= lon <= 360.0):
            raise AreaError(
                ErrorCode.PLACE_UNKNOWN,
                f"{lat:g}, {lon:g} is no place on Earth.",
                "Give the latitude (−90 to 90) and then the longitude (−180 to 180) in degrees, such as 48.2,16.4.",
            )
        tower = open_location_tower(folder)
        return cls(_mark(folder), f"{lat:g}, {lon:g}", tower.embed_places(lat, lon)[0], tower.background)

    def score(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.background.scores(vectors, self.vector)


def query_of(folder: ModelFolder, params: SearchParams | ExportParams) -> Query:
    """What a request asks for: a place where it names one, else its words.

    Raises:
        EngineError: neither the place nor the words can be used with this model.
    """
    if params.place is not None:
        return PlaceQuery.of(folder, params.place)
    return TextQuery.of(folder, params.text, params.not_text, params.is_exact_text)


@dataclass(frozen=True)
class ScoredCells:
    """All cells of the area with their score: (n, 2) row and column, boxes (n, 4), scores and cosines (n,)."""

    cells: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    cosines: NDArray[np.float32]

    def best(self, count: int) -> NDArray[np.int64]:
        """Positions of the highest scores, best first; ties in reading order."""
        order = np.lexsort((self.cells[:, 1], self.cells[:, 0], -self.scores.astype(np.float64)))
        return order[:count]


def search(params: SearchParams) -> Job[SearchResult]:
    """Write ``score.tif`` and ``hits.gpkg`` into the output folder.

    Raises:
        EngineError: whatever layer or index, model, words, area or folder refuse; nothing half-written is left.
    """
    folder = Path(params.output_dir)
    with mapping.all_or_nothing(folder, [folder / name for name in _OUTPUTS]):
        embedded: EmbedResult | None = None
        lacking: tuple[Note, ...] = ()
        if params.source is not None:
            prepared = prepare(params.source, params.model)
            query = query_of(prepared.folder, params)
            run = EmbedRun(
                prepared,
                EmbedParams(params.source, params.model, params.area, params.view, params.device, params.index_dir),
            )
            yield from run.all()
            index, chunks, area, embedded = run.index, run.chunks, run.area, run.result()
        else:
            index, chunks, area = open_index(params.index_dir, params.area)
            query = query_of(model_for(index, params), params)
            lacking = _lacking(index, chunks, area)
        result = yield from _draw(params, folder, index, chunks, area, query, embedded)
        return replace(result, notes=(*lacking, *result.notes))


def open_index(index_dir: str, area: Area) -> tuple[EmbeddingIndex, list[Chunk], Geometry | None]:
    """An index that exists, and which of its committed chunks the area touches."""
    index = EmbeddingIndex.open(Path(index_dir))
    shape = areas.to_grid(area, index.grid)
    done = index.done()
    chunks = [chunk for chunk in areas.chunks_touching(index.grid, shape) if chunk in done]
    return index, chunks, shape


def _lacking(index: EmbeddingIndex, chunks: list[Chunk], area: Geometry | None) -> tuple[Note, ...]:
    """A remark where the index does not hold the whole area: what is missing from it can be no hit."""
    done, total = (
        sum(tile_count(index.grid, chunk) for chunk in part)
        for part in (chunks, areas.chunks_touching(index.grid, area))
    )
    if done == total:
        return ()
    text = (
        f"The index holds {done:,} of the {total:,} tiles there; the others were not looked at. "
        "“geomm embed” with the same raster and index completes it."
    )
    return (Note("index_incomplete", Level.AMBER, text, {"done": done, "total": total}),)


def model_of(index: EmbeddingIndex, model: str = "") -> ModelFolder:
    """The model that made an index; ``model`` says where its folder is when it is not an installed one.

    Raises:
        ModelError: it is not installed.
        StoreError: the installed one sees otherwise, so that its words and these vectors do not belong together.
    """
    folder = find_model(model or index.manifest.model_id)
    if folder.vectors_sha256 != index.manifest.vectors_sha256:
        raise StoreError(
            ErrorCode.INDEX_INCOMPATIBLE,
            f"The index {index.path} was made by {index.manifest.made_by}, which sees tiles otherwise than "
            f"{folder.card.id} {folder.card.version}.",
            "Embed the raster again.",
            path=str(index.path),
        )
    return folder


def model_for(index: EmbeddingIndex, params: SearchParams | ExportParams) -> ModelFolder:
    """The model that turns a request into a vector of the index's space.

    Raises:
        ModelError: it is not installed.
        StoreError: its vectors and those of the index do not belong together.
    """
    if params.place is None:
        return model_of(index, params.model)
    return places_of(index, params.model)


def places_of(index: EmbeddingIndex, model: str = "") -> ModelFolder:
    """A model whose places lie in the space of an index: the one named, the index's own, or any other that fits.

    Raises:
        ModelError: the model named is not installed.
        StoreError: there is none that fits.
    """
    space = index.manifest.space_id
    named = [find_model(model)] if model else [item for item in list_models() if item.card.location is not None]
    fitting = [item for item in named if item.card.space_id == space and item.card.location is not None]
    if fitting:
        return fitting[0]
    own = f"The index {index.path} was made by {index.manifest.model_id}, in whose space"
    if named:
        theirs = ", ".join(item.card.name for item in named)
        text = f"{own} no places of {theirs} lie: a cosine between the two would mean nothing."
    else:
        text = f"{own} no installed model knows places."
    raise StoreError(
        ErrorCode.INDEX_INCOMPATIBLE,
        text,
        "Embed the layer with a location model, such as SatCLIP, and ask that index; or ask this one by words.",
        path=str(index.path),
        space=space,
    )


def score_cells(
    index: EmbeddingIndex, chunks: list[Chunk], area: Geometry | None, query: Query, watch: Stopwatch
) -> Job[ScoredCells]:
    """Score every cell of the chunks that the area touches."""
    found = [
        ScoredCells(np.zeros((0, 2), np.int64), np.zeros((0, 4)), np.zeros(0, np.float32), np.zeros(0, np.float32))
    ]
    for region in mapping.regions(index.grid, chunks):
        data = mapping.read_region(index, region, chunks)
        cells, boxes = mapping.chosen_cells(index.grid, region, data, area)
        vectors = data.vectors[cells[:, 0] - region.first_row + MARGIN, cells[:, 1] - region.first_col + MARGIN]
        found.append(ScoredCells(cells, boxes, *query.score(vectors)))
        yield watch.step(region.rows * region.cols)
    parts = zip(*((item.cells, item.boxes, item.scores, item.cosines) for item in found), strict=True)
    scored = ScoredCells(*(np.concatenate(part) for part in parts))
    if not len(scored.scores):
        raise RasterError(
            ErrorCode.RASTER_EMPTY,
            "No tile of the area holds enough data to be scored.",
            "Choose another area or layer.",
        )
    return scored


def _draw(
    params: SearchParams, folder: Path, index: EmbeddingIndex, chunks: list[Chunk], area: Geometry | None, query: Query,
    embedded: EmbedResult | None,
) -> Job[SearchResult]:  # fmt: skip
    total = sum(region.rows * region.cols for region in mapping.regions(index.grid, chunks))
    watch = Stopwatch("score", 2 * total)
    scored = yield from score_cells(index, chunks, area, query, watch)
    best = scored.best(max(1, params.top_k))
    low, high = (float(value) for value in np.percentile(scored.scores, _SHOWN_PERCENTILES))
    threshold = proposed_threshold(scored.scores)
    provenance = _provenance(index, query, params.is_exact_text, params.source.name if params.source else "")
    with ExitStack() as stack:
        raster = stack.enter_context(
            CogWriter(folder / "score.tif", index.grid.map_grid, band_names=["score"], dtype="float32", nodata=np.nan,
                      provenance=provenance, style_qml=score_raster_style(low, high))
        )  # fmt: skip
        for region in mapping.regions(index.grid, chunks):
            for strip in _strips(index, region, chunks, area, query):
                raster.write(strip.y, strip.x, np.moveaxis(strip.values, 2, 0))
            yield watch.step(region.rows * region.cols)
        hits_writer = _hit_writer(folder / "hits.gpkg", index, scored, provenance, threshold)
        _write_hits(stack.enter_context(hits_writer), scored, best, query.text)
    counts, edges = np.histogram(scored.scores, bins=HISTOGRAM_BINS)
    hits = tuple(
        Hit(rank, int(scored.cells[at, 0]), int(scored.cells[at, 1]), float(scored.scores[at]), float(scored.cosines[at]),
            (float(scored.boxes[at, 0]), float(scored.boxes[at, 1]), float(scored.boxes[at, 2]), float(scored.boxes[at, 3])))
        for rank, at in enumerate(best, start=1)
    )  # fmt: skip
    return SearchResult(
        score_path=str(folder / "score.tif"),
        hits_path=str(folder / "hits.gpkg"),
        index_dir=str(index.path),
        crs=index.manifest.crs_wkt,
        hits=hits,
        histogram=tuple(int(count) for count in counts),
        score_min=float(edges[0]),
        score_max=float(edges[-1]),
        threshold=threshold,
        embed=embedded,
        notes=(*_remarks(query, scored), *(embedded.notes if embedded else ())),
    )


def _remarks(query: Query, scored: ScoredCells) -> list[Note]:
    best = float(scored.scores.max())
    if query.remarks or best >= _WEAK_SCORE:
        return list(query.remarks)
    if isinstance(query, PlaceQuery):
        text = f"No tile looks more like {query.text} than like other places (score {best:.1f}; what fits reaches 2 and more)."
        return [Note("weak_hits", Level.AMBER, text, {"text": query.text, "score": best})]
    text = (
        f"Even the best tile hardly fits “{query.text}” (score {best:.1f}; what fits reaches 2 and more). "
        "It may not be here, or the model has not learned the word: try another wording."
    )
    return [Note("weak_hits", Level.AMBER, text, {"text": query.text, "score": best})]


def proposed_threshold(scores: NDArray[np.float32]) -> float:
    """The cut that keeps the best 2 % of the tiles, at least one."""
    return float(np.quantile(scores, 1 - _PROPOSED_SHARE, method="lower"))


def _strips(
    index: EmbeddingIndex, region: Region, chunks: list[Chunk], area: Geometry | None, query: Query
) -> Iterator[mapping.Strip]:
    data = mapping.read_region(index, region, chunks)
    table = np.zeros((*data.present.shape, 1), dtype=np.float32)
    table[data.present, 0] = query.score(data.vectors[data.present])[0]
    return mapping.strips(index.grid, region, data, table, area)


_HIT_FIELDS: dict[str, DTypeLike] = {
    "rank": "int32",
    "score": "float32",
    "cosine": "float32",
    "row": "int32",
    "col": "int32",
    "query": str,
}


def _hit_writer(
    path: Path, index: EmbeddingIndex, scored: ScoredCells, provenance: Provenance, threshold: float
) -> TileWriter:
    style = score_tile_style(float(scored.scores.min()), float(scored.scores.max()), threshold=threshold)
    return TileWriter(path, "hits", index.manifest.crs_wkt, _HIT_FIELDS, provenance, style_qml=style)


def _write_hits(writer: TileWriter, scored: ScoredCells, chosen: NDArray[np.int64], query: str) -> None:
    writer.write(
        scored.boxes[chosen],
        {
            "rank": np.arange(1, len(chosen) + 1),
            "score": scored.scores[chosen],
            "cosine": scored.cosines[chosen],
            "row": scored.cells[chosen, 0],
            "col": scored.cells[chosen, 1],
            "query": np.full(len(chosen), query, dtype=object),
        },
    )


def export(params: ExportParams) -> Job[ExportResult]:
    """Write every tile of an index that reaches the threshold to one GeoPackage.

    Raises:
        EngineError: the index, the words or the place to write are refused; nothing half-written is left.
    """
    index, chunks, area = open_index(params.index_dir, params.area)
    query = query_of(model_for(index, params), params)
    path = Path(params.output_path)
    watch = Stopwatch("score", sum(region.rows * region.cols for region in mapping.regions(index.grid, chunks)))
    scored = yield from score_cells(index, chunks, area, query, watch)
    order = scored.best(len(scored.scores))
    chosen = order[scored.scores[order] >= np.float32(params.threshold)]
    provenance = _provenance(index, query, params.is_exact_text, "")
    with _hit_writer(path, index, scored, provenance, params.threshold) as writer:
        _write_hits(writer, scored, chosen, query.text)
    return ExportResult(str(path), len(chosen), _lacking(index, chunks, area))


def _provenance(index: EmbeddingIndex, query: Query, is_exact_text: bool, source_name: str) -> Provenance:
    manifest = index.manifest
    prompts = {"wanted": (query.text,)} | ({"not": (query.not_text,)} if query.not_text.strip() else {})
    return Provenance(
        software=SOFTWARE,
        version=__version__,
        created=mapping.now(),
        source_name=source_name or Path(manifest.paths[0]).stem,
        source_paths=manifest.paths,
        radiometry=manifest.radiometry_text,
        model=query.model,
        prompts=prompts,
        parameters={
            "tile_m": index.grid.tile_m,
            "gsd_m": index.grid.gsd_m,
            "is_exact_text": is_exact_text,
            "embedded_by": manifest.made_by,
        },
    )


def _mark(folder: ModelFolder) -> ModelMark:
    return ModelMark(folder.card.id, folder.card.version, folder.card_sha256)
