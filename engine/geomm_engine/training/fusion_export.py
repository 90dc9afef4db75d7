"""From a fusion's run folder to a model folder: one graph that takes any of the sensors, and a card with measured numbers.

The model is used like any other (``geomm embed OPTICAL.tif RADAR.tif --model FOLDER``): its bands are those of all sensors,
and a layer may lack a sensor. With a teacher the card speaks the teacher's words, with a copy of its text tower.
"""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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
    Lineage,
    Measurement,
    Scale,
    Training,
    file_sha256,
    read_card,
    write_card,
)
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder, OnnxTextEncoder
from geomm_engine.errors import EngineError, writing
from geomm_engine.networks.fusion import FusionNetwork, reconstruction_error
from geomm_engine.scoring.prompts import query_vector
from geomm_engine.sensors import wavelength_of
from geomm_engine.training.fusion import REPORT, Teacher, load_ground
from geomm_engine.training.fusion_config import FusionConfig
from geomm_engine.training.fusion_data import Ground, Tiles, calibrations
from geomm_engine.training.fusion_measure import Agreement, agreement
from geomm_engine.training.graphs import OPSET, check_fidelity, halve_weights
from geomm_engine.training.run_folder import RunFolder

ARCHITECTURE = "fusion-1"
ANOMALY_FILE = "anomaly.onnx"
WORDS = (
    "forest", "crops", "grassland", "town", "industrial area", "road", "river", "lake", "sea", "beach", "bare ground",
    "desert", "snow", "wetland", "orchard", "rocks",
)  # fmt: skip
_LEAST_ERROR = 1e-6
_CHUNK = 128
_COPIED = {"text": "text.onnx", "tokenizer": "tokenizer.json"}


class FusionGraph(nn.Module):
    """The fused vector from the bands that are there."""

    def __init__(self, network: FusionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, gsd_m: Tensor, present: Tensor) -> Tensor:
        fused: Tensor = self.network(image, gsd_m, self.network.sensors_of(present))
        return fused


class AnomalyGraph(nn.Module):
    """How badly a tile is rebuilt, as deviations of its logarithm from what held-out ground gave."""

    def __init__(self, network: FusionNetwork, mean: float, deviation: float) -> None:
        super().__init__()
        self.network, self.mean, self.deviation = network, mean, deviation

    def forward(self, image: Tensor, gsd_m: Tensor, present: Tensor) -> Tensor:
        error = reconstruction_error(self.network, image, gsd_m, self.network.sensors_of(present))
        return (torch.log(error + _LEAST_ERROR) - self.mean) / self.deviation


@dataclass(frozen=True)
class ExportedFusion:
    """The folder, the largest cosine deviation of the graph from torch, and how often each chooses the teacher's word."""

    folder: Path
    image_deviation: float
    agreement: tuple[Agreement, ...]


def load_fusion(config: FusionConfig, run: RunFolder) -> FusionNetwork:
    """The averaged network of a run, ready to be used.

    Raises:
        EngineError: the run has not come to its first check, or was of another configuration.
    """
    if not run.best.is_file():
        raise EngineError(ErrorCode.FOLDER_INVALID, f"There is no trained network in {run.path}.", "Train first.")
    network = FusionNetwork(config.network)
    try:
        network.load_state_dict(torch.load(run.best, map_location="cpu", weights_only=True)["network"])
    except RuntimeError as problem:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"The network in {run.path} is not the one of this configuration.",
            "Export with the configuration that it was trained with (config.toml in the run folder).",
        ) from problem
    return network.eval().requires_grad_(False)


def export_fusion(config_file: Path, run_path: Path, folder: Path, *, data: Path) -> ExportedFusion:
    """Write the model folder of a finished run; an older one in its place is replaced when the new one is whole.

    Raises:
        ModelError: the graph does not give what torch gives.
        EngineError: nothing was trained, or the folder cannot be written.
    """
    config, ground, teacher = load_ground(config_file, data)
    network = load_fusion(config, RunFolder(run_path))
    part = folder.with_name(folder.name + ".part")
    with writing(folder):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    try:
        write_fusion_graph(network, part / "image.onnx")
        if config.loss.rebuild > 0:
            write_anomaly_graph(network, part / ANOMALY_FILE, ground.held_out_tiles())
        if teacher is not None:
            with writing(part):
                for role, name in _COPIED.items():
                    shutil.copyfile(teacher.folder.file(role), part / name)
        draft = _draft(config, ground, teacher, part)
        write_card(draft, part)
        deviation = _deviation(network, part, ground.held_out_tiles())
        card, found = _measured(draft, part, ground, teacher, run_path, deviation)
        write_card(card, part)
        with writing(folder):
            if folder.exists():
                shutil.rmtree(folder)
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return ExportedFusion(folder, deviation, found)


def write_fusion_graph(network: FusionNetwork, path: Path) -> None:
    """``image`` (n, all bands, h, w) normalised, ``gsd_m`` (n,), ``present`` (n, all bands) → ``embedding`` (n, dim)."""
    sensors = network.settings.sensors
    side = 2 * int(np.lcm.reduce([item.step * item.patch_px for item in sensors]))
    _write_graph(FusionGraph(network), path, network, side, "embedding", has_free_size=True)


def write_anomaly_graph(network: FusionNetwork, path: Path, tiles: Tiles) -> None:
    """The same inputs, tiles of one size → ``anomaly`` (n,), beside what is usual for these held-out tiles."""
    parts = []
    for at in range(0, len(tiles), _CHUNK):
        own = slice(at, at + _CHUNK)
        with torch.inference_mode():
            there = network.sensors_of(tiles.present[own])
            parts.append(reconstruction_error(network, tiles.stack[own], tiles.gsd_m[own], there))
    usual = torch.log(torch.cat(parts) + _LEAST_ERROR)
    graph = AnomalyGraph(network, float(usual.mean()), max(0.05, float(usual.std())) if len(usual) > 1 else 1.0)
    _write_graph(graph, path, network, tiles.stack.shape[2], "anomaly", has_free_size=False)


def _write_graph(
    module: nn.Module, path: Path, network: FusionNetwork, side: int, output: str, *, has_free_size: bool
) -> None:
    bands = len(network.settings.bands)
    inputs = (torch.zeros(2, bands, side, side), torch.full((2,), 10.0), torch.ones(2, bands))
    axes = {"image": {0: "n"}, "gsd_m": {0: "n"}, "present": {0: "n"}, output: {0: "n"}}
    if has_free_size:
        axes["image"] |= {2: "h", 3: "w"}
    with writing(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval().to("cpu"),
            inputs,
            str(path),
            input_names=["image", "gsd_m", "present"],
            output_names=[output],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        halve_weights(path)


def _draft(config: FusionConfig, ground: Ground, teacher: Teacher | None, folder: Path) -> Card:
    """Everything that is known before measuring."""
    facts, bands, cutting = config.card, config.network.bands, config.cutting
    taught = teacher.folder.card if teacher is not None else None
    roles = {"image": "image.onnx"} | (_COPIED if teacher is not None else {})
    roles |= {"anomaly": ANOMALY_FILE} if (folder / ANOMALY_FILE).is_file() else {}
    gsd_m = [cutting.gsd_m * factor for factor in cutting.factors]
    names = ", ".join(item.name for item in config.network.sensors)
    return Card(
        id=config.id,
        name=facts.name if facts.name != "Unnamed" else config.id,
        version=facts.version,
        space_id=taught.space_id if taught else config.id,
        description=facts.description or f"One vector from {names}; any of them may be missing.",
        licence=Licence(facts.licence, facts.licence_url),
        files=tuple(
            CardFile(role, name, file_sha256(folder / name), (folder / name).stat().st_size)
            for role, name in roles.items()
        ),
        architecture=Architecture(ARCHITECTURE, json.dumps(encode(config.network))),
        bands=tuple(CardBand(role, wavelength_of(role)) for role in bands),
        radiometry=CardRadiometry(
            ground.mean,
            ground.std,
            tuple(Calibration(item.level, item.gain, item.offset) for item in calibrations(bands)),
            takes_pictures=any(not scene.level for scene in ground.scenes),
        ),
        scales=(Scale(round(min(gsd_m), 4), round(max(gsd_m), 4), cutting.tile_px),),
        has_gsd_input=True,
        dim=config.network.dim,
        text=taught.text if taught else CardText(0, ("{}",)),
        scoring=taught.scoring if taught else CardScoring(20.0, 0.0, (0.0,) * config.network.dim, -1.0, 0.0, 1.0),
        training=Training(facts.data, f"geomm train fusion {config.id}", config.seed, facts.note),
        measured=(),
        bands_needed=min(len(item.bands) for item in config.network.sensors),
        lineage=Lineage(taught.id, taught.version, taught.hops + 1) if taught else None,
    )


def _deviation(network: FusionNetwork, folder: Path, tiles: Tiles) -> float:
    """ONNX against torch: with every sensor that is there, and with each sensor alone."""
    model = read_card(folder)
    rows = np.unique(np.linspace(0, len(tiles) - 1, 48).astype(int))
    there = network.sensors_of(tiles.present)
    first, worst = 0, 0.0
    cases = [list(range(tiles.present.shape[1]))]
    for sensor in network.settings.sensors:
        cases.append(list(range(first, first + len(sensor.bands))))
        first += len(sensor.bands)
    for place, bands in enumerate(cases):
        used = [row for row in rows if bool(there[row].all() if place == 0 else there[row, place - 1])]
        if not used:
            continue
        present = torch.zeros(len(used), tiles.present.shape[1])
        present[:, bands] = 1.0
        stack = tiles.stack[used] * present[:, :, None, None]
        gsd_m = float(tiles.gsd_m[0])
        with torch.inference_mode():
            theirs = network(stack, torch.full((len(used),), gsd_m), network.sensors_of(present)).numpy()
        ours = OnnxImageEncoder(model, bands=bands).embed_images(tiles.display[used][:, bands].numpy(), gsd_m)
        worst = max(worst, check_fidelity("fusion", ours, theirs))
    return worst


def _measured(
    draft: Card, folder: Path, ground: Ground, teacher: Teacher | None, run_path: Path, deviation: float
) -> tuple[Card, tuple[Agreement, ...]]:
    date = datetime.now(UTC).date().isoformat()
    rows = json.loads((run_path / REPORT).read_text(encoding="utf-8")) if (run_path / REPORT).is_file() else []
    measured = [
        Measurement(
            f"held-out ground, {row['query']} → {row['gallery']}",
            f"{row['tiles']} tiles of {row['scenes']} scenes, each among its scene's; chance {row['chance']:.3g}, "
            f"untrained {row['untrained']:.3g}; intervals over {row['blocks']} blocks",
            "recall at 1",
            row["recall_1"],
            date,
            tuple(row["interval_95"]),
        )
        for row in rows
    ]
    how = "ONNX, weights stored in half precision, against torch"
    measured.append(Measurement("held-out tiles", how, "largest cosine deviation", round(deviation, 7), date))
    random = np.random.default_rng(0)
    sample = ground.batch(random)
    seen = _embed(folder, sample, None)
    reference = seen[seen.any(axis=1)].mean(axis=0)
    scoring = replace(draft.scoring, reference_mean=tuple(round(float(value), 5) for value in reference))
    found: list[Agreement] = []
    if teacher is not None:
        tiles = ground.held_out_tiles()
        encoder = OnnxTextEncoder(teacher.folder)
        words = np.stack([
            query_vector(encoder.embed_texts, word, draft.text.templates, is_exact_text=False) for word in WORDS
        ])  # fmt: skip
        chosen, has = (item.numpy() for item in teacher.vectors(tiles, ground))
        counts = [len(item.bands) for item in ground.config.network.sensors]
        starts = np.cumsum([0, *counts])
        cases: list[tuple[str, list[int] | None]] = [("all fused", None)]
        for place, sensor in enumerate(ground.config.network.sensors):
            cases.append((sensor.name, list(range(starts[place], starts[place + 1]))))
        for name, bands in cases:
            there = tiles.present[:, bands].any(dim=1).numpy() if bands else tiles.present.bool().all(dim=1).numpy()
            used = np.flatnonzero(has & there)
            if not len(used):
                continue
            own = _embed(folder, tiles, bands)[used]
            found.append(agreement(name, own @ words.T, chosen[used] @ words.T, tiles.block[used]))
            if bands is None:
                unrelated = np.sort(own @ words.T, axis=1)[:, : len(WORDS) // 2]
                scoring = replace(
                    scoring,
                    background_similarity_mean=round(float(unrelated.mean()), 4),
                    background_similarity_std=round(max(0.01, float(unrelated.std())), 4),
                )
        measured += [
            Measurement(
                f"held-out ground, {item.name}",
                f"{item.tiles} tiles, {len(WORDS)} words; always the commonest word {item.commonest:.3g}",
                "share of tiles with the teacher's word",
                item.share,
                date,
                item.interval_95,
            )
            for item in found
        ]
    return replace(draft, scoring=scoring, measured=tuple(measured)), tuple(found)


def _embed(folder: Path, tiles: Tiles, bands: list[int] | None) -> NDArray[np.float32]:
    """Vectors of the tiles with the bands that they show (zeros where they show none of these)."""
    model, shown = read_card(folder), tiles.present.bool().numpy()
    if bands is not None:
        only = np.zeros(shown.shape[1], dtype=bool)
        only[bands] = True
        shown = shown & only
    vectors = np.zeros((len(tiles), model.card.dim), dtype=np.float32)
    gsd_m = tiles.gsd_m.numpy()
    kinds = {
        (tuple(np.flatnonzero(row).tolist()), float(gsd)) for row, gsd in zip(shown, gsd_m, strict=True) if row.any()
    }
    for places, gsd in sorted(kinds):
        alike = (shown == np.isin(np.arange(shown.shape[1]), places)).all(axis=1) & (gsd_m == np.float32(gsd))
        rows = np.flatnonzero(alike)
        pixels = tiles.display.numpy()[rows][:, list(places)]
        vectors[rows] = OnnxImageEncoder(model, bands=places).embed_images(pixels, gsd)
    return vectors
