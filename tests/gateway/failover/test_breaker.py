"""The circuit breaker of a deployment."""

from tallygate.gateway.failover.breaker import Breaker

ONE, TWO = object(), object()


def breaker(limit: int = 3, seconds: float = 30) -> tuple[Breaker, list[str]]:
    told: list[str] = []
    return Breaker(limit, seconds, told.append), told


def opened() -> tuple[Breaker, list[str]]:
    """One that opened at 100."""
    made, told = breaker()
    for _ in range(3):
        made.failed(ONE, "provider_network", 100)
    return made, told


def test_failures_in_a_row_open_it() -> None:
    made, told = breaker()
    for _ in range(2):
        made.failed(ONE, "provider_network", 100)
    assert made.admits(100)
    made.failed(ONE, "provider_timeout", 100)
    assert (made.state, made.cause, made.failures, told) == ("open", "provider_timeout", 3, ["open"])
    assert not made.admits(100)
    assert not made.admits(129.999)
    assert made.admits(130)


def test_an_answer_in_between_begins_anew() -> None:
    made, told = breaker()
    for _ in range(10):
        made.failed(ONE, "provider_network", 100)
        made.failed(ONE, "provider_network", 100)
        made.succeeded(ONE)
    assert (made.state, made.failures, told) == ("closed", 0, [])


def test_one_call_tries_it() -> None:
    made, told = opened()
    assert not made.begin(ONE, 129)
    assert made.begin(ONE, 130)
    assert (made.state, told) == ("half_open", ["open", "half_open"])
    assert not made.admits(131)
    assert not made.begin(TWO, 131)
    made.succeeded(ONE)
    assert (made.state, made.failures, told) == ("closed", 0, ["open", "half_open", "closed"])
    assert made.begin(TWO, 131)
    assert made.trial is None


def test_a_trial_that_fails_opens_it_again() -> None:
    made, told = opened()
    assert made.begin(ONE, 130)
    made.failed(ONE, "provider_timeout", 140)
    assert (made.state, made.until, made.cause) == ("open", 170, "provider_timeout")
    assert told == ["open", "half_open", "open"]
    assert not made.admits(169)
    assert made.begin(TWO, 170)


def test_a_trial_that_tells_nothing_leaves_its_place_to_another() -> None:
    made, told = opened()
    assert made.begin(ONE, 130)
    made.released(TWO)
    assert not made.admits(131)
    made.released(ONE)
    assert made.begin(TWO, 131)
    made.succeeded(TWO)
    assert (made.state, told) == ("closed", ["open", "half_open", "closed"])


def test_what_began_before_it_opened_changes_nothing() -> None:
    made, told = opened()
    made.succeeded(TWO)
    made.failed(TWO, "provider_timeout", 120)
    assert (made.state, made.until, made.cause, told) == ("open", 130, "provider_network", ["open"])
    assert made.begin(ONE, 130)
    made.succeeded(TWO)
    made.failed(TWO, "provider_timeout", 135)
    assert (made.state, told) == ("half_open", ["open", "half_open"])


def test_without_a_limit_it_never_opens() -> None:
    made, told = breaker(limit=0)
    for _ in range(1000):
        made.failed(ONE, "provider_network", 100)
    assert (made.admits(100), told) == (True, [])
