"""Several layers say what happened to each, in the colour of the worst."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from geomm_plugin.error_texts import Message
from geomm_plugin.gui.notice_bar import NoticeBar
from geomm_plugin.gui.run_messages import RunMessages


def say(messages: RunMessages, layer: str, kind: str) -> None:
    messages.say(SimpleNamespace(layer_name=layer), kind, Message(f"Said of {layer}.", "Do this.", f"log of {layer}"))


@pytest.mark.parametrize("order", [("north", "south"), ("south", "north")])
def test_the_worst_gives_the_colour_in_any_order(qgis_app, order):
    notice = NoticeBar()
    messages = RunMessages(notice)
    messages.begin(2)
    for layer in order:
        say(messages, layer, {"north": "error", "south": "warning"}[layer])
    assert notice._sign.text() == "✖"
    assert "north: Said of north. Do this." in notice.text
    assert "south: Said of south. Do this." in notice.text
    assert messages.has_any


def test_one_layer_is_not_named_and_is_forgotten(qgis_app):
    notice = NoticeBar()
    messages = RunMessages(notice)
    messages.begin(1)
    say(messages, "north", "error")
    say(messages, "north", "warning")
    assert notice._sign.text() == "⚠"
    assert "north:" not in notice.text
    assert not messages.has_any


def test_the_next_run_forgets_what_was_said(qgis_app):
    notice = NoticeBar()
    messages = RunMessages(notice)
    messages.begin(2)
    say(messages, "north", "error")
    messages.begin(2)
    assert not messages.has_any
    say(messages, "south", "info")
    assert notice._sign.text() == "ℹ"
    assert "north" not in notice.text
