"""Whose turn it is among the deployments of a model."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tallygate.gateway.failover.breaker import Breaker
from tallygate.gateway.failover.choosing import Place, Target
from tallygate.gateway.failover.deployments import Deployment
from tallygate.gateway.providers import Provider
from tallygate.gateway.settings import ProviderSettings


def deployment(name: str) -> Deployment:
    provider = Provider(name, ProviderSettings(base_url="http://127.0.0.1:1/v1"))
    return Deployment(provider, "model", "model", Breaker(1, 30, lambda state: None))


def target(*places: tuple[str, int, int]) -> Target:
    """Deployments by name, weight and priority."""
    return Target("model", [Place(deployment(name), weight, priority) for name, weight, priority in places])


def order(target: Target, turns: int, now: float = 0) -> str:
    picked = [target.pick(now) for _ in range(turns)]
    return "".join(one.provider.name if one else "-" for one in picked)


def named(target: Target, name: str) -> Deployment:
    return next(place.deployment for place in target.places if place.deployment.provider.name == name)


def test_turns_are_spread_by_weight() -> None:
    assert order(target(("a", 5, 1), ("b", 1, 1), ("c", 1, 1)), 14) == "aabacaaaabacaa"
    assert order(target(("a", 1, 1), ("b", 1, 1), ("c", 1, 1)), 6) == "abcabc"
    assert order(target(("a", 3, 1), ("b", 2, 1)), 10) == "ababa" * 2
    assert order(target(("a", 1, 1)), 3) == "aaa"


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_each_round_is_exact(weights: list[int]) -> None:
    names = "abcdef"
    made = target(*[(names[index], weight, 1) for index, weight in enumerate(weights)])
    for _ in range(3):
        counted = Counter(order(made, sum(weights)))
        assert counted == {names[index]: weight for index, weight in enumerate(weights)}


def test_a_higher_priority_number_waits_for_the_lower_ones() -> None:
    made = target(("c", 1, 3), ("a", 1, 1), ("b", 1, 2), ("d", 1, 1))
    assert order(made, 4) == "adad"
    named(made, "a").cool_down(100)
    assert order(made, 2) == "dd"
    named(made, "d").cool_down(100)
    assert order(made, 2) == "bb"
    named(made, "b").cool_down(100)
    assert order(made, 2) == "cc"
    named(made, "c").cool_down(100)
    assert order(made, 2) == "--"
    assert order(made, 4, now=100) in ("adad", "dada")
    assert not named(made, "a").troubled


def test_those_already_asked_are_left_out() -> None:
    made = target(("a", 1, 1), ("b", 1, 1), ("c", 1, 2))
    a, b, c = (named(made, name) for name in "abc")
    assert made.pick(0, {a}) is b
    assert made.pick(0, {a, b}) is c
    assert made.pick(0, {a, b, c}) is None


def test_one_that_is_out_comes_back_for_a_trial() -> None:
    made = target(("a", 1, 1), ("b", 1, 2))
    a = named(made, "a")
    assert a.breaker is not None
    a.breaker.failed(made, "provider_network", 0)
    a.troubled = True
    assert order(made, 2, now=29) == "bb"
    assert order(made, 1, now=30) == "a"
    assert a.breaker.begin(made, 30)
    assert order(made, 2, now=31) == "bb"
    a.breaker.succeeded(made)
    assert order(made, 2, now=31) == "aa"
    assert not a.troubled


def test_one_whose_provider_does_not_answer_probes_waits() -> None:
    made = target(("a", 1, 1), ("b", 1, 2))
    a = named(made, "a")
    a.provider.reachable, a.troubled = False, True
    assert order(made, 1) == "b"
    a.provider.reachable = True
    assert order(made, 1) == "a"


def test_of_those_that_rest_the_soonest_ready() -> None:
    made = target(("a", 1, 1), ("b", 1, 2), ("c", 1, 3))
    a, b, c = (named(made, name) for name in "abc")
    a.cool_down(50)
    b.cool_down(20)
    assert b.breaker is not None
    c.cool_down(90)
    assert made.soonest_rested(0) is b
    assert made.soonest_rested(0, {b}) is a
    b.breaker.failed(made, "provider_network", 0)
    assert made.soonest_rested(0) is a
    assert made.soonest_rested(0, {a, b, c}) is None


def test_a_shorter_wait_does_not_shorten_a_longer_one() -> None:
    one = deployment("a")
    one.cool_down(50)
    one.cool_down(20)
    assert (one.is_resting(49.9), one.is_resting(50)) == (True, False)
