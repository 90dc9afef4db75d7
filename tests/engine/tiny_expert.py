"""A geographic expert for tests: it knows six places by their colour, and blue is the sea.

Written as an ONNX graph in exactly the layout of the real one. Bright pictures are of July, dark ones of January.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from geomm_engine.encoders.card import CardFile, Licence, Training, file_sha256
from geomm_engine.geography import expert_card, koppen
from geomm_engine.geography.expert_card import ExpertCalibration, ExpertCard
from geomm_engine.sphere import unit_vectors

# colour 0–1, latitude, longitude, climate
PLACES = {
    "desert": ((0.80, 0.65, 0.40), 23.0, 10.0, "BWh"),
    "rainforest": ((0.10, 0.30, 0.10), -4.0, -62.0, "Af"),
    "ice": ((0.95, 0.95, 0.98), 75.0, -40.0, "EF"),
    "taiga": ((0.25, 0.35, 0.20), 62.0, 100.0, "Dfc"),
    "steppe": ((0.55, 0.50, 0.25), 48.0, 68.0, "BSk"),
    "island": ((0.35, 0.60, 0.30), -17.0, 179.9, "Aw"),
}
SEA_COLOR = (0.02, 0.05, 0.20)
SHARPNESS = 200.0


def write_tiny_expert(folder: Path, *, kappa: float = 300.0) -> Path:
    """Write the expert's folder; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_graph(folder / "expert.onnx")
    centres = np.stack([unit_vectors(lat, lon) for _, lat, lon, _ in PLACES.values()])
    np.savez(folder / "centres.npz", centres=centres.astype(np.float32), kappa=np.full(len(PLACES), kappa, np.float32))
    files = tuple(
        CardFile(role, name, file_sha256(folder / name), (folder / name).stat().st_size)
        for role, name in (("graph", "expert.onnx"), ("centres", "centres.npz"))
    )
    card = ExpertCard(
        kind=expert_card.KIND,
        id="tiny-expert",
        name="Tiny expert",
        version="1.0",
        description="Mean colours; for tests.",
        licence=Licence("GPL-2.0-or-later", ""),
        files=files,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        gsd_min_m=500.0,
        gsd_max_m=8000.0,
        tile_px=32,
        tile_min_km=50.0,
        tile_max_km=1200.0,
        dim=3,
        places=len(PLACES),
        calibration=ExpertCalibration(),
        training=Training((), "none", 0),
        measured=(),
    )
    expert_card.write_expert_card(card, folder)
    return folder


def _write_graph(path: Path) -> None:
    """−s‖c − colour‖² is linear in c once ‖c‖², common to all, is dropped."""
    colors = np.array([color for color, *_ in PLACES.values()])
    place = (2 * SHARPNESS * colors.T).astype(np.float32)
    place_bias = (-SHARPNESS * (colors**2).sum(axis=1)).astype(np.float32)
    climate = np.zeros((3, 31), np.float32)
    climate_bias = np.full(31, -SHARPNESS, np.float32)
    for at, (_, _, _, code) in enumerate(PLACES.values()):
        climate[:, koppen.climate_number(code)] = place[:, at]
        climate_bias[koppen.climate_number(code)] = place_bias[at]
    sea = np.array(SEA_COLOR)
    climate[:, koppen.SEA] = 2 * SHARPNESS * sea
    climate_bias[koppen.SEA] = -SHARPNESS * (sea**2).sum()
    season = np.array([[-6.0, 0.0]] * 3, np.float32)
    abstain = np.array([[-60.0], [-60.0], [60.0]], np.float32)
    constants = {
        "place_w": place, "place_b": place_bias, "climate_w": climate, "climate_b": climate_bias, "season_w": season,
        "season_b": np.array([9.0, 0.0], np.float32), "abstain_w": abstain, "abstain_b": np.array([-2.0], np.float32),
        "column": np.array([1], np.int64), "gsd_zero": np.zeros(1, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["pixels"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["gsd_m", "gsd_zero"], ["nothing"]),
        helper.make_node("Unsqueeze", ["nothing", "column"], ["nothing_column"]),
        helper.make_node("Add", ["pixels", "nothing_column"], ["color"]),
        *(
            node
            for name in ("place", "climate", "season")
            for node in (
                helper.make_node("MatMul", ["color", f"{name}_w"], [f"{name}_product"]),
                helper.make_node("Add", [f"{name}_product", f"{name}_b"], [name]),
            )
        ),
        helper.make_node("MatMul", ["color", "abstain_w"], ["abstain_product"]),
        helper.make_node("Add", ["abstain_product", "abstain_b"], ["abstain_column"]),
        helper.make_node("Squeeze", ["abstain_column", "column"], ["abstain"]),
        helper.make_node("LpNormalization", ["color"], ["embedding"], axis=1, p=2),
    ]
    shapes = {
        "place": ["n", len(PLACES)],
        "climate": ["n", 31],
        "season": ["n", 2],
        "abstain": ["n"],
        "embedding": ["n", 3],
    }
    graph = helper.make_graph(
        nodes,
        "tiny expert",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"]),
            helper.make_tensor_value_info("gsd_m", TensorProto.FLOAT, ["n"]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
