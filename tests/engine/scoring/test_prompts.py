"""From words to prototypes: templates, synonyms, and words that cannot be used."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from geomm_engine.contract import ClassEntry, ErrorCode
from geomm_engine.errors import WordsError
from geomm_engine.scoring.prompts import class_prompts, phrase_vector, query_vector

TEMPLATES = ("{}", "a photo of {}", "{} from above")


class Embedder:
    """Every text its own direction; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str], /) -> np.ndarray:
        self.asked += texts
        vectors = np.stack([np.random.default_rng(zlib.crc32(text.encode())).normal(size=8) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_phrase_is_the_mean_over_templates() -> None:
    embed = Embedder()
    expected = embed(["pond", "a photo of pond", "pond from above"]).mean(axis=0)
    vector = phrase_vector(embed, "pond", TEMPLATES)
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
    assert vector.dtype == np.float32


def test_braces_in_words_stay_words() -> None:
    embed = Embedder()
    phrase_vector(embed, "{0} {name}", ("a photo of {}",))
    assert embed.asked == ["a photo of {0} {name}"]


def test_one_prompt_a_row_with_all_its_words() -> None:
    embed = Embedder()
    classes = (ClassEntry("forest", ("woodland", "trees")), ClassEntry("cloud", is_negative=True))
    first, second = class_prompts(embed, classes, TEMPLATES)
    assert (first.name, first.is_negative, first.vectors.shape) == ("forest", False, (3, 8))
    assert (second.name, second.is_negative, second.vectors.shape) == ("cloud", True, (1, 8))
    np.testing.assert_allclose(first.vectors[1], phrase_vector(embed, "woodland", TEMPLATES))
    np.testing.assert_allclose(np.linalg.norm(first.vectors, axis=1), 1, atol=1e-6)
    assert np.linalg.norm(first.prototype) == pytest.approx(1, abs=1e-6)


def test_exact_text_goes_as_typed() -> None:
    embed = Embedder()
    class_prompts(embed, (ClassEntry("a harbour at dusk"),), TEMPLATES, is_exact_text=True)
    query_vector(embed, "  a pier ", TEMPLATES, is_exact_text=True)
    assert embed.asked == ["a harbour at dusk", "a pier"]


@pytest.mark.parametrize("classes", [(), (ClassEntry("cloud", is_negative=True),)])
def test_a_list_without_a_class_is_refused(classes: tuple[ClassEntry, ...]) -> None:
    with pytest.raises(WordsError) as caught:
        class_prompts(Embedder(), classes, TEMPLATES)
    assert caught.value.code is ErrorCode.CLASS_LIST_EMPTY
    assert caught.value.cure


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_query_is_refused(text: str) -> None:
    with pytest.raises(WordsError) as caught:
        query_vector(Embedder(), text, TEMPLATES)
    assert caught.value.code is ErrorCode.TEXT_EMPTY
