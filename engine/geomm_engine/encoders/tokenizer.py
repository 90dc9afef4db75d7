"""Text to token ids with the model's own byte-pair tokenizer. Refuses what is longer than the model can read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as BytePairTokenizer

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import ModelError, WordsError


class Tokenizer:
    """``tokenizer.json`` of a model; ids are padded with 0 to the context length."""

    def __init__(self, path: Path, context_length: int) -> None:
        try:
            self._tokenizer = BytePairTokenizer.from_file(str(path))
        except Exception as problem:
            raise ModelError(
                ErrorCode.MODEL_INVALID, f"The tokenizer {path} is damaged: {problem}.", "Install the model again."
            ) from problem
        self._context_length = context_length

    def ids(self, text: str) -> list[int]:
        """Token ids with the start and end marks that the tokenizer adds."""
        return list(self._tokenizer.encode(text).ids)

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """n texts → (n, context_length) int64.

        Raises:
            WordsError: a text has more tokens than the context holds.
        """
        tokens = np.zeros((len(texts), self._context_length), dtype=np.int64)
        for at, text in enumerate(texts):
            ids = self.ids(text)
            if len(ids) > self._context_length:
                raise WordsError(
                    ErrorCode.TEXT_TOO_LONG,
                    f"“{text[:60]}…” is {len(ids)} tokens long; this model reads {self._context_length}.",
                    "Shorten it, or put the parts on lines of their own.",
                    tokens=len(ids),
                    limit=self._context_length,
                )
            tokens[at, : len(ids)] = ids
        return tokens
