"""Users, API keys and sessions as labels: off by default; raw, hashed, or the most frequent of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate import identities
from tallygate.context import context
from tallygate.facts import APIKeyUse, CreditBalance, CreditUse, LLMCall, ToolCall
from tallygate.frequent import Frequent
from tallygate.identities import IdentityError
from tallygate.record import CustomLabelError
from tallygate.tally import Tally, ledger_digest
from tests.record.reading import dropped, gauge, only_row, rows_of

Make = Callable[..., Tally]
SECRET = "sk-proj-" + "aB3dE5fG" * 4
HASH = hashlib.sha256(b"ann").hexdigest()[:16]


def use(tally: Tally, user_id: str | None = None) -> None:
    """Everything that an identity goes to."""
    tally.track_llm_call("openai", "gpt-4o", user_id=user_id).finish()
    tally.track_tool_call("search", user_id=user_id).finish()
    tally.record_credits(2, user_id=user_id)


def test_they_are_off(tally: Tally) -> None:
    for turn in range(50):
        with context(user_id=f"user-{turn}", api_key_id="k", session_id="s"):
            use(tally)
        use(tally, f"user-{turn}")
    assert identities.turned_on.total() == 0
    assert len(tally.bindings) == 1  # neither slower nor bigger for it
    assert len(tally.places) == 2  # in a context and outside of one
    assert only_row(tally, CreditUse).dimensions == {}
    assert "user-1" not in tally.render().decode()
    assert dropped(tally) == {}


@pytest.mark.parametrize(("mode", "label"), [("raw", "ann"), ("hashed", HASH), ("top:5", "ann")])
def test_turned_on(make_tally: Make, mode: str, label: str) -> None:
    tally = make_tally(custom_labels=["my-team"], identities={"user_id": mode})
    with context(user_id="bob", session_id="s"):
        with context(user_id="ann", my_team="red"):
            use(tally)
        use(tally, "ann")
    use(tally)
    for fact in (LLMCall, ToolCall, CreditUse):
        assert [(row.dimensions.get("user_id"), row.count) for row in rows_of(tally, fact)] == (
            [(label, 1), (label, 1), (None, 1)] if fact.takes_custom_labels else [(label, 2), (None, 1)]
        )
    assert rows_of(tally, LLMCall)[0].dimensions["my_team"] == "red"
    assert f'my_team="red",user_id="{label}"' in tally.render().decode()
    assert dropped(tally) == {}


def test_keys_and_balances(make_tally: Make) -> None:
    tally = make_tally(identities={"user_id": "raw", "api_key_id": "hashed"})
    tally.record_api_key_use("success", "ann")
    tally.set_credit_balance(5, plan_type="pro", user_id="ann")
    tally.set_credit_balance(7, plan_type="free")
    assert only_row(tally, APIKeyUse).dimensions == {"status": "success", "api_key_id": HASH}
    page = tally.render(("gatewayz",)).decode()
    assert 'user_credit_balance{plan_type="pro",user_id="ann"} 5\n' in page
    assert 'user_credit_balance{plan_type="free",user_id=""} 7\n' in page


def test_the_balance_of_others_is_nobodys(make_tally: Make) -> None:
    tally = make_tally(identities={"user_id": "top:1"})
    for user_id in ("ann", "bob"):
        tally.set_credit_balance(5, user_id=user_id)
    assert gauge(tally, CreditBalance) == 5_000_000


@pytest.mark.parametrize("mode", ["raw", "top:5"])
def test_a_credential_is_never_a_label(make_tally: Make, mode: str) -> None:
    tally = make_tally(identities={"user_id": mode})
    with context(user_id=SECRET):
        use(tally)
        use(tally)
    assert only_row(tally, LLMCall).dimensions["user_id"] == "redacted"
    assert SECRET not in tally.render().decode()
    assert dropped(tally) == {("LLMCall", "credential"): 6}


def test_a_hashed_credential_tells_nothing(make_tally: Make) -> None:
    tally = make_tally(identities={"user_id": "hashed"})
    use(tally, SECRET)
    assert only_row(tally, LLMCall).dimensions["user_id"] == hashlib.sha256(SECRET.encode()).hexdigest()[:16]


def test_bad_ids(make_tally: Make) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError("no")

    tally = make_tally(identities={"user_id": "hashed"})
    for user_id in (7, ["x"], "\ud800", "x" * 10_000, Unspeakable()):
        use(tally, user_id)  # type: ignore[arg-type]  # the point
    assert [len(row.dimensions.get("user_id", "")) for row in rows_of(tally, LLMCall)] == [16, 16, 16, 16, 0]
    assert dropped(tally) == {("LLMCall", "internal"): 3}


def test_a_context_knows_who_is_asking(make_tally: Make) -> None:
    first, second = make_tally(identities={"user_id": "raw"}), make_tally(identities={"session_id": "raw"})
    with context(user_id="ann", session_id="s1"):
        use(first)
        use(second)
    assert "session_id" not in only_row(first, LLMCall).dimensions
    assert only_row(second, LLMCall).dimensions["session_id"] == "s1"
    first.close()
    first.close()
    assert (identities.turned_on["user_id"], identities.turned_on["session_id"]) == (0, 1)


@pytest.mark.parametrize(
    ("modes", "message"),
    [
        ({"user": "raw"}, "identities: 'user' is no identity; they are user_id, api_key_id, session_id"),
        ({"user_id": "top:0"}, "identities: user_id is 'top:0'; say raw, hashed, or top:N with N from 1 to 10,000"),
        ({"user_id": "top:10001"}, "identities: user_id is 'top:10001'; say raw"),
        ({"user_id": "Raw"}, "identities: user_id is 'Raw'; say raw"),
    ],
)
def test_wrong_modes(modes: dict[str, str], message: str) -> None:
    with pytest.raises(IdentityError) as caught:
        Tally(identities=modes)
    assert str(caught.value).startswith(message)
    assert identities.turned_on.total() == 0


def test_an_identity_is_no_custom_label() -> None:
    with pytest.raises(CustomLabelError, match=r"'user-id' is an identity.*turn it on as identities = \{'user_id'"):
        Tally(custom_labels=["user-id"])


def test_the_ledger_of_other_identities_is_another() -> None:
    digests = {
        ledger_digest(), ledger_digest(identities={"user_id": "raw"}), ledger_digest(identities={"session_id": "raw"})
    }  # fmt: skip
    assert len(digests) == 3


# The most frequent


def test_the_first_and_those_who_prove_frequent() -> None:
    frequent = Frequent(2)
    assert [frequent.name(value) for value in "abcdc"] == ["a", "b", "other", "other", "c"]
    assert [frequent.name("d") for _ in range(4)] == ["other", "d", "d", "d"]
    assert [frequent.name("e") for _ in range(9)] == ["other"] * 9  # all four names are given
    assert [frequent.name(value) for value in "abcd"] == ["a", "b", "c", "d"]


@given(st.integers(1, 5), st.lists(st.integers(0, 60).map(str), max_size=400))
def test_names_and_memory_are_bounded_and_the_heaviest_have_one(size: int, values: list[str]) -> None:
    frequent, truth = Frequent(size), Counter(values)
    names = [frequent.name(value) for value in values]
    assert len(set(names) - {"other"}) <= 2 * size
    assert all(name in (value, "other") for name, value in zip(names, values, strict=True))
    counts = frequent._counts
    assert len(counts) <= 4 * size
    assert {one for alike in frequent._by_count.values() for one in alike} == set(counts)
    if len(set(names) - {"other"}) < 2 * size:
        for value, (count, error) in counts.items():
            assert count - error <= truth[value] <= count
        assert all(value in counts for value, times in truth.items() if times > len(values) / (4 * size))
