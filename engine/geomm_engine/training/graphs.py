"""Writes both towers as ONNX graphs with small weights, and refuses a graph that differs from torch.

A weight on the grid of ``rounding`` takes a byte, any other two; the arithmetic stays in float32.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import ModelError, writing
from geomm_engine.networks.two_towers import TwoTowers
from geomm_engine.training.rounding import SMALLEST_ROUNDED, on_grid, to_bytes

OPSET = 18
SMALLEST_HALVED = 512
COSINE_TOLERANCE = 1e-4


class Unit(nn.Module):
    """A tower with its vectors scaled to length 1."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, *inputs: Tensor) -> Tensor:
        return functional.normalize(self.tower(*inputs), dim=1)


def write_image_graph(tower: nn.Module, path: Path, *, bands: int) -> None:
    """``image`` (n, band, h, w) normalised and ``gsd_m`` (n,) → ``embedding`` (n, dim); n, h and w are
    free, but that a tower which looks with its own number of pixels wants square tiles."""
    inputs = (torch.zeros(2, bands, 64, 64), torch.full((2,), 10.0))
    axes = {"image": {0: "n", 2: "h", 3: "w"}, "gsd_m": {0: "n"}, "embedding": {0: "n"}}
    _write(Unit(tower), inputs, path, ["image", "gsd_m"], axes)


def write_text_graph(network: TwoTowers, path: Path, *, context_length: int) -> None:
    """``tokens`` (n, t ≤ context) int64 → ``embedding`` (n, dim); n and t are free: a short text costs little."""
    inputs = (torch.zeros(2, context_length, dtype=torch.int64),)
    _write(Unit(network.text), inputs, path, ["tokens"], {"tokens": {0: "n", 1: "t"}, "embedding": {0: "n"}})


def write_image_weights(network: TwoTowers, path: Path) -> None:
    """The image tower's weights for torch: bytes with "name.scale" beside them, or single precision."""
    stored: dict[str, Tensor] = {}
    for name, value in network.image.state_dict().items():
        if value.ndim >= 2 and value.numel() >= SMALLEST_ROUNDED:
            stored[name], stored[f"{name}.scale"] = to_bytes(value)
        elif value.is_floating_point():
            stored[name] = value.contiguous()
    with writing(path):
        path.write_bytes(save(stored))


def _write(
    module: nn.Module, inputs: tuple[Tensor, ...], path: Path, names: list[str], axes: dict[str, dict[int, str]]
) -> None:
    module = module.eval().to("cpu")
    with writing(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module,
            inputs,
            str(path),
            input_names=names,
            output_names=["embedding"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        halve_weights(path)


def halve_weights(path: Path) -> None:
    """Store the large weights of a graph as bytes, where they are on a grid, else as float16; cast back when it is loaded."""
    model = onnx.load(path)
    graph = model.graph
    casts: list[onnx.NodeProto] = []
    scales: list[onnx.TensorProto] = []
    for item in graph.initializer:
        values = numpy_helper.to_array(item)
        if values.dtype != np.float32 or values.size < SMALLEST_HALVED:
            continue
        name, found = item.name, on_grid(values) if values.ndim >= 2 else None
        if found is None:
            item.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
            continue
        item.CopyFrom(numpy_helper.from_array(found[0], f"{name}.byte"))
        scales.append(numpy_helper.from_array(found[1], f"{name}.scale"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.byte"], [f"{name}.step"], to=onnx.TensorProto.FLOAT))
        casts.append(onnx.helper.make_node("Mul", [f"{name}.step", f"{name}.scale"], [name]))
    graph.initializer.extend(scales)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    model.producer_name, model.producer_version, model.doc_string = "geomm", "", ""
    onnx.checker.check_model(model)
    onnx.save(model, path)


def check_fidelity(what: str, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """The largest cosine deviation between two runtimes' vectors of the same inputs.

    Raises:
        ModelError: it is larger than the tolerance that the encoders promise.
    """
    deviation = float(np.max(1.0 - np.sum(ours * theirs, axis=1)))
    if not deviation <= COSINE_TOLERANCE:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The {what} graph deviates from torch by {deviation:.2g} (cosine), more than {COSINE_TOLERANCE:.0g}.",
            "Do not ship it.",
            deviation=deviation,
        )
    return deviation
