"""From a run folder to an expert's folder: graph, centres, calibration, and a card whose numbers are measured on the way."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import CardFile, Licence, Measurement, Training, file_sha256
from geomm_engine.errors import EngineError, ModelError, writing
from geomm_engine.geography import atlas
from geomm_engine.geography.expert import DRAWN, OUTPUTS, Expert
from geomm_engine.geography.expert_card import (
    KIND,
    ExpertCalibration,
    ExpertCard,
    read_expert_card,
    write_expert_card,
)
from geomm_engine.geography.koppen import SEA
from geomm_engine.networks.geographic_expert import GeographicExpert
from geomm_engine.training.blocks import Part
from geomm_engine.training.geographic import normalised, read_world
from geomm_engine.training.geographic_calibration import calibrate, calibrate_maps
from geomm_engine.training.geographic_config import GeographicConfig, read_geographic_config
from geomm_engine.training.geographic_report import abstaining, measure
from geomm_engine.training.geographic_views import Views, view
from geomm_engine.training.graphs import OPSET, halve_weights
from geomm_engine.training.places import World
from geomm_engine.training.rounding import round_weights
from geomm_engine.training.run_folder import RunFolder

FILES = {"graph": "expert.onnx", "centres": "centres.npz", "maps": "maps.npz"}
LARGEST_DEVIATION = 0.02
"""Total variation between the places that torch and the graph give."""
_SAMPLES = 5
"""Along each side of a quarter degree."""


@dataclass(frozen=True)
class ExportedExpert:
    """The folder, and the largest deviation of the graph from torch (total variation of the places)."""

    folder: Path
    deviation: float
    measured: tuple[Measurement, ...]


class Shipped(nn.Module):
    """The network as the graph has it: places with the prior "anywhere on land" and the basis multiplied out."""

    def __init__(self, network: GeographicExpert, log_land: Tensor) -> None:
        super().__init__()
        place = nn.Linear(network.place.in_features, network.basis.shape[1])
        with torch.no_grad():
            place.weight.copy_(network.basis.T @ network.place.weight)
            place.bias.copy_(network.place.bias @ network.basis + log_land)
        network.place = place
        network.basis = torch.zeros(0)
        self.network = network

    def forward(self, image: Tensor, gsd_m: Tensor) -> tuple[Tensor, ...]:
        found = self.network(image, gsd_m)
        return tuple(getattr(found, name) for name in (*OUTPUTS, *DRAWN))


def load_best(config: GeographicConfig, run: RunFolder) -> Shipped:
    """The network with the least validation loss of a run.

    Raises:
        EngineError: the run has not come to its first check.
    """
    if not run.best.is_file():
        raise EngineError(ErrorCode.FOLDER_INVALID, f"There is no trained expert in {run.path}.", "Train first.")
    state = torch.load(run.best, map_location="cpu", weights_only=True)
    saved = state["network"]
    network = GeographicExpert(config.network, saved["centres"], saved["basis"], config.kappa)
    network.load_state_dict(saved)
    return Shipped(network.eval().requires_grad_(False), state["log_land"]).eval()


def export_expert(config_file: Path, run_path: Path, folder: Path, *, data: Path) -> ExportedExpert:
    """Write the expert's folder of a run: graph and centres, calibrated on validation, measured on held-out blocks.

    Raises:
        ModelError: the graph does not give what torch gives.
    """
    config = read_geographic_config(config_file)
    world = read_world(replace(config, earth=replace(config.earth, tiles="")), data)
    shipped = load_best(config, RunFolder(run_path))
    round_weights(shipped)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_graph(shipped, folder / FILES["graph"], px=config.px)
    kappa: NDArray[np.floating] = shipped.network.kappa.numpy()
    write_centres(shipped, kappa, folder)
    write_maps(world, folder)
    expert = _write_card(config, folder, ExpertCalibration(), len(kappa), ())
    validation = view(world, config, Part.VALIDATION, config.validation, 5)
    deviation = check_fidelity(shipped, expert, config, validation)
    calibration, spread = calibrate(expert, validation, world)
    write_centres(shipped, kappa * spread, folder)
    expert = _write_card(config, folder, calibration, len(kappa), ())
    calibration = calibrate_maps(expert, validation)
    expert = _write_card(config, folder, calibration, len(kappa), ())
    held_out = view(world, config, Part.HELD_OUT, config.held_out, 7)
    found = measure(expert, world, config, held_out, "held-out blocks")
    found += abstaining(expert, world, config)
    how = "ONNX against torch, both with weights of one byte; total variation of the places"
    found.append(Measurement("validation blocks", how, "largest deviation", round(deviation, 5), ""))
    date = datetime.now(UTC).date().isoformat()
    measured = tuple(replace(item, date=date) for item in found)
    _write_card(config, folder, calibration, len(kappa), measured)
    return ExportedExpert(folder, deviation, measured)


def write_graph(shipped: Shipped, path: Path, *, px: int) -> None:
    """``image`` (n, 3, h, w) normalised and ``gsd_m`` (n,) → the outputs of an expert; n, h and w are free."""
    inputs = (torch.zeros(2, 3, px, px), torch.full((2,), 5000.0))
    axes: dict[str, dict[int, str]] = {"image": {0: "n", 2: "h", 3: "w"}, "gsd_m": {0: "n"}}
    axes |= {name: {0: "n"} for name in (*OUTPUTS, *DRAWN)}
    with writing(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            shipped,
            inputs,
            str(path),
            input_names=["image", "gsd_m"],
            output_names=[*OUTPUTS, *DRAWN],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        halve_weights(path)


def write_centres(shipped: Shipped, kappa: NDArray[np.floating], folder: Path) -> None:
    """``centres.npz``: (k, 3) unit vectors and (k,) concentrations."""
    with writing(folder):
        np.savez_compressed(
            folder / FILES["centres"], centres=shipped.network.centres.numpy(), kappa=kappa.astype(np.float32)
        )


def write_maps(world: World, folder: Path) -> None:
    """``maps.npz``: percent of land and the climate, uint8, in the quarter degrees of :mod:`atlas`, north up."""
    lat, lon = atlas.pixel_centres()
    at = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    share = np.zeros(atlas.SHAPE_YX)
    for north in at:
        for east in at:
            is_land = world.land.at(lat[:, None] + atlas.STEP_DEG * north, lon[None] + atlas.STEP_DEG * east)
            share += is_land.astype(np.float64)
    share /= _SAMPLES**2
    climate = np.where(share >= 0.5, world.koppen.at(lat[:, None], lon[None]), SEA)
    with writing(folder):
        percent = np.rint(100 * share).astype(np.uint8)
        np.savez_compressed(folder / FILES["maps"], land=percent, climate=climate.astype(np.uint8))


def check_fidelity(shipped: Shipped, expert: Expert, config: GeographicConfig, views: Views) -> float:
    """The largest total variation between the places of both, over some crops.

    Raises:
        ModelError: it is larger than the export may be.
    """
    images, gsd_m = views.images[0][:64], views.gsd_m[0][:64]
    with torch.inference_mode():
        logits = shipped(normalised(config, torch.from_numpy(images)), torch.from_numpy(gsd_m))[0]
    theirs = torch.softmax(logits.double(), dim=1).numpy()
    ours = np.exp(expert.answer(images, gsd_m).log_weights)
    deviation = float(0.5 * np.abs(ours - theirs).sum(axis=1).max())
    if not deviation <= LARGEST_DEVIATION:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The expert's graph deviates from torch by {deviation:.2g} (total variation).",
            "Do not ship it.",
            deviation=deviation,
        )
    return deviation


def _write_card(
    config: GeographicConfig,
    folder: Path,
    calibration: ExpertCalibration,
    places: int,
    measured: tuple[Measurement, ...],
) -> Expert:
    facts = config.card
    files = tuple(
        CardFile(role, name, file_sha256(folder / name), (folder / name).stat().st_size) for role, name in FILES.items()
    )
    card = ExpertCard(
        kind=KIND,
        id=config.id,
        name=facts.name,
        version=facts.version,
        description=facts.description,
        licence=Licence(facts.licence, facts.licence_url),
        files=files,
        mean=config.mean,
        std=config.std,
        gsd_min_m=facts.gsd_m[0],
        gsd_max_m=facts.gsd_m[1],
        tile_px=config.px,
        tile_min_km=facts.tile_km[0],
        tile_max_km=facts.tile_km[1],
        dim=config.network.dim,
        places=places,
        calibration=calibration,
        training=Training(facts.data, f"geomm train geographic {config.id.replace('-', '_')}", config.seed, facts.note),
        measured=measured,
    )
    with writing(folder):
        write_expert_card(card, folder)
    return Expert(read_expert_card(folder))
