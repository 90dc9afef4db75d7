"""From a run folder to a model folder: graphs, tokenizer, weights, and a card whose numbers are measured on the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from geomm_engine.contract import ErrorCode, encode
from geomm_engine.encoders.card import (
    Architecture,
    Calibration,
    Card,
    CardBand,
    CardFile,
    CardRadiometry,
    CardScoring,
    CardText,
    Licence,
    Measurement,
    ModelFolder,
    Scale,
    Training,
    file_sha256,
    read_card,
    write_card,
)
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder, OnnxTextEncoder
from geomm_engine.errors import EngineError, writing
from geomm_engine.networks.two_towers import ARCHITECTURE, TwoTowers
from geomm_engine.networks.views import ready
from geomm_engine.scoring.familiarity import read_exemplars, write_exemplars
from geomm_engine.training.config import CardFacts, ContrastiveConfig, read_config
from geomm_engine.training.data import Lessons
from geomm_engine.training.exemplars import choose_exemplars
from geomm_engine.training.graphs import check_fidelity, write_image_graph, write_image_weights, write_text_graph
from geomm_engine.training.measure import embed_pictures
from geomm_engine.training.report import measure
from geomm_engine.training.rounding import round_weights
from geomm_engine.training.run_folder import RunFolder
from geomm_engine.training.words import write_words

FILES = {
    "image": "image.onnx",
    "text": "text.onnx",
    "tokenizer": "tokenizer.json",
    "weights": "weights.safetensors",
    "words": "words.json",
    "exemplars": "exemplars.npz",
}


Taught = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Exported:
    """The folder, and the largest cosine deviation of each graph from torch."""

    folder: Path
    image_deviation: float
    text_deviation: float


def load_best(config: ContrastiveConfig, run: RunFolder) -> TwoTowers:
    """The network that a run kept, ready to be used.

    Raises:
        EngineError: the run has not come to its first check.
    """
    if not run.best.is_file():
        raise EngineError(ErrorCode.FOLDER_INVALID, f"There is no trained network in {run.path}.", "Train first.")
    network = TwoTowers(config.network)
    network.load_state_dict(torch.load(run.best, map_location="cpu", weights_only=True)["network"])
    return network.eval().requires_grad_(False)


def export_model(config_file: Path, run_path: Path, folder: Path, *, data: Path) -> Exported:
    """Write the model folder of a finished run.

    Raises:
        ModelError: a graph does not give what torch gives.
    """
    config = read_config(config_file)
    lessons = Lessons(config, data)
    network = load_best(config, RunFolder(run_path))
    round_weights(network)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    image_tower = ready(network.image, config.network.image)
    write_image_graph(image_tower, folder / FILES["image"], bands=config.network.image.bands)
    write_text_graph(network, folder / FILES["text"], context_length=config.network.text.context_length)
    write_image_weights(network, folder / FILES["weights"])
    with writing(folder):
        lessons.tokenizer.save(str(folder / FILES["tokenizer"]), pretty=False)
        (folder / FILES["words"]).write_text("{}", encoding="utf-8")
        (folder / FILES["exemplars"]).write_bytes(b"")
    write_card(_draft(config, folder), folder)
    text = OnnxTextEncoder(read_card(folder))
    drawn = [source.name for source in config.pictures if source.is_drawn]
    words = write_words(
        lessons.captions, lessons.absent, text, config.card.templates, folder / FILES["words"], drawn_sets=drawn
    )
    taught = _taught(OnnxImageEncoder(read_card(folder)), lessons)
    exemplars = [choose_exemplars(*seen, config.split_seed) for seen in taught]
    write_exemplars(np.concatenate(exemplars), folder / FILES["exemplars"])
    draft = _draft(config, folder)
    write_card(draft, folder)
    model = read_card(folder)
    image_deviation = _image_deviation(image_tower, model, lessons)
    text_deviation = _text_deviation(network, model, lessons)
    write_card(_measured(draft, model, lessons, taught, image_deviation, words), folder)
    return Exported(folder, image_deviation, text_deviation)


def _draft(config: ContrastiveConfig, folder: Path) -> Card:
    """Everything that is known before measuring."""
    facts: CardFacts = config.card
    dim = config.network.image.dim
    files = [
        CardFile(role, name, file_sha256(folder / name), (folder / name).stat().st_size) for role, name in FILES.items()
    ]
    return Card(
        id=config.id,
        name=facts.name,
        version=facts.version,
        space_id=facts.space_id,
        description=facts.description,
        licence=Licence(facts.licence, facts.licence_url),
        files=tuple(files),
        architecture=Architecture(ARCHITECTURE, json.dumps(encode(config.network))),
        bands=(CardBand("red", 665.0), CardBand("green", 560.0), CardBand("blue", 490.0)),
        radiometry=CardRadiometry(
            config.normalisation.mean,
            config.normalisation.std,
            tuple(Calibration(item.unit, item.gain, item.offset) for item in facts.calibrations),
        ),
        scales=tuple(Scale(item.gsd_min_m, item.gsd_max_m, item.tile_px) for item in facts.scales),
        has_gsd_input=True,
        dim=dim,
        text=CardText(config.network.text.context_length, facts.templates),
        scoring=CardScoring(20.0, 0.0, (0.0,) * dim, -1.0, 0.0, 1.0),
        training=Training(
            facts.data,
            f"geomm train contrastive {facts.recipe or config.id.replace('-', '_')}",
            config.seed,
            facts.note,
        ),
        measured=(),
    )


def _measured(
    draft: Card,
    model: ModelFolder,
    lessons: Lessons,
    taught: Sequence[Taught],
    deviation: float,
    words: tuple[Measurement, ...],
) -> Card:
    image, text = OnnxImageEncoder(model), OnnxTextEncoder(model)
    means = [_balanced_mean(*taught[place]) for place in lessons.measured_places]
    reference = np.mean(means, axis=0).astype(np.float32)
    known = read_exemplars(model.file("exemplars"), draft.dim, -1.0)
    found = measure(image, text, lessons, draft.text.templates, reference, known)
    scoring = CardScoring(
        logit_scale=round(found.logit_scale, 2),
        logit_bias=0.0,
        reference_mean=tuple(round(float(value), 5) for value in reference),
        reject_threshold=round(found.reject_threshold, 3),
        background_similarity_mean=round(found.background_mean, 4),
        background_similarity_std=round(found.background_std, 4),
        familiar_threshold=round(found.familiar_threshold, 3),
    )
    date = datetime.now(UTC).date().isoformat()
    fidelity = Measurement(
        "validation pictures",
        "ONNX against torch, both with weights of one byte",
        "largest cosine deviation",
        deviation,
        date,
    )
    numbers = tuple(replace(item, value=round(item.value, 4), date=date) for item in (*found.measured, *words))
    return replace(draft, scoring=scoring, measured=(*numbers, fidelity))


def _taught(image: OnnxImageEncoder, lessons: Lessons) -> list[Taught]:
    """Every set's training pictures as vectors, with their classes."""
    return [
        (embed_pictures(image, pictures, source.whole_px), pictures.labels)
        for pictures, source in zip(lessons.training, lessons.config.pictures, strict=True)
    ]


def _balanced_mean(vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean vector in which every class counts the same."""
    means = [vectors[labels == label].mean(axis=0) for label in np.unique(labels)]
    return np.asarray(np.mean(means, axis=0), dtype=np.float32)


def _image_deviation(tower: nn.Module, model: ModelFolder, lessons: Lessons) -> float:
    """Over every size the card names, with real pictures."""
    encoder = OnnxImageEncoder(model)
    worst = 0.0
    for scale in model.card.scales:
        pixels = torch.from_numpy(lessons.validation[0].pixels[::37]).permute(0, 3, 1, 2).float() / 255.0
        pixels = functional.interpolate(pixels, (scale.tile_px, scale.tile_px), mode="bilinear", align_corners=False)
        with torch.inference_mode():
            ground = torch.full((len(pixels),), scale.gsd_min_m)
            theirs = functional.normalize(tower(lessons.normalise(pixels), ground), dim=1).numpy()
        worst = max(worst, check_fidelity("image", encoder.embed_images(pixels.numpy(), scale.gsd_min_m), theirs))
    return worst


def _text_deviation(network: TwoTowers, model: ModelFolder, lessons: Lessons) -> float:
    texts = [word for concept in lessons.captions.concept for word in concept.words]
    with torch.inference_mode():
        theirs = network.text_vectors(lessons.tokens(texts)).numpy()
    return check_fidelity("text", OnnxTextEncoder(model).embed_texts(texts), theirs)
