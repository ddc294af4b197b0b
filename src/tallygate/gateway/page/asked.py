"""What is asked of Prometheus, and how its answers become figures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tallygate.dialects import DIALECTS
from tallygate.gateway.cache.responses import NAME as RESPONSES
from tallygate.gateway.page.figures import (
    MOST_ERRORS,
    MOST_NAMES,
    NAMES,
    RANGES,
    STEPS,
    Failure,
    Figures,
    Named,
    Provider,
    Series,
    Totals,
    Value,
)
from tallygate.gateway.page.source import provider_of
from tallygate.promql import Query, Vocabulary

Found = list[tuple[dict[str, str], dict[float, float]]]
"""The series of an answer: labels, and values by time."""

CALLS: Final = "tallygate_llm_calls_total"
ERRORS: Final = "tallygate_llm_errors_total"
COST: Final = "tallygate_llm_cost_usd_total"
TOKENS: Final = "tallygate_llm_tokens_total"
LATENCY: Final = "tallygate_llm_call_duration_seconds"
FIRST_TOKEN: Final = "tallygate_llm_time_to_first_token_seconds"
SPEED: Final = "tallygate_llm_output_tokens_per_second"
LOOKUPS: Final = "tallygate_cache_lookups_total"
SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
FAILURES: Final = "failures"
"""The curve that is asked for in steps of its window less a scrape, so that none is left out, or told twice."""
KEY: Final = "api_key_id"
BREAKER: Final = "tallygate_breaker_state"
ALIKE: Final = ("provider", "model", "route", "error_type")
"""What failures have in common that are told together. This family does not tell their status."""


UNSEEN: Final = (
    f"Prometheus has no {CALLS} of this gateway: let it scrape the gateway's metrics in the dialect tallygate, and "
    "look at dashboard.prometheus_job"
)


@dataclass(frozen=True)
class Questions:
    """Queries by name: of whole curves, and of one moment."""

    curves: dict[str, Query]
    sums: dict[str, Query]


@dataclass(frozen=True)
class Asked:
    """Their answers."""

    curves: Mapping[str, Found]
    sums: Mapping[str, Found]

    def number(self, name: str, **labels: str) -> float:
        """The value of the series with these labels; 0 when there is none."""
        return self.maybe(name, **labels) or 0.0

    def maybe(self, name: str, **labels: str) -> Value:
        """The value of the series with these labels; None when there is none, or nothing was there to be measured."""
        return next((_value(values) for found, values in self.sums[name] if found == labels), None)

    def by(self, name: str, label: str) -> dict[str, Value]:
        """The values of series that differ in one label."""
        return {found.get(label, ""): _value(values) for found, values in self.sums[name]}


def window_of(range: str, scrape: float) -> int:
    """Seconds over which the rates of a range are taken: enough for some scrapes, and one more than a step has, as what
    was added between the last scrape of a step and the first of the next would be in neither."""
    return math.ceil(max(STEPS[range] + scrape, 4 * scrape))


def queries(range: str, custom: Sequence[str], scrape: float, job: str | None) -> Questions:
    """Everything that is asked for a range. scrape: seconds between two scrapes. job: whose series, of all if None."""
    over = f"{window_of(range, scrape)}s"
    filters = {} if job is None else {"job": re.escape(job)}
    rate = Vocabulary(DIALECTS["tallygate"], window=over, filters=filters, custom=custom)
    whole = Vocabulary(DIALECTS["tallygate"], window=f"{RANGES[range]}s", filters=filters, custom=custom)
    active = rate("tallygate_llm_calls_in_flight").now.sum()
    curves = {
        "requests": rate(CALLS).rate().sum(),
        "errors": rate(CALLS).where(outcome="failed").rate().sum(),
        "cost": rate(COST).rate().sum() * 3600,
        "tokens": rate(TOKENS).rate().sum("type"),
        **{f"latency_{name}": rate(LATENCY).quantile(share) for name, share in SHARES.items()},
        **{f"ttft_{name}": rate(FIRST_TOKEN).quantile(share) for name, share in SHARES.items()},
        "tokens_per_second_p50": rate(SPEED).quantile(0.5),
        "cache_hit_ratio": rate(LOOKUPS).where(cache=RESPONSES, result="hit").rate().sum()
        / rate(LOOKUPS).where(cache=RESPONSES).rate().sum(),
        "active_requests": active,
        FAILURES: rate(ERRORS).increase().sum(*ALIKE),
    }
    sums = {
        "ever": whole(CALLS).now.sum(),
        "requests": whole(CALLS).increase().sum(),
        "errors": whole(CALLS).where(outcome="failed").increase().sum(),
        "cost_usd": whole(COST).increase().sum(),
        "tokens": whole(TOKENS).increase().sum("type"),
        "unpriced": whole("tallygate_llm_unpriced_calls_total").increase().sum(),
        "unmetered": whole("tallygate_llm_unmetered_calls_total").increase().sum(),
        "lookups": whole(LOOKUPS).where(cache=RESPONSES).increase().sum("result"),
        "active_requests": active,
        **{f"latency_{name}": whole(LATENCY).quantile(share) for name, share in SHARES.items()},
        **{f"ttft_{name}": whole(FIRST_TOKEN).quantile(share) for name, share in SHARES.items()},
        "tokens_per_second_p50": whole(SPEED).quantile(0.5),
        "available": whole("tallygate_provider_available").now.min("provider"),
        "breakers": whole(BREAKER).now.max("provider", "model", BREAKER),
        "provider ttft_p95": whole(FIRST_TOKEN).quantile(0.95, "provider"),
        "provider faults": whole(ERRORS).where(domain="provider").increase().sum("provider"),
    }
    for label in ("provider", "model", "route", *([KEY] if KEY in custom else [])):
        sums |= {
            f"{label} requests": whole(CALLS).increase().sum(label),
            f"{label} errors": whole(CALLS).where(outcome="failed").increase().sum(label),
            f"{label} tokens": whole(TOKENS).like(type="input|output").increase().sum(label),
            f"{label} cost_usd": whole(COST).increase().sum(label),
            f"{label} latency_p95": whole(LATENCY).quantile(0.95, label),
        }
    return Questions(curves, sums)


def figures_of(
    asked: Asked, range: str, now: float, ends: Sequence[int], providers: Sequence[str], about: Callable[..., Figures]
) -> Figures:
    """Figures from answers. ends: of the steps, where curves were asked for. providers: those that are configured."""
    ever = asked.maybe("ever")
    return about(
        range=range,
        now=now,
        problem=UNSEEN if ever is None else "",
        empty=not ever,
        # The value at the end of a step is that of the step, which is named by its beginning.
        times=[end - STEPS[range] for end in ends],
        series=Series(**{name: _curve(asked, name, ends) for name in NAMES}),
        totals=_totals(asked),
        providers=[_provider(asked, name) for name in providers],
        models=_named(asked, "model"),
        routes=_named(asked, "route"),
        keys=_named(asked, KEY) if f"{KEY} requests" in asked.sums else [],
        errors=_failures(asked),
    )


def _curve(asked: Asked, name: str, ends: Sequence[int]) -> list[Value]:
    kind = {"input_tokens": "input", "output_tokens": "output", "cached_tokens": "cache_read"}.get(name)
    wanted = {} if kind is None else {"type": kind}
    found = asked.curves[name if kind is None else "tokens"]
    values = next((values for labels, values in found if labels == wanted), {})
    return [_number(values.get(end)) for end in ends]


def _totals(asked: Asked) -> Totals:
    hits, misses = asked.number("lookups", result="hit"), asked.number("lookups", result="miss")
    return Totals(
        requests=round(asked.number("requests")),
        errors=round(asked.number("errors")),
        unpriced=round(asked.number("unpriced")),
        unmetered=round(asked.number("unmetered")),
        cost_usd=asked.number("cost_usd"),
        input_tokens=round(asked.number("tokens", type="input")),
        output_tokens=round(asked.number("tokens", type="output")),
        cached_tokens=round(asked.number("tokens", type="cache_read")),
        cache_hits=round(hits),
        cache_lookups=round(hits + misses),
        active_requests=round(asked.number("active_requests")),
        latency_p50=asked.maybe("latency_p50"),
        latency_p95=asked.maybe("latency_p95"),
        latency_p99=asked.maybe("latency_p99"),
        ttft_p50=asked.maybe("ttft_p50"),
        ttft_p95=asked.maybe("ttft_p95"),
        ttft_p99=asked.maybe("ttft_p99"),
        tokens_per_second_p50=asked.maybe("tokens_per_second_p50"),
    )


def _provider(asked: Asked, name: str) -> Provider:
    breakers = {
        labels.get("model", ""): labels.get(BREAKER, "")
        for labels, values in asked.sums["breakers"]
        if labels.get("provider") == name and _value(values)
    }
    return provider_of(
        name,
        requests=round(asked.number("provider requests", provider=name)),
        errors=round(asked.number("provider errors", provider=name)),
        faults=asked.number("provider faults", provider=name),
        cost_usd=asked.number("provider cost_usd", provider=name),
        latency_p95=asked.maybe("provider latency_p95", provider=name),
        ttft_p95=asked.maybe("provider ttft_p95", provider=name),
        available=asked.maybe("available", provider=name) != 0,
        breakers=breakers,
    )


def _named(asked: Asked, label: str) -> list[Named]:
    requests, errors, tokens, cost, latency = (
        asked.by(f"{label} {what}", label) for what in ("requests", "errors", "tokens", "cost_usd", "latency_p95")
    )
    # Those of which there are calls: others have series too, at 0.
    names = [name for name, count in requests.items() if round(count or 0) and (name or label != KEY)]
    names.sort(key=lambda name: (-(cost.get(name) or 0), -(requests[name] or 0), name))
    return [
        Named(
            name=name,
            requests=round(requests[name] or 0),
            errors=round(errors.get(name) or 0),
            tokens=round(tokens.get(name) or 0),
            cost_usd=cost.get(name) or 0.0,
            latency_p95=latency.get(name),
        )
        for name in names[:MOST_NAMES]
    ]


def _failures(asked: Asked) -> list[Failure]:
    failures: list[Failure] = []
    for labels, values in asked.curves[FAILURES]:
        provider, model, route, error_type = [labels.get(name, "") for name in ALIKE]
        failures += [
            Failure(at, count, provider, model, route, error_type, status_code="")
            for at, value in values.items()
            if (count := round(_number(value) or 0))
        ]
    failures.sort(key=lambda failure: -failure.time)
    return failures[:MOST_ERRORS]


def _value(values: Mapping[float, float]) -> Value:
    """The only value there is."""
    return next(map(_number, values.values()), None)


def _number(value: float | None) -> Value:
    """None for what is no number: quantiles of nothing are NaN."""
    return value if value is not None and math.isfinite(value) else None
