"""Every code has words of its own."""

import pytest

from geomm_plugin.client import contract, failure
from geomm_plugin.client.failure import Failure
from geomm_plugin.error_texts import ErrorTexts

OWN = [value for name, value in vars(failure).items() if name.startswith("ENGINE_")]


@pytest.mark.parametrize("code", [*(code.value for code in contract.ErrorCode), *OWN])
@pytest.mark.parametrize("is_english", [True, False])
def test_every_code_has_a_cause_and_a_cure(code, is_english):
    message = ErrorTexts(is_english=is_english).failure(Failure(code))
    assert message.cause
    assert message.cause != code
    assert message.cure
    assert "{" not in message.text


def test_the_engines_own_words_win_in_english():
    failure_ = Failure("raster_missing", "The file /a is gone.", "Bring it back.")
    assert ErrorTexts().failure(failure_).text == "The file /a is gone. Bring it back."
    assert "/a" not in ErrorTexts(is_english=False).failure(failure_).text


def test_an_unknown_code_falls_back_to_the_engines_words():
    assert ErrorTexts(is_english=False).failure(Failure("new_code", "Cause.", "Cure.")).text == "Cause. Cure."


def test_braces_in_the_engines_words_do_no_harm():
    assert ErrorTexts().failure(Failure("internal", "a {b} c", "d")).cause == "a {b} c"


def test_facts_fill_the_sentence():
    message = ErrorTexts().failure(Failure(failure.ENGINE_STOPPED, facts={"exit_code": 9}))
    assert "exit code 9" in message.cause
