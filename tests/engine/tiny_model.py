"""A model for tests that is honest and tiny: it sees mean colours, and knows the colour of a few words.

The image tower gives (r, g, b, brightness, roughness) − centre; the text tower looks its words up in the same space.
Written as ONNX graphs in exactly the layout of a real model, so that everything around it is the real thing.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import WhitespaceSplit

from geomm_engine.encoders import card as cards

COLORS = {
    "forest": (0.10, 0.28, 0.10),
    "water": (0.05, 0.10, 0.40),
    "town": (0.70, 0.65, 0.65),
    "crops": (0.70, 0.60, 0.20),
    "snow": (0.98, 0.98, 0.98),
}
SYNONYMS = {"woodland": "forest", "lake": "water", "houses": "town", "field": "crops"}
CONTEXT = 8
DIM = 4
TILE_PX = 32


def write_tiny_model(folder: Path, *, tile_px: int = TILE_PX, gsd_min_m: float = 0.5, gsd_max_m: float = 20.0) -> Path:
    """Write the model folder; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [*COLORS, *SYNONYMS]
    _write_tokenizer(folder / "tokenizer.json", words)
    _write_image_graph(folder / "image.onnx")
    _write_text_graph(folder / "text.onnx", words)
    files = tuple(
        cards.CardFile(role, name, cards.file_sha256(folder / name), (folder / name).stat().st_size)
        for role, name in (("image", "image.onnx"), ("text", "text.onnx"), ("tokenizer", "tokenizer.json"))
    )
    cards.write_card(_card(files, tile_px, gsd_min_m, gsd_max_m), folder)
    return folder


def _vector(color: tuple[float, float, float]) -> list[float]:
    return [value - 0.4 for value in color] + [0.05]


def _write_tokenizer(path: Path, words: list[str]) -> None:
    vocabulary = {"[pad]": 0, "[other]": 1, **{word: at + 2 for at, word in enumerate(words)}}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[other]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(path))


def _graph(nodes, inputs, outputs, constants, path: Path) -> None:
    graph = helper.make_graph(
        nodes, "tiny", inputs, outputs, [numpy_helper.from_array(v, name) for name, v in constants.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _write_image_graph(path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Sub", ["mean", "centre"], ["moved"]),
        helper.make_node("MatMul", ["moved", "spread"], ["spread_out"]),
        helper.make_node("Add", ["spread_out", "bias"], ["embedding"]),
    ]
    spread = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1).astype(np.float32)
    constants = {
        "centre": np.full(3, 0.4, np.float32),
        "spread": spread,
        "bias": np.array([0, 0, 0, 0.05], np.float32),
    }
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIM])]
    _graph(nodes, inputs, outputs, constants, path)


def _write_text_graph(path: Path, words: list[str]) -> None:
    table = np.zeros((len(words) + 2, DIM), np.float32)
    for at, word in enumerate(words):
        table[at + 2] = _vector(COLORS[SYNONYMS.get(word, word)])
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["looked_up"]),
        helper.make_node("ReduceMean", ["looked_up"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Add", ["mean", "tiny"], ["embedding"]),
    ]
    constants = {"table": table, "tiny": np.full(DIM, 1e-4, np.float32)}
    inputs = [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", CONTEXT])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIM])]
    _graph(nodes, inputs, outputs, constants, path)


def _card(files, tile_px: int, gsd_min_m: float, gsd_max_m: float) -> cards.Card:
    same = ((1 / 0.3,) * 3, (0.0,) * 3)
    return cards.Card(
        id="tiny",
        name="Tiny",
        version="1.0.0",
        space_id="tiny-1",
        description="Mean colours; for tests.",
        licence=cards.Licence("GPL-2.0-or-later", ""),
        files=files,
        architecture=cards.Architecture("tiny", json.dumps({})),
        bands=(cards.CardBand("red", 665.0), cards.CardBand("green", 560.0), cards.CardBand("blue", 490.0)),
        radiometry=cards.CardRadiometry(
            (0.0,) * 3,
            (1.0,) * 3,
            (cards.Calibration("toa_reflectance", *same), cards.Calibration("surface_reflectance", *same)),
        ),
        scales=(cards.Scale(gsd_min_m, gsd_max_m, tile_px),),
        has_gsd_input=False,
        dim=DIM,
        text=cards.CardText(CONTEXT, ("{}", "a photo of {}")),
        scoring=cards.CardScoring(20.0, 0.0, (0.0,) * DIM, -1.0, 0.0, 0.3),
        training=cards.Training((), "none", 0),
        measured=(),
    )
