"""Safetensors files as NumPy arrays: a header of names, kinds and places, then raw numbers. Nothing in them can be run.

The format is https://github.com/huggingface/safetensors; torch reads the same files by its own package.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import ModelError

_MOST_HEADER_BYTES = 100 << 20
_KINDS: dict[str, DTypeLike] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1", "U8": "<u1",
    "BOOL": np.bool_,
}  # fmt: skip
_KIND_OF = {np.dtype(kind): name for name, kind in _KINDS.items()}


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """The file's tensors by name, mapped into memory and not yet read.

    Raises:
        ModelError: it is no whole safetensors file, or holds a kind of number that NumPy does not know.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            (header_bytes,) = struct.unpack("<Q", stream.read(8))
            if header_bytes > min(_MOST_HEADER_BYTES, size - 8):
                raise ValueError("its header is longer than the file")
            header = json.loads(stream.read(header_bytes))
        content = (
            np.memmap(path, dtype=np.uint8, mode="r", offset=8 + header_bytes) if size > 8 + header_bytes else None
        )
        found: dict[str, NDArray[np.generic]] = {}
        for name, item in header.items():
            if name != "__metadata__":
                found[name] = _array(item, content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as problem:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The weights {path} cannot be read: {problem}.",
            "Download or copy the file again.",
            path=str(path),
        ) from problem
    return found


def _array(item: Mapping[str, object], content: NDArray[np.uint8] | None) -> NDArray[np.generic]:
    dtype = np.dtype(_KINDS[str(item["dtype"])])
    shape = tuple(int(size) for size in item["shape"])  # type: ignore[attr-defined]
    begin, end = (int(place) for place in item["data_offsets"])  # type: ignore[attr-defined]
    if content is None or begin == end:
        return np.empty(shape, dtype)
    if not 0 <= begin <= end <= len(content):
        raise ValueError("it is cut off")
    return np.asarray(content[begin:end].view(dtype).reshape(shape))


def write_tensors(path: Path, tensors: Mapping[str, NDArray[np.generic]]) -> None:
    """Write the tensors, those of wide numbers first, so that each lies on a multiple of its numbers' width."""
    header: dict[str, object] = {}
    arrays, at = [], 0
    for name, value in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):
        array = np.asarray(value, order="C")
        header[name] = {
            "dtype": _KIND_OF[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        arrays.append(array)
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for array in arrays:
            stream.write(array.tobytes())
