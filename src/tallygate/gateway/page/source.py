"""Where the page's figures come from: what both sources share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tallygate.gateway.page.figures import (
    NAMES,
    RANGES,
    STEPS,
    Breaker,
    Figures,
    Number,
    Provider,
    Series,
    Totals,
    Value,
)

FAILS_OFTEN = 0.05
"""The share of calls failed by its doing from which on a provider is said to be degraded."""


class Source(Protocol):
    """Knows the figures."""

    async def start(self) -> None:
        """Begin, in the event loop that asks for figures."""

    async def close(self) -> None:
        """Let go of what it holds."""

    async def look(self) -> None:
        """Called once a tick, before viewers are told. Takes the event loop for less than a millisecond at a time."""

    async def figures(self, range: str) -> Figures:
        """The figures of a range now. What is wrong with them is told in them."""


def blank(range: str, now: float) -> dict[str, Any]:
    """What figures are made of where nothing is known."""
    step = STEPS[range]
    last = int(now // step) * step
    times = [last - seconds for seconds in reversed(steps(range))]
    nothing: list[Value] = [None] * len(times)
    return {
        "range": range,
        "now": now,
        "empty": True,
        "times": times,
        "series": Series(*[nothing] * len(NAMES)),
        "totals": Totals(),
        "providers": [],
        "models": [],
        "routes": [],
        "keys": [],
        "errors": [],
    }


def steps(name: str) -> range:
    """How many seconds ago the steps of a range were, the latest first."""
    return range(0, RANGES[name], STEPS[name])


def provider_of(
    name: str,
    *,
    requests: Number,
    errors: Number,
    faults: Number,
    cost_usd: float,
    latency_p95: Value,
    ttft_p95: Value,
    available: bool,
    breakers: Mapping[str, str],
) -> Provider:
    """What is told of a provider. faults: errors by its doing. breakers: their states by model."""
    states = set(breakers.values())
    if not available or states == {"open"}:
        state = "down"
    elif states - {"closed"} or (requests and faults / requests >= FAILS_OFTEN):
        state = "degraded"
    else:
        state = "up" if requests else "idle"
    return Provider(
        provider=name,
        requests=requests,
        errors=errors,
        error_ratio=errors / requests if requests else None,
        latency_p95=latency_p95,
        ttft_p95=ttft_p95,
        cost_usd=cost_usd,
        state=state,
        breakers=[Breaker(model, breakers[model]) for model in sorted(breakers)],
    )
