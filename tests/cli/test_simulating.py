"""Times on the command line."""

import pytest

from tallygate.cli.simulating import seconds


@pytest.mark.parametrize(
    ("text", "time"),
    [("0", 0.0), ("0.25", 0.25), ("200ms", 0.2), ("1.5s", 1.5), (" 50ms .. 1s ", (0.05, 1.0)), (".5", 0.5)],
)
def test_times(text: str, time: object) -> None:
    assert seconds(text) == time


@pytest.mark.parametrize("text", ["", "x", "1m", "-1", "1..", "1e3", "1s2"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; write seconds or milliseconds"):
        seconds(text)
