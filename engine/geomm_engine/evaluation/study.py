"""A model measured on sets of labelled pictures: every picture is embedded once and serves all parts that were asked for."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geomm_engine import __version__
from geomm_engine.contract import ClassEntry, ErrorCode
from geomm_engine.encoders.card import Card, ModelFolder
from geomm_engine.encoders.device import AUTO, open_image_encoder
from geomm_engine.encoders.encoder import ImageEncoder
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import EngineError, ModelError, WordsError
from geomm_engine.evaluation import retrieval
from geomm_engine.evaluation.lights import LightsReport, across_lights
from geomm_engine.evaluation.pictures import LabelledPictures, NotAPicture, opened
from geomm_engine.evaluation.probe import ProbeReport, parting, probe
from geomm_engine.evaluation.retrieval import RetrievalReport
from geomm_engine.evaluation.scales import ScalesReport, across_scales, default_scales
from geomm_engine.evaluation.seeing import Seen, guessed_gsd, see
from geomm_engine.evaluation.split import VALIDATION_SEED, VALIDATION_SHARE, held_out
from geomm_engine.evaluation.words import Captions, is_table, pictures_beside, read_captions, read_wordings
from geomm_engine.evaluation.zero_shot import Answers, ZeroShotReport, words, zero_shot
from geomm_engine.progress import Job
from geomm_engine.scoring.prompts import Prompt, class_prompts, phrase_vector
from geomm_engine.writers.provenance import SOFTWARE

BANDS = "band mean and deviation"
RANDOM = "random convolution"
_CHEAP = ("nearest centroid", "linear probe")
THUMBNAIL_PX = 112


class Part(enum.Enum):
    """What can be measured."""

    ZERO_SHOT = "zero_shot"
    RETRIEVAL = "retrieval"
    PROBE = "knn"
    SCALES = "scales"
    LIGHTS = "lights"


@dataclass(frozen=True)
class Study:
    """What is asked for.

    Attributes:
        paths: folders or zips of class folders; tables of captions, which lead to the pictures beside them.
        gsd_m: ground pixel of the files in metres, one for all sets or one each; none lets the model say.
        scales_m: ground pixels to compare; none takes octaves of the files' own.
        entries: class list with synonyms; none types the names of the folders.
        captions, wordings: tables of captions and of wordings that were never trained.
        split: "all", or "validation" or "training" as the recipes of the built-in models part them.
        limit: at most so many pictures a class, drawn with ``seed``; 0 takes all.
    """

    paths: tuple[Path, ...]
    parts: frozenset[Part]
    gsd_m: tuple[float, ...] = ()
    scales_m: tuple[float, ...] = ()
    entries: tuple[ClassEntry, ...] = ()
    captions: Path | None = None
    images: Path | None = None
    wordings: Path | None = None
    model: str = ""
    device: str = AUTO
    split: str = "all"
    limit: int = 0
    seed: int = 0


@dataclass(frozen=True)
class SetReport:
    """Of one set; a part that was not asked for, or cannot be measured here (``notes`` say why), is absent."""

    name: str
    pictures: int
    classes: tuple[str, ...]
    gsd_m: float
    gsd_source: str
    split: str
    limit: int
    unreadable: tuple[str, ...]
    notes: tuple[str, ...]
    zero_shot: ZeroShotReport | None = None
    retrieval: RetrievalReport | None = None
    knn: ProbeReport | None = None
    scales: ScalesReport | None = None
    lights: LightsReport | None = None


@dataclass(frozen=True)
class EvaluationReport:
    """Everything that was measured, and what is needed to measure it again."""

    software: str
    version: str
    created: str
    model: str
    model_name: str
    model_version: str
    card_sha256: str
    trained_on: tuple[str, ...]
    device: str
    seed: int
    sets: tuple[SetReport, ...]


@dataclass(frozen=True)
class Sheet:
    """Beside a set's report: what was said of each picture, and small pictures (h, w, 3) uint8 of the worst ones."""

    name: str
    classes: tuple[str, ...]
    paths: tuple[str, ...] = ()
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    answers: Answers | None = None
    thumbnails: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    report: EvaluationReport
    sheets: tuple[Sheet, ...]


def evaluate(study: Study) -> Job[Evaluation]:
    """Measure what the study asks for.

    Raises:
        EngineError: a set, table, class list, model or ground pixel cannot be used; nothing is written here.
    """
    if len(study.gsd_m) not in (0, 1, len(study.paths)):
        raise EngineError(
            ErrorCode.GSD_OUT_OF_RANGE,
            f"{len(study.gsd_m)} ground pixels for {len(study.paths)} sets.",
            "Give one --gsd for all sets, or one for each in the same order.",
        )
    folder = find_model(study.model)
    _check_bands(folder.card)
    for gsd_m in (*study.gsd_m, *study.scales_m):
        _check_gsd(gsd_m, folder.card)
    towers = _Towers(folder, open_image_encoder(folder, study.device), OnnxTextEncoder(folder))
    done: list[tuple[SetReport, Sheet]] = []
    for at, path in enumerate(study.paths):
        stated = study.gsd_m[at if len(study.gsd_m) > 1 else 0] if study.gsd_m else 0.0
        done.append((yield from _evaluate_set(study, path, stated, towers)))
    card = folder.card
    report = EvaluationReport(
        software=SOFTWARE,
        version=__version__,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        model=card.id,
        model_name=card.name,
        model_version=card.version,
        card_sha256=folder.card_sha256,
        trained_on=card.training.data,
        device=towers.image.device,
        seed=study.seed,
        sets=tuple(item for item, _ in done),
    )
    return Evaluation(report, tuple(sheet for _, sheet in done))


def _check_gsd(gsd_m: float, card: Card) -> None:
    if not 0 < gsd_m <= card.gsd_max_m * 2:
        raise EngineError(
            ErrorCode.GSD_OUT_OF_RANGE,
            f"A ground pixel of {gsd_m:g} m is none that {card.name} reads ({card.gsd_min_m:g} to {card.gsd_max_m:g} m).",
            "Give the ground size of an image pixel in metres with --gsd.",
            gsd_m=gsd_m,
        )


def _check_bands(card: Card) -> None:
    if [band.role for band in card.bands] != ["red", "green", "blue"] or not card.radiometry.takes_pictures:
        raise ModelError(
            ErrorCode.BANDS_MISSING,
            f"{card.name} does not read pictures of red, green and blue.",
            "Choose a model that does; a taught model carries its own bridge report in its card.",
            model=card.id,
        )


@dataclass(frozen=True)
class _Towers:
    folder: ModelFolder
    image: ImageEncoder
    text: OnnxTextEncoder

    @property
    def card(self) -> Card:
        return self.folder.card


def _evaluate_set(study: Study, path: Path, stated_m: float, towers: _Towers) -> Job[tuple[SetReport, Sheet]]:
    table = path if is_table(path) else study.captions
    source = (study.images or pictures_beside(path)) if is_table(path) else path
    with opened(source) as found:
        pictures = _chosen(found, study)
        entries = words(pictures.classes, study.entries)
        captions = read_captions(table, pictures) if table and Part.RETRIEVAL in study.parts else None
        wordings = read_wordings(study.wordings, pictures.classes) if study.wordings else {}
        prompts = class_prompts(towers.text.embed_texts, entries, towers.card.text.templates)
        gsd_m, gsd_source = stated_m, "given"
        if not stated_m:
            prototypes = np.stack([prompt.prototype for prompt in prompts])
            gsd_m, gsd_source = guessed_gsd(pictures, towers.card, towers.image, prototypes, seed=study.seed)
            _check_gsd(gsd_m, towers.card)
        scales_m = _scales(study, pictures, gsd_m, towers.card)
        seen = yield from see(
            pictures,
            towers.image,
            towers.card,
            gsd_m=gsd_m,
            scales_m=scales_m,
            has_lights=Part.LIGHTS in study.parts,
            seed=study.seed,
        )
        of_row = {int(row): at for at, row in enumerate(seen.rows)}
        if captions:
            kept = tuple((of_row[row], text) for row, text in captions.pairs if row in of_row)
            captions = Captions(kept, captions.absent)
        measured = _Measured(study, pictures, seen, entries, prompts, captions, wordings, towers)
        plain, knn = yield from measured.probes()
        zero, answers = measured.zero_shot(plain) if Part.ZERO_SHOT in study.parts else (None, None)
        report = SetReport(
            name=source.name,
            pictures=len(seen.rows),
            classes=pictures.classes,
            gsd_m=gsd_m,
            gsd_source=gsd_source,
            split=study.split,
            limit=study.limit,
            unreadable=seen.unreadable,
            notes=tuple(measured.notes),
            zero_shot=zero,
            retrieval=measured.retrieval() if Part.RETRIEVAL in study.parts else None,
            knn=knn,
            scales=measured.scales() if scales_m else None,
            lights=measured.lights() if seen.in_lights else None,
        )
        shown = [item.path for item in zero.worst] if zero else []
        sheet = Sheet(
            source.name, pictures.classes, tuple(measured.paths), seen.labels, answers, _thumbnails(pictures, shown)
        )
    return report, sheet


def _chosen(pictures: LabelledPictures, study: Study) -> LabelledPictures:
    if study.split != "all":
        held = held_out(pictures.labels, len(pictures.classes), VALIDATION_SHARE, VALIDATION_SEED)
        rows = held if study.split == "validation" else np.setdiff1d(np.arange(len(pictures.labels)), held)
        if not len(rows):
            raise EngineError(
                ErrorCode.FOLDER_INVALID,
                f"{pictures.root} is too small to be split: {study.split} would hold no picture.",
                "Leave --split away.",
                path=str(pictures.root),
            )
        pictures = pictures.subset(rows)
    return pictures.limited(study.limit, study.seed) if study.limit else pictures


def _scales(study: Study, pictures: LabelledPictures, gsd_m: float, card: Card) -> tuple[float, ...]:
    """The ground pixels to compare, finest first; the files' own is always among them.

    Raises:
        EngineError: one is finer than the files.
    """
    if Part.SCALES not in study.parts:
        return ()
    if not study.scales_m:
        return default_scales(gsd_m, card.gsd_max_m, _side_px(pictures))
    finer = [scale_m for scale_m in study.scales_m if scale_m < gsd_m * 0.999]
    if finer:
        raise EngineError(
            ErrorCode.GSD_OUT_OF_RANGE,
            f"Files of {gsd_m:g} m cannot be seen at {finer[0]:g} m.",
            "Give ground pixels that are coarser than the files', in metres.",
            gsd_m=finer[0],
        )
    return tuple(sorted({gsd_m, *study.scales_m}))


def _side_px(pictures: LabelledPictures) -> int:
    for row in range(len(pictures.paths)):
        try:
            return min(pictures.read(row).pixels.shape[1:])
        except NotAPicture:
            continue
    return 0


def _thumbnails(pictures: LabelledPictures, paths: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """The middle squares of these pictures, thinned or averaged to at most 112 px."""
    from PIL import Image

    row = {name: at for at, name in enumerate(pictures.paths)}
    found = {}
    for path in paths:
        pixels = pictures.read(row[path]).pixels
        side = min(pixels.shape[1:])
        top, left = (pixels.shape[1] - side) // 2, (pixels.shape[2] - side) // 2
        square = (pixels[:, top : top + side, left : left + side] * 255).round().astype(np.uint8).transpose(1, 2, 0)
        picture = Image.fromarray(square)
        if side > THUMBNAIL_PX:
            picture = picture.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
        found[path] = np.asarray(picture)
    return found


class _Measured:
    """The parts of one set, from vectors that are there."""

    def __init__(
        self,
        study: Study,
        pictures: LabelledPictures,
        seen: Seen,
        entries: Sequence[ClassEntry],
        prompts: tuple[Prompt, ...],
        captions: Captions | None,
        wordings: Mapping[str, Sequence[str]],
        towers: _Towers,
    ) -> None:
        self._study, self._pictures, self._seen, self._towers = study, pictures, seen, towers
        self._entries, self._prompts, self._captions, self._wordings = entries, prompts, captions, wordings
        self._prototypes = np.stack([prompt.prototype for prompt in prompts])
        self.paths = [pictures.paths[row] for row in seen.rows]
        self.notes: list[str] = []

    def probes(self) -> Job[tuple[ProbeReport | None, ProbeReport | None]]:
        """The plain features' table for zero-shot, and the whole table when it was asked for."""
        parts = self._study.parts
        if not parts & {Part.ZERO_SHOT, Part.PROBE}:
            return None, None
        folds = parting(self._seen.labels, self._seen.bounds, self._study.seed)
        if folds is None:
            self.notes.append("A class has a single picture: nothing that learns from labels can be cross-validated.")
            return None, None
        features = {BANDS: self._seen.statistics, RANDOM: self._seen.random}
        count = len(self._pictures.classes)
        if Part.PROBE not in parts:
            return (yield from probe(features, self._seen.labels, count, folds, methods=_CHEAP)), None
        features = {self._towers.card.name: self._seen.vectors, **features}
        whole = yield from probe(features, self._seen.labels, count, folds)
        rows = tuple(row for row in whole.rows if row.features in (BANDS, RANDOM) and row.method in _CHEAP)
        return ProbeReport(whole.protocol, whole.folds, rows), whole

    def zero_shot(self, plain: ProbeReport | None) -> tuple[ZeroShotReport, Answers]:
        return zero_shot(
            self._seen.vectors,
            self._seen.labels,
            self.paths,
            self._pictures.classes,
            self._entries,
            self._prompts,
            self._towers.card,
            plain,
            seed=self._study.seed,
        )

    def scales(self) -> ScalesReport:
        seen = self._seen
        return across_scales(seen.at_scales, seen.fed, seen.labels, self._prototypes, seed=self._study.seed)

    def lights(self) -> LightsReport:
        seen = self._seen
        return across_lights(seen.vectors, seen.in_lights, seen.labels, self._prototypes)

    def retrieval(self) -> RetrievalReport:
        seen, classes = self._seen, self._pictures.classes
        typed = [entry.name for entry in self._entries]
        texts, back, rows = retrieval.by_class_name(seen.vectors, seen.labels, self._prototypes, classes, typed)
        embed, templates = self._towers.text.embed_texts, self._towers.card.text.templates
        vectors = {
            name: np.stack([phrase_vector(embed, text, templates) for text in texts_])
            for name, texts_ in self._wordings.items()
        }
        wordings = retrieval.by_wording(seen.vectors, seen.labels, self._prototypes, classes, self._wordings, vectors)
        captions = self._captions or Captions((), 0)
        known, too_long = _sentences(self._towers.text, [text for _, text in captions.pairs])
        return RetrievalReport(
            texts,
            back,
            rows,
            retrieval.by_caption(seen.vectors, captions, known),
            wordings,
            sum(text in too_long for _, text in captions.pairs),
            captions.absent,
        )


def _sentences(encoder: OnnxTextEncoder, texts: Sequence[str]) -> tuple[dict[str, NDArray[np.float32]], set[str]]:
    """Text → (dim,) of length 1, as it stands, without templates; and the texts that are longer than the model reads."""
    different = sorted(set(texts))
    known: dict[str, NDArray[np.float32]] = {}
    too_long: set[str] = set()
    for start in range(0, len(different), 256):
        part = different[start : start + 256]
        try:
            vectors = encoder.embed_texts(part)
        except WordsError:
            fitting = [text for text in part if _fits(encoder, text)]
            too_long |= set(part) - set(fitting)
            part = fitting
            vectors = encoder.embed_texts(fitting) if fitting else np.zeros((0, 0), np.float32)
        known.update(zip(part, vectors, strict=True))
    return known, too_long


def _fits(encoder: OnnxTextEncoder, text: str) -> bool:
    try:
        encoder.embed_texts([text])
    except WordsError:
        return False
    return True
