"""A card says what a card must say, or names the field; damaged files are found out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders import card as cards
from geomm_engine.encoders.device import devices, open_image_encoder
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.encoders.registry import find_model, list_models
from geomm_engine.encoders.tokenizer import Tokenizer
from geomm_engine.errors import ModelError, WordsError
from tests.engine.tiny_model import CONTEXT, write_tiny_model


@pytest.fixture
def model(folder: Path) -> Path:
    return write_tiny_model(folder / "modèle")


def changed(model: Path, **changes: Any) -> Path:
    path = model / cards.CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return model


def test_a_card_survives_the_disk(model: Path) -> None:
    first = cards.read_card(model)
    cards.write_card(first.card, model)
    assert cards.read_card(model).card == first.card


WRONG = {
    "radiometry.mean": {"radiometry": {"mean": [0.0], "std": [1.0] * 3, "calibrations": []}},
    "scoring.reference_mean": {"dim": 5},
    "scales": {"scales": []},
    "text.templates": {"text": {"context_length": 8, "templates": ["no place for a word"]}},
    "card.licence": {"licence": "MIT"},
    "card.colour": {"colour": "green"},
    "card.dim": {"dim": "many"},
}


@pytest.mark.parametrize("field", WRONG)
def test_a_card_that_is_wrong_names_the_field(model: Path, field: str) -> None:
    with pytest.raises(ModelError) as caught:
        cards.read_card(changed(model, **WRONG[field]))
    assert caught.value.code is ErrorCode.MODEL_INVALID
    assert field in caught.value.text


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_a_card_that_is_none_is_refused(model: Path, text: str) -> None:
    (model / cards.CARD_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        cards.read_card(model)
    assert caught.value.code is ErrorCode.MODEL_INVALID


@pytest.mark.parametrize("name", ["image.onnx", "text.onnx", "tokenizer.json"])
@pytest.mark.parametrize("how", ["gone", "shorter", "other bytes"])
def test_a_damaged_model_is_refused(model: Path, name: str, how: str) -> None:
    data = (model / name).read_bytes()
    {
        "gone": (model / name).unlink,
        "shorter": lambda: (model / name).write_bytes(data[:-9]),
        "other bytes": lambda: (model / name).write_bytes(b"#" * len(data)),
    }[how]()
    found = cards.read_card(model)
    assert found.damaged_files() == [name]
    with pytest.raises(ModelError) as caught:
        open_image_encoder(found, "cpu") if name == "image.onnx" else OnnxTextEncoder(found)
    assert caught.value.code is ErrorCode.MODEL_INVALID
    assert str(model) in caught.value.text


def test_a_model_is_found_by_name_by_path_or_not_at_all(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_model(str(model)).card.id == "tiny"
    monkeypatch.setenv("GEOMM_MODELS", str(model.parent))
    assert find_model("tiny").path == model
    assert "tiny" in {found.card.id for found in list_models()}
    with pytest.raises(ModelError) as caught:
        find_model("large")
    assert caught.value.code is ErrorCode.MODEL_UNKNOWN
    assert "tiny" in caught.value.cure
    assert str(model.parent) in caught.value.cure


def test_a_damaged_card_hides_no_other_model(model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = write_tiny_model(folder / "broken")
    (other / cards.CARD_FILE).write_text("{", encoding="utf-8")
    monkeypatch.setenv("GEOMM_MODELS", str(folder))
    assert [found.path for found in list_models() if not found.is_builtin] == [model]


@pytest.mark.parametrize(("gsd_m", "seen_m"), [(0.1, 0.5), (0.5, 0.5), (7.3, 7.3), (20, 20), (33, 20)])
def test_the_scale_for_a_ground_pixel(model: Path, gsd_m: float, seen_m: float) -> None:
    scale, seen = cards.read_card(model).card.scale_for(gsd_m)
    assert (scale.tile_px, seen) == (32, seen_m)


def test_text_beyond_the_context_is_refused_with_both_numbers(model: Path) -> None:
    tokenizer = Tokenizer(model / "tokenizer.json", CONTEXT)
    assert tokenizer.encode(["forest " * CONTEXT]).shape == (1, CONTEXT)
    with pytest.raises(WordsError) as caught:
        tokenizer.encode(["lake", "forest " * (CONTEXT + 1)])
    assert caught.value.code is ErrorCode.TEXT_TOO_LONG
    assert caught.value.facts == {"tokens": CONTEXT + 1, "limit": CONTEXT}


def test_tokens_are_padded_with_zeros(model: Path) -> None:
    tokens = Tokenizer(model / "tokenizer.json", CONTEXT).encode(["Forest lake"])
    assert tokens.dtype.name == "int64"
    assert (tokens[0, :2] > 0).all()
    assert not tokens[0, 2:].any()


def test_there_is_always_a_processor_and_one_default() -> None:
    found = devices()
    assert found[-1].id == "cpu"
    assert sum(device.is_default for device in found) == 1


def test_a_model_without_torch_weights_runs_on_the_processor_and_says_why(model: Path) -> None:
    encoder = open_image_encoder(cards.read_card(model), "cuda")
    assert encoder.device.startswith("CPU")
    assert encoder.fallback_reason
