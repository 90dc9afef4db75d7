"""From a chain's run folder to a model folder: one graph, a card in the teacher's space, the bridge report in it."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from geomm_engine.contract import encode
from geomm_engine.encoders.card import (
    TEXT_ROLES,
    Architecture,
    Bridge,
    Calibration,
    Card,
    CardBand,
    CardFile,
    CardRadiometry,
    CardScoring,
    Licence,
    Lineage,
    Measurement,
    ModelFolder,
    Scale,
    Training,
    file_sha256,
    write_card,
)
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import ModelError, writing
from geomm_engine.networks.band_student import ARCHITECTURE, BandStudent, FrozenStudent
from geomm_engine.networks.views import ready
from geomm_engine.scoring.familiarity import read_exemplars, write_exemplars
from geomm_engine.sensors import role_of, wavelength_of
from geomm_engine.training.bridge import bridge_report, embed_tiles
from geomm_engine.training.chain import load_best, settings_for
from geomm_engine.training.chain_data import Lessons
from geomm_engine.training.chain_places import STUDENT_UNITS
from geomm_engine.training.exemplars import UNFAMILIAR_SHARE, choose_exemplars
from geomm_engine.training.graphs import Unit, check_fidelity, halve_weights
from geomm_engine.training.measure import Vectors, reject_scores
from geomm_engine.training.rounding import round_weights
from geomm_engine.training.run_folder import RunFolder

OPSET = 18
IMAGE_FILE = "image.onnx"
EXEMPLARS_FILE = "exemplars.npz"
REPORT_FILE = "bridge.json"
_SCALES = np.arange(4.0, 101.0, 1.0)
_CHECKED = 64
_SAMPLED = 600


@dataclass(frozen=True)
class ExportedStudent:
    folder: Path
    image_deviation: float
    bridge: Bridge


def export_student(lessons: Lessons, run_path: Path, folder: Path) -> ExportedStudent:
    """Write the model folder of a finished run; an older one in its place is replaced when the new one is whole.

    Raises:
        ModelError: the graph does not give what torch gives.
        EngineError: nothing was trained, or the folder cannot be written.
    """
    network = load_best(lessons, RunFolder(run_path))
    round_weights(network)
    folder = folder.resolve()
    part = folder.with_name(folder.name + ".part")
    with writing(folder):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    try:
        write_student_graph(network, part / IMAGE_FILE)
        draft = _draft(lessons, part)
        write_card(draft, part)
        model = find_model(str(part))
        deviation = _deviation(network, model, lessons)
        card = _measured(draft, model, lessons, deviation)
        assert card.bridge is not None
        write_card(card, part)
        with writing(folder):
            text = json.dumps(encode(card.bridge), indent=1, ensure_ascii=False) + "\n"
            (run_path / REPORT_FILE).write_text(text, encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return ExportedStudent(folder, deviation, card.bridge)


def write_student_graph(network: BandStudent, path: Path) -> None:
    """``image`` (n, band, h, w) normalised, ``gsd_m`` (n,), ``present`` (n, band) → ``embedding`` (n, dim), unit vectors."""
    student = FrozenStudent(network)
    bands = student.kernels.shape[0]
    module = Unit(ready(student, network.look)).eval().to("cpu")
    inputs = (torch.zeros(2, bands, 64, 64), torch.full((2,), 10.0), torch.ones(2, bands))
    axes = {"image": {0: "n", 2: "h", 3: "w"}, "gsd_m": {0: "n"}, "present": {0: "n"}, "embedding": {0: "n"}}
    with writing(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module,
            inputs,
            str(path),
            input_names=["image", "gsd_m", "present"],
            output_names=["embedding"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        halve_weights(path)


def _draft(lessons: Lessons, folder: Path) -> Card:
    """Everything that is known before measuring."""
    config, teacher = lessons.config, lessons.teacher.card
    facts = config.card
    text_from, image_sha256, files = _text(lessons.teacher, folder)
    units = dict.fromkeys(unit for ground in lessons.grounds for unit in ground.units)
    count = len(lessons.bands)
    calibrations = tuple(
        Calibration(unit, (round(STUDENT_UNITS[unit][0], 9),) * count, (round(STUDENT_UNITS[unit][1], 9),) * count)
        for unit in units
    )
    gsd_m = [place.gsd_m for place in lessons.places]
    factors = lessons.training.gsd_m / np.array([gsd_m[at] for at in lessons.training.place])
    scale = Scale(
        round(float(min(gsd_m) * factors.min()), 4), round(float(max(gsd_m) * factors.max()), 4), lessons.tile_px
    )
    sources = facts.data or tuple(dict.fromkeys(place.pair.name for place in lessons.places))
    return Card(
        id=config.id,
        name=facts.name if facts.name != "Unnamed" else config.id,
        version=facts.version,
        space_id=teacher.space_id,
        description=facts.description
        or f"Reads {', '.join(lessons.bands)}; taught by {teacher.name} without labels, and asked in the same words.",
        licence=Licence(facts.licence, facts.licence_url),
        files=(_file("image", folder / IMAGE_FILE), *files),
        architecture=Architecture(ARCHITECTURE, json.dumps(encode(settings_for(lessons)))),
        bands=tuple(CardBand(band, wavelength_of(role_of(band) or band)) for band in lessons.bands),
        radiometry=CardRadiometry(
            tuple(round(float(value), 4) for value in lessons.mean.flatten()),
            tuple(round(float(value), 4) for value in lessons.std.flatten()),
            () if lessons.takes_pictures else calibrations,
            takes_pictures=lessons.takes_pictures,
        ),
        scales=(scale,),
        has_gsd_input=True,
        dim=lessons.dim,
        text=teacher.text,
        scoring=teacher.scoring,
        training=Training(sources, f"geomm train chain {facts.recipe or config.id}", config.seed, _note(lessons)),
        measured=(),
        bands_needed=config.bands_needed(count),
        text_from=text_from,
        image_sha256=image_sha256,
        lineage=Lineage(teacher.id, teacher.version, teacher.hops + 1),
    )


def _note(lessons: Lessons) -> str:
    ground_km2 = sum(place.valid.sum() * np.prod(place.pixel_m_yx) for place in lessons.places) / 1e6
    told = f"{lessons.config.card.note} " if lessons.config.card.note else ""
    return (
        f"{told}Taught on {len(lessons.places)} places, {ground_km2:,.0f} km² in all, "
        f"{round(100 * lessons.config.validation_share)} % of each held out."
    )


def _file(role: str, path: Path) -> CardFile:
    return CardFile(role, path.name, file_sha256(path), path.stat().st_size)


def _text(teacher: ModelFolder, folder: Path) -> tuple[str, str, tuple[CardFile, ...]]:
    """Whose text tower it is: an installed model's by its id and the image tower beside it, else a copy in the folder."""
    owner = teacher.text_folder or teacher
    try:
        is_installed = find_model(owner.card.id).path == owner.path
    except ModelError:
        is_installed = False
    if is_installed:
        return owner.card.id, next(item.sha256 for item in owner.card.files if item.role == "image"), ()
    files = []
    for role in TEXT_ROLES:
        if not owner.has_file(role):
            continue
        source = owner.file(role)
        with writing(folder):
            shutil.copyfile(source, folder / source.name)
        files.append(_file(role, folder / source.name))
    return "", "", tuple(files)


def _deviation(network: BandStudent, model: ModelFolder, lessons: Lessons) -> float:
    """ONNX against torch, with all bands and with one of them missing where that is allowed."""
    batch = lessons.whole(lessons.held, slice(0, _CHECKED))
    gsd_m = float(batch.gsd_m[0])
    images = lessons.held.student[:_CHECKED].astype(np.float32)
    count = len(lessons.bands)
    cases = [list(range(count))] + ([list(range(1, count))] if model.card.bands_needed and count > 1 else [])
    student = ready(network, network.look)
    worst = 0.0
    for bands in cases:
        present = torch.zeros(len(images), count)
        present[:, bands] = 1.0
        with torch.inference_mode():
            pixels = lessons.normalise(torch.from_numpy(images)) * present[:, :, None, None]
            theirs = functional.normalize(student(pixels, torch.full((len(images),), gsd_m), present), dim=1).numpy()
        ours = OnnxImageEncoder(model, bands=bands).embed_images(images[:, bands], gsd_m)
        worst = max(worst, check_fidelity("student", ours, theirs))
    return worst


def _measured(draft: Card, model: ModelFolder, lessons: Lessons, deviation: float) -> Card:
    held = embed_tiles(model, lessons.held)
    sample = np.unique(np.linspace(0, len(lessons.training) - 1, min(_SAMPLED, len(lessons.training))).astype(np.int64))
    taught = lessons.training.subset(sample)
    seen = embed_tiles(model, taught)
    said = np.argmax(taught.teacher @ lessons.words.T, axis=1)
    write_exemplars(choose_exemplars(seen, said, lessons.config.seed), model.path / EXEMPLARS_FILE)
    known = read_exemplars(model.path / EXEMPLARS_FILE, draft.dim, -1.0)
    cosine, chosen = held @ lessons.words.T, lessons.held.teacher @ lessons.words.T
    order = np.argsort(-chosen, axis=1)
    unrelated = np.take_along_axis(cosine, order[:, min(3, order.shape[1] - 1) :], axis=1)
    scoring = replace(
        draft.scoring,
        logit_scale=_scale(cosine, order[:, 0]),
        reject_threshold=_threshold(draft.scoring, seen, taught.teacher, lessons.words),
        background_similarity_mean=round(float(unrelated.mean()), 4),
        background_similarity_std=round(max(0.01, float(unrelated.std())), 4),
        familiar_threshold=round(float(np.quantile(known.familiarity(held), UNFAMILIAR_SHARE)), 3),
    )
    date = datetime.now(UTC).date().isoformat()
    bridge = bridge_report(lessons, model)
    own = [row for row in bridge.rows if row.model == draft.id]
    measured = [
        Measurement(
            "held-out ground",
            f"{row.route}: {row.tiles} tiles; chance {row.chance:.3g}",
            row.metric,
            row.value,
            date,
            row.interval_95,
        )
        for row in own
    ]
    how = "ONNX against torch, both with weights of one byte"
    measured.append(Measurement("held-out tiles", how, "largest cosine deviation", deviation, date))
    files = (*draft.files, _file("exemplars", model.path / EXEMPLARS_FILE))
    return replace(draft, files=files, scoring=scoring, measured=tuple(measured), bridge=bridge)


def _threshold(scoring: CardScoring, student: Vectors, teacher: Vectors, words: Vectors) -> float:
    """Where the student marks as many of its training tiles unknown, for the probe words, as its teacher does.

    Both measure from the teacher's reference mean: the student's own few places would make what they are full of seem strange.
    """
    if not -1.0 < scoring.reject_threshold < 1.0:
        return scoring.reject_threshold
    reference = np.asarray(scoring.reference_mean, np.float32)
    share = float((reject_scores(teacher, words, reference) < scoring.reject_threshold).mean())
    return round(float(np.quantile(reject_scores(student, words, reference), share)), 3)


def _scale(
    cosine: np.ndarray[tuple[int, int], np.dtype[np.float32]], chosen: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> float:
    """The inverse temperature with which the student gives the teacher's word its highest mean log-probability."""
    losses = []
    for scale in _SCALES:
        logits = scale * cosine
        peak = logits.max(axis=1)
        total = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
        losses.append(float(np.mean(total - logits[np.arange(len(chosen)), chosen])))
    return float(_SCALES[int(np.argmin(losses))])
