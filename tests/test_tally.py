"""The tally as a whole: what it shows of what it was told."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from tallygate.dialects import Dialect, DialectClash, DialectError, UnknownDialect
from tallygate.dialects.families import Counter
from tallygate.facts import BuildInfo, LLMCall, Scrape
from tallygate.tally import MOST_PLANS, Tally, package_version
from tests.record.reading import gauge, rows_of

OWN = Dialect("own", Counter("own_calls_total", LLMCall.count, by=(LLMCall.model,)))


@pytest.fixture
def tally() -> Iterator[Tally]:
    tally = Tally(service="shop", environment="test", deployment_version="7", capacity_bytes=16 << 20)
    yield tally
    tally.close()


def ask(tally: Tally, tokens: int = 10) -> None:
    with tally.track_llm_call("openai", "gpt-4o", route="chat") as call:
        call.usage(tokens, 5)


def samples(page: bytes) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}" if sample.labels else sample.name: sample.value
        for family in text_families(page.decode())
        for sample in family.samples
    }


def test_every_dialect_in_every_format_can_be_parsed(tally: Tally) -> None:
    ask(tally)
    for name in tally.dialects:
        assert list(text_families(tally.render((name,)).decode()))
        page = tally.render((name,), "openmetrics")
        assert page.endswith(b"# EOF\n")
        assert list(openmetrics_families(page.decode()))  # type: ignore[no-untyped-call]  # not typed there


def test_the_same_call_in_two_vocabularies(tally: Tally) -> None:
    ask(tally)
    ask(tally)
    assert b'tallygate_llm_cost_usd_total{provider="openai",model="gpt-4o",route="chat"' in tally.render()
    cents = samples(tally.render(("hyperagent",), names={"llm_cost_usd_total"}))
    assert cents == {"llm_cost_usd_total[('model', 'gpt-4o'), ('route', 'chat')]": pytest.approx(0.015)}


def test_a_later_page_shows_what_happened_since(tally: Tally) -> None:
    name = {"tallygate_llm_calls_total"}
    assert samples(tally.render(names=name)) == {}
    for expected in (1, 2, 3):
        ask(tally)
        assert list(samples(tally.render(names=name)).values()) == [expected]


def test_a_page_counts_itself(tally: Tally) -> None:
    first = tally.render(("tallygate",), "openmetrics")
    tally.render(("otel", "hyperagent"), "text")
    one, two = rows_of(tally, Scrape)
    assert one.dimensions == {"dialect": "tallygate", "format": "openmetrics"}
    assert (one.sums["size"], one.observed["duration"]) == (len(first), 1)
    assert two.dimensions == {"dialect": "otel+hyperagent", "format": "text"}


def test_build_and_providers(tally: Tally) -> None:
    tally.provider_info(provider="openai", kind="openai", model="gpt-4o")
    page = tally.render().decode()
    assert f'tallygate_build_info{{version="{package_version()}",python="3.' in page
    assert 'environment="test",service="shop",deployment_version="7"} 1\n' in page
    assert 'tallygate_provider_info{provider="openai",kind="openai",model="gpt-4o"} 1\n' in page
    assert gauge(tally, BuildInfo) == 1


def test_a_dialect_of_ones_own() -> None:
    tally = Tally(dialects=[OWN, "hyperagent"], capacity_bytes=16 << 20)
    ask(tally)
    page = tally.render().decode()
    assert 'own_calls_total{model="gpt-4o"} 1\n' in page
    assert "llm_tokens_total" in page
    assert tally.default_dialects == ("own", "hyperagent")
    assert b"own_calls_total" not in tally.render(("tallygate",))
    tally.close()


def test_dialects_that_do_not_exist_or_do_not_agree(tally: Tally) -> None:
    with pytest.raises(UnknownDialect, match="no dialect is called 'latin'"):
        tally.render(("latin",))
    with pytest.raises(UnknownDialect):
        Tally(dialects=["latin"])
    clashing = Dialect("other", Counter("own_calls_total", LLMCall.count, by=(LLMCall.route,)))
    with pytest.raises(DialectClash, match="'own' and 'other' cannot share a page"):
        Tally(dialects=[OWN, clashing])
    with pytest.raises(DialectError, match="the name is taken"):
        Tally(dialects=[Dialect("tallygate", *OWN.families)])


def test_plans_are_kept_within_bounds(tally: Tally) -> None:
    names = list(tally.dialects)
    chosen = [(first,) for first in names] + [(a, b) for a in names for b in names if a != b]
    rendered = 0
    for dialects in chosen:
        try:
            tally.render(dialects)
        except DialectClash:
            continue
        rendered += 1
    assert len(tally._plans) <= min(MOST_PLANS, rendered)


def test_disabled_records_nothing(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    tally = Tally(enabled=False, path=tmp_path / "ledger")

    def ask_in_vain() -> None:
        with tally.track_llm_call("openai", "gpt-4o", stream=True) as call:
            call.headers()
            call.content()
            call.usage(1, 1)
            call.attempt(seconds=1)
            call.rate_limited()
            raise ZeroDivisionError

    with caplog.at_level(logging.DEBUG, "tallygate"):
        with pytest.raises(ZeroDivisionError):
            ask_in_vain()
        tally.http_request(method="GET", route="/", status_code=200, seconds=1)
        tally.http_in_flight().finish()
        tally.gateway_phase("/", "total", "success", "true", 1)
        tally.cache_lookup("c", hit=True)
        tally.refused_llm_call(status_code=401, error_type="caller_authentication")
        tally.seed_llm(provider="openai", model="gpt-4o")
        tally.provider_info(provider="openai", kind="openai")
    assert tally.render() == b""
    assert tally.render(format="openmetrics") == b"# EOF\n"
    assert tally.tables == {}
    assert list(tmp_path.iterdir()) == []
    assert caplog.records == []
    tally.close()


def test_two_tallies_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    first = Tally(path=path, capacity_bytes=16 << 20)
    second = Tally(path=path, capacity_bytes=16 << 20)
    ask(first, 10)
    ask(second, 7)
    page = second.render().decode()
    assert re.search(r'tallygate_llm_tokens_total\{.*type="input"\} 17\n', page)
    first.close()
    second.close()
