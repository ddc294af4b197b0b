"""The functions of Gatewayz's ``prometheus_metrics``: a program written against them changes one import.

They write to the program's tally, and move the families that theirs move. Better than theirs: exceptions pass through
``track_model_inference``, ``track_http_request`` counts the request too, API keys and user ids are no labels unless
their identity is turned on. Like all that records, none of them raises; before ``tallygate.init`` they do nothing.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType

from tallygate.facts import UpstreamAttempt
from tallygate.record.call import LLMCallTracker
from tallygate.record.databases import QueryTracker
from tallygate.record.default import default
from tallygate.record.http import HTTPRequestTracker
from tallygate.record.measures import UNMETERED
from tallygate.record.parts import add_tokens

# Models


class track_model_inference:
    """``with track_model_inference(provider, model): ...``: one call to a model, its duration and how it ended.

    Its tokens are told by ``record_tokens_used``, inside the block or after it.
    """

    def __init__(self, provider: str, model: str) -> None:
        self._provider, self._model = provider, model

    def __enter__(self) -> LLMCallTracker:
        self._call = default.recorder.track_llm_call(self._provider, self._model).__enter__()
        if isinstance(self._call, LLMCallTracker):
            self._call.put(UNMETERED, 0)  # the tokens are told elsewhere
        return self._call

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.__exit__(kind, problem, trace)

    async def __aenter__(self) -> LLMCallTracker:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, problem, trace)


def record_tokens_used(provider: str, model: str, input_tokens: int, output_tokens: int) -> None:
    """Tokens that a provider reported; the price list says what they cost in USD."""
    add_tokens(provider, model, input_tokens, output_tokens)


def record_credits_used(provider: str, model: str, user_id: str, credits: float) -> None:
    """Credits taken for a call."""
    default.recorder.record_credits(credits, provider=provider, model=model, user_id=user_id)


# HTTP

_open: ContextVar[tuple[str, str, HTTPRequestTracker] | None] = ContextVar("tallygate_gatewayz_request", default=None)


class track_http_request:
    """``with track_http_request(method, endpoint): ...``: one request served: counted, and how long it took.

    Its status is what ``record_http_response`` says inside the block; else 200, and 500 after an exception.
    """

    def __init__(self, method: str, endpoint: str) -> None:
        self._method, self._endpoint = method, endpoint

    def __enter__(self) -> HTTPRequestTracker:
        self._request = default.recorder.track_http_request(self._method, self._endpoint).start()
        self._token: Token[tuple[str, str, HTTPRequestTracker] | None] = _open.set(
            (self._method, self._endpoint, self._request)
        )
        return self._request

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            _open.reset(self._token)
        except ValueError:  # a generator closed from another task: what was set here is gone with its task
            pass
        finally:
            self._request.__exit__(kind, problem, trace)

    async def __aenter__(self) -> HTTPRequestTracker:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, problem, trace)


def record_http_response(method: str, endpoint: str, status_code: int, app_name: str | None = None) -> None:
    """The status of the request whose block this is in; outside of one, a request of which no more is known."""
    going_on = _open.get()
    if going_on is not None and going_on[:2] == (method, endpoint):
        going_on[2].status_code = status_code
    else:
        default.recorder.count_http_request(method, endpoint, status_code)


# Databases and caches


def track_database_query(table: str, operation: str, query_description: str | None = None) -> QueryTracker:
    """``with track_database_query("users", "select"): ...``: one statement. Its description is no label."""
    return default.recorder.track_query("", table=table, operation=operation)


def record_cache_hit(cache_name: str, key: str | None = None, item_size: int | None = None) -> None:
    """It was there. The key is no label."""
    default.recorder.cache_lookup(cache_name, True)


def record_cache_miss(cache_name: str, key: str | None = None) -> None:
    """It was not there. The key is no label."""
    default.recorder.cache_lookup(cache_name, False)


def set_cache_size(cache_name: str, size_bytes: int) -> None:
    """Bytes that a cache holds."""
    default.recorder.set_cache_state(cache_name, used=size_bytes)


# Limits, keys and money


def record_rate_limited_request(api_key: str, limit_type: str) -> None:
    """A rate limit refused a request. The key is no label."""
    default.recorder.record_rate_limited(limit_type)


def record_api_key_usage(api_key_id: str, status: str = "success") -> None:
    """A key was used. Its id is a label when the identity ``api_key_id`` is turned on."""
    default.recorder.record_api_key_use(status, api_key_id)


def set_active_api_keys(status: str, count: int) -> None:
    """How many keys have this status: active, inactive, ..."""
    default.recorder.set_api_keys(status, count)


def set_user_credit_balance(user_id: str, plan_type: str, balance: float) -> None:
    """Credits a user has left; kept when the identity ``user_id`` is turned on, as one user's is not the plan's."""
    default.recorder.set_credit_balance(balance, plan_type=plan_type, user_id=user_id)


def set_trial_count(status: str, count: int) -> None:
    """How many trials have this status: active, expired, ..."""
    default.recorder.set_trials(status, count)


def set_subscription_count(plan_type: str, billing_cycle: str, count: int) -> None:
    """How many subscriptions of this plan and billing cycle there are."""
    default.recorder.set_subscriptions(plan_type, billing_cycle, count)


# Providers and the system


def set_provider_availability(provider: str, available: bool) -> None:
    """Whether a provider can be called."""
    default.recorder.set_provider_health(provider, available=available)


def set_provider_error_rate(provider: str, error_rate: float) -> None:
    """The share of a provider's calls that failed, put into the bounds 0 and 1."""
    default.recorder.set_provider_health(provider, error_rate=error_rate)


def track_provider_response_time(provider: str, duration: float) -> None:
    """One request to a provider took so many seconds."""
    default.recorder.count(UpstreamAttempt, (provider, "", "", "200", ""), duration)


def set_active_connections(connection_type: str, count: int) -> None:
    """How many connections of a kind are open: db, redis, provider."""
    default.recorder.set_connections(connection_type, count)


def set_queue_size(queue_name: str, size: int) -> None:
    """How many wait in a queue."""
    default.recorder.set_queue(queue_name, size=size)
