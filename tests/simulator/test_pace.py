"""Times are drawn from the seed and the request; settings that make no sense are refused by name."""

from statistics import median

import pytest

from tallygate.simulator import Settings, Simulator
from tallygate.simulator.answer import Answer, Ask, Usage
from tallygate.simulator.behaviours import marks_of
from tallygate.simulator.pace import Pace

from .raw import ask, only_call


def answer(model: str = "m", *, stream: bool = True, digest: str = "d") -> Answer:
    """An answer of ten tokens."""
    return Answer(Ask(model, stream), marks_of(model), Usage(1, 10), digest, 0)


def test_a_stream_waits_for_head_first_token_and_each_further_one() -> None:
    pace = Pace(Settings(latency=0.5, time_to_first_token=2.0, time_per_token=0.25), answer(), 0)
    assert (pace.head(), pace.content(), pace.content(), pace.content()) == (0.5, 2.0, 0.25, 0.25)


def test_a_document_waits_as_long_before_its_head() -> None:
    settings = Settings(latency=0.5, time_to_first_token=2.0, time_per_token=0.25)
    assert Pace(settings, answer(stream=False), 0).head() == 5.0


def test_behaviours_add_their_waits() -> None:
    pace = Pace(Settings(), answer("m+slow_headers:3+slow_stream:0.2"), 0)
    assert (pace.head(), pace.content()) == (3.0, 0.2)


def test_drawn_times_repeat_with_the_seed_and_differ_with_request_and_turn() -> None:
    settings = Settings(seed=3, latency=(0.1, 0.4))
    first = Pace(settings, answer(), 0).head()
    assert first == Pace(settings, answer(), 0).head()
    assert first != Pace(settings, answer(), 1).head()
    assert first != Pace(settings, answer(digest="e"), 0).head()
    assert first != Pace(Settings(seed=4, latency=(0.1, 0.4)), answer(), 0).head()


def test_drawn_times_have_the_percentiles_asked_for() -> None:
    draws = sorted(Pace(Settings(latency=(0.1, 0.4)), answer(), turn).head() for turn in range(4000))
    assert median(draws) == pytest.approx(0.2, rel=0.05)
    assert draws[200] == pytest.approx(0.1, rel=0.05)
    assert draws[3800] == pytest.approx(0.4, rel=0.05)


async def test_a_provider_that_takes_its_time_counts_the_same() -> None:
    async with Simulator(latency=0.001, time_to_first_token=(0.001, 0.002), time_per_token=0.0001) as provider:
        assert len((await ask(provider, "openai_chat", "m", stream=True)).chunks) == 12
        call = only_call(provider)
        assert (call["outcome"], call["output_tokens"], call["content_deltas"]) == ("completed", 8, 8)
        assert (await ask(provider, "openai_chat", "m+401", stream=True)).status == 401


def test_realistic_settings_take_time() -> None:
    assert not Settings.realistic(seed=4).instant
    assert Settings.realistic(seed=4).seed == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 65536),
        ("latency", -1.0),
        ("latency", float("nan")),
        ("time_to_first_token", (0.0, 1.0)),
        ("time_per_token", (2.0, 1.0)),
        ("output_tokens", 0),
        ("longest_answer", 0),
    ],
)
def test_wrong_settings_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        Settings(**{name: value})  # type: ignore[arg-type]  # the point of the test
