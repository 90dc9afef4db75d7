"""Typed classes → class map: embed what is missing, score every tile, smooth, blend, write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geomm_engine import __version__
from geomm_engine.contract import (
    ClassEntry,
    ClassifyParams,
    ClassifyResult,
    ClassShare,
    EmbedParams,
    EmbedResult,
    ErrorCode,
    Level,
    Note,
    encode,
)
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.errors import RasterError, writing
from geomm_engine.grid import Chunk, TileGrid
from geomm_engine.index.store import EmbeddingIndex
from geomm_engine.pipeline import mapping
from geomm_engine.pipeline.embed import EmbedRun, cache_folder
from geomm_engine.pipeline.mapping import MARGIN, Region, RegionData
from geomm_engine.pipeline.place_prior import PriorField, prior_field
from geomm_engine.pipeline.prepare import Prepared, prepare
from geomm_engine.pipeline.words import class_remarks
from geomm_engine.progress import Job, Partial, Progress, Stopwatch
from geomm_engine.scoring.class_list import checked, with_colors
from geomm_engine.scoring.familiarity import Exemplars, read_exemplars
from geomm_engine.scoring.location_prior import with_prior
from geomm_engine.scoring.prompts import Prompt, class_prompts, phrase_vector
from geomm_engine.scoring.propagation import propagate
from geomm_engine.scoring.zero_shot import probabilities, reject_scores
from geomm_engine.writers.categories import Category
from geomm_engine.writers.cog import CogWriter
from geomm_engine.writers.geopackage import TileWriter
from geomm_engine.writers.provenance import SOFTWARE, ModelMark, Provenance
from geomm_engine.writers.styles import class_raster_style, class_tile_style, confidence_raster_style

UNKNOWN = Category(255, "unknown", "#b8b8b8")
_ANY_PICTURE = "satellite image"
_MUCH_UNFAMILIAR = 0.2
_OUTPUTS = ("class.tif", "confidence.tif", "scores.tif", "tiles.gpkg", "summary.json")


def classify(params: ClassifyParams, remarks: Sequence[Note] = ()) -> Job[ClassifyResult]:
    """Write ``class.tif``, ``confidence.tif``, ``tiles.gpkg``, ``summary.json`` into the output folder.

    ``remarks`` are what was to be said of the class list before; they lead the notes.

    Raises:
        EngineError: whatever layer, model, words, area or folder refuse; nothing half-written is left.
    """
    prepared = prepare(params.source, params.model)
    scorer = Scorer.for_classes(prepared, params)
    folder = Path(params.output_dir)
    with mapping.all_or_nothing(folder, [folder / name for name in _OUTPUTS]):
        run = EmbedRun(prepared, _embed_params(params))
        has_preview = yield from run.view_first()
        if has_preview:
            yield from _preview(run, scorer, params)
        yield from run.all()
        drawing = Drawing(run, scorer, params)
        yield from drawing.draw(folder)
        embedded = run.result()
        result = drawing.result(folder, embedded)
        result = replace(result, notes=(*remarks, *result.notes))
        with writing(folder / "summary.json"):
            text = json.dumps(
                encode(result) | {"provenance": drawing.provenance_values()}, indent=1, ensure_ascii=False
            )
            (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
            if not params.has_class_scores:
                for name in ("scores.tif", "scores.qml", "scores.tif.aux.xml"):
                    (folder / name).unlink(missing_ok=True)
        return result


def _embed_params(params: ClassifyParams) -> EmbedParams:
    return EmbedParams(params.source, params.model, params.area, params.view, params.device, params.index_dir)


@dataclass(frozen=True)
class Scorer:
    """Everything that turns vectors into class probabilities; once made, it knows no file but that of a prior."""

    prompts: tuple[Prompt, ...]
    entries: tuple[ClassEntry, ...]
    remarks: tuple[Note, ...]
    logit_scale: float
    logit_bias: float
    reference_mean: NDArray[np.float32]
    text_mean: NDArray[np.float32] | None
    threshold: float
    is_smooth: bool
    prior: PriorField | None = None
    exemplars: Exemplars | None = None

    @classmethod
    def for_classes(cls, prepared: Prepared, params: ClassifyParams) -> Scorer:
        """Embed the words. Raises WordsError for an empty list or a text that is too long."""
        card = prepared.card
        encoder = OnnxTextEncoder(prepared.folder)
        checked_entries, remarks = checked(params.classes)
        entries = with_colors(checked_entries)
        prompts = class_prompts(encoder.embed_texts, entries, card.text.templates, is_exact_text=params.is_exact_text)
        positives = [prompt for prompt in prompts if not prompt.is_negative]
        alone = phrase_vector(encoder.embed_texts, _ANY_PICTURE, card.text.templates) if len(positives) == 1 else None
        default = card.scoring.reject_threshold
        threshold = default if params.reject_threshold is None else params.reject_threshold
        return cls(
            prompts=prompts,
            entries=entries,
            remarks=(*remarks, *class_remarks(prepared.folder, entries)),
            logit_scale=card.scoring.logit_scale,
            logit_bias=card.scoring.logit_bias,
            reference_mean=card.reference_mean(),
            text_mean=alone,
            threshold=threshold if params.has_unknown else -np.inf,
            is_smooth=params.is_smooth,
            prior=prior_field(params.prior, prompts, prepared.folder, card.scoring.logit_scale),
            exemplars=_exemplars(prepared.folder),
        )

    @property
    def categories(self) -> list[Category]:
        """Class values 1 … K in the order typed, and "unknown"."""
        positives = [entry for entry in self.entries if not entry.is_negative]
        return [*(Category(at + 1, entry.name, entry.color) for at, entry in enumerate(positives)), UNKNOWN]

    @property
    def marks(self) -> tuple[str, ...]:
        """What each tile is told beside its probabilities."""
        return ("reject", "familiarity") if self.exemplars else ("reject",)

    def values(self) -> NDArray[np.uint8]:
        """(prompt,) the class value of each prompt; a negative has the value of "unknown"."""
        positives = iter(range(1, len(self.prompts) + 1))
        return np.array([UNKNOWN.value if p.is_negative else next(positives) for p in self.prompts], dtype=np.uint8)

    def score(self, grid: TileGrid, region: Region, data: RegionData) -> NDArray[np.float32]:
        """(rows, cols, prompt + mark) float32 for a region with its margin: probabilities, then the marks.

        The prior comes last: what similar tiles agree on is evidence, and is weighed once against each place.
        """
        table = np.zeros((*data.present.shape, len(self.prompts) + len(self.marks)), dtype=np.float32)
        cells = np.argwhere(data.present).astype(np.int64)
        if len(cells):
            vectors = data.vectors[data.present]
            shares = probabilities(vectors, self.prompts, self.logit_scale, self.logit_bias)
            if self.is_smooth:
                shares = propagate(shares, vectors, cells)
            if self.prior is not None:
                shares = with_prior(shares, self.prior.at(grid, region, data.present), self.prior.strength)
            rejects = reject_scores(vectors, self.prompts, self.reference_mean, self.text_mean)
            marks = [rejects, self.exemplars.familiarity(vectors)] if self.exemplars else [rejects]
            table[data.present] = np.column_stack([shares, *marks])
        return table

    def parted(self, table: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(…, prompt + mark) → the probabilities (…, prompt) and the marks (…, mark)."""
        return table[..., : len(self.prompts)], table[..., len(self.prompts) :]

    def decide(self, table: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """(…, prompt + mark) → class values (…), and how sure: the share of the winning prompt."""
        shares, marks = self.parted(table)
        winner = np.nan_to_num(shares, nan=0.0).argmax(axis=-1)
        value = self.values()[winner]
        value = np.where(marks[..., 0] < self.threshold, np.uint8(UNKNOWN.value), value)
        return value.astype(np.uint8), shares.max(axis=-1)


class Drawing:
    """The writing half of a classify run."""

    def __init__(self, run: EmbedRun, scorer: Scorer, params: ClassifyParams) -> None:
        self._run = run
        self._scorer = scorer
        self._params = params
        self._grid = run.prepared.grid
        self._provenance = _provenance(run.index, run.prepared, scorer, params)
        self._area_ha = np.zeros(256)
        self._tiles = np.zeros(256, dtype=np.int64)
        self._unfamiliar = 0
        self._confidence_sum = 0.0
        self._pixel_count = 0
        self._row_ha, self._col_share = mapping.pixel_areas(self._grid)

    def provenance_values(self) -> object:
        return json.loads(self._provenance.to_json())

    def draw(self, folder: Path) -> Job[None]:
        map_grid, categories = self._grid.map_grid, self._scorer.categories
        names = [prompt.name for prompt in self._scorer.prompts]
        with ExitStack() as stack:
            classes = stack.enter_context(
                CogWriter(folder / "class.tif", map_grid, band_names=["class"], dtype="uint8", nodata=0,
                          provenance=self._provenance, categories=categories, style_qml=class_raster_style(categories))
            )  # fmt: skip
            confidence = stack.enter_context(
                CogWriter(folder / "confidence.tif", map_grid, band_names=["confidence", *self._scorer.marks], dtype="float32",
                          nodata=np.nan, provenance=self._provenance, style_qml=confidence_raster_style())
            )  # fmt: skip
            scores = None
            if self._params.has_class_scores:
                scores = stack.enter_context(
                    CogWriter(folder / "scores.tif", map_grid, band_names=names, dtype="float32", nodata=np.nan,
                              provenance=self._provenance, style_qml=confidence_raster_style())
                )  # fmt: skip
            tiles = stack.enter_context(self._tile_writer(folder))
            todo = list(mapping.regions(self._grid, self._run.chunks))
            watch = Stopwatch("map", sum(region.rows * region.cols for region in todo))
            for region in todo:
                data = mapping.read_region(self._run.index, region, self._run.chunks)
                table = self._scorer.score(self._grid, region, data)
                self._write_tiles(tiles, region, data, table)
                yield watch.step(0)
                for strip in mapping.strips(self._grid, region, data, table, self._run.area):
                    value, sure = self._scorer.decide(strip.values)
                    value[~strip.is_drawn] = 0
                    classes.write(strip.y, strip.x, value[None])
                    shares, marks = self._scorer.parted(strip.values)
                    confidence.write(strip.y, strip.x, np.stack([sure, *np.moveaxis(marks, 2, 0)]))
                    if scores:
                        scores.write(strip.y, strip.x, np.moveaxis(shares, 2, 0))
                    self._count(strip.y, strip.x, value, sure)
                    yield watch.step(region.cols * len(value) // self._grid.detail_yx[0])
            if not self._pixel_count:
                raise RasterError(
                    ErrorCode.RASTER_EMPTY,
                    "The area holds no data to classify.",
                    "Choose another or a larger area, or check the nodata value in the layer's properties.",
                )
            yield Progress("write", 0, 1)

    def _tile_writer(self, folder: Path) -> TileWriter:
        fields: dict[str, DTypeLike] = {
            "row": "int32",
            "col": "int32",
            "class": str,
            "value": "int32",
            "confidence": "float32",
        }
        fields |= dict.fromkeys(self._scorer.marks, "float32")
        fields |= dict.fromkeys(_columns(self._scorer.prompts), "float32")
        style = class_tile_style(self._scorer.categories)
        wkt = self._grid.pixels.crs_wkt
        return TileWriter(folder / "tiles.gpkg", "tiles", wkt, fields, self._provenance, style_qml=style)

    def _write_tiles(self, writer: TileWriter, region: Region, data: RegionData, table: NDArray[np.float32]) -> None:
        cells, boxes = mapping.chosen_cells(self._grid, region, data, self._run.area)
        rows = table[cells[:, 0] - region.first_row + MARGIN, cells[:, 1] - region.first_col + MARGIN]
        value, sure = self._scorer.decide(rows)
        self._tiles += np.bincount(value, minlength=256)
        names = {category.value: category.name for category in self._scorer.categories}
        columns: dict[str, NDArray[np.generic]] = {
            "row": cells[:, 0], "col": cells[:, 1],
            "class": np.array([names[int(item)] for item in value], dtype=object),
            "value": value, "confidence": sure,
        }  # fmt: skip
        shares, marks = self._scorer.parted(rows)
        columns |= {mark: marks[:, at] for at, mark in enumerate(self._scorer.marks)}
        columns |= {name: shares[:, at] for at, name in enumerate(_columns(self._scorer.prompts))}
        if self._scorer.exemplars:
            self._unfamiliar += int((marks[:, 1] < self._scorer.exemplars.threshold).sum())
        writer.write(boxes, columns)

    def _count(self, y: int, x: int, value: NDArray[np.uint8], sure: NDArray[np.float32]) -> None:
        height, width = value.shape
        area_ha = self._row_ha[y : y + height, None] * self._col_share[x : x + width]
        self._area_ha += np.bincount(value.ravel(), weights=area_ha.ravel(), minlength=256)
        drawn = value > 0
        self._confidence_sum += float(sure[drawn].sum())
        self._pixel_count += int(drawn.sum())

    def result(self, folder: Path, embedded: EmbedResult) -> ClassifyResult:
        self._area_ha[0] = 0
        total = self._area_ha.sum()
        shares = [
            ClassShare(c.value, c.name, c.color, int(self._tiles[c.value]), round(float(self._area_ha[c.value]), 4),
                       round(float(self._area_ha[c.value] / total), 6) if total else 0.0)
            for c in self._scorer.categories
            if c is not UNKNOWN or self._area_ha[UNKNOWN.value]
        ]  # fmt: skip
        has_scores = self._params.has_class_scores
        return ClassifyResult(
            class_path=str(folder / "class.tif"),
            confidence_path=str(folder / "confidence.tif"),
            scores_path=str(folder / "scores.tif") if has_scores else "",
            tiles_path=str(folder / "tiles.gpkg"),
            summary_path=str(folder / "summary.json"),
            index_dir=embedded.index_dir,
            classes=tuple(shares),
            mean_confidence=round(self._confidence_sum / max(self._pixel_count, 1), 4),
            unfamiliar_share=round(self._unfamiliar_share, 4),
            familiar_threshold=self._scorer.exemplars.threshold if self._scorer.exemplars else -1.0,
            embed=embedded,
            notes=(*self._scorer.remarks, *self._notes(shares), *embedded.notes),
        )

    @property
    def _unfamiliar_share(self) -> float:
        return self._unfamiliar / max(int(self._tiles.sum()), 1)

    def _notes(self, shares: Sequence[ClassShare]) -> list[Note]:
        notes = list(self._scorer.prior.notes()) if self._scorer.prior else []
        unknown = next((item.share for item in shares if item.value == UNKNOWN.value), 0.0)
        if unknown > 0.5:
            text = f"{unknown:.0%} of the area fits none of the classes and is marked unknown: add classes for what is there."
            notes.append(Note("mostly_unknown", Level.AMBER, text, {"share": unknown}))
        if self._unfamiliar_share > _MUCH_UNFAMILIAR:
            text = (
                f"Unfamiliar ground: {self._unfamiliar_share:.0%} of the tiles look like nothing that "
                f"{self._run.prepared.card.name} has learned from. Check the map there against the image."
            )
            notes.append(Note("unfamiliar", Level.AMBER, text, {"share": self._unfamiliar_share}))
        if self._scorer.text_mean is not None and not any(prompt.is_negative for prompt in self._scorer.prompts):
            text = "With one class alone there is nothing to compare with; add what else is there, or use Search."
            notes.append(Note("one_class", Level.AMBER, text))
        return notes


def _preview(run: EmbedRun, scorer: Scorer, params: ClassifyParams) -> Job[None]:
    """A class map of what is in view, in the cache folder, while the rest is computed."""
    name = hashlib.sha256(params.output_dir.encode()).hexdigest()[:16]
    path = cache_folder() / "preview" / f"{name}.tif"
    grid = run.prepared.grid
    done: set[Chunk] = run.index.done()
    provenance = _provenance(run.index, run.prepared, scorer, params)
    with CogWriter(
        path, grid.map_grid, band_names=["class"], dtype="uint8", nodata=0, provenance=provenance,
        categories=scorer.categories, style_qml=class_raster_style(scorer.categories),
    ) as writer:  # fmt: skip
        chunks = done & set(run.chunks)
        for region in mapping.regions(grid, chunks):
            data = mapping.read_region(run.index, region, chunks)
            for strip in mapping.strips(grid, region, data, scorer.score(grid, region, data), run.area):
                value, _ = scorer.decide(strip.values)
                value[~strip.is_drawn] = 0
                writer.write(strip.y, strip.x, value[None])
                yield Progress("preview", 0, 1)
    yield Partial("class_map", path)


def _exemplars(folder: ModelFolder) -> Exemplars | None:
    """What stands for the model's training pictures; nothing where the model does not say."""
    if not folder.has_file("exemplars"):
        return None
    return read_exemplars(folder.file("exemplars"), folder.card.dim, folder.card.scoring.familiar_threshold)


def _columns(prompts: Sequence[Prompt]) -> list[str]:
    """A column name for each prompt's probability: "p_forest"; unique whatever was typed."""
    names: list[str] = []
    for prompt in prompts:
        plain = "".join(c if c.isalnum() else "_" for c in prompt.name.lower()).strip("_") or "class"
        name, count = f"p_{plain}", 2
        while name in names:
            name, count = f"p_{plain}_{count}", count + 1
        names.append(name)
    return names


def _provenance(index: EmbeddingIndex, prepared: Prepared, scorer: Scorer, params: ClassifyParams) -> Provenance:
    templates = ("{}",) if params.is_exact_text else prepared.card.text.templates
    words = {entry.name: (entry.name, *entry.synonyms) for entry in scorer.entries}
    return Provenance(
        software=SOFTWARE,
        version=__version__,
        created=mapping.now(),
        source_name=params.source.name or prepared.name,
        source_paths=prepared.stack.paths,
        radiometry=prepared.radiometry.text,
        model=ModelMark(prepared.card.id, prepared.card.version, prepared.folder.card_sha256),
        prompts={
            name: tuple(t.format(word) for word in synonyms for t in templates) for name, synonyms in words.items()
        },
        parameters={
            "tile_m": prepared.grid.tile_m,
            "gsd_m": prepared.grid.gsd_m,
            "logit_scale": scorer.logit_scale,
            "reject_threshold": scorer.threshold if np.isfinite(scorer.threshold) else "off",
            "is_smooth": scorer.is_smooth,
            "negatives": ", ".join(entry.name for entry in scorer.entries if entry.is_negative),
            "embedded_by": index.manifest.made_by,
        }
        | ({"familiar_threshold": scorer.exemplars.threshold} if scorer.exemplars else {})
        | ({"prior": scorer.prior.text} if scorer.prior else {}),
    )
