"""How long to wait: what providers ask for in their headers, and pauses of the gateway's own."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.gateway.failover.backoff import LONGEST, not_before, pause, requested_wait

NOW = 1_800_000_000.0
DATE = format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True).encode()
PAST = format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True).encode()

ASKED = [
    ({b"retry-after": b"7"}, 7),
    ({b"retry-after": b" 7.5 "}, 7.5),
    ({b"retry-after": b"0"}, 0),
    ({b"retry-after": DATE}, 90),
    ({b"retry-after": DATE.replace(b"GMT", b"+0000")}, 90),
    ({b"retry-after": PAST}, 0),
    ({b"retry-after-ms": b"250"}, 0.25),
    ({b"retry-after-ms": b"250", b"retry-after": b"1"}, 0.25),
    ({b"retry-after-ms": b"soon", b"retry-after": b"1"}, 1),
    ({b"retry-after": b"999999999999"}, LONGEST),
    ({b"x-ratelimit-remaining-requests": b"0", b"x-ratelimit-reset-requests": b"6m0s"}, 360),
    ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"20ms"}, 0.02),
    ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"1h2m3.5s"}, 3723.5),
    ({b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"1d"}, 86400),
    (
        {
            b"x-ratelimit-remaining-requests": b"0", b"x-ratelimit-reset-requests": b"8s",
            b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"2s",
        },
        8,
    ),
    (
        {
            b"x-ratelimit-remaining-requests": b"9", b"x-ratelimit-reset-requests": b"8s",
            b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"2s",
        },
        2,
    ),
    ({b"retry-after": b"3", b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"9s"}, 3),
]  # fmt: skip

NOT_ASKED = [
    {},
    {b"retry-after": b""},
    {b"retry-after": b"-5"},
    {b"retry-after": b"nan"},
    {b"retry-after": b"inf"},
    {b"retry-after": b"1e3"},
    {b"retry-after": "٣".encode()},
    {b"retry-after": b"tomorrow"},
    {b"retry-after": b"Wed, 99 Foo 2026 99:99:99 GMT"},
    {b"retry-after": b"1_0"},
    {b"x-ratelimit-remaining-tokens": b"3", b"x-ratelimit-reset-tokens": b"9s"},
    {b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b""},
    {b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"9 years"},
    {b"x-ratelimit-reset-tokens": b"9s"},
]


@pytest.mark.parametrize(("headers", "seconds"), ASKED)
def test_what_a_provider_asks_for(headers: dict[bytes, bytes], seconds: float) -> None:
    assert requested_wait(headers, NOW) == seconds


@pytest.mark.parametrize("headers", NOT_ASKED)
def test_what_cannot_be_read_asks_for_nothing(headers: dict[bytes, bytes]) -> None:
    assert requested_wait(headers, NOW) is None


@given(
    st.dictionaries(
        st.sampled_from(
            [b"retry-after", b"retry-after-ms", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens"]
        ),
        st.one_of(st.binary(max_size=40), st.from_regex(rb"[0-9a-zA-Z:, .+-]{0,30}", fullmatch=True)),
    )
)
def test_no_header_breaks_it(headers: dict[bytes, bytes]) -> None:
    seconds = requested_wait(headers, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST


@given(st.integers(0, 10**8))
def test_whole_seconds_are_what_they_say(seconds: int) -> None:
    assert requested_wait({b"retry-after": b"%d" % seconds}, NOW) == min(seconds, LONGEST)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1)))
def test_a_date_is_so_far_away(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    header = format_datetime(moment, usegmt=True).encode()
    expected = min(max(0.0, moment.timestamp() - NOW), LONGEST)
    assert requested_wait({b"retry-after": header}, NOW) == expected


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up(hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{milliseconds}ms".encode()
    headers = {b"x-ratelimit-remaining-requests": b"0", b"x-ratelimit-reset-requests": text}
    expected = hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    assert requested_wait(headers, NOW) == pytest.approx(expected, abs=1e-9)


def test_pauses_double_up_to_the_longest() -> None:
    assert [pause(retry, 0.5, 8, 0) for retry in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert pause(10_000, 0.5, 8, 0) == 8
    assert pause(3, 0, 8, 1) == 0


def test_chance_takes_up_to_a_half_off_a_pause() -> None:
    assert [pause(2, 0.5, 8, chance) for chance in (0, 0.5, 1)] == [1, 0.75, 0.5]


def test_chance_adds_to_what_a_provider_asks_for() -> None:
    assert [not_before(10, chance) for chance in (0, 0.5, 1)] == [10, 10.5, 11]
