"""Both towers in ONNX Runtime on the processor. The only module that imports onnxruntime.

Threads do not spin while they wait: beside QGIS on a small machine that would cost more than it gains.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.encoder import unit
from geomm_engine.encoders.tokenizer import Tokenizer
from geomm_engine.errors import ModelError

_BATCH = 32
_TEXT_BATCH = 256
_TEXT_STEP = 8


def processor_count() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _session(folder: ModelFolder, role: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = processor_count()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = folder.file(role)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as problem:
        raise ModelError(
            ErrorCode.MODEL_INVALID,
            f"The graph {path} cannot be loaded: {problem}.",
            "Install the model again.",
            model=folder.card.id,
        ) from problem


class OnnxImageEncoder:
    """The image tower on the CPU."""

    def __init__(
        self, folder: ModelFolder, fallback_reason: str = "", bands: Sequence[int] = (), role: str = "image"
    ) -> None:
        """``bands`` are the card's bands that the images will have, by number; none given: all of them.

        ``role``: another graph of the model that looks at the same images.
        """
        self._session = _session(folder, role)
        self._output = self._session.get_outputs()[0].name
        self._has_gsd_input = folder.card.has_gsd_input
        self._count = len(folder.card.bands)
        self._bands = list(bands) or list(range(self._count))
        self._takes_present = any(item.name == "present" for item in self._session.get_inputs())
        self._mean = np.asarray(folder.card.radiometry.mean, dtype=np.float32)[:, None, None]
        self._std = np.asarray(folder.card.radiometry.std, dtype=np.float32)[:, None, None]
        self.fallback_reason = fallback_reason

    @property
    def device(self) -> str:
        count = processor_count()
        return f"CPU, {count} thread{'s' if count > 1 else ''}"

    def embed_images(self, images: NDArray[np.float32], gsd_m: float) -> NDArray[np.float32]:
        """See :meth:`ImageEncoder.embed_images`. Runs in batches of 32 whatever comes."""
        return unit(self.values(images, gsd_m))

    def values(self, images: NDArray[np.float32], gsd_m: float) -> NDArray[np.float32]:
        """What the graph gives, as it is: (n, …) float32."""
        return np.concatenate([self._embed(images[at : at + _BATCH], gsd_m) for at in range(0, len(images), _BATCH)])

    def _embed(self, images: NDArray[np.float32], gsd_m: float) -> NDArray[np.float32]:
        inputs = {"image": self._normalised(images)}
        if self._takes_present:
            inputs["present"] = np.zeros((len(images), self._count), dtype=np.float32)
            inputs["present"][:, self._bands] = 1.0
        if self._has_gsd_input:
            inputs["gsd_m"] = np.full(len(images), gsd_m, dtype=np.float32)
        try:
            (vectors,) = self._session.run([self._output], inputs)
        except Exception as problem:
            raise ModelError(
                ErrorCode.INTERNAL, f"The image tower failed: {problem}.", "Try a smaller area, or report this."
            ) from problem
        return np.asarray(vectors, dtype=np.float32)

    def _normalised(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the tower sees; a band that is absent holds zeros."""
        if len(self._bands) == self._count:
            return (images - self._mean) / self._std
        whole = np.zeros((len(images), self._count, *images.shape[2:]), dtype=np.float32)
        whole[:, self._bands] = (images - self._mean[self._bands]) / self._std[self._bands]
        return whole


class OnnxTextEncoder:
    """The text tower on the CPU."""

    def __init__(self, folder: ModelFolder) -> None:
        self._session = _session(folder, "text")
        self._tokenizer = Tokenizer(folder.file("tokenizer"), folder.card.text.context_length)
        self._dim = folder.card.dim
        self._needs_whole_context = isinstance(self._session.get_inputs()[0].shape[1], int)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :meth:`TextEncoder.embed_texts`."""
        tokens = self._tokenizer.encode(texts)
        read = self._tokens_read(tokens)
        vectors = np.empty((len(tokens), self._dim), dtype=np.float32)
        for length in np.unique(read):
            own = np.flatnonzero(read == length)
            for at in range(0, len(own), _TEXT_BATCH):
                rows = own[at : at + _TEXT_BATCH]
                (vectors[rows],) = self._session.run(["embedding"], {"tokens": tokens[rows, :length]})
        return unit(vectors)

    def _tokens_read(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) how much of each row the graph is given: up to its end mark, in steps, so that few lengths occur."""
        context = tokens.shape[1]
        if self._needs_whole_context:
            return np.full(len(tokens), context)
        used = context - np.argmax(tokens[:, ::-1] != 0, axis=1)
        return np.minimum(-(-used // _TEXT_STEP) * _TEXT_STEP, context)
