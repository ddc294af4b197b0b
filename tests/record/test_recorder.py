from __future__ import annotations

from collections.abc import Callable

from tallygate.facts import GatewayPhase, HTTPInFlight, HTTPRequest, LLMCall
from tallygate.tally import Tally
from tests.record.reading import dropped, gauge, only_row, rows_of


def test_http_requests(tally: Tally) -> None:
    serving = tally.http_in_flight()
    assert gauge(tally, HTTPInFlight) == 1
    tally.http_request(
        method="POST", route="/v1/messages", status_code=200, seconds=0.25, request_size=100, response_size=5000
    )
    tally.http_request(method="BREW", route="unmatched", status_code="418", seconds=0.5)
    serving.finish()
    assert gauge(tally, HTTPInFlight) == 0
    first, second = rows_of(tally, HTTPRequest)
    assert first.dimensions == {"method": "POST", "route": "/v1/messages", "status_code": "200"}
    assert first.sums == {"duration": 2_500_000, "request_size": 100, "response_size": 5000}
    assert second.dimensions == {"method": "OTHER", "route": "unmatched", "status_code": "418"}
    assert second.observed == {"duration": 1}


def test_gateway_phases(tally: Tally) -> None:
    tally.gateway_phase("/v1/messages", "decode", "success", "true", 0.000123)
    row = only_row(tally, GatewayPhase)
    assert row.dimensions == {
        "endpoint": "/v1/messages", "phase": "decode", "status": "success", "stream": "true",
    }  # fmt: skip
    assert row.sums == {"duration": 123_000}


def test_a_refused_call(tally: Tally) -> None:
    tally.refused_llm_call(
        operation="chat", endpoint="/chat/completions", stream=True, status_code="401",
        error_type="caller_authentication", source="api",
    )  # fmt: skip
    row = only_row(tally, LLMCall)
    assert row.dimensions == {
        "provider": "unknown", "model": "other", "operation": "chat", "endpoint": "/chat/completions",
        "stream": "true", "status_code": "401", "outcome": "failed", "error_type": "caller_authentication",
        "source": "api",
    }  # fmt: skip
    assert (row.count, row.sums, row.observed) == (1, {}, {})


def test_seeds_show_zeros(tally: Tally) -> None:
    tally.seed_llm(provider="openai", model="gpt-4o", operation="chat", endpoint="/chat/completions")
    assert rows_of(tally, LLMCall) == []
    page = tally.render().decode()
    labels = 'provider="openai",model="gpt-4o",route=""'
    assert f'tallygate_llm_tokens_total{{{labels},agent_name="",source="",type="input"}} 0\n' in page
    assert f'tallygate_llm_errors_total{{{labels},domain="provider",error_type="provider_server_error"}} 0\n' in page
    assert 'status_code="500",outcome="failed"' in page
    assert 'tallygate_llm_calls_in_flight{provider="openai",model="gpt-4o",' in page


def test_known_models_bound_the_label_and_not_the_price(make_tally: Callable[..., Tally]) -> None:
    tally = make_tally(known_models=["my-alias"])
    for model in ("my-alias", "gpt-4o-2024-08-06", "xyzzy", "plugh"):
        with tally.track_llm_call("openai", model) as call:
            call.usage(1_000_000, 0)
    rows = {row.dimensions["model"]: row for row in rows_of(tally, LLMCall)}
    assert set(rows) == {"my-alias", "gpt-4o", "other"}
    assert rows["gpt-4o"].sums["cost"] == 250_000_000_000
    assert rows["other"].sums["unpriced"] == 2


def test_nothing_raises_over_a_closed_ledger(tally: Tally) -> None:
    call = tally.track_llm_call("openai", "gpt-4o").start()
    tally.close()
    call.usage(1, 1)
    call.finish()
    tally.http_request(method="GET", route="/", status_code=200, seconds=1)
    tally.http_in_flight().finish()
    assert rows_of(tally, LLMCall) == []


def test_wrong_arguments_are_counted(tally: Tally) -> None:
    tally.gateway_phase(["unhashable"], "decode", "success", "true", 1)  # type: ignore[arg-type]  # the point
    tally.http_request(method=[], route="/", status_code=200, seconds=1)  # type: ignore[arg-type]  # the point
    assert dropped(tally).get(("HTTPRequest", "internal")) == 1
