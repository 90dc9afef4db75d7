"""The grammar of typed and pasted class lists."""

from geomm_plugin.class_list import PALETTE, colored, free_color, parse_class_list, split_words
from geomm_plugin.client.contract import ClassEntry


def test_names_synonyms_and_negatives():
    found = parse_class_list(' forest: woodland|trees, water;  "solar farm"\n!cloud,, Forest')
    assert found == (
        ClassEntry("forest", ("woodland", "trees")),
        ClassEntry("water"),
        ClassEntry("solar farm"),
        ClassEntry("cloud", is_negative=True),
    )


def test_nothing_gives_nothing():
    assert parse_class_list("  , ;\n") == ()


def test_colours_are_usual_and_never_twice():
    found = colored([ClassEntry("water"), ClassEntry("lake"), *(ClassEntry(f"thing {place}") for place in range(9))])
    assert found[0].color == "#2b7bba"
    assert len({entry.color for entry in found}) == len(found)


def test_a_chosen_colour_stays():
    assert colored([ClassEntry("water", color="#123456")])[0].color == "#123456"


def test_words_of_a_field():
    assert split_words("lake, river ;sea|") == ("lake", "river", "sea")


def test_a_free_colour_is_not_taken_for_another():
    assert free_color(["#1b7837"]) != "#117733"  # forest's green
    assert free_color(PALETTE) in PALETTE
