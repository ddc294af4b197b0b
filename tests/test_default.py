"""The public functions, each test in a program of its own as far as the default tally goes."""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Iterator

import pytest

import tallygate
from tallygate import default
from tallygate.facts import LLMCall
from tallygate.record import default as recorders
from tests.record.reading import only_row


@pytest.fixture(autouse=True)
def _no_tally_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(recorders.default, "recorder", recorders.default.nowhere)
    monkeypatch.setattr(default, "_settings", None)
    yield
    if isinstance(recorders.default.recorder, tallygate.Tally):
        recorders.default.recorder.close()


def test_the_version_is_that_of_the_package() -> None:
    assert tallygate.__version__ == importlib.metadata.version("tallygate")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tallygate.nonsense


def test_a_program_in_full() -> None:
    tally = tallygate.init(service="shop", custom_labels=["my-team"])
    with tallygate.context(route="chat"), tallygate.track_llm_call("openai", "gpt-4o", my_team="red") as call:
        call.usage(input_tokens=1000, output_tokens=200)
    row = only_row(tally, LLMCall)
    assert (row.dimensions["route"], row.dimensions["my_team"], row.sums["cost"]) == ("chat", "red", 450_000_000)
    assert tallygate.render() != b""
    assert b"own_unknown" not in tallygate.render(names={"own_unknown"})


def test_init_again_with_equal_settings_is_the_same() -> None:
    first = tallygate.init(service="shop", custom_labels=["a", "b"])
    assert tallygate.init(custom_labels=["a", "b"], service="shop") is first
    with pytest.raises(tallygate.AlreadyInitialised, match="with another environment, service; call it once"):
        tallygate.init(service="other", custom_labels=["a", "b"], environment="test")


@pytest.mark.parametrize(
    ("word", "enabled"), [("true", True), ("1", True), ("FALSE", False), ("0", False), ("", False)]
)
def test_the_environment_turns_metrics_off(monkeypatch: pytest.MonkeyPatch, word: str, enabled: bool) -> None:
    monkeypatch.setenv("METRICS_ENABLED", word)
    assert tallygate.init().enabled is enabled


def test_an_argument_wins_over_the_environment_and_another_word_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_ENABLED", "maybe")
    with pytest.raises(ValueError, match="METRICS_ENABLED='maybe' is neither true nor false; say one of them"):
        tallygate.init()
    assert tallygate.init(enabled=True).enabled


def test_a_failed_init_can_be_mended() -> None:
    with pytest.raises(ValueError, match="custom label 'provider'"):
        tallygate.init(custom_labels=["provider"])
    tallygate.init(custom_labels=["supplier"])


def test_trackers_made_before_init_work_after_it() -> None:
    early = tallygate.track_llm_call("openai", "gpt-4o")
    lost = tallygate.track_llm_call("openai", "gpt-4o").start()
    tally = tallygate.init()
    lost.usage(9, 9)
    assert lost.finish() is False
    with early as call:
        call.usage(1, 1)
    assert only_row(tally, LLMCall).sums["total_tokens"] == 2


def test_before_init_nothing_is_recorded_and_nothing_breaks() -> None:
    with tallygate.track_llm_call("openai", "gpt-4o", stream=True, my_team="x") as call:
        call.content()
        call.usage(1, 1)
        call.attempt(seconds=1)
    with pytest.raises(RuntimeError, match=r"call tallygate\.init\(\) first"):
        tallygate.render()


def test_functions_show_their_own_arguments() -> None:
    assert str(inspect.signature(tallygate.set_trials)) == "(status: 'str', count: 'float') -> 'None'"
