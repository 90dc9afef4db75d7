"""What is marked as the same comes together; the head never does worse than none on what it is chosen by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geomm_engine.contract import EmbedParams, RasterSource
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder, OnnxTextEncoder
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import EngineError
from geomm_engine.pipeline.embed import embed
from geomm_engine.progress import run
from geomm_engine.training.similarity import (
    balanced_rows,
    export_similarity,
    neighbour_right,
    supcon_loss,
    train_similarity,
)
from geomm_engine.training.similarity_data import Marked, SimilarityConfig, load_marked, read_similarity_config, split


@pytest.fixture
def pictures(folder: Path) -> Path:
    """Two groups that differ a little in blue, under a brightness that differs much."""
    random = np.random.default_rng(0)
    for group, blue in (("étang", 0.46), ("pré", 0.40)):
        (folder / "images" / group).mkdir(parents=True)
        for number in range(24):
            colour = np.array([0.4, 0.4, blue]) + random.normal(0, 0.15, 2)[[0, 1, 0]] * [1, 1, 0]
            pixels = np.clip(colour + random.normal(0, 0.01, (40, 40, 3)), 0, 1)
            Image.fromarray((pixels * 255).astype(np.uint8)).save(folder / "images" / group / f"{number}.png")
    return folder / "images"


def config(model: str, pictures: Path, **changes) -> SimilarityConfig:
    values = {"folders": str(pictures), "steps": 60, "check_every": 10, "learning_rate": 0.05, "temperature": 0.2}
    return SimilarityConfig("mine", model, **(values | changes))


def test_neighbours_are_righter_after_the_lesson(folder: Path, pictures: Path, tiny_model: str) -> None:
    result = run(train_similarity(config(tiny_model, pictures), folder / "run", folder))
    assert result.tested == 12
    assert result.after >= result.before
    assert max(item.choice for item in result.history) > result.history[0].choice
    assert result.history[-1].loss < result.history[1].loss
    for name in ("head.npy", "config.json", "metrics.json"):
        assert (folder / "run" / name).stat().st_size > 0
    assert read_similarity_config(folder / "run" / "config.json") == config(tiny_model, pictures)


def test_same_seed_gives_the_same_head(folder: Path, pictures: Path, tiny_model: str) -> None:
    heads = [run(train_similarity(config(tiny_model, pictures), folder / name, folder)).head for name in ("a", "b")]
    np.testing.assert_array_equal(*heads)


def test_the_exported_model_has_the_head_behind_both_towers(folder: Path, pictures: Path, tiny_model: str) -> None:
    settings = config(tiny_model, pictures)
    result = run(train_similarity(settings, folder / "run", folder))
    model = export_similarity(settings, result, folder / "modèle é")
    assert model.damaged_files() == []
    base = find_model(tiny_model)
    assert model.card.space_id != base.card.space_id
    images = np.random.default_rng(1).random((3, 3, 32, 32), dtype=np.float32)
    expected = OnnxImageEncoder(base).embed_images(images, 10.0) @ result.head
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(OnnxImageEncoder(model).embed_images(images, 10.0), expected, atol=2e-3)
    assert OnnxTextEncoder(model).embed_texts(["forest"]).shape == (1, base.card.dim)
    assert {item.metric for item in model.card.measured} == {"right group, before", "right group, after"}
    with pytest.raises(EngineError, match="exists already"):
        export_similarity(settings, result, folder / "modèle é")


def test_marked_tiles_of_a_layer_form_groups(folder: Path, landscape: Path, tiny_model: str) -> None:
    source = RasterSource((str(landscape),))
    run(embed(EmbedParams(source, tiny_model, index_dir=str(folder / "index"))))
    lines = ["row_a,col_a,row_b,col_b,same"]
    lines += [f"0,0,{row},{col},1" for row, col in ((0, 1), (1, 0), (1, 1), (2, 2))]
    lines += [f"0,12,{row},{col},1" for row, col in ((0, 13), (1, 12), (1, 13), (2, 14))]
    lines += ["0,0,0,12,0"]
    (folder / "marques.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = SimilarityConfig("mine", tiny_model, index="index", marks="marques.csv")
    marked = run(load_marked(settings, find_model(tiny_model), folder))
    assert np.bincount(marked.groups).tolist() == [5, 5]
    assert marked.known.all()
    (folder / "marques.csv").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    marked = run(load_marked(settings, find_model(tiny_model), folder))
    assert not marked.known[marked.groups == 0][:, marked.groups == 1].any()
    (folder / "marques.csv").write_text("\n".join([*lines, "0,0,0,1,0"]) + "\n", encoding="utf-8")
    with pytest.raises(EngineError, match="same by other marks"):
        run(load_marked(settings, find_model(tiny_model), folder))
    (folder / "marques.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(EngineError, match="row_a"):
        run(load_marked(settings, find_model(tiny_model), folder))


def test_supcon_knows_its_answers() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    groups = torch.tensor([0, 0, 1, 1])
    same, known = groups[:, None] == groups, torch.ones(4, 4, dtype=torch.bool)
    assert float(supcon_loss(vectors, same, known, 0.1)) == pytest.approx(np.log(1 + 2 * np.exp(-10)), abs=1e-6)
    apart = torch.tensor([0, 1, 0, 1])
    assert float(supcon_loss(vectors, apart[:, None] == apart, known, 0.1)) > 9
    alone = torch.arange(4)
    assert float(supcon_loss(vectors, alone[:, None] == alone, known, 0.1)) == 0
    assert float(supcon_loss(vectors, same, same, 0.1)) == pytest.approx(0, abs=1e-6)


def test_batches_are_drawn_anew_and_even() -> None:
    groups = np.array([0] * 50 + [1] * 6)
    random = np.random.default_rng(0)
    first, second = balanced_rows(groups, 12, random), balanced_rows(groups, 12, random)
    assert np.bincount(groups[first]).tolist() == [6, 6]
    assert set(first) != set(second)


def test_neighbours_vote() -> None:
    everything = np.ones((6, 6), dtype=bool)
    known = Marked(
        np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1, 1]],
        np.array([0, 0, 0, 1, 1, 1]),
        ("a", "b"),
        everything,
        everything,
    )
    asked = Marked(
        np.array([[0.9, 0.1], [0.1, 0.9]], np.float32),
        np.array([0, 0]),
        ("a", "b"),
        everything[:2, :2],
        everything[:2, :2],
    )
    assert neighbour_right(known, asked).tolist() == [True, False]
    parts = split(known, 0)
    assert [len(part.groups) for part in parts] == [2, 2, 2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"folders": ""}, "not said"),
        ({"steps": 0}, "above 0"),
    ],
)
def test_a_faulty_configuration_is_refused(folder: Path, pictures: Path, tiny_model: str, change, reason) -> None:
    import json

    from geomm_engine.contract import encode

    (folder / "faux.json").write_text(json.dumps(encode(config(tiny_model, pictures, **change))), encoding="utf-8")
    with pytest.raises(EngineError, match=reason):
        read_similarity_config(folder / "faux.json")


def test_too_few_marks_and_corrupt_pictures_are_refused(folder: Path, pictures: Path, tiny_model: str) -> None:
    (pictures / "seul").mkdir()
    Image.new("RGB", (40, 40)).save(pictures / "seul" / "1.png")
    with pytest.raises(EngineError, match="seul"):
        run(train_similarity(config(tiny_model, pictures), folder / "run", folder))
    (pictures / "pré" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(EngineError, match="corrupt"):
        run(train_similarity(config(tiny_model, pictures), folder / "run", folder))
    assert not (folder / "run").exists()
