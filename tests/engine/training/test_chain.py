"""A student of other bands learns its teacher's words from drawn places; faulty rasters are refused before it starts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError
from geomm_engine.networks.views import ready
from geomm_engine.progress import Progress, run
from geomm_engine.training.chain import (
    ChainCheck,
    Trainer,
    chain_loss,
    new_student,
    retrieval_at_1,
    student_vectors,
    train_chain,
    word_agreement,
    word_overlap,
)
from geomm_engine.training.chain_config import (
    CHAIN_RECIPES,
    BandJitter,
    Crops,
    Loss,
    RasterPair,
    Trunk,
    read_chain_config,
)
from geomm_engine.training.chain_data import Lessons
from tests.engine.training import chain_scenes as scenes


@pytest.fixture
def pair(folder: Path) -> RasterPair:
    """A place in five optical bands and in radar."""
    classes = scenes.layout()
    return RasterPair(
        teacher=(str(scenes.optical(folder / "optique é.tif", classes)),),
        student=(str(scenes.radar(folder / "radar é.tif", classes)),),
        labels=str(scenes.labels(folder / "vérité.tif", classes)),
    )


def test_radar_learns_the_words_of_its_teacher(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    lessons = Lessons(scenes.config(tiny_model, pair, steps=160), folder)
    assert lessons.bands == ("vv", "vh")
    items = list(train_chain(lessons, folder / "run"))
    assert {item.stage for item in items if isinstance(item, Progress)} == {"read", "teach", "train"}
    history = json.loads((folder / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert history[-1]["loss"] < history[0]["loss"] - 0.2
    assert history[-1]["agreement"] > 0.6
    assert history[-1]["cosine"] > 0.8
    for name in ("curves.png", "config.json", "environment.json", "checkpoint.pt", "best.pt"):
        assert (folder / "run" / name).stat().st_size > 0


def test_permuted_pairs_give_chance(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    """A teacher that speaks of other tiles teaches nothing about these."""
    lessons = Lessons(scenes.config(tiny_model, pair), folder)
    run(lessons.prepare())
    random = np.random.default_rng(0)
    right, held = lessons.held.teacher, len(lessons.held)
    assert retrieval_at_1(right, right) > 0.9
    wrong = [retrieval_at_1(right, right[random.permutation(held)]) for _ in range(200)]
    assert np.mean(wrong) == pytest.approx(1 / held, abs=0.02)
    mixed = random.permutation(len(lessons.training))
    lessons.training = replace(lessons.training, teacher=lessons.training.teacher[mixed])
    lessons.prepare = lambda: iter(())  # type: ignore[method-assign]
    result = run(train_chain(lessons, folder / "run"))
    choices = np.argmax(right @ lessons.words.T, axis=1)
    commonest = np.bincount(choices).max() / held
    assert result.history[-1].agreement <= commonest + 0.15


def test_resumed_run_is_bit_equal(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    whole = scenes.config(tiny_model, pair, steps=6)
    whole = replace(whole, schedule=replace(whole.schedule, check_every=2))
    half = replace(whole, schedule=replace(whole.schedule, stop_after=3))
    run(train_chain(Lessons(whole, folder), folder / "one"))
    run(train_chain(Lessons(half, folder), folder / "two"))
    again = read_chain_config(folder / "one" / "config.json")
    assert again == whole
    run(train_chain(Lessons(again, folder), folder / "two", is_resumed=True))
    one, two = (torch.load(folder / name / "checkpoint.pt", weights_only=True) for name in ("one", "two"))
    assert one["step"] == two["step"] == 6
    for part in ("network", "average"):
        for name, value in one[part].items():
            assert torch.equal(value, two[part][name]), (part, name)
    assert torch.equal(one["extra"]["log_scale"], two["extra"]["log_scale"])
    assert one["numpy_random"] == two["numpy_random"]
    assert [item["loss"] for item in json.loads(one["history"])] == [
        item["loss"] for item in json.loads(two["history"])
    ]


def test_nothing_to_resume_is_said(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    with pytest.raises(EngineError, match="no checkpoint"):
        run(train_chain(Lessons(scenes.config(tiny_model, pair), folder), folder / "run", is_resumed=True))


def test_one_raster_with_more_bands_is_read_whole(folder: Path, tiny_model: str) -> None:
    path = str(scenes.optical(folder / "cinq.tif", scenes.layout()))
    lessons = Lessons(scenes.config(tiny_model, RasterPair((path,), (path,))), folder)
    assert lessons.bands == ("red", "green", "blue", "nir", "swir1")
    assert lessons.codes == ("0.665", "0.56", "0.49", "0.842", "1.61")


def test_held_out_ground_is_never_trained_on(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    lessons = Lessons(scenes.config(tiny_model, pair), folder)
    run(lessons.prepare())
    for at, place in enumerate(lessons.places):
        seen = np.zeros(place.valid.shape, dtype=int)
        for tiles, value in ((lessons.training, 1), (lessons.held, 2)):
            for y, x, height, width in tiles.window[tiles.place == at]:
                part = seen[int(y) : int(np.ceil(y + height)), int(x) : int(np.ceil(x + width))]
                assert not np.any((part != 0) & (part != value))
                part[:] = value
        assert {1, 2} <= set(np.unique(seen))


def test_both_sides_see_the_same_turn_of_the_same_crop(folder: Path, tiny_model: str) -> None:
    """With the teacher's own bands on both sides, the student's tile is what the teacher's vector was made of."""
    path = str(scenes.optical(folder / "cinq.tif", scenes.layout()))
    pair = RasterPair((path,), (path,))
    lessons = Lessons(scenes.config(tiny_model, pair, bands=("red", "green", "blue")), folder)
    run(lessons.prepare())
    mean = lessons.training.student.astype(np.float32).mean(axis=(2, 3)) / 0.3
    expected = np.concatenate([mean - 0.4, np.full((len(mean), 1), 0.05)], axis=1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(lessons.training.teacher, expected, atol=0.01)
    assert len({tuple(tile[:, 0, 0]) for tile in lessons.training.student}) > 20


def test_absent_bands_leave_a_gap_and_no_value(folder: Path, tiny_model: str) -> None:
    path = str(scenes.optical(folder / "cinq.tif", scenes.layout()))
    jitter = BandJitter(absent=1.0, fewest_bands=2)
    lessons = Lessons(scenes.config(tiny_model, RasterPair((path,), (path,)), jitter=jitter), folder)
    run(lessons.prepare())
    batch = lessons.batch(np.random.default_rng(0))
    kept = batch.present.sum(dim=1)
    assert kept.min() >= 2
    assert kept.min() < 5
    assert torch.all(batch.images[batch.present == 0] == 0)


def test_some_tiles_keep_only_what_the_teacher_does_not_read(folder: Path, tiny_model: str) -> None:
    path = str(scenes.optical(folder / "cinq.tif", scenes.layout()))
    jitter = BandJitter(absent=0.0, blind=0.5, fewest_bands=2)
    lessons = Lessons(scenes.config(tiny_model, RasterPair((path,), (path,)), jitter=jitter), folder)
    run(lessons.prepare())
    present = lessons.batch(np.random.default_rng(0)).present.int().tolist()
    assert {tuple(row) for row in present} == {(1, 1, 1, 1, 1), (0, 0, 0, 1, 1)}


def test_a_student_starts_as_the_built_in_tower(folder: Path) -> None:
    """With its teacher's bands it says its teacher's words before the first step."""
    path = str(scenes.optical(folder / "cinq.tif", scenes.layout(192, 224)))
    config = scenes.config("", RasterPair((path,), (path,)), network=Trunk(), crops=Crops(count=40, factors=(1.0,)))
    lessons = Lessons(config, folder)
    run(lessons.prepare())
    student = new_student(lessons).eval()
    held = lessons.held
    cosine = (student_vectors(ready(student, student.look), lessons, held) * held.teacher).sum(axis=1)
    assert cosine.min() > 0.97
    batch = lessons.whole(held, slice(None))
    with torch.inference_mode():
        length = student(batch.images, batch.gsd_m, batch.present).norm(dim=1)
    assert length.mean() == pytest.approx(1.0, abs=0.3)  # so that the squared error starts small


def test_loss_of_a_perfect_student_is_the_least(folder: Path) -> None:
    random = torch.Generator().manual_seed(0)
    teacher = torch.nn.functional.normalize(torch.randn(12, 6, generator=random), dim=1)
    words = torch.nn.functional.normalize(torch.randn(4, 6, generator=random), dim=1)
    scale = torch.tensor(1 / 0.07)
    perfect = chain_loss(teacher, teacher, words, scale, Loss())
    assert perfect < chain_loss(teacher.roll(1, 0), teacher, words, scale, Loss())
    assert float(chain_loss(teacher, teacher, words, scale, Loss(contrast=0, words=0))) == pytest.approx(0, abs=1e-5)


def test_agreement_is_about_words_not_vectors() -> None:
    words = np.eye(2, dtype=np.float32)
    first = np.array([[0.9, 0.1], [0.1, 0.9]], dtype=np.float32)
    second = np.array([[0.6, 0.4], [0.6, 0.4]], dtype=np.float32)
    assert word_agreement(first, second, words).tolist() == [True, False]


def test_overlap_is_the_probability_that_both_give_to_the_same_words() -> None:
    words = np.eye(2, dtype=np.float32)
    first = np.array([[1, 0], [1, 0], [1, 0]], dtype=np.float32)
    second = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    sure = 1 / (1 + np.exp(-3.0))
    np.testing.assert_allclose(word_overlap(first, second, words, 3.0), [1, 2 * (1 - sure), 0.5 + 1 - sure], atol=1e-6)


def test_the_best_step_shares_most_probability_whatever_single_tiles_say(folder: Path) -> None:
    sure = ChainCheck(1, 1.0, agreement=0.9, overlap=0.5, by_others=0.5, cosine=0.9, retrieval=0.9, elapsed_s=0.0)
    near = ChainCheck(2, 1.0, agreement=0.4, overlap=0.6, by_others=0.5, cosine=0.1, retrieval=0.1, elapsed_s=0.0)
    assert Trainer.rank(None, near) > Trainer.rank(None, sure)  # type: ignore[arg-type]


def test_batch_of_one_and_all_nodata_tiles_stay_finite(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    config = replace(scenes.config(tiny_model, pair, steps=2), batch=1)
    lessons = Lessons(config, folder)
    result = run(train_chain(lessons, folder / "run"))
    assert np.isfinite([item.loss for item in result.history]).all()
    nothing = replace(lessons.held.subset(np.arange(2)), student=np.zeros((2, 2, 32, 32), np.float16))
    from geomm_engine.training.chain import load_best
    from geomm_engine.training.run_folder import RunFolder

    assert np.isfinite(student_vectors(load_best(lessons, RunFolder(folder / "run")), lessons, nothing)).all()


def refusal(config, data: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        run(Lessons(config, data).prepare())
    assert caught.value.cure
    return caught.value


def test_another_crs_is_named(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    scenes.radar(folder / "radar é.tif", scenes.layout(), crs="EPSG:32634")
    problem = refusal(scenes.config(tiny_model, pair), folder)
    assert problem.code is ErrorCode.RASTER_MISMATCH
    assert "EPSG:32633" in problem.text
    assert "EPSG:32634" in problem.text


def test_other_ground_is_named(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    scenes.radar(folder / "radar é.tif", scenes.layout(), left=6e5)
    problem = refusal(scenes.config(tiny_model, pair), folder)
    assert problem.code is ErrorCode.RASTER_MISMATCH
    assert "different ground" in problem.text


def test_a_corrupt_raster_is_named(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    (folder / "radar é.tif").write_bytes(b"II*\x00 no raster")
    problem = refusal(scenes.config(tiny_model, pair), folder)
    assert problem.code is ErrorCode.RASTER_UNREADABLE
    assert "radar é.tif" in problem.text


def test_a_missing_band_is_named(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    scenes.optical(folder / "optique é.tif", scenes.layout(), bands=("red", "green", "nir"))
    assert "no band blue" in refusal(scenes.config(tiny_model, pair), folder).text
    scenes.optical(folder / "optique é.tif", scenes.layout())
    problem = refusal(scenes.config(tiny_model, pair, bands=("vv", "vh", "height")), folder)
    assert problem.code is ErrorCode.BANDS_MISSING
    assert "height" in problem.text
    problem = refusal(scenes.config(tiny_model, pair, teacher_bands=("B04", "B03")), folder)
    assert "2 were named" in problem.text


def test_too_little_ground_is_said(folder: Path, tiny_model: str) -> None:
    small = scenes.layout(32, 48)
    path = str(scenes.optical(folder / "petit.tif", small))
    problem = refusal(scenes.config(tiny_model, RasterPair((path,), (path,))), folder)
    assert "too little ground" in problem.text


def test_a_teacher_without_words_is_refused(folder: Path, pair: RasterPair, tiny_model: str) -> None:
    import shutil

    mute = folder / "mute"
    shutil.copytree(tiny_model, mute)
    card = json.loads((mute / "card.json").read_text(encoding="utf-8"))
    card["files"] = [item for item in card["files"] if item["role"] == "image"]
    (mute / "card.json").write_text(json.dumps(card), encoding="utf-8")
    assert "no text tower" in refusal(scenes.config(str(mute), pair), folder).text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pairs": ()}, "no pairs"),
        ({"batch": 0}, "at least 1"),
        ({"validation_share": 1.0}, "validation_share"),
        ({"probe_words": ("one",)}, "probe_words"),
    ],
)
def test_a_faulty_configuration_is_refused(folder: Path, pair: RasterPair, tiny_model: str, change, reason) -> None:
    from geomm_engine.contract import encode

    path = folder / "recette é.json"
    path.write_text(json.dumps(encode(scenes.config(tiny_model, pair, **change))), encoding="utf-8")
    with pytest.raises(EngineError, match=reason):
        read_chain_config(path)


def test_shipped_chain_recipes_are_valid() -> None:
    assert {path.stem for path in CHAIN_RECIPES.glob("*.toml")} == {"sentinel2_ten", "sentinel1"}
    for path in CHAIN_RECIPES.glob("*.toml"):
        read_chain_config(path)
