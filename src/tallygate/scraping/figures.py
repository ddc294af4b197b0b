"""What a gateway does at a glance: rates, totals and percentiles between two pages, in any dialect.

What a dialect does not tell is None, and so is what did not happen: there is no percentile of no calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from tallygate.declare import Dimension, Distribution
from tallygate.dialects import DIALECTS
from tallygate.facts import CacheLookup, DeploymentBreaker, LLMCall, LLMInFlight, Process, ProviderHealth
from tallygate.scraping.parsing import Page, grown
from tallygate.scraping.reading import Reading, Spread, Wanted, Where

SHARES = (0.5, 0.95, 0.99)
FRACTION = 1e-12
"""Less than this is what is left of sums of floating-point numbers."""


def _failing(status_code: str) -> bool:
    """Of an HTTP status, or the word for none."""
    return not (len(status_code) == 3 and status_code[0] in "123")


_COUNTS = (Wanted((LLMCall.count,)), Wanted((LLMCall.duration,), number=True))
"""Every call has a duration."""
_FAILURES = (
    Where(LLMCall.error_type, bool),
    Where(LLMCall.outcome, lambda outcome: outcome == "failed"),
    Where(LLMCall.status_code, _failing),
)
_ERRORS = tuple(count._replace(where=(failure,)) for failure in _FAILURES for count in _COUNTS)
_KINDS = (LLMCall.error_type, LLMCall.status_code)
"""By what failures are told apart."""
_LOOKUPS = (Wanted((CacheLookup.count, CacheLookup.more)),)
_HITS = (Wanted(_LOOKUPS[0].terms, (Where(CacheLookup.result, lambda result: result == "hit"),)),)
_MISSES = (Wanted(_LOOKUPS[0].terms, (Where(CacheLookup.result, lambda result: result == "miss"),)),)
_OPEN = (Wanted((DeploymentBreaker.holds,), (Where(DeploymentBreaker.state, lambda state: state == "open"),)),)
_READ = {
    *(measure for wanted in (*_COUNTS, *_LOOKUPS, *_OPEN) for measure in wanted.terms),
    *(LLMCall.input_tokens, LLMCall.uncached_input_tokens, LLMCall.output_tokens),
    *(LLMCall.cache_read_tokens, LLMCall.cache_write_tokens, LLMCall.cost),
    *(LLMCall.time_to_first_token, LLMCall.output_tokens_per_second),
    *(LLMInFlight.now, ProviderHealth.available),
}
NAMES = frozenset(
    family.base + suffix
    for dialect in DIALECTS.values()
    for family in dialect
    if set(family.measures) & _READ or family.measures == (Process.start_time,)
    for suffix in ("", "_total", "_bucket", "_count", "_sum")
)
"""Samples that figures are made of, in any dialect: a page has many more."""


@dataclass(frozen=True)
class Amount:
    """What adds up: since the program started, and per second lately."""

    total: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Percentiles:
    """Of what happened lately. What is infinite lies above ``top``, the last bound of the histogram."""

    p50: float
    p95: float
    p99: float
    top: float


@dataclass(frozen=True)
class Line:
    """All calls, or those of one provider or model. Times in seconds, cost in USD; tokens per second are output's."""

    requests: Amount = Amount()
    errors: Amount = Amount()
    input_tokens: Amount = Amount()
    output_tokens: Amount = Amount()
    cached_tokens: Amount = Amount()
    cost: Amount = Amount()
    latency: Percentiles | None = None
    first_token: Percentiles | None = None
    tokens_per_second: Percentiles | None = None

    @property
    def tokens(self) -> Amount:
        """Input and output."""
        one, other = self.input_tokens, self.output_tokens
        return Amount(_sum(one.total, other.total), _sum(one.rate, other.rate))


def _sum(one: float | None, other: float | None) -> float | None:
    """None when one is not known."""
    return None if one is None or other is None else one + other


@dataclass(frozen=True)
class Figures:
    """What a gateway does."""

    dialects: tuple[str, ...]
    time: float
    """Unix time of the page."""
    seconds: float | None
    """Over how long rates and percentiles are; None: since the start, whenever that was."""
    restarted: bool = False
    """The counters began anew within this time."""
    line: Line = Line()
    errors: Mapping[str, Amount] = field(default_factory=dict)
    """By type, or by HTTP status where a dialect knows no types; most first."""
    cache_hit_ratio: float | None = None
    """0 to 1, lately."""
    in_flight: float | None = None
    providers: Mapping[str, Line] = field(default_factory=dict)
    models: Mapping[str, Line] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    """Of providers: up, down, or breaker, when one of theirs is open."""


@dataclass(frozen=True)
class Scraped:
    """A page, and when it was had."""

    page: Page
    time: float
    """Unix time."""
    moment: float
    """Monotonic time."""

    @property
    def age(self) -> float | None:
        """Seconds since the program started, as it tells; None when it does not, or is wrong."""
        started = self.page.started
        return None if started is None or not started < self.time else self.time - started


def figures(before: Scraped | None, after: Scraped) -> Figures:
    """What happened between two pages; with one, all since the program started."""
    whole = Reading(after.page.samples)
    lately, seconds, restarted = whole, after.age, False
    if before is not None:
        samples, restarted = grown(before.page, after.page)
        lately, seconds = Reading(samples, whole.dialects), after.moment - before.moment
    view = _View(whole, lately, seconds)
    hits, misses = lately.amount(_HITS), lately.amount(_MISSES)
    states = _states(whole)
    return Figures(
        dialects=tuple(dialect.name for dialect in whole.dialects),
        time=after.time,
        seconds=seconds,
        restarted=restarted,
        line=view.lines(None).get("", Line()),
        errors=view.errors(),
        cache_hit_ratio=None if hits is None or misses is None or not hits + misses else hits / (hits + misses),
        in_flight=whole.amount([Wanted((LLMInFlight.now,))]),
        providers=_listed(view.lines(LLMCall.provider), states),
        models=_listed(view.lines(LLMCall.model)),
        states=states,
    )


class _View:
    """A page beside what was added to it lately."""

    def __init__(self, whole: Reading, lately: Reading, seconds: float | None) -> None:
        self._whole, self._lately, self._seconds = whole, lately, seconds

    def lines(self, by: Dimension | None) -> dict[str, Line]:
        """What is told of each value of a dimension, or of all calls, under ''."""
        requests = self._amounts(partial(Reading.amounts, wanted=_COUNTS, by=by))
        errors = self._amounts(partial(Reading.amounts, wanted=_ERRORS, by=by))
        read = self._amounts(partial(_input_tokens, by=by))
        written, cached, cost = (
            self._amounts(partial(Reading.amounts, wanted=(Wanted((measure,)),), by=by))
            for measure in (LLMCall.output_tokens, LLMCall.cache_read_tokens, LLMCall.cost)
        )
        latency, first_token, speed = (
            self._percentiles(measure, by)
            for measure in (LLMCall.duration, LLMCall.time_to_first_token, LLMCall.output_tokens_per_second)
        )
        told = (requests, errors, read, written, cached, cost, latency, first_token, speed)
        nothing = Amount(0.0, self._rate(0.0))

        def of(found: dict[str, Amount] | None, name: str) -> Amount:
            return Amount() if found is None else found.get(name, nothing)

        return {
            name: Line(
                requests=of(requests, name),
                errors=of(errors, name),
                input_tokens=of(read, name),
                output_tokens=of(written, name),
                cached_tokens=of(cached, name),
                cost=of(cost, name),
                latency=latency.get(name),
                first_token=first_token.get(name),
                tokens_per_second=speed.get(name),
            )
            for name in {name for found in told for name in found or ()} | ({""} if by is None else set())
        }

    def errors(self) -> dict[str, Amount]:
        """Failures by what tells them apart; those that happened."""
        for kind in _KINDS:
            found = self._amounts(partial(Reading.amounts, wanted=_ERRORS, by=kind))
            if found is not None:
                happened = [(name, amount) for name, amount in found.items() if amount.total]
                return dict(sorted(happened, key=lambda each: (-(each[1].rate or 0), -(each[1].total or 0), each[0])))
        return {}

    def _amounts(self, told: Callable[[Reading], dict[str, float] | None]) -> dict[str, Amount] | None:
        whole, lately = told(self._whole), told(self._lately)
        if whole is None or lately is None:
            return None
        return {name: Amount(total, self._rate(lately.get(name, 0.0))) for name, total in whole.items()}

    def _rate(self, added: float) -> float | None:
        if not self._seconds:
            return None
        return 0.0 if abs(added) < FRACTION else added / self._seconds

    def _percentiles(self, measure: Distribution, by: Dimension | None) -> dict[str, Percentiles]:
        found = self._lately.spreads(measure, by) or {}
        told = {name: _percentiles(spread) for name, spread in found.items()}
        return {name: each for name, each in told.items() if each is not None}


def _percentiles(spread: Spread) -> Percentiles | None:
    p50, p95, p99 = (spread.quantile(share) for share in SHARES)
    return None if p50 is None or p95 is None or p99 is None else Percentiles(p50, p95, p99, spread.top)


def _input_tokens(reading: Reading, by: Dimension | None) -> dict[str, float] | None:
    """As they are told, or put together of those in and outside of prompt caches."""
    whole = reading.amounts([Wanted((LLMCall.input_tokens,))], by)
    if whole is not None:
        return whole
    parts = [
        reading.amounts([Wanted((measure,))], by)
        for measure in (LLMCall.uncached_input_tokens, LLMCall.cache_read_tokens, LLMCall.cache_write_tokens)
    ]
    found: dict[str, float] = {}
    for part in parts:
        if part is None:
            return None
        for name, amount in part.items():
            found[name] = found.get(name, 0.0) + amount
    return found


def _states(reading: Reading) -> dict[str, str]:
    """How providers are: from what was last seen of them, and from the breakers of their deployments."""
    health = reading.amounts([Wanted((ProviderHealth.available,))], ProviderHealth.provider) or {}
    breakers = reading.amounts(_OPEN, DeploymentBreaker.provider) or {}
    states = {name: "up" if available else "down" for name, available in health.items()}
    return states | {name: "breaker" for name, opened in breakers.items() if opened and states.get(name) != "down"}


def _listed(lines: Mapping[str, Line], names: Iterable[str] = ()) -> dict[str, Line]:
    """In alphabetical order, with those that are known and were not called."""
    return {name: lines.get(name, Line()) for name in sorted({*lines, *names})}
