"""Builds ``tokenizer.json``, a HuggingFace tokenizer, from byte-pair merges.

As CLIP spells (Radford et al. 2021): merge after merge, the last piece of a word marked. With all 48,894 merges the token
numbers are CLIP's; with fewer, rarer words fall into more pieces. Or, where it is known how often each piece is used, in the
fewest pieces, of those in the likeliest, a plural's s a piece of its own (fewest: Schmidt et al. 2024, Tokenization Is More
Than Compression): then a compound has the pieces of its parts, a plural those of its singular.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from math import log
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, Unigram

BYTES = 256
CLIP_MERGES = 49152 - BYTES - 2
START = "<|startoftext|>"
END = "<|endoftext|>"
WORD_END = "</w>"
# CLIP's pre-tokenisation without the special marks: contractions, letters, single digits, anything else.
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
PLURAL = r"(?<=\p{L}\p{L}[^\Ws])s(?!\p{L})"
_PRICE_OF_A_PIECE = 100.0
"""Far more than likelihoods differ: that of a piece that is never used is e to the −13."""
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


def build_tokenizer(merges: Sequence[tuple[str, str]], context_length: int, counts: Sequence[int] = ()) -> Tokenizer:
    """Lower-cased, white space cleaned, start and end marks, zeros up to ``context_length``.

    Args:
        counts: how often each byte and each merge is used, in this order: words fall into the fewest pieces. Without them
            they are spelled as CLIP does.

    A text longer than the context is not cut: who uses the tokenizer sees it and says so.
    """
    symbols = byte_symbols()
    ends = [] if counts else [symbol + WORD_END for symbol in symbols]
    words = [*symbols, *ends, *("".join(pair) for pair in merges), START, END]
    vocabulary = {word: number for number, word in enumerate(words)}
    if counts:
        every = sum(counts)
        told = [log(max(count, 0.5) / every) for count in counts] + [log(0.5 / every)] * 2
        scores = [score - _PRICE_OF_A_PIECE for score in told]
        tokenizer = Tokenizer(Unigram(list(zip(words, scores, strict=True)), unk_id=vocabulary[END]))
    else:
        tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=list(merges), end_of_word_suffix=WORD_END, unk_token=END))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = words_apart(sets_plurals_apart=bool(counts))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, vocabulary[START]), (END, vocabulary[END])]
    )
    tokenizer.enable_padding(length=context_length, pad_id=0, pad_token=words[0])
    return tokenizer


def words_apart(*, sets_plurals_apart: bool) -> pre_tokenizers.PreTokenizer:
    """Text into words, and those into bytes; no piece reaches over what is set apart here."""
    plurals = [pre_tokenizers.Split(Regex(PLURAL), behavior="isolated")] if sets_plurals_apart else []
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="removed", invert=True),
            *plurals,
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
