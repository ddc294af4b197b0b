"""What machines share: keys, limits, credits, cached answers, the ledger. All to the last unit."""

from collections import Counter

import pytest

from tallygate.simulator import Simulator
from tests.gateway.cluster.machines import Answer, Cluster, Key, Machine, eventually

pytestmark = pytest.mark.xdist_group("postgres")  # one server, one cluster


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def test_a_key_made_on_one_machine_works_on_the_other(cluster: Cluster) -> None:
    here, there = cluster.machines
    key = here.new_key()
    assert [machine.chat(key).status for machine in (there, here)] == [200, 200]


def test_a_key_turned_off_on_one_machine_is_refused_by_every_worker_of_both(cluster: Cluster) -> None:
    here, there = cluster.machines
    key = here.new_key()
    assert statuses(cluster.at_once(16, lambda machine: machine.chat(key))) == {200: 16}  # now every worker knows it
    here.admin("PATCH", f"/keys/{key.id}", {"status": "inactive"})

    def refused_by_all() -> bool:
        return statuses(cluster.at_once(16, lambda machine: machine.chat(key))) == {401: 16}

    eventually(refused_by_all)
    there.admin("PATCH", f"/keys/{key.id}", {"status": "active"})
    eventually(lambda: statuses(cluster.at_once(16, lambda machine: machine.chat(key))) == {200: 16})


def test_a_limit_of_requests_is_exact_over_all_machines(cluster: Cluster) -> None:
    key = cluster.machines[0].new_key(requests_per_minute=20)
    answers = cluster.at_once(60, lambda machine: machine.chat(key))
    assert statuses(answers) == {200: 20, 429: 40}
    refused = [answer for answer in answers if answer.status == 429]
    assert all(0 < int(answer.headers["retry-after"]) <= 60 for answer in refused)
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"20"}


def test_a_concurrency_is_exact_over_all_machines(cluster: Cluster) -> None:
    key = cluster.machines[0].new_key(concurrency=3)
    slow = "gpt-4o-mini+slow_headers:1"
    answers = cluster.at_once(8, lambda machine: machine.chat(key, model=slow), threads=8)
    assert statuses(answers) == {200: 3, 429: 5}
    # All are free again.
    assert statuses(cluster.at_once(3, lambda machine: machine.chat(key))) == {200: 3}


def test_credits_are_not_overspent_by_machines_together(cluster: Cluster) -> None:
    here = cluster.machines[0]
    key = here.new_key({"prepaid": True}, credit="0.0001")
    answers = cluster.at_once(64, lambda machine: machine.chat(key))
    served = statuses(answers)[200]
    assert statuses(answers) == {200: served, 402: 64 - served}
    eventually(lambda: cluster.usage(key)["calls"] == served)
    user = here.admin("GET", f"/users/{key.user_id}")
    assert 0 < served < 64
    assert cluster.spent(key) == cluster.usage(key)["cost"] <= 10_000_000  # units of 10^-11 USD
    assert float(user["balance"]) >= 0
    assert statuses(cluster.at_once(4, lambda machine: machine.chat(key, tokens=4000))) == {402: 4}


def test_an_answer_cached_by_one_machine_is_a_hit_on_the_other(cluster: Cluster, provider: Simulator) -> None:
    here, there = cluster.machines
    key = here.new_key(caches=True)
    first = here.chat(key, tokens=17)
    before = provider.served()["totals"]["requests"]
    second = there.chat(key, tokens=17)
    assert (first.status, first.headers["x-tallygate-cache"]) == (200, "miss")
    assert (second.status, second.headers["x-tallygate-cache"]) == (200, "hit")
    assert second.body == first.body
    assert provider.served()["totals"]["requests"] == before


def test_the_ledger_has_every_call_of_all_machines_once(cluster: Cluster, provider: Simulator) -> None:
    here, _ = cluster.machines
    keys = [here.new_key() for _ in range(3)]
    before, pages_before = provider.served()["totals"], totals(cluster)

    def call(machine: Machine) -> list[Answer]:
        return [machine.chat(key, stream=stream) for key in keys for stream in (False, True)]

    answers = [answer for some in cluster.at_once(20, call) for answer in some]
    assert statuses(answers) == {200: 120}
    eventually(lambda: sum(cluster.usage(key)["calls"] for key in keys) == 120)
    ledger = [cluster.usage(key) for key in keys]
    after = provider.served()["totals"]
    for name in ("input_tokens", "output_tokens"):
        assert sum(each[name] for each in ledger) == after[name] - before[name]
    assert after["requests"] - before["requests"] == 120
    pages = totals(cluster)
    assert {name: pages[name] - pages_before[name] for name in pages} == {
        "calls": 120,
        "input_tokens": sum(each["input_tokens"] for each in ledger),
        "output_tokens": sum(each["output_tokens"] for each in ledger),
        "cost": sum(each["cost"] for each in ledger),
    }


def totals(cluster: Cluster) -> dict[str, int]:
    """What both machines' metrics say together; cost in units of 10^-11 USD."""
    pages = [machine.page() for machine in cluster.machines]
    found = {
        "calls": sum(page.total("tallygate_llm_calls_total") for page in pages),
        "input_tokens": sum(page.total("tallygate_llm_tokens_total", type="input") for page in pages),
        "output_tokens": sum(page.total("tallygate_llm_tokens_total", type="output") for page in pages),
        "cost": sum(page.total("tallygate_llm_cost_usd_total") for page in pages) * 1e11,
    }
    return {name: round(value) for name, value in found.items()}


def test_a_master_key_is_nobody_s(cluster: Cluster) -> None:
    """There is none here: only keys that an admin made."""
    for machine in cluster.machines:
        assert machine.chat(Key("", "", "sk-of-nobody")).status == 401
