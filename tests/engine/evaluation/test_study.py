"""Whole evaluations of small sets with the tiny model: numbers, files, refusals."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from geomm_engine.cli import main
from geomm_engine.contract import ErrorCode, encode
from geomm_engine.errors import EngineError
from geomm_engine.evaluation import files
from geomm_engine.evaluation.lights import LIGHTS
from geomm_engine.evaluation.study import Evaluation, Part, Study, evaluate
from geomm_engine.progress import run
from tests.engine.tiny_model import COLORS

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

WORDS = {"Forest": "forest", "Water": "water", "Town": "town", "Crops": "crops"}


def picture(word: str, seed: int, size: int = 32) -> Image.Image:
    color = np.array(COLORS[word]) * 255
    values = color + np.random.default_rng(seed).normal(0, 6, (size, size, 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


@pytest.fixture
def pictures(folder: Path) -> Path:
    """Six pictures each of four classes; one of Water shows a town."""
    root = folder / "jeu d'été"
    for name, word in WORDS.items():
        (root / name).mkdir(parents=True)
        for at in range(6):
            shown = "town" if (name, at) == ("Water", 0) else word
            picture(shown, at, 40 if at == 1 else 32).save(root / name / f"é{at}.png")
    return root


def measured(path: Path, model: str, *parts: Part, **options: object) -> Evaluation:
    options = {"gsd_m": (10.0,)} | options
    return run(evaluate(Study((path,), frozenset(parts or Part), model=model, **options)))  # type: ignore[arg-type]


def test_everything_of_a_small_set(pictures: Path, tiny_model: str) -> None:
    found = measured(pictures, tiny_model).report.sets[0]
    assert found.zero_shot is not None
    assert found.zero_shot.top1 == pytest.approx(23 / 24)
    assert found.zero_shot.unknown is not None
    assert found.zero_shot.unknown.auroc > 0.8
    assert [item.path for item in found.zero_shot.worst] == ["Water/é0.png"]
    assert [base.learns for base in found.zero_shot.baselines] == [False, False, True, True, True, True]
    assert found.knn is not None
    assert found.knn.row("Tiny", "nearest centroid").top1 >= 22 / 24
    assert {row.features for row in found.knn.rows} == {"Tiny", "band mean and deviation", "random convolution"}
    assert found.retrieval is not None
    assert found.retrieval.picture_to_text.recall[0].value == pytest.approx(23 / 24)
    assert found.scales is not None
    assert [row.gsd_m for row in found.scales.rows] == [10.0, 20.0]
    assert found.lights is not None
    assert [row.name for row in found.lights.rows] == ["as they are", *LIGHTS]
    assert found.lights.rows[0].top1 == found.zero_shot.top1


def test_a_part_that_was_not_asked_for_is_absent(pictures: Path, tiny_model: str) -> None:
    found = measured(pictures, tiny_model, Part.SCALES).report.sets[0]
    assert found.scales is not None
    assert (found.zero_shot, found.retrieval, found.knn, found.lights) == (None, None, None, None)


def test_the_same_study_gives_the_same_numbers(pictures: Path, tiny_model: str) -> None:
    parts = (Part.RETRIEVAL, Part.SCALES)
    one, other, third = (measured(pictures, tiny_model, *parts, limit=4, seed=seed).report for seed in (3, 3, 4))
    assert one.sets == other.sets
    assert one.sets[0].pictures == 16
    assert third.sets != one.sets


def test_captions_and_wordings(pictures: Path, folder: Path, tiny_model: str) -> None:
    path = folder / "jeu d'été_captions.csv"
    lines = [f"{name}/é{at}.png,{name},{word}" for name, word in WORDS.items() for at in range(6)]
    long = f"Town/é2.png,Town,{'town ' * 30}"
    path.write_text("\n".join(["image,class,caption", *lines, long, "Town/absent.png,Town,town"]), encoding="utf-8")
    (folder / "w.toml").write_text('Forest = ["woodland", "snow"]', encoding="utf-8")
    options = {"wordings": folder / "w.toml"}
    found = measured(path, tiny_model, Part.RETRIEVAL, **options).report.sets[0].retrieval
    assert found is not None
    merged, by_line = found.captions
    assert (merged.text_to_picture.queries, by_line.text_to_picture.queries) == (4, 24)
    assert merged.picture_to_text.recall[0].value == pytest.approx(23 / 24)
    assert (found.captions_too_long, found.captions_absent) == (1, 1)
    assert [(row.wording, row.precision_20) for row in found.wordings] == [("woodland", 1), ("snow", 0)]


def test_one_of_a_kind_leaves_a_note(pictures: Path, tiny_model: str) -> None:
    found = measured(pictures, tiny_model, limit=1).report.sets[0]
    assert found.knn is None
    assert "single picture" in found.notes[0]
    assert found.zero_shot is not None
    assert len(found.zero_shot.baselines) == 2


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_the_table_holds_every_answer(
    pictures: Path, folder: Path, tiny_model: str
) -> None:
    odd = pictures.rename(folder / "a <b> & é")
    evaluation = measured(odd, tiny_model)
    written = files.write(evaluation, folder / "out")
    assert [path.name for path in written] == ["report.html", "report.json", "answers-a <b> & é.csv"]
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert links.open == []
    assert len(links.sources) == 4  # confusion, reliability, one wrong picture, scales
    assert all(source.startswith("data:image/") for source in links.sources)
    assert "a &lt;b&gt; &amp; é" in page
    assert "warm colours" in page
    assert str(folder) not in page
    assert json.loads((folder / "out" / "report.json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(encode(evaluation.report))
    )
    rows = list(csv.DictReader(io.StringIO(written[2].read_text(encoding="utf-8"))))
    assert len(rows) == 24
    assert [row["picture"] for row in rows if row["true"] != row["said"]] == ["Water/é0.png"]


def test_a_zip_on_the_command_line_gives_one_json_object(
    pictures: Path, folder: Path, tiny_model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for path in pictures.rglob("*.png"):
            archive.write(path, path.relative_to(pictures))
    command = ["evaluate", "all", str(folder / "set.zip"), "--gsd", "10", "--model", tiny_model, "--limit", "5"]
    assert main([*command, "--scales", "20", "--json", "--output", str(folder / "out")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["sets"][0]["pictures"] == 20
    assert [row["gsd_m"] for row in printed["sets"][0]["scales"]["rows"]] == [10, 20]
    assert (folder / "out" / "report.html").is_file()
    for kind in ("zero-shot", "retrieval", "scales", "lights"):
        assert main(["evaluate", kind, str(pictures), "--gsd", "10", "--model", tiny_model]) == 0
    out = capsys.readouterr().out
    assert "10 → 20 m" in out  # one ground pixel alone: that and its octaves
    assert "top-1 95.8%" in out
    assert "class name → pictures" in out
    assert "half the sun" in out


@pytest.mark.parametrize("gsd_m", [0.0, -5.0, float("nan"), 1000.0])
def test_a_ground_pixel_that_the_model_does_not_read_is_refused(pictures: Path, tiny_model: str, gsd_m: float) -> None:
    with pytest.raises(EngineError) as refusal:
        measured(pictures, tiny_model, gsd_m=(gsd_m,))
    assert refusal.value.code is ErrorCode.GSD_OUT_OF_RANGE


def test_odd_questions_are_refused(pictures: Path, tiny_model: str, folder: Path) -> None:
    for options, reason in (
        ({"gsd_m": (1.0, 2.0)}, "2 ground pixels for 1 sets"),
        ({"scales_m": (5.0,)}, "cannot be seen at 5 m"),
        ({"captions": folder / "absent.csv"}, "cannot be read"),
    ):
        with pytest.raises(EngineError, match=reason):
            measured(pictures, tiny_model, **options)
    small = measured(pictures, tiny_model, Part.PROBE, split="validation")
    assert small.report.sets[0].pictures == 4


def test_rasters_that_are_no_pictures_are_refused(folder: Path, tiny_model: str) -> None:
    for name in ("a", "b"):
        (folder / "ms" / name).mkdir(parents=True)
        profile = {"driver": "GTiff", "width": 8, "height": 8, "count": 13, "dtype": "uint16"}
        with rasterio.open(folder / "ms" / name / "stack.tif", "w", **profile) as dataset:
            dataset.write(np.full((13, 8, 8), 900, dtype=np.uint16))
    with pytest.raises(EngineError, match="8-bit") as refusal:
        measured(folder / "ms", tiny_model)
    assert refusal.value.code is ErrorCode.FOLDER_INVALID
