"""What the live page is told: the figures of a range, as JSON. The contract between the server and the page."""

from __future__ import annotations

from typing import Final

import msgspec

RANGES: Final = {"15m": 900, "1h": 3600, "6h": 21600, "24h": 86400}
"""What can be looked at, by name: how many seconds, up to now."""
STEPS: Final = {"15m": 5, "1h": 30, "6h": 120, "24h": 600}
"""Seconds between two points of a range."""
MOST_NAMES: Final = 10
"""How many models, routes and keys are told."""
MOST_ERRORS: Final = 50

Number = int | float
Value = float | None
"""A point of a curve; None where nothing is known, or nothing was there to be measured."""


class Series(msgspec.Struct):
    """One value per time, each over the step that begins there."""

    requests: list[Value]
    """Per second, as are errors and tokens."""
    errors: list[Value]
    cost: list[Value]
    """USD per hour."""
    input_tokens: list[Value]
    """Cached ones included."""
    output_tokens: list[Value]
    cached_tokens: list[Value]
    """Input read from the providers' prompt caches."""
    latency_p50: list[Value]
    """Seconds, as all latencies and times to first token."""
    latency_p95: list[Value]
    latency_p99: list[Value]
    ttft_p50: list[Value]
    ttft_p95: list[Value]
    ttft_p99: list[Value]
    tokens_per_second_p50: list[Value]
    """Output tokens over the whole duration of a call."""
    cache_hit_ratio: list[Value]
    """Of the gateway's own cache of answers, 0 to 1."""
    active_requests: list[Value]
    """The most that were seen going on at once."""


NAMES: Final = Series.__struct_fields__


class Totals(msgspec.Struct):
    """Over the whole range; ``active_requests`` is now. None where nothing was there to be measured."""

    requests: Number = 0
    errors: Number = 0
    cost_usd: float = 0.0
    input_tokens: Number = 0
    output_tokens: Number = 0
    cached_tokens: Number = 0
    unpriced: Number = 0
    """Calls with usage whose model has no known price."""
    unmetered: Number = 0
    """Calls that completed without the provider telling their usage."""
    cache_hits: Number = 0
    cache_lookups: Number = 0
    active_requests: Number = 0
    latency_p50: Value = None
    latency_p95: Value = None
    latency_p99: Value = None
    ttft_p50: Value = None
    ttft_p95: Value = None
    ttft_p99: Value = None
    tokens_per_second_p50: Value = None


class Breaker(msgspec.Struct):
    """The circuit breaker of a deployment, as it last changed."""

    model: str
    state: str
    """closed, open or half_open."""


class Provider(msgspec.Struct):
    """How a provider does."""

    provider: str
    requests: Number
    errors: Number
    error_ratio: Value
    """Errors over requests, 0 to 1; None without requests."""
    latency_p95: Value
    ttft_p95: Value
    cost_usd: float
    state: str
    """down: it cannot be called; degraded: a breaker of it is not closed, or one call in twenty failed by its doing;
    idle: nobody called it; else up."""
    breakers: list[Breaker]


class Named(msgspec.Struct):
    """What a model, a route or a key was used for."""

    name: str
    """A model as configured or priced, a caller's route ('' when none was told), a key's name or id."""
    requests: Number
    errors: Number
    tokens: Number
    """Input and output."""
    cost_usd: float
    latency_p95: Value


class Failure(msgspec.Struct):
    """Calls that failed alike within one tick."""

    time: float
    """Unix seconds, when it was seen."""
    count: Number
    provider: str
    model: str
    route: str
    error_type: str
    """One of ``errors.ErrorType``."""
    status_code: str
    """HTTP status; 'network_error' when there was none."""


class Figures(msgspec.Struct):
    """Everything that the page shows of a range."""

    now: float
    """Unix seconds, as all times."""
    started: float
    """When the gateway's process that answers was started."""
    version: str
    source: str
    """history: counted by the gateway's workers since they started; prometheus: asked from there."""
    range: str
    step: int
    """Seconds from one of ``times`` to the next."""
    tick: float
    """Seconds from one update to the next."""
    empty: bool
    """No call was ever counted."""
    problem: str
    """What is wrong with these figures; '' when nothing is."""
    open: bool
    """Nobody needs to sign in."""
    keys_told: bool
    """Whether calls are told apart by key: ``metrics.identities.api_key_id`` is set. Else ``keys`` is empty."""
    times: list[int]
    """Ascending, evenly stepped, multiples of ``step``; the last one has begun and goes on."""
    series: Series
    totals: Totals
    providers: list[Provider]
    models: list[Named]
    """Those that cost most, then those asked most often."""
    routes: list[Named]
    keys: list[Named]
    errors: list[Failure]
    """Newest first."""


class Update(msgspec.Struct):
    """What is new since the last event."""

    now: float
    time: int
    """The time of ``values``: of the last point that is there, which they replace, or of the next."""
    values: dict[str, Value]
    """By the names of the series."""
    empty: bool
    problem: str
    totals: Totals
    providers: list[Provider]
    models: list[Named]
    routes: list[Named]
    keys: list[Named]
    errors: list[Failure]


def update_of(figures: Figures) -> Update:
    """The last point of some figures, and all that is no curve."""
    return Update(
        now=figures.now,
        time=figures.times[-1],
        values={name: getattr(figures.series, name)[-1] for name in NAMES},
        empty=figures.empty,
        problem=figures.problem,
        totals=figures.totals,
        providers=figures.providers,
        models=figures.models,
        routes=figures.routes,
        keys=figures.keys,
        errors=figures.errors,
    )
