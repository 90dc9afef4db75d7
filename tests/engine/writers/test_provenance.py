from __future__ import annotations

import dataclasses
import json

from tests.engine.writers.making import PROVENANCE


def test_json_holds_every_field() -> None:
    told = json.loads(PROVENANCE.to_json())
    assert set(told) == {field.name for field in dataclasses.fields(PROVENANCE)}
    assert told["model"] == {"id": "geomm-nano", "version": "0.1", "card_sha256": "ab" * 32}
    assert told["prompts"] == {"water": ["a satellite photo of water"]}


def test_json_does_not_depend_on_the_order_of_settings() -> None:
    one = dataclasses.replace(PROVENANCE, parameters={"a": 1, "b": 2})
    other = dataclasses.replace(PROVENANCE, parameters={"b": 2, "a": 1})
    assert one.to_json() == other.to_json()


def test_tiff_time_has_colons() -> None:
    assert PROVENANCE.tiff_tags["TIFFTAG_DATETIME"] == "2026:11:20 20:48:00"


def test_a_result_without_a_model_is_described() -> None:
    assert "with" not in dataclasses.replace(PROVENANCE, model=None).sentence
