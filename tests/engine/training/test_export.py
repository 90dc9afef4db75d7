"""A tiny run becomes a model folder whose graphs give what torch gives, and whose card is complete."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from geomm_engine.encoders.card import read_card
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder, OnnxTextEncoder
from geomm_engine.encoders.torch_encoder import TorchImageEncoder
from geomm_engine.errors import ModelError
from geomm_engine.progress import run
from geomm_engine.training.config import find_config
from geomm_engine.training.contrastive import train_contrastive
from geomm_engine.training.export import Exported, export_model
from geomm_engine.training.graphs import COSINE_TOLERANCE, check_fidelity
from geomm_engine.training.rounding import SMALLEST_ROUNDED


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("modèle neuf")
    config = find_config("drawn")
    run(train_contrastive(config, folder / "run", data=folder))
    return export_model(config, folder / "run", folder / "drawn", data=folder)


def test_graphs_give_what_torch_gives(exported: Exported) -> None:
    assert exported.image_deviation <= COSINE_TOLERANCE
    assert exported.text_deviation <= COSINE_TOLERANCE
    model = read_card(exported.folder)
    images = np.random.default_rng(0).random((5, 3, 48, 40), dtype=np.float32)
    ours, theirs = OnnxImageEncoder(model).embed_images(images, 8.0), TorchImageEncoder(model).embed_images(images, 8.0)
    assert np.sum(ours * theirs, axis=1).min() >= 1 - COSINE_TOLERANCE


def test_vectors_do_not_depend_on_the_batch(exported: Exported) -> None:
    encoder = OnnxImageEncoder(read_card(exported.folder))
    images = np.random.default_rng(0).random((9, 3, 64, 64), dtype=np.float32)
    together = encoder.embed_images(images, 10.0)
    alone = np.concatenate([encoder.embed_images(images[place : place + 1], 10.0) for place in range(9)])
    assert np.abs(together - alone).max() <= 1e-5
    texts = OnnxTextEncoder(read_card(exported.folder))
    assert np.abs(texts.embed_texts(["lake", "houses"])[1] - texts.embed_texts(["houses"])[0]).max() <= 1e-5


def test_card_is_complete(exported: Exported) -> None:
    model = read_card(exported.folder)
    assert model.damaged_files() == []
    assert {item.metric for item in model.card.measured} >= {
        "top-1", "macro F1", "calibration error", "unknown AUROC", "largest cosine deviation",
    }  # fmt: skip
    assert all(item.date and item.protocol for item in model.card.measured)
    scoring = model.card.scoring
    assert 1.0 <= scoring.logit_scale <= 100.0
    assert -1.0 <= scoring.reject_threshold <= 1.0
    assert scoring.background_similarity_std > 0
    assert 0 < np.linalg.norm(scoring.reference_mean) <= 1


def test_large_weights_take_a_byte(exported: Exported) -> None:
    graph = onnx.load(exported.folder / "text.onnx").graph
    kinds = {item.data_type for item in graph.initializer if np.prod(item.dims) >= SMALLEST_ROUNDED}
    assert kinds == {onnx.TensorProto.INT8}


def test_a_deviating_graph_is_refused() -> None:
    vectors = np.eye(3, dtype=np.float32)
    assert check_fidelity("image", vectors, vectors) == 0.0
    with pytest.raises(ModelError, match="deviates"):
        check_fidelity("image", vectors, vectors[::-1])
    with pytest.raises(ModelError, match="deviates"):
        check_fidelity("image", vectors, vectors * np.nan)
