"""A program written against Gatewayz's helpers, with one import changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallygate.dialects.gatewayz import (
    record_api_key_usage,
    record_cache_hit,
    record_cache_miss,
    record_credits_used,
    record_http_response,
    record_rate_limited_request,
    record_tokens_used,
    set_active_api_keys,
    set_active_connections,
    set_cache_size,
    set_provider_availability,
    set_provider_error_rate,
    set_queue_size,
    set_subscription_count,
    set_trial_count,
    set_user_credit_balance,
    track_database_query,
    track_http_request,
    track_model_inference,
    track_provider_response_time,
)
from tallygate.facts import LLMCall
from tallygate.record.default import default
from tallygate.tally import Tally
from tests.dialects.programs import moved
from tests.record.reading import dropped, only_row

CALLED = 'provider="openai",model="gpt-4o"'


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tally]:
    tally = Tally(capacity_bytes=16 << 20)
    monkeypatch.setattr(default, "recorder", tally)
    yield tally
    tally.close()


@pytest.mark.parametrize("inside", [True, False])
def test_one_call_with_its_tokens(tally: Tally, inside: bool) -> None:
    with track_model_inference("openai", "gpt-4o"):
        if inside:
            record_tokens_used("openai", "gpt-4o", 1000, 200)
    if not inside:
        record_tokens_used("openai", "gpt-4o", 1000, 200)
    record_credits_used("openai", "gpt-4o", "user-1", 0.125)
    assert moved(tally, "gatewayz") == {
        f'model_inference_requests_total{{{CALLED},status="success"}}': 1,
        f"model_inference_duration_seconds_count{{{CALLED}}}": 1,
        f'tokens_used_total{{{CALLED},token_type="input"}}': 1000,
        f'tokens_used_total{{{CALLED},token_type="output"}}': 200,
        f'credits_used_total{{{CALLED},user_id=""}}': 0.125,
    }
    row = only_row(tally, LLMCall)
    assert row.count == 1
    assert row.sums["cost"] == 450_000_000
    assert "unmetered" not in row.sums
    assert dropped(tally) == {}


async def test_an_exception_passes_and_is_an_error(tally: Tally) -> None:
    problem = KeyError()
    with pytest.raises(KeyError) as caught:
        async with track_model_inference("openai", "gpt-4o"):
            raise problem
    assert caught.value is problem
    assert moved(tally, "gatewayz") == {
        f'model_inference_requests_total{{{CALLED},status="error"}}': 1,
        f"model_inference_duration_seconds_count{{{CALLED}}}": 1,
    }


async def test_http(tally: Tally) -> None:
    where = 'method="GET",endpoint="/users/{id}"'
    with track_http_request("GET", "/users/{id}"):
        pass
    async with track_http_request("GET", "/users/{id}"):
        record_http_response("GET", "/users/{id}", 404, app_name="shop")
    with pytest.raises(KeyError), track_http_request("GET", "/users/{id}"):
        raise KeyError
    record_http_response("GET", "/users/{id}", 204)
    assert moved(tally, "gatewayz") == {
        f'http_requests_total{{{where},status_code="200",status_class="2xx"}}': 1,
        f'http_requests_total{{{where},status_code="404",status_class="4xx"}}': 1,
        f'http_requests_total{{{where},status_code="500",status_class="5xx"}}': 1,
        f'http_requests_total{{{where},status_code="204",status_class="2xx"}}': 1,
        f"http_request_duration_seconds_count{{{where}}}": 3,
    }


def test_all_the_others(tally: Tally) -> None:
    with track_database_query("users", "select", "SELECT 1"):
        pass
    record_cache_hit("answers", "key", 12)
    record_cache_miss("answers", "key")
    set_cache_size("answers", 4096)
    record_rate_limited_request("sk-secret", "security_ip_tier")
    record_api_key_usage("key-1")
    set_active_api_keys("active", 3)
    set_user_credit_balance("user-1", "pro", 12.5)
    set_trial_count("active", 4)
    set_subscription_count("pro", "monthly", 5)
    set_provider_availability("openai", True)
    set_provider_error_rate("openai", 1.5)
    track_provider_response_time("openai", 0.25)
    set_active_connections("db", 6)
    set_queue_size("jobs", 7)
    assert moved(tally, "gatewayz") == {
        'database_queries_total{table="users",operation="select"}': 1,
        'database_query_duration_seconds_count{table="users"}': 1,
        'cache_hits_total{cache_name="answers"}': 1,
        'cache_misses_total{cache_name="answers"}': 1,
        'cache_size_bytes{cache_name="answers"}': 4096,
        'rate_limited_requests_total{limit_type="security_ip_tier"}': 1,
        'api_key_usage_total{status="success",api_key_id=""}': 1,
        'active_api_keys{status="active"}': 3,
        'trial_active{status="active"}': 4,
        'subscription_count{plan_type="pro",billing_cycle="monthly"}': 5,
        'provider_availability{provider="openai"}': 1,
        'provider_error_rate{provider="openai"}': 1,
        'provider_response_time_seconds_count{provider="openai"}': 1,
        'active_connections{connection_type="db"}': 6,
        'queue_size{queue_name="jobs"}': 7,
    }


def test_bad_input_and_no_tally(tally: Tally) -> None:
    record_tokens_used("openai", "gpt-4o", -1, 5)
    record_tokens_used("openai", "gpt-4o", "x", 5)  # type: ignore[arg-type]  # the point
    record_http_response([], "/", "x")  # type: ignore[arg-type]  # the point
    assert moved(tally, "gatewayz") == {
        'http_requests_total{method="OTHER",endpoint="/",status_code="other",status_class="other"}': 1
    }
    assert dropped(tally) == {
        ("LLMCall", "invalid_value"): 1, ("LLMCall", "internal"): 1, ("HTTPRequest", "invalid_dimension"): 1,
    }  # fmt: skip
    default.recorder = default.nowhere
    with track_model_inference("openai", "gpt-4o"), track_http_request("GET", "/"):
        record_http_response("GET", "/", 200)
        record_tokens_used("openai", "gpt-4o", 1, 1)
