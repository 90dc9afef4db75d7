"""Phrases teach the text tower language before and beside the pictures, and a damaged file stops before the first step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from geomm_engine.errors import EngineError, WordsError
from geomm_engine.networks.text_tower import TextTower
from geomm_engine.progress import Progress, run
from geomm_engine.training.captions import read_captions
from geomm_engine.training.class_folds import evaluate_folds
from geomm_engine.training.config import PhraseLessons, Vocabulary, find_config, read_config
from geomm_engine.training.contrastive import Trainer, train_contrastive
from geomm_engine.training.data import Lessons, load_tokenizer
from geomm_engine.training.language import learn_language, untaught
from geomm_engine.training.phrases import read_phrases
from geomm_engine.training.recipe_files import RECIPES
from geomm_engine.training.words import read_held_out
from tests.engine.training.written_recipe import written_recipe

NEAR = {"lake": "mere", "wood": "copse", "town": "burgh"}
"""Words that lie together; the second ones stand in no caption of the drawn recipe."""


def phrase_file(folder: Path, *, weights: int | None = None) -> Path:
    """Six words in three directions."""
    texts = [*NEAR, *NEAR.values()]
    vectors = np.tile(np.eye(3, dtype=np.int8) * 127, (2, 1))
    path = folder / "phrases é.npz"
    blob = np.frombuffer("\n".join(texts).encode("utf-8"), np.uint8)
    every = np.ones(weights or len(texts), np.uint8)
    np.savez_compressed(path, texts=blob, vectors=vectors, weights=every, general=every * (np.arange(len(every)) > 0))
    return path


def lessons_with(folder: Path, steps: int) -> Lessons:
    plan = PhraseLessons((str(phrase_file(folder)),), steps, batch=24, learning_rate=5e-3, beside=12)
    return Lessons(replace(read_config(find_config("drawn")), phrases=plan), folder)


def cosines(tower: TextTower, head: torch.nn.Linear, lessons: Lessons) -> np.ndarray:
    with torch.no_grad():
        said = functional.normalize(head(tower.meaning(lessons.tokens([*NEAR, *NEAR.values()]))), dim=1)
    return (said @ said.T).numpy()


def test_words_that_belong_together_come_together(folder: Path) -> None:
    lessons = lessons_with(folder, 200)
    tower = TextTower(lessons.config.network.text)
    for language, is_taught in ((untaught(lessons), False), (run(learn_language(lessons)), True)):
        tower.load_state_dict(language.tower)
        cosine = cosines(tower, language.head_on("cpu"), lessons)
        same = np.diag(cosine[:3, 3:]).mean()
        other = cosine[:3, 3:][~np.eye(3, dtype=bool)].mean()
        assert (same - other > 0.8) == is_taught, (same, other)


def test_language_is_the_same_every_time(folder: Path) -> None:
    lessons = lessons_with(folder, 3)
    first, second = run(learn_language(lessons)), run(learn_language(lessons))
    assert all(torch.equal(value, second.tower[name]) for name, value in first.tower.items())
    assert all(torch.equal(value, second.head[name]) for name, value in first.head.items())


def test_trainer_starts_from_the_words_and_goes_on_learning_them(folder: Path) -> None:
    lessons = lessons_with(folder, 30)
    language = run(learn_language(lessons))
    trainer = Trainer(lessons.config, lessons, "cpu", (), language)
    assert torch.equal(trainer.network.text.embedding.weight, language.tower["embedding.weight"])
    assert torch.equal(trainer.average.text.embedding.weight, language.tower["embedding.weight"])
    before = trainer.phrase_head.weight.detach().clone()
    for batch in trainer.batches(12):
        assert batch.phrases.vectors.shape == (12, 3)
        trainer.learn(batch)
    assert not torch.equal(trainer.phrase_head.weight, before)
    cosine = cosines(trainer.network.text, trainer.phrase_head, lessons)
    assert np.diag(cosine[:3, 3:]).min() > 0.5


def test_run_with_phrases_resumes_bit_equal(folder: Path) -> None:
    recipe = (RECIPES / "drawn.toml").read_text(encoding="utf-8")
    recipe += f'\n[phrases]\nfiles = ["{phrase_file(folder).as_posix()}"]\nsteps = 3\nbatch = 12\nbeside = 6\n'
    changes = (("check_every = 20", "check_every = 2"),)
    whole = written_recipe(folder / "whole.toml", recipe, (("steps = 60", "steps = 4"), *changes))
    half = written_recipe(folder / "half.toml", recipe, (("steps = 60", "steps = 4\nstop_after = 2"), *changes))
    stages = [item.stage for item in train_contrastive(whole, folder / "a", data=folder) if isinstance(item, Progress)]
    assert stages == ["words"] * 3 + ["train"] * 4
    run(train_contrastive(half, folder / "b", data=folder))
    run(train_contrastive(whole, folder / "b", data=folder, is_resumed=True))
    states = [torch.load(folder / name / "checkpoint.pt", weights_only=True) for name in "ab"]
    assert states[0]["extra"].keys() == {"anchors", "phrase_head.weight", "phrase_head.bias"}
    for part in ("network", "average", "extra"):
        assert all(torch.equal(value, states[1][part][name]) for name, value in states[0][part].items())


def test_class_folds_learn_no_phrase_that_only_captions_say(folder: Path) -> None:
    path = phrase_file(folder)
    all_of_them, general = read_phrases([path]), read_phrases([path], has_captions=False)
    random = np.random.default_rng(0)
    assert set(all_of_them.draw(500, random)) == set(range(6))
    assert set(general.draw(500, random)) == set(range(1, 6))
    config = read_config(find_config("drawn"))
    config = replace(
        config, schedule=replace(config.schedule, steps=1), phrases=PhraseLessons((str(path),), 1, beside=4)
    )
    seen: list[Lessons] = []
    with pytest.MonkeyPatch.context() as patch:
        draw = Lessons.phrase_batch
        patch.setattr(Lessons, "phrase_batch", lambda self, *args: seen.append(self) or draw(self, *args))
        run(evaluate_folds([config], folder, folder / "out", count=2))
    assert seen
    assert all(item.phrases.chance[0] == 0 for item in seen)


def test_no_phrases_beside_the_pictures_is_a_choice(folder: Path) -> None:
    plan = PhraseLessons((str(phrase_file(folder)),), 0, beside=0)
    lessons = Lessons(replace(read_config(find_config("drawn")), phrases=plan), folder)
    assert lessons.batch(np.random.default_rng(0)).phrases is None


@pytest.mark.parametrize("line", ["beside = -1", "steps = -1", "batch = 0"])
def test_counts_of_phrases_are_checked(folder: Path, line: str) -> None:
    recipe = (RECIPES / "drawn.toml").read_text(encoding="utf-8") + f"\n[phrases]\n{line}\n"
    with pytest.raises(EngineError, match="phrases"):
        read_config(written_recipe(folder / "recipe.toml", recipe, ()))


def test_a_phrase_that_is_too_long_stops_before_the_first_step(folder: Path) -> None:
    path = folder / "phrases.npz"
    blob = np.frombuffer(b"lake\n" + b"x" * 90, np.uint8)
    np.savez(path, texts=blob, vectors=np.eye(2, dtype=np.int8), weights=np.ones(2), general=np.ones(2))
    with pytest.raises(WordsError, match="too long"):
        Lessons(replace(read_config(find_config("drawn")), phrases=PhraseLessons((str(path),))), folder)


@pytest.mark.parametrize("fault", ["absent", "empty", "cut", "flipped", "parts"])
def test_damaged_phrases_stop_before_the_first_step(folder: Path, fault: str) -> None:
    path = phrase_file(folder, weights=4 if fault == "parts" else None)
    if fault == "absent":
        path.unlink()
    elif fault in ("empty", "cut"):
        path.write_bytes(path.read_bytes()[: 100 if fault == "cut" else 0])
    elif fault == "flipped":
        stored = bytearray(path.read_bytes())
        stored[80:90] = bytes(10)
        path.write_bytes(stored)
    config = replace(read_config(find_config("drawn")), phrases=PhraseLessons((str(path),)))
    with pytest.raises(WordsError) as caught:
        Lessons(config, folder)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "captions_file"), [("phrases_4_0.npz", "captions_4_0.toml"), ("phrases_minilm.npz", "captions.toml")]
)
def test_shipped_phrases_know_what_is_near_and_hold_no_test_wording(name: str, captions_file: str) -> None:
    phrases = read_phrases([RECIPES.parent / name])
    row = {text: at for at, text in enumerate(phrases.texts)}
    assert len(row) == len(phrases.texts) > 50_000
    assert len(set(phrases.merges)) == len(phrases.merges) == 8192
    assert phrases.chance.sum() == pytest.approx(1.0)
    captions = read_captions(RECIPES.parent / captions_file)
    assert set(captions.classes.values()) <= set(row)

    def cosine(one: str, other: str) -> float:
        return float(phrases.vectors[row[one]] @ phrases.vectors[row[other]])

    assert cosine("car park", "parking lot") > cosine("car park", "national park")
    assert cosine("woodland", "forest") > cosine("woodland", "harbor")
    own = {text for concept in captions.concept for text in (*concept.words, *concept.sentences)}
    by_class, strange = read_held_out()
    held_out = {*strange, *(text for texts in by_class.values() for text in texts)} - own
    assert not held_out & set(row)


def test_vocabulary_of_the_phrases_spells_common_words_in_one_piece(folder: Path) -> None:
    config = read_config(find_config("geomm_nano_words"))
    phrases = read_phrases([RECIPES.parent / name for name in config.phrases.files])
    tokenizer = load_tokenizer(config, folder, phrases)

    def pieces(text: str) -> list[str]:
        return [piece for piece in tokenizer.encode(text).tokens if "!" not in piece][1:-1]

    assert pieces("orchard and motorway") == ["orchard", "and", "motorway"]
    assert pieces("carpark") == pieces("car park") == ["car", "park"]
    assert pieces("hedgerows on a clifftop") == ["hedge", "row", "s", "on", "a", "cliff", "top"]
    with pytest.raises(WordsError, match="holds merges"):
        load_tokenizer(config, folder)
    with pytest.raises(WordsError, match="514 tokens"):
        load_tokenizer(replace(config, vocabulary=Vocabulary("", 0)), folder)


def test_files_of_unlike_vectors_are_refused(folder: Path) -> None:
    one = phrase_file(folder)
    other = folder / "others.npz"
    blob = np.frombuffer(b"lake", np.uint8)
    np.savez(other, texts=blob, vectors=np.ones((1, 4), np.int8), weights=np.ones(1), general=np.ones(1))
    with pytest.raises(WordsError, match="of another kind") as caught:
        read_phrases([one, other])
    assert other.name in str(caught.value)


def test_files_that_say_nothing_general_or_spell_twice_are_refused(folder: Path) -> None:
    path = phrase_file(folder)
    with np.load(path) as stored:
        parts = dict(stored)
    np.savez(path, **{**parts, "general": np.zeros(len(parts["weights"])), "merges": np.frombuffer(b"a b", np.uint8)})
    assert read_phrases([path]).merges == (("a", "b"),)
    with pytest.raises(WordsError, match="nothing is left"):
        read_phrases([path], has_captions=False)
    spelled = {**parts, "merges": np.frombuffer(b"a b", np.uint8)}
    np.savez(path, **spelled, counts=np.ones(257, np.int32))
    assert read_phrases([path]).counts == (1,) * 257
    np.savez(path, **spelled, counts=np.ones(256, np.int32))
    with pytest.raises(WordsError, match="do not belong together"):
        read_phrases([path])
    np.savez(path, **spelled)
    with pytest.raises(WordsError, match="merges too"):
        read_phrases([path, path])
