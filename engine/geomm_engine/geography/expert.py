"""Runs a geographic expert: pictures in, distributions over places, climates and the year out. Reads no raster.

The graph takes ``image`` (n, 3, h, w), normalised, and ``gsd_m`` (n,); it gives ``place`` (n, k) and ``climate`` (n, 31)
logits, ``season`` (n, 2), the ``abstain`` (n,) logit and ``embedding`` (n, dim), which is of unit length. An expert that
holds maps of the world also draws those of the picture: ``land`` (n, 16, 16) and ``climates`` (n, 31, 8, 8), logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.onnx_encoder import processor_count
from geomm_engine.errors import ModelError
from geomm_engine.geography import atlas
from geomm_engine.geography.expert_card import ExpertCard, ExpertFolder, find_expert
from geomm_engine.geography.koppen import CLIMATES
from geomm_engine.geography.map_match import WorldMaps
from geomm_engine.geography.mixture import Mixture, log_softmax

Values = NDArray[np.float64]
OUTPUTS = ("place", "climate", "season", "abstain", "embedding")
DRAWN = ("land", "climates")
VALID_SHARE = 0.5
_BATCH = 32


@dataclass(frozen=True)
class ExpertAnswer:
    """What the expert says of n pictures, calibrated.

    ``log_weights`` (n, k): log-softmax over the expert's centres; ``climate_log_p`` (n, 31), in the order of
    ``koppen.CLIMATES``; ``season`` (n, 2): κ (cos μ, sin μ) of a von Mises over the year; ``abstain`` (n,): probability
    that the picture shows too little to be placed (sea, no data); ``embedding`` (n, dim), unit length. ``land`` (n, 16, 16)
    shares and ``climates`` (n, 31, 8, 8) probabilities are the picture's own map, of no squares without maps of the world.
    """

    log_weights: Values
    climate_log_p: Values
    season: Values
    abstain: Values
    embedding: NDArray[np.float32]
    land: Values
    climates: Values


class Expert:
    """A loaded expert on the CPU."""

    def __init__(self, folder: ExpertFolder) -> None:
        """Load the graph and the centres.

        Raises:
            ModelError: a file is missing or damaged, or the centres are not what the card says.
        """
        self.folder = folder
        self.centres, self.kappa = _centres(folder)
        self.maps = _maps(folder)
        self._outputs = OUTPUTS if self.maps is None else (*OUTPUTS, *DRAWN)
        self._session = _session(folder, self._outputs)
        self._mean = np.asarray(folder.card.mean, np.float32)[:, None, None]
        self._std = np.asarray(folder.card.std, np.float32)[:, None, None]

    @property
    def card(self) -> ExpertCard:
        return self.folder.card

    def answer(
        self, images: NDArray[np.float32], gsd_m: ArrayLike, valid: NDArray[np.bool_] | None = None
    ) -> ExpertAnswer:
        """Distributions for pictures of display values 0–1, (n, 3, h, w), north up, any size from one pixel.

        ``gsd_m``: ground pixel in metres, one or (n,). ``valid`` (n, h, w): where there is data; other pixels, and such
        as are no number, take the mean colour of their picture. With less than half valid the expert abstains wholly.

        Raises:
            ModelError: the graph failed.
        """
        count = len(images)
        ground = np.broadcast_to(np.asarray(gsd_m, np.float32), (count,))
        known = np.asarray(np.isfinite(images).all(axis=1))
        if valid is not None:
            known = np.asarray(known & valid)
        filled = _fill(images, known, self._mean)
        normal = ((np.clip(filled, 0.0, 1.0) - self._mean) / self._std).astype(np.float32)
        starts = range(0, count, _BATCH) if count else ()
        parts = [self._run(normal[at : at + _BATCH], ground[at : at + _BATCH]) for at in starts]
        if not parts:
            return self._empty()
        place, climate, season, abstain, embedding, *drawn = (
            np.concatenate(items) for items in zip(*parts, strict=True)
        )
        land, climates = drawn or (np.empty((count, 0, 0)), np.empty((count, 31, 0, 0)))
        calibration = self.card.calibration
        return ExpertAnswer(
            log_weights=log_softmax(place / calibration.place_temperature),
            climate_log_p=log_softmax(climate / calibration.climate_temperature),
            season=season.astype(np.float64) * calibration.season_scale,
            abstain=np.where(known.mean(axis=(1, 2)) < VALID_SHARE, 1.0, _sigmoid(abstain)),
            embedding=embedding,
            land=_sigmoid(land),
            climates=np.exp(np.moveaxis(log_softmax(np.moveaxis(climates, 1, -1)), -1, 1)),
        )

    def mixture(self, log_weights: NDArray[np.floating]) -> Mixture:
        """The distribution over the Earth of weights (k,) or (n, k)."""
        return Mixture(self.centres, self.kappa, np.asarray(log_weights, np.float64))

    def _run(self, images: NDArray[np.float32], gsd_m: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        try:
            return list(self._session.run(list(self._outputs), {"image": images, "gsd_m": np.ascontiguousarray(gsd_m)}))
        except Exception as problem:
            raise ModelError(
                ErrorCode.INTERNAL, f"The geographic expert failed: {problem}.", "Try a smaller area, or report this."
            ) from problem

    def _empty(self) -> ExpertAnswer:
        return ExpertAnswer(
            np.empty((0, len(self.kappa))),
            np.empty((0, 31)),
            np.empty((0, 2)),
            np.empty(0),
            np.empty((0, self.card.dim), np.float32),
            np.empty((0, 0, 0)),
            np.empty((0, 31, 0, 0)),
        )


def open_expert(name: str = "") -> Expert:
    """Find and load an expert: an id, the path of its folder, or "" for the built-in one.

    Raises:
        ModelError: there is none, or it cannot be loaded.
    """
    return Expert(find_expert(name))


def _sigmoid(logits: NDArray[np.floating]) -> Values:
    return 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -60.0, 60.0)))


def _fill(images: NDArray[np.float32], known: NDArray[np.bool_], default: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unknown pixels take the mean of the known ones of their picture, or ``default`` where there are none."""
    if known.all():
        return images
    clean = np.where(known[:, None], images, 0.0)
    count = known.sum(axis=(1, 2))[:, None, None, None]
    mean = np.where(count > 0, clean.sum(axis=(2, 3), keepdims=True) / np.maximum(count, 1), default[None])
    return np.where(known[:, None], images, mean).astype(np.float32)


def _centres(folder: ExpertFolder) -> tuple[Values, Values]:
    path = folder.file("centres")
    try:
        with np.load(path, allow_pickle=False) as stored:
            centres, kappa = stored["centres"].astype(np.float64), stored["kappa"].astype(np.float64)
    except (OSError, ValueError, KeyError) as problem:
        raise _damaged(folder, f"{path} cannot be read: {problem}") from problem
    places = folder.card.places
    if centres.shape != (places, 3) or kappa.shape != (places,) or not (np.isfinite(kappa) & (kappa > 0)).all():
        raise _damaged(folder, f"{path} does not hold the {places} centres that its card names")
    return centres / np.linalg.norm(centres, axis=1, keepdims=True), kappa


def _maps(folder: ExpertFolder) -> WorldMaps | None:
    """The maps of the world that an expert holds, or None: percent of land and climates in quarter degrees."""
    if not folder.card.has_maps:
        return None
    path = folder.file("maps")
    try:
        with np.load(path, allow_pickle=False) as stored:
            land, climate = stored["land"], stored["climate"]
    except (OSError, ValueError, KeyError) as problem:
        raise _damaged(folder, f"{path} cannot be read: {problem}") from problem
    if {land.shape, climate.shape} != {atlas.SHAPE_YX} or climate.max() >= len(CLIMATES):
        raise _damaged(folder, f"{path} does not hold maps in quarter degrees")
    return WorldMaps((land / np.float32(100)).astype(np.float32), climate.astype(np.uint8))


def _session(folder: ExpertFolder, outputs: tuple[str, ...]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = processor_count()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = folder.file("graph")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as problem:
        raise _damaged(folder, f"the graph {path} cannot be loaded: {problem}") from problem
    missing = set(outputs) - {item.name for item in session.get_outputs()}
    if missing:
        raise _damaged(folder, f"the graph {path} gives no {', '.join(sorted(missing))}")
    return session


def _damaged(folder: ExpertFolder, problem: str) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_INVALID,
        f"The geographic expert {folder.card.id} cannot be used: {problem}.",
        "Install the model again.",
        model=folder.card.id,
    )
