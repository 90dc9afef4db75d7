from __future__ import annotations

from pathlib import Path

import pytest

from geomm_engine.contract import ClassEntry, ErrorCode, Level
from geomm_engine.errors import WordsError
from geomm_engine.scoring.class_list import checked, preset_ids, presets, read_class_list, with_colors

FOUR = (
    ClassEntry("forest", ("woodland", "trees")),
    ClassEntry("water"),
    ClassEntry("town", (), "#c0392b"),
    ClassEntry("cloud", (), "", True),
)

FILES = {
    "liste é 1.txt": "# my classes\nforest (woodland; trees)\n\nwater\ntown #C0392B\n!cloud\n",
    "liste é 2.csv": "name,synonyms,color,negative\nforest,woodland; trees,,\nwater,,,no\ntown,,#c0392b,\ncloud,,,yes\n",
    "liste é 3.csv": "\ufeffName;Synonyms;Colour;Negative\nforest;woodland|trees;;\nwater;;;\ntown;;#c0392b;\ncloud;;;x\n",
    "liste é 4.json": """{"classes": [{"name": "forest", "synonyms": ["woodland", "trees"]}, "water",
        {"name": "town", "color": "#c0392b"}, {"name": "cloud", "negative": true}]}""",
    "liste é 5.toml": """classes = [{name = "forest", synonyms = ["woodland", "trees"]}, "water",
        {name = "town", colour = "#c0392b"}, {name = "cloud", negative = true}]""",
    "liste é 6.toml": """[[class]]\nname = "forest"\nsynonyms = "woodland; trees"\n[[class]]\nname = "water"
        [[class]]\nname = "town"\ncolor = "#c0392b"\n[[class]]\nname = "cloud"\nnegative = true\n""",
}


@pytest.mark.parametrize(
    "text",
    [
        "forest (woodland; trees), water, town #c0392b, !cloud",
        "forest: woodland|trees, water; town #C0392B; not cloud",
        "  forest ( woodland, trees )\n“water”\ntown#c0392b,\n ! cloud ,",
    ],
)
def test_typed_lists(text: str) -> None:
    assert read_class_list(text) == (FOUR, ())


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    assert read_class_list(str(tmp_path / name)) == (FOUR, ())
    assert read_class_list(tmp_path / name) == (FOUR, ())


def test_names_are_kept_as_typed_but_for_blanks() -> None:
    assert [entry.name for entry in read_class_list("Solar  farm, notary office, river's mouth")[0]] == [
        "Solar farm",
        "notary office",
        "river's mouth",
    ]


@pytest.mark.parametrize("text", ["", " ", ",,;", "!cloud, not shadow", "other", "background, none"])
def test_a_list_without_a_class_is_refused(text: str) -> None:
    with pytest.raises(WordsError) as refused:
        read_class_list(text)
    assert refused.value.code is ErrorCode.CLASS_LIST_EMPTY


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("forest, water, Forest", "Row 3"),
        ("forest #12", "#12"),
        ("forest #green", "#green"),
        ("forest, (trees)", "Row 2"),
        ("forest (a) (b)", "cannot be understood"),
        (", ".join(f"class {number}" for number in range(255)), "254"),
        ("no such file.csv", "no such file.csv"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(text: str, named: str) -> None:
    with pytest.raises(WordsError) as refused:
        read_class_list(text)
    assert refused.value.code is ErrorCode.CLASS_LIST_INVALID
    assert named in refused.value.text
    assert refused.value.cure


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("a.json", '{"classes": [\n{"name": "forest",}]}', "Line 2"),
        ("a.json", '{"names": ["forest"]}', "classes"),
        ("a.json", '{"classes": ["forest", 3]}', "Row 2"),
        ("a.json", '{"classes": [{"name": "forest", "colr": "#112233"}]}', "colr"),
        ("a.toml", 'classes = ["forest"', "Unclosed"),
        ("a.csv", "forest,water\n", "Line 1"),
        ("a.csv", "name,negative\nforest,maybe\n", "Row 1"),
        ("a.csv", "name,color\nforest,red\n", "red"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, text: str, named: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(WordsError) as refused:
        read_class_list(tmp_path / name)
    assert refused.value.code is ErrorCode.CLASS_LIST_INVALID
    assert named in refused.value.text
    assert name in refused.value.text


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("forêt".encode("latin-1"))
    with pytest.raises(WordsError, match="UTF-8"):
        read_class_list(tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["other", "Background", "none", "Unknown", "everything else"])
def test_other_is_no_class(name: str) -> None:
    entries, notes = read_class_list(f"forest, {name}, water")
    assert [entry.name for entry in entries] == ["forest", "water"]
    assert [(note.level, note.facts["name"]) for note in notes] == [(Level.AMBER, name)]


def test_the_words_of_other_become_a_negative() -> None:
    entries, notes = read_class_list("forest, other (cloud; shadow)")
    assert entries[1] == ClassEntry("cloud", ("shadow",), "", True)
    assert len(notes) == 1


def test_synonyms_are_tidied() -> None:
    entries, _ = checked([ClassEntry("forest", ("Forest", " trees ", "trees", ""))])
    assert entries[0].synonyms == ("trees",)


def test_colours_are_usual_distinct_and_chosen_ones_stay() -> None:
    names = ("pine forest", "forest", "lake", "town", "thing", "A", "B", "C")
    colored = with_colors([*(ClassEntry(name) for name in names), ClassEntry("mine", (), "#123456")])
    colors = [entry.color for entry in colored]
    assert colors[0] == "#1b7837"
    assert colors[2] == "#2b7bba"
    assert colors[-1] == "#123456"
    assert len(set(colors)) == len(colors)


def test_there_are_colours_for_the_longest_list() -> None:
    colored = with_colors(ClassEntry(f"class {number}") for number in range(254))
    assert len({entry.color for entry in colored}) == 254


def test_presets() -> None:
    assert {preset.id: sum(not entry.is_negative for entry in preset.classes) for preset in presets()} == {
        "land-cover-6": 6,
        "eurosat-10": 10,
        "esa-worldcover": 11,
        "corine-level-1": 5,
        "lcz-17": 17,
    }
    for preset in presets():
        entries, notes = checked(preset.classes)
        assert (entries, notes) == (preset.classes, ())
        assert len({entry.color for entry in entries}) == len(entries)
        assert all(entry.synonyms for entry in entries)


def test_land_cover_6_holds_the_six_descriptions() -> None:
    entries, _ = read_class_list("land-cover-6")
    assert {entry.name for entry in entries if not entry.is_negative} == {
        "forest",
        "urban",
        "water",
        "agriculture",
        "desert",
        "grassland",
    }
    assert "water body such as lake or river" in {entry.name: entry.synonyms for entry in entries}["water"]


def test_a_preset_is_read_by_its_id() -> None:
    assert preset_ids()[0] == "land-cover-6"
    assert read_class_list("eurosat-10") == (presets()[1].classes, ())
