"""The client against a well-behaved engine and against every bad one."""

import os

import pytest

from geomm_plugin import log
from geomm_plugin.client import contract, engine_client, failure
from geomm_plugin.client.engine_client import EngineState
from geomm_plugin.error_texts import ErrorTexts

LONG_MS = 20_000


def embed():
    return contract.EmbedParams(contract.RasterSource(("/nowhere/é a.tif",)))


def outcome(qtbot, call):
    """The result of a call, or its failure."""
    got = []
    call.succeeded.connect(got.append)
    call.failed.connect(got.append)
    qtbot.waitUntil(lambda: bool(got), timeout=LONG_MS)
    return got[0]


def test_job_reports_progress_and_result(make_client, qtbot):
    client = make_client("well_behaved")
    call = client.send("embed", embed())
    notes = []
    call.progressed.connect(notes.append)
    result = outcome(qtbot, call)
    assert isinstance(result, contract.EmbedResult)
    assert [note.done for note in notes] == list(range(1, 21))
    assert client.state is EngineState.READY
    assert client.hello.devices[0].name == "CPU, 2 threads"


def test_states_follow_the_work(make_client, qtbot):
    client = make_client("well_behaved")
    states = []
    client.state_changed.connect(states.append)
    outcome(qtbot, client.send("embed", embed()))
    assert states == [EngineState.STARTING, EngineState.READY, EngineState.WORKING, EngineState.READY]


def test_cancel_is_answered(make_client, qtbot):
    client = make_client("slow")
    call = client.send("embed", embed())
    with qtbot.waitSignal(call.progressed, timeout=LONG_MS):
        pass
    call.cancel()
    assert outcome(qtbot, call).code == contract.ErrorCode.CANCELLED.value
    assert client.state is EngineState.READY


def test_cancel_before_the_engine_is_up(make_client, qtbot):
    call = make_client("slow").send("embed", embed())
    got = []
    call.failed.connect(got.append)
    call.cancel()
    assert got[0].code == contract.ErrorCode.CANCELLED.value


def test_cancel_that_is_ignored_ends_in_a_kill_and_the_next_job_runs(make_client, qtbot, monkeypatch):
    monkeypatch.setattr(engine_client, "CANCEL_TIMEOUT_MS", 200)
    client = make_client("ignores_cancel")
    call = client.send("embed", embed())
    with qtbot.waitSignal(call.progressed, timeout=LONG_MS):
        pass
    pid = client.pid()
    call.cancel()
    assert outcome(qtbot, call).code == contract.ErrorCode.CANCELLED.value
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    call = client.send("embed", embed())
    with qtbot.waitSignal(call.progressed, timeout=LONG_MS):
        pass
    assert client.pid() != pid


def test_what_is_asked_while_the_engine_closes_waits_for_the_next_one(make_client, qtbot, monkeypatch):
    monkeypatch.setattr(engine_client, "CANCEL_TIMEOUT_MS", 200)
    client = make_client("cancels_late")
    call = client.send("embed", embed())
    with qtbot.waitSignal(call.progressed, timeout=LONG_MS):
        pass
    pid = client.pid()
    call.cancel()
    assert outcome(qtbot, call).code == contract.ErrorCode.CANCELLED.value
    assert client.pid() == pid
    assert isinstance(outcome(qtbot, client.send("models/list", contract.Empty())), contract.ModelsResult)
    assert client.pid() != pid


def test_a_call_behind_one_that_must_be_killed_is_asked_again(make_client, qtbot, monkeypatch):
    monkeypatch.setattr(engine_client, "CANCEL_TIMEOUT_MS", 200)
    client = make_client("ignores_cancel")
    call, behind = client.send("embed", embed()), client.send("models/list", contract.Empty())
    with qtbot.waitSignal(call.progressed, timeout=LONG_MS):
        pass
    call.cancel()
    assert isinstance(outcome(qtbot, behind), contract.ModelsResult)


@pytest.mark.parametrize("is_running", [False, True])
def test_a_restart_loses_no_call(make_client, qtbot, is_running):
    client = make_client("well_behaved")
    call = client.send("embed", embed())
    with qtbot.waitSignal(call.progressed if is_running else client.state_changed, timeout=LONG_MS):
        pass
    pid = client.pid()
    client.restart()
    later, answers = client.send("models/list", contract.Empty()), []
    for asked in (call, later):
        asked.succeeded.connect(answers.append)
        asked.failed.connect(answers.append)
    qtbot.waitUntil(lambda: len(answers) == 2, timeout=LONG_MS)
    assert [type(answer) for answer in answers] == [contract.EmbedResult, contract.ModelsResult]
    assert client.pid() != pid


def test_engine_that_dies_at_start_says_why(make_client, qtbot):
    client = make_client("dies_at_start")
    found = outcome(qtbot, client.send("embed", embed()))
    assert found.code == failure.ENGINE_STOPPED
    assert found.facts["exit_code"] == 3
    assert "libmissing" in found.details
    assert client.state is EngineState.FAILED


def test_engine_that_dies_mid_job_fails_every_waiting_request(make_client, qtbot):
    client = make_client("dies_mid_job")
    first, second = client.send("embed", embed()), client.send("models/list", contract.Empty())
    second_got = []
    second.failed.connect(second_got.append)
    found = outcome(qtbot, first)
    assert found.code == failure.ENGINE_STOPPED
    assert "about to die" in found.details
    assert second_got[0].code == failure.ENGINE_STOPPED


def test_at_most_three_restarts_in_five_minutes(make_client, qtbot):
    client = make_client("dies_at_start")
    codes = [outcome(qtbot, client.send("embed", embed())).code for _ in range(5)]
    assert codes == [failure.ENGINE_STOPPED] * 4 + [failure.ENGINE_KEEPS_STOPPING]
    client.restart()
    qtbot.waitUntil(lambda: client.last_failure.code == failure.ENGINE_STOPPED, timeout=LONG_MS)


@pytest.mark.parametrize("name", ["prints_garbage", "floods_stderr"])
def test_noise_does_no_harm(make_client, qtbot, name):
    client = make_client(name)
    assert isinstance(outcome(qtbot, client.send("embed", embed())), contract.EmbedResult)
    assert len(client.stderr_tail()) <= 16_384


def test_a_program_that_only_prints_is_stopped(make_client, qtbot):
    assert outcome(qtbot, make_client("prints_only_garbage").send("embed", embed())).code == failure.ENGINE_GARBLED


def test_an_engine_that_never_answers_is_given_up(make_client, qtbot, monkeypatch):
    monkeypatch.setattr(engine_client, "HANDSHAKE_TIMEOUT_MS", 300)
    assert outcome(qtbot, make_client("never_answers").send("embed", embed())).code == failure.ENGINE_SILENT


def test_another_protocol_is_named(make_client, qtbot):
    found = outcome(qtbot, make_client("wrong_protocol").send("embed", embed()))
    assert found.code == contract.ErrorCode.PROTOCOL_MISMATCH.value
    assert found.facts == {"engine": "99", "plugin": contract.PROTOCOL}


def test_an_answer_of_the_wrong_shape_is_an_error(make_client, qtbot):
    client = make_client("answers_nonsense")
    assert outcome(qtbot, client.send("embed", embed())).code == failure.ENGINE_GARBLED
    assert client.state is EngineState.READY


def test_a_refusal_keeps_its_facts_and_cure(make_client, qtbot):
    found = outcome(qtbot, make_client("refuses").send("embed", embed()))
    assert (found.code, found.cure, found.facts) == ("bands_missing", "Name the bands.", {"missing": "nir"})


@pytest.fixture
def log_panel(qgis_app):
    """What QGIS's log panel shows under the plugin's tab."""
    lines = []

    def take(text, tag, _level):
        if tag == log.TAG:
            lines.append(text)

    qgis_app.messageLog().messageReceived.connect(take)
    yield lines
    qgis_app.messageLog().messageReceived.disconnect(take)


def test_a_mistake_of_the_engine_shows_what_it_wrote(make_client, qtbot, log_panel):
    client = make_client("fails_inside")
    found = outcome(qtbot, client.send("embed", embed()))
    assert found.code == contract.ErrorCode.INTERNAL.value
    assert "Traceback" in found.details
    assert "tile 17" in found.details
    assert client.state is EngineState.READY
    assert len(log_panel) == 1
    assert found.details in log_panel[0]
    assert "Details" in ErrorTexts().failure(found).cure


def test_why_an_engine_died_stays_in_the_log_panel(make_client, qtbot, log_panel):
    client = make_client("dies_at_start")
    client.send("models/list", contract.Empty())
    outcome(qtbot, client.send("embed", embed()))
    assert len(log_panel) == 1
    assert "libmissing" in log_panel[0]


def test_no_engine_is_a_state_of_its_own(qgis_app, qtbot):
    client = engine_client.EngineClient(lambda: None)
    assert outcome(qtbot, client.send("embed", embed())).code == failure.ENGINE_ABSENT
    assert client.state is EngineState.ABSENT


def test_dispose_ends_the_process(make_client, qtbot):
    client = make_client("slow")
    with qtbot.waitSignal(client.send("embed", embed()).progressed, timeout=LONG_MS):
        pass
    pid = client.pid()
    client.dispose()

    def is_gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    qtbot.waitUntil(is_gone, timeout=LONG_MS)
