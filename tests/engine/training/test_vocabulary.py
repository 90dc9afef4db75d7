"""Token numbers against CLIP's own, and what a short vocabulary does."""

from __future__ import annotations

from pathlib import Path

import pytest

from geomm_engine.training.config import data_folder
from geomm_engine.training.vocabulary import build_tokenizer, byte_symbols, read_merges

MERGES = "text/bpe_simple_vocab_16e6.txt.gz"


@pytest.fixture(scope="module")
def merges_file() -> Path:
    path = data_folder() / MERGES
    if not path.is_file():
        pytest.skip(f"the shared data is absent: no {path}")
    return path


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a photo of a cat", [49406, 320, 1125, 539, 320, 2368, 49407]),
        ("  A Photo\tof a\n CAT ", [49406, 320, 1125, 539, 320, 2368, 49407]),
        ("", [49406, 49407]),
    ],
)
def test_full_vocabulary_gives_clip_numbers(merges_file: Path, text: str, ids: list[int]) -> None:
    tokenizer = build_tokenizer(read_merges(merges_file), 77)
    assert tokenizer.get_vocab_size() == 49408
    assert tokenizer.encode(text).ids == ids + [0] * (77 - len(ids))


@pytest.mark.shared_data
def test_pieces_are_split_as_clip_does(merges_file: Path) -> None:
    tokenizer = build_tokenizer(read_merges(merges_file), 77)
    tokens = tokenizer.encode("it's 30% ok!!").tokens
    assert tokens[: tokens.index("<|endoftext|>") + 1] == [
        "<|startoftext|>", "it</w>", "'s</w>", "3</w>", "0</w>", "%</w>", "ok</w>", "!!</w>", "<|endoftext|>",
    ]  # fmt: skip


@pytest.mark.shared_data
def test_short_vocabulary_spells_rare_words(merges_file: Path) -> None:
    short = build_tokenizer(read_merges(merges_file, 1000), 32)
    assert short.get_vocab_size() == 1514
    encoded = short.encode("forest viticulture")
    assert max(encoded.ids) == 1513
    assert "".join(token.removesuffix("</w>") for token in encoded.tokens[1:]).startswith("forestviticulture")


def test_without_merges_every_byte_is_a_token() -> None:
    tokenizer = build_tokenizer([], 16)
    assert len(set(byte_symbols())) == 256
    assert tokenizer.encode("é ok").tokens[:6] == ["<|startoftext|>", "Ã", "©</w>", "o", "k</w>", "<|endoftext|>"]


def test_counted_pieces_spell_a_word_in_the_fewest_of_them() -> None:
    merges = [("a", "r"), ("c", "ar"), ("r", "p"), ("ar", "k"), ("p", "ark"), ("ca", "rp"), ("t", "o"), ("to", "p")]
    counts = [1] * 256 + [5] * len(merges)
    counted = build_tokenizer(merges, 12, counts)
    assert counted.get_vocab_size() == 256 + len(merges) + 2

    def pieces(text: str) -> list[str]:
        tokens = counted.encode(text).tokens
        return tokens[1 : tokens.index("<|endoftext|>")]

    assert pieces("Carpark") == pieces("car  park") == ["car", "park"]
    assert pieces("cartops") == ["car", "top", "s"]
    assert pieces("é") == ["Ã", "©"]
    assert "<" in pieces("<|endoftext|>")
    likelier = [*counts]
    likelier[256 + merges.index(("ca", "rp"))] = 5000
    likelier[256 + merges.index(("ar", "k"))] = 5000
    assert build_tokenizer(merges, 12, likelier).encode("carpark").tokens[1:3] == ["carp", "ark"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [("cars", ["car", "s"]), ("bus", ["b", "u", "s"]), ("glass", ["g", "l", "a", "s", "s"]), ("car's", ["car", "'s"])],
)
def test_the_s_of_a_plural_is_a_piece_of_its_own(text: str, pieces: list[str]) -> None:
    merges = [("a", "r"), ("c", "ar"), ("car", "s"), ("'", "s")]
    tokens = build_tokenizer(merges, 12, [1] * (256 + len(merges))).encode(text).tokens
    assert tokens[1 : tokens.index("<|endoftext|>")] == pieces


def test_long_text_is_not_cut() -> None:
    assert len(build_tokenizer([], 8).encode("a long sentence").ids) > 8
