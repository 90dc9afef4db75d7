"""The model that ships: small, whole, honest about itself, and right about what a few drawn tiles show."""

from __future__ import annotations

import numpy as np
import pytest

from geomm_engine.contract import decode
from geomm_engine.encoders.card import ModelFolder, settings_of
from geomm_engine.encoders.onnx_encoder import OnnxImageEncoder, OnnxTextEncoder
from geomm_engine.encoders.registry import find_model
from geomm_engine.encoders.torch_encoder import TorchImageEncoder
from geomm_engine.networks.two_towers import TwoTowersSettings
from geomm_engine.pipeline.words import word_remarks
from geomm_engine.training.captions import read_captions
from geomm_engine.training.config import data_folder, find_config, read_config
from geomm_engine.training.data import load_pictures
from geomm_engine.training.drawing.far import FAR
from geomm_engine.training.drawing.near import NEAR
from geomm_engine.training.drawing.places import draw_places
from geomm_engine.training.drawing.strokes import Painter
from geomm_engine.training.measure import Seen, embed_names, embed_pictures
from geomm_engine.training.pictures import split
from tests.engine.training.plain_grounds import plain_grounds

DRAWN_ALONE = (
    "circular farmland", "rectangular farmland", "terraced fields", "sea ice", "solar farm", "stadium", "running track",
    "football field", "basketball court", "roundabout", "railway", "railway station", "power plant", "bridge", "ship",
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    return find_model("geomm-nano")


def test_folder_is_small_and_whole(model: ModelFolder) -> None:
    assert model.damaged_files() == []
    assert sum(path.stat().st_size for path in model.path.iterdir()) <= 8_000_000
    assert model.card.gsd_min_m <= 0.3
    assert model.card.gsd_max_m >= 10.0


def test_card_is_of_the_shipped_recipe(model: ModelFolder) -> None:
    config = read_config(find_config("geomm_nano_words"))
    assert (model.card.version, model.card.space_id) == (config.card.version, config.card.space_id)
    assert (model.card.id, model.card.training.seed) == (config.id, config.seed)
    assert decode(TwoTowersSettings, settings_of(model.card), "settings") == config.network


def test_onnx_and_torch_agree(model: ModelFolder) -> None:
    onnx, torch = OnnxImageEncoder(model), TorchImageEncoder(model)
    random = np.random.default_rng(0)
    for scale in model.card.scales:
        images = random.random((3, 3, scale.tile_px, scale.tile_px), dtype=np.float32)
        ours, theirs = onnx.embed_images(images, scale.gsd_max_m), torch.embed_images(images, scale.gsd_max_m)
        assert np.sum(ours * theirs, axis=1).min() >= 1 - 1e-4
        alone = np.concatenate([onnx.embed_images(images[place : place + 1], scale.gsd_max_m) for place in range(3)])
        assert np.abs(ours - alone).max() <= 1e-5


def test_wordings_of_one_thing_lie_together(model: ModelFolder) -> None:
    encoder = OnnxTextEncoder(model)
    groups = [("forest", "woodland", "trees"), ("lake", "open water", "sea"), ("cropland", "farmland", "fields")]
    vectors = embed_names(encoder, [word for group in groups for word in group], model.card.text.templates)
    cosine = (vectors @ vectors.T).reshape(3, 3, 3, 3)
    within = min(float(cosine[group, :, group, :].min()) for group in range(3))
    across = max(float(cosine[one, :, other, :].max()) for one in range(3) for other in range(3) if one != other)
    assert within > across


def test_a_compound_may_be_written_in_one_word(model: ModelFolder) -> None:
    one, two, hyphen, other = OnnxTextEncoder(model).embed_texts(["carpark", "car park", "car-park", "parking lot"])
    assert np.array_equal(one, two)
    assert one @ hyphen > one @ other


def test_a_text_has_the_vector_that_it_has_alone(model: ModelFolder) -> None:
    """Short texts are read without their padding, each length for itself; the answers come in the order of the questions."""
    encoder = OnnxTextEncoder(model)
    texts = ["lake", "a satellite photo of many small islands in the sea, far from any land", "é", "wood", "!!!"]
    together = encoder.embed_texts(texts)
    assert np.abs(together - np.concatenate([encoder.embed_texts([text]) for text in texts])).max() <= 1e-6
    whole = encoder._session.run(["embedding"], {"tokens": encoder._tokenizer.encode(texts)})[0]
    assert np.abs(together - whole / np.linalg.norm(whole, axis=1, keepdims=True)).max() <= 1e-6


@pytest.mark.parametrize(("name", "gsd_m", "tile_px", "painters"), [("near", 1.3, 128, NEAR), ("far", 6.0, 64, FAR)])
def test_drawn_places_are_told_apart(
    model: ModelFolder, name: str, gsd_m: float, tile_px: int, painters: dict[str, Painter]
) -> None:
    """Drawn anew, with another seed and on other ground than in the lessons."""
    captions = read_captions()
    kinds = {item: paint for item, paint in painters.items() if captions.classes[f"{name}/{item}"] in DRAWN_ALONE}
    pictures = draw_places(name, gsd_m, 192, 4, 99, plain_grounds(), kinds)
    names = [captions.classes[item] for item in pictures.classes]
    texts = embed_names(OnnxTextEncoder(model), names, model.card.text.templates)
    said = (embed_pictures(OnnxImageEncoder(model), pictures, tile_px) @ texts.T).argmax(axis=1)
    assert (said == pictures.labels).mean() >= 0.6, [names[item] for item in said]


def test_words_known_from_drawings_alone_are_said_to_be(model: ModelFolder) -> None:
    assert [note.code for note in word_remarks(model, ["solar farm", "forest", "stadiums"])] == ["word_drawn"] * 2


@pytest.mark.shared_data
def test_typed_names_reach_the_card_s_accuracy(model: ModelFolder) -> None:
    config = read_config(find_config("geomm_nano"))
    source = config.pictures[0]
    if not (data_folder() / source.file).is_file():
        pytest.skip(f"the shared data is absent: no {data_folder() / source.file}")
    _, validation = split(
        load_pictures(source, data_folder(), config.split_seed), config.validation_share, config.split_seed
    )
    part = validation.subset(np.arange(0, len(validation.labels), 4))
    captions = read_captions()
    names = [captions.classes[name] for name in part.classes]
    images = embed_pictures(OnnxImageEncoder(model), part, source.whole_px)
    seen = Seen("eurosat", part.labels, images, embed_names(OnnxTextEncoder(model), names, model.card.text.templates))
    stated = next(item for item in model.card.measured if item.dataset == "eurosat" and item.metric == "top-1")
    assert float((seen.said == seen.labels).mean()) == pytest.approx(stated.value, abs=0.03)
