"""Published files become model folders with cards; what is not whole or not theirs is refused and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import read_card
from geomm_engine.encoders.device import open_image_encoder
from geomm_engine.encoders.location import layout
from geomm_engine.encoders.location.geoclip import GeoclipPlaces
from geomm_engine.encoders.location.satclip import SatclipPlaces
from geomm_engine.encoders.location.tower import open_location_tower
from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
from geomm_engine.encoders.registry import find_model, list_models
from geomm_engine.errors import ModelError
from geomm_engine.geography.gallery import open_gallery, squared
from geomm_engine.networks.published_towers import published_tower
from geomm_engine.pipeline.add_model import add_model
from geomm_engine.progress import run
from geomm_engine.sphere import EqualAreaGrid
from tests.engine.encoders.published import geoclip_files, satclip_checkpoint

LAT, LON = np.array([-80.0, 0.0, 45.0, 90.0]), np.array([-179.9, 10.0, 179.9, 0.0])


@pytest.fixture(autouse=True)
def models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOMM_MODELS", str(folder / "modèles"))
    return folder / "modèles"


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_satclip_from_its_checkpoint(folder: Path, models: Path) -> None:
    content = satclip_checkpoint(folder / "satclip.ckpt", kind=layout.RESNET18)
    added = add_model(folder / "satclip.ckpt")
    card = added.card
    assert (card.id, card.name, card.licence.name) == ("satclip-resnet18-l10", "SatCLIP ResNet18-L10", "MIT")
    assert [band.role for band in card.bands][9:] == ["B09", "B11", "B12"]
    assert card.location is not None
    assert card.location.logit_scale == pytest.approx(20.0, rel=1e-5)
    assert not card.location.origin[0].is_as_published
    assert added.damaged_files() == []
    assert [item.card.id for item in list_models() if not item.is_builtin] == [card.id]
    state = content["state_dict"]
    weights = {
        name.removeprefix("model.location.nnet."): value.numpy()
        for name, value in state.items()
        if ".location.nnet." in name
    }
    tower = open_location_tower(find_model(card.id))
    np.testing.assert_allclose(tower.embed_places(LAT, LON), unit(SatclipPlaces(weights).vectors(LAT, LON)), atol=1e-6)
    images = np.random.default_rng(0).random((2, 12, 64, 64), dtype=np.float32)
    network = published_tower(layout.RESNET18)
    network.load_state_dict({n.removeprefix("model.visual."): v for n, v in state.items() if ".visual." in n})
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(images), torch.ones(2)).numpy()
    encoder = open_image_encoder(added, "cpu")
    np.testing.assert_allclose(encoder.embed_images(images, 10.0), unit(wanted), atol=1e-5)
    with pytest.raises(ModelError, match="taught with places, not with words"):
        OnnxTextEncoder(added)
    before = sorted(path.name for path in models.iterdir())
    assert add_model(folder / "satclip.ckpt").card == card  # once more is no harm
    assert sorted(path.name for path in models.iterdir()) == before == [card.id]


def test_geoclip_from_its_folder(folder: Path) -> None:
    content = geoclip_files(folder / "geoclip")
    added = add_model(folder / "geoclip")
    assert (added.card.id, added.card.dim) == ("geoclip", 512)
    assert added.card.location is not None
    assert added.card.location.logit_scale == pytest.approx(15.0, rel=1e-5)
    places = {name: value.numpy() for name, value in content["places"].items()}
    found = open_location_tower(added).embed_places(LAT, LON)
    np.testing.assert_allclose(found, unit(GeoclipPlaces(places).vectors(LAT, LON)), atol=1e-5)
    assert "cannot look at pictures" in added.card.description
    with pytest.raises(ModelError, match="without its image tower"):
        open_image_encoder(added, "cpu")


def small(folder: Path, **changes: object) -> Path:
    """A narrow checkpoint with changed (or, None, missing) tensors; with an image tower where that is to change."""
    path = folder / "small.ckpt"
    content = satclip_checkpoint(path, kind=layout.RESNET18, degrees=4, width=16)
    state = content["state_dict"]
    if not any(name.startswith("model.visual.") for name in changes):
        for name in [item for item in state if item.startswith("model.visual.")]:
            del state[name]
    state.update({name: value for name, value in changes.items() if isinstance(value, torch.Tensor)})
    for name in [item for item, value in changes.items() if value is None]:
        del state[name]
    content["hyper_parameters"].update(changes.get("settings", {}))
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.location.nnet.layers.1.bias": None}, "layers.1.bias"),
        ({"model.location.nnet.last_layer.weight": torch.zeros(256, 7)}, "shape"),
        ({"model.location.nnet.layers.0.weight": torch.zeros(16, 15)}, "square number"),
        ({"model.location.nnet.layers.0.bias": torch.full((16,), torch.nan)}, "no numbers"),
        ({"model.visual.layer3.1.bn2.weight": None}, "layer3.1.bn2.weight"),
        ({"model.logit_scale": None}, "model.logit_scale"),
        ({"model.logit_scale": torch.tensor(50.0)}, "logit scale"),
        ({"settings": {"harmonics_calculation": "closed-form"}}, "closed-form"),
        ({"settings": {"pe_type": "fcnet"}}, "fcnet"),
    ],
)
def test_what_is_not_whole_is_refused(folder: Path, models: Path, changes: dict, said: str) -> None:
    with pytest.raises(ModelError) as refusal:
        add_model(small(folder, **changes))
    assert said in refusal.value.text
    assert (refusal.value.code, bool(refusal.value.cure)) == (ErrorCode.MODEL_INVALID, True)
    assert not models.exists() or not list(models.iterdir())


class _Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("was run",)


def test_a_checkpoint_that_runs_something_is_refused_and_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    torch.save({"state_dict": {"w": torch.zeros(2)}, "callbacks": _Evil()}, folder / "evil.ckpt")
    with pytest.raises(ModelError, match="mkdir"):
        add_model(folder / "evil.ckpt")
    assert not (folder / "was run").exists()


def test_other_files_are_told_apart(folder: Path) -> None:
    (folder / "empty").mkdir()
    torch.save(torch.nn.Linear(2, 2).state_dict(), folder / "other.ckpt")
    for name, said in (("nowhere.ckpt", "does not exist"), ("empty", "neither"), ("other.ckpt", "state_dict")):
        with pytest.raises(ModelError, match=said):
            add_model(folder / name)
    geoclip_files(folder / "geoclip")
    (folder / "geoclip" / "logit_scale_weights.pth").unlink()
    with pytest.raises(ModelError, match=r"logit_scale_weights\.pth is not there"):
        add_model(folder / "geoclip")


def test_a_gallery_is_a_posterior_over_equal_areas(folder: Path) -> None:
    """The picture of a place is best placed there; probabilities sum to one, whatever the temperature; kept and read alike."""
    added = add_model(small(folder))
    grid = EqualAreaGrid.with_spacing(800.0)
    assert added.card.location is not None
    gallery = run(open_gallery(added, grid, folder / "cache é"))
    again = run(open_gallery(added, grid, folder / "cache é"))
    np.testing.assert_array_equal(np.asarray(gallery.vectors), np.asarray(again.vectors))
    lat, lon = grid.centres_lat_lon()
    cells = np.array([0, len(grid) // 3, len(grid) - 1])
    images = open_location_tower(added).embed_places(lat[cells], lon[cells])
    for temperature in (None, 0.1, 5.0):
        mass = np.exp(gallery.log_mass(images, temperature))
        assert mass.shape == (3, len(grid))
        np.testing.assert_allclose(mass.sum(axis=1), 1.0, atol=1e-9)
    assert (mass.max(axis=1) < np.exp(gallery.log_mass(images)).max(axis=1)).all(), "warmer is more cautious"
    places = gallery.best(images)
    np.testing.assert_allclose(places, (lat[cells], lon[cells]), atol=1e-9)
    density = np.exp(gallery.log_density(images))
    np.testing.assert_allclose(density.sum(axis=1) * grid.cell_area_sr, 1.0, atol=1e-9)
    damaged = next((folder / "cache é").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:500])
    mended = run(open_gallery(added, grid, folder / "cache é"))
    np.testing.assert_array_equal(np.asarray(gallery.vectors), np.asarray(mended.vectors))
    assert read_card(added.path).card == added.card


def test_a_photo_is_cut_square_and_averaged() -> None:
    image = np.zeros((1, 40, 80), np.float32)
    image[:, :, 20:40] = 1.0
    found = squared(image, 4)
    assert found.shape == (1, 4, 4)
    np.testing.assert_allclose(found[0], [[1, 1, 0, 0]] * 4, atol=1e-6)
