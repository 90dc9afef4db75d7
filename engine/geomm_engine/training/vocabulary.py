"""Builds ``tokenizer.json``: CLIP's byte-pair merges, all of them or the first N, as a HuggingFace tokenizer.

With all 48,894 merges the token numbers are CLIP's (Radford et al. 2021); with fewer, rarer words fall into more pieces.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

CLIP_MERGES = 49152 - 256 - 2
START = "<|startoftext|>"
END = "<|endoftext|>"
WORD_END = "</w>"
# CLIP's pre-tokenisation without the special marks: contractions, letters, single digits, anything else.
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
LINE = re.compile(r"^(\S+) (\S+)$")


def byte_symbols() -> list[str]:
    """The 256 printable stand-ins for bytes in the order of GPT-2's and CLIP's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]


def read_merges(path: Path, count: int = CLIP_MERGES) -> list[tuple[str, str]]:
    """The first ``count`` merges of CLIP's file (gzip; its first line is a version)."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        lines = stream.read().split("\n")[1 : 1 + min(count, CLIP_MERGES)]
    found = [LINE.match(line) for line in lines]
    return [(match.group(1), match.group(2)) for match in found if match is not None]


def build_tokenizer(merges: list[tuple[str, str]], context_length: int, *, marks_word_ends: bool = True) -> Tokenizer:
    """Lower-cased, white space cleaned, start and end marks, zeros up to ``context_length``.

    Args:
        marks_word_ends: the last piece of a word ends in ``</w>``, as CLIP has it; without, “carpark” has the pieces of
            “car park”. The merges must have been learned the same way.

    A text longer than the context is not cut: who uses the tokenizer sees it and says so.
    """
    symbols = byte_symbols()
    suffix = WORD_END if marks_word_ends else ""
    ends = [symbol + WORD_END for symbol in symbols] if marks_word_ends else []
    words = [*symbols, *ends, *("".join(pair) for pair in merges), START, END]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges, end_of_word_suffix=suffix, unk_token=END))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, vocabulary[START]), (END, vocabulary[END])]
    )
    tokenizer.enable_padding(length=context_length, pad_id=0, pad_token=words[0])
    return tokenizer
