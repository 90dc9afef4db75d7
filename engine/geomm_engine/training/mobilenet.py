"""Reads the ImageNet MobileNetV1 that the tower may start from: an 8-bit TensorFlow Lite file, back to real numbers.

Only stored constants are read (via the ``tflite`` schema); nothing of the file is run.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import tflite
import torch
from numpy.typing import NDArray
from torch import Tensor

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError

# Such networks see (value − 0.5) / 0.5 of red, green, blue in 0–1.
MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)
_KINDS = {tflite.TensorType.UINT8: np.uint8, tflite.TensorType.INT8: np.int8, tflite.TensorType.INT32: np.int32}
_CONVOLUTIONS = (tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D)


def read_convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Kernel (out, in, h, w) – depthwise (out, 1, h, w) – and bias (out,) of every convolution, from the image on.

    Raises:
        EngineError: the file is absent or no 8-bit TensorFlow Lite network.
    """
    try:
        model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
        graph = model.Subgraphs(0)
        found: list[tuple[Tensor, Tensor]] = []
        for place in range(graph.OperatorsLength()):
            operator = graph.Operators(place)
            code = model.OperatorCodes(operator.OpcodeIndex())
            kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            if kind in _CONVOLUTIONS:
                _, kernel, bias = (int(number) for number in operator.InputsAsNumpy())
                # Stored as (out, h, w, in); depthwise as (1, h, w, out).
                order = (3, 0, 1, 2) if kind == tflite.BuiltinOperator.DEPTHWISE_CONV_2D else (0, 3, 1, 2)
                values = np.ascontiguousarray(_values(model, graph, kernel).transpose(order))
                found.append((torch.from_numpy(values), torch.from_numpy(_values(model, graph, bias))))
    except (OSError, struct.error, AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:
        raise _bad(path, str(problem)) from problem
    if not found:
        raise _bad(path, "it holds no convolution")
    return found


def _values(model: tflite.Model, graph: tflite.SubGraph, number: int) -> NDArray[np.float32]:
    tensor = graph.Tensors(number)
    raw = model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
    stored = np.frombuffer(raw, _KINDS[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
    quantisation = tensor.Quantization()
    scale, zero = quantisation.ScaleAsNumpy(), quantisation.ZeroPointAsNumpy()
    return np.asarray((stored.astype(np.float64) - zero) * scale, dtype=np.float32)


def _bad(path: Path, problem: str) -> EngineError:
    return EngineError(
        ErrorCode.FOLDER_INVALID,
        f"The network to start from, {path}, cannot be read: {problem}.",
        "Give an 8-bit MobileNetV1 TensorFlow Lite file, or leave “start” empty in the configuration.",
        path=str(path),
    )
