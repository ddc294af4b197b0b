"""For each API, streamed or not, and each way a provider behaves: the metrics say what the provider really served."""

import base64
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.running import Answer, Page, ask, gateway

PRICE = {"input": "1.5", "output": "6", "cache_read": "0.15", "cache_write": "1.875"}

REFUSED = {
    "400": "caller_invalid_request",
    "401": "provider_authentication",
    "403": "provider_authentication",
    "404": "provider_model_unavailable",
    "429": "provider_rate_limit",
    "500": "provider_server_error",
    "503": "provider_overloaded",
    "529": "provider_overloaded",
    "context_length": "caller_context_length",
    "content_filter": "policy_content_filter",
    "html_error": "provider_server_error",
}
"""Behaviours that answer with an error, and how the call is counted."""

BROKEN = {
    "reset": ("provider_network", "provider_network"),
    "reset_body": ("provider_stream_cut", "provider_stream_cut"),
    "cut_stream": ("provider_stream_cut", "provider_stream_cut"),
    "cut_chunks": ("provider_stream_cut", "provider_stream_cut"),
    "truncated_json": ("provider_invalid_response", "provider_invalid_response"),
    "error_event": ("", "provider_server_error"),
    "stall": ("provider_timeout", "provider_timeout"),
    "slow_headers": ("provider_timeout", "provider_timeout"),
}
"""Behaviours that break off: how a stream is counted, and how another call."""

ERROR_EVENTS = {"openai": "provider_server_error", "anthropic": "provider_overloaded", "gemini": "provider_overloaded"}
"""What the error event says that each provider sends in the middle of a stream."""

FINE = (
    "", "no_usage", "huge_chunks", "crlf", "split_frames", "unbuffered", "gzip", "cached", "reasoning", "tools",
    "empty", "pings", "long:40kB", "cached+reasoning+crlf", "gzip+split_frames", "pings+tools+crlf",
)  # fmt: skip
"""Behaviours that are unusual and no failure."""

WAYS = [(api, stream) for api in APIS for stream in ((False, True) if api.streams else (False,))]


def ways(behaviours: Iterable[str]) -> pytest.MarkDecorator:
    cases = [(api, stream, behaviour) for api, stream in WAYS for behaviour in behaviours]
    ids = [f"{api.name}-{'stream' if stream else 'whole'}-{behaviour or 'normal'}" for api, stream, behaviour in cases]
    return pytest.mark.parametrize(("api", "stream", "behaviour"), cases, ids=ids)


def settings(simulator: Simulator, *models: str) -> dict[str, Any]:
    """A gateway in front of the simulator, with short time limits."""
    listed = [{"name": model, "price": PRICE} for model in models]
    kinds = {"openai": f"{simulator.url}/v1", "anthropic": simulator.url, "gemini": simulator.url}
    return {
        "providers": {
            kind: {"kind": kind, "base_url": url, "api_key": f"key-of-{kind}", "models": listed}
            for kind, url in kinds.items()
        },
        "limits": {"upstream_first_byte_seconds": 0.4, "stream_idle_seconds": 0.4},
    }


def model_name(behaviour: str) -> str:
    return f"model-x+{behaviour}" if behaviour else "model-x"


async def served(simulator: Simulator) -> dict[str, Any]:
    """What the simulator says it served."""
    document: dict[str, Any] = json.loads((await ask(f"{simulator.url}/served", method="GET")).body)
    return document


async def call(
    api: API, stream: bool, behaviour: str, headers: dict[str, str] | None = None
) -> tuple[Answer, dict[str, Any], bytes, Page]:
    """One call through a gateway of its own: what the client got, what was served, what was sent, the metrics then."""
    model = model_name(behaviour)
    async with Simulator() as simulator, gateway(settings(simulator, model)) as running:
        asks_usage = True if stream and api.name in ("openai_chat", "openai_completions") else None
        body = api.body(model, stream, usage=asks_usage)
        answer = await ask(running.url + api.path(model, stream), body, headers)
        await running.settled()
        truth = await served(simulator)
        last = f"{simulator.url}/replies/last?model={quote(model)}"
        kept = json.loads((await ask(last, method="GET")).body)
        sent = base64.b64decode(kept.get("body_base64", ""))
        return answer, truth, sent, running.page()


def check_tokens(page: Page, truth: dict[str, Any], model: str) -> None:
    """Every token and dollar is what was served."""
    totals = truth["totals"]
    for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
        counted = page.total("tallygate_llm_tokens_total", type=kind, model=model)
        assert counted == totals[f"{kind}_tokens"], kind
    uncached = totals["input_tokens"] - totals["cache_read_tokens"] - totals["cache_write_tokens"]
    cost = (
        uncached * Decimal(PRICE["input"])
        + totals["cache_read_tokens"] * Decimal(PRICE["cache_read"])
        + totals["cache_write_tokens"] * Decimal(PRICE["cache_write"])
        + totals["output_tokens"] * Decimal(PRICE["output"])
    ) / 1_000_000
    assert page.total("tallygate_llm_cost_usd_total", model=model) == float(cost)


def check_ended(page: Page, api: API, stream: bool, model: str, outcome: str, error_type: str) -> None:
    """The call ended exactly once, in this way, and nothing is left in flight."""
    calls = {"model": model, "provider": api.provider}
    assert page.total("tallygate_llm_calls_total", **calls) == 1
    shown = {"outcome": outcome, "endpoint": api.label(stream), "stream": str(stream).lower()}
    assert page.total("tallygate_llm_calls_total", **calls, **shown, operation=api.operation) == 1
    assert page.total("tallygate_llm_errors_total", model=model) == (outcome == "failed")
    if error_type:
        domain = error_type.partition("_")[0]
        assert page.total("tallygate_llm_errors_total", **calls, error_type=error_type, domain=domain) == 1
    assert page.total("tallygate_llm_calls_in_flight") == 0
    assert page.total("tallygate_llm_call_duration_seconds_count", model=model) == 1
    assert page.total("tallygate_upstream_attempts_total", model=model, error_type=error_type) == 1
    assert page.total("tallygate_dropped_observations_total") == 0


@ways(FINE)
async def test_what_is_served_is_counted_and_passed_on_byte_for_byte(api: API, stream: bool, behaviour: str) -> None:
    wants_gzip = {"accept-encoding": "gzip"} if "gzip" in behaviour else {}
    answer, truth, sent, page = await call(api, stream, behaviour, wants_gzip)
    model = model_name(behaviour)
    assert answer.status == 200
    assert truth["totals"]["requests"] == 1
    if sent:
        assert answer.body == sent
    assert answer.headers.get("content-encoding") == ("gzip" if "gzip" in behaviour else None)
    check_ended(page, api, stream, model, "completed", "")
    check_tokens(page, truth, model)
    unreported = truth["totals"]["reported_usage"] == 0
    assert page.total("tallygate_llm_unmetered_calls_total", model=model) == unreported
    assert page.total("tallygate_llm_unpriced_calls_total", model=model) == 0
    deltas = truth["totals"]["content_deltas"]
    assert page.total("tallygate_llm_time_to_first_token_seconds_count", model=model) == (stream and deltas > 0)
    gaps = page.total("tallygate_llm_output_chunk_gap_seconds_count", model=model)
    assert gaps == (max(0, deltas - 1) if stream else 0)


@ways(REFUSED)
async def test_a_refusal_is_counted_by_its_cause(api: API, stream: bool, behaviour: str) -> None:
    answer, truth, sent, page = await call(api, stream, behaviour)
    model = model_name(behaviour)
    assert truth["totals"]["requests"] == 1
    assert answer.status == truth["calls"][0]["status"]
    assert answer.body == sent
    check_ended(page, api, stream, model, "failed", REFUSED[behaviour])
    check_tokens(page, truth, model)
    assert page.total("tallygate_llm_rate_limit_events_total", model=model) == (behaviour == "429")
    assert answer.headers.get("retry-after") == ("1" if behaviour == "429" else None)


@ways(BROKEN)
async def test_what_breaks_off_is_counted_by_its_cause(api: API, stream: bool, behaviour: str) -> None:
    answer, truth, _, page = await call(api, stream, behaviour)
    model = model_name(behaviour)
    error_type = BROKEN[behaviour][0 if stream else 1] or ERROR_EVENTS[api.provider]
    assert truth["totals"]["requests"] == 1
    check_ended(page, api, stream, model, "failed", error_type)
    check_tokens(page, truth, model)
    if error_type in ("provider_network", "provider_timeout") and not answer.broken:
        assert answer.status == (504 if error_type == "provider_timeout" else 502)
        assert b"error" in answer.body
    if stream and behaviour in ("reset_body", "cut_chunks", "stall"):
        assert answer.broken, "a stream that was cut must not look complete"


async def test_everything_known_shows_at_zero_before_the_first_call() -> None:
    async with Simulator() as simulator, gateway(settings(simulator, "model-x")) as running:
        page = running.page()
        aurora = running.page("aurora")
        hyperagent = running.page("hyperagent")
    for api, stream in WAYS:
        calls = {
            "provider": api.provider,
            "model": "model-x",
            "endpoint": api.label(stream),
            "stream": str(stream).lower(),
        }
        assert page.values("tallygate_llm_calls_total", **calls, outcome="completed") == {0}
        assert page.values("tallygate_llm_calls_total", **calls, outcome="failed") == {0}
        assert aurora.values("aurora_requests_total", **calls, status_type="error") == {0}
    for error_type in (*REFUSED.values(), "caller_unknown_model", "gateway_internal", "other"):
        assert page.values("tallygate_llm_errors_total", model="model-x", error_type=error_type) == {0}
    assert page.values("tallygate_dropped_observations_total", reason="invalid_value") == {0}
    assert hyperagent.values("llm_errors_total", model="model-x", error_type="timeout") == {0}
    assert hyperagent.values("llm_rate_limited_total", model="model-x") == {0}
