"""What is to be said of a page that was read."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from prometheus_client import Metric

from tallygate.scraping.diagnosis.findings import (
    FamilySize,
    Finding,
    LabelSize,
    PageFacts,
    listed,
    note,
    problem,
    warning,
)
from tallygate.scraping.fetching import Answer
from tallygate.scraping.figures import Scraped, figures
from tallygate.scraping.parsing import Labels, Page, fallen
from tallygate.scraping.plain import plain

SLOW = 5.0
"""Seconds: half of Prometheus' default timeout."""
SKEW = 5.0
"""Seconds that clocks may differ; Date has whole seconds."""
BOUNDS = ("le", "quantile")
"""Labels that belong to a type; their values are declared."""
MANY_SERIES = 50_000
"""On a page."""
MANY_VALUES = 500
"""Of a label."""


@dataclass(frozen=True)
class Visit:
    """An answer, and its page."""

    answer: Answer
    page: Page


def facts_of(visit: Visit, dialects: tuple[str, ...]) -> PageFacts:
    """What the page is like."""
    page, answer = visit.page, visit.answer
    sizes = _bytes_by_name(answer.body)
    owner = {sample.name: metric.name for metric in page.metrics for sample in metric.samples}
    series: Tally[str] = Tally({metric.name: len(metric.samples) for metric in page.metrics})
    bytes: Tally[str] = Tally()
    for name, size in sizes.items():
        # Counters without _total get it from the parser.
        bytes[owner.get(name, owner.get(f"{name}_total", name))] += size
    values: dict[str, set[str]] = {}
    for each in page.samples.values.values():
        for labels in each:
            for label, value in labels:
                if label not in BOUNDS:
                    values.setdefault(label, set()).add(value)
    families = [FamilySize(plain(name), number, bytes[name]) for name, number in series.items()]
    return PageFacts(
        format=page.format,
        bytes=len(answer.body),
        sent_bytes=answer.sent_bytes,
        seconds=answer.seconds,
        series=sum(series.values()),
        families=sorted(families, key=lambda family: (-family.series, -family.bytes, family.name)),
        labels=sorted(
            (LabelSize(plain(name), len(each)) for name, each in values.items()),
            key=lambda label: (-label.values, label.name),
        ),
        dialects=dialects,
        exemplars=len(page.exemplars),
    )


def _bytes_by_name(body: bytes) -> dict[str, int]:
    """How many bytes the samples of each name take."""
    sizes: dict[str, int] = {}
    for line in body.split(b"\n"):
        if line and not line.startswith(b"#"):
            name = line.partition(b"{")[0].partition(b" ")[0].decode()
            sizes[name] = sizes.get(name, 0) + len(line) + 1
    return sizes


def judged(visit: Visit, facts: PageFacts) -> Iterator[Finding]:
    """What one page shows."""
    yield from _traffic(visit)
    yield from _consistent(visit.page)
    yield from _cardinality(visit.page, facts)
    yield from _slow(facts)
    yield from _clocks(visit)


def _traffic(visit: Visit) -> Iterator[Finding]:
    page = visit.page
    told = figures(None, Scraped(page, visit.answer.time, 0.0))
    if not page.metrics:
        yield problem(
            "empty", "the page has no metrics at all", "There is nothing to see.", "Check host, port and path."
        )
        return
    if not told.dialects:
        yield warning(
            "foreign",
            "no family of it is a gateway's, in any dialect",
            "It is another program's page, or shows none of the LLM metrics.",
            "Check host, port and path, and the query: ?name[]= picks families.",
        )
        return
    calls = told.line.requests.total
    if calls is None:
        calls = (told.line.latency is not None) + (told.line.errors.total or 0)
    if not calls:
        yield note(
            "no-traffic",
            "no LLM call was counted yet",
            "Many series are there only once something happened; boards stay empty until then.",
            "Send a request through the gateway, and look again.",
        )
    if page.format == "text":
        yield warning(
            "no-openmetrics",
            "it answered in the text format, though OpenMetrics is preferred",
            "There are no exemplars in it.",
            "If a proxy is between, let it pass the Accept header on.",
        )
    elif calls and not page.exemplars:
        yield note(
            "no-exemplars",
            "there was traffic, and no exemplar is on the page",
            "Exemplars lead from a slow bucket to the trace of a call; only calls of sampled traces have them.",
            "Let callers send a traceparent header with the sampled flag; Prometheus keeps exemplars with"
            " --enable-feature=exemplar-storage.",
        )


def _consistent(page: Page) -> Iterator[Finding]:
    if page.doubled:
        names = [written(name, labels) for name, labels in page.doubled]
        yield problem(
            "duplicate-series",
            f"twice on the page: {listed(names, 3)}",
            "Prometheus keeps one of the two values, or refuses the page.",
            "Two collectors show the same metric: rename or remove one.",
        )
    broken = [told for metric in page.metrics if metric.type == "histogram" for told in _broken(metric)]
    if broken:
        yield problem(
            "histogram",
            f"histograms that contradict themselves: {listed(broken, 3)}",
            "Quantiles and means of it are wrong.",
            "Count, +Inf bucket and the buckets below it must be written in one moment.",
        )


def _broken(metric: Metric) -> Iterator[str]:
    buckets: dict[Labels, list[tuple[float, float]]] = {}
    counts: dict[Labels, float] = {}
    for sample in metric.samples:
        labels = dict(sample.labels)
        le = labels.pop("le", "")
        key = tuple(sorted(labels.items()))
        if sample.name == f"{metric.name}_bucket":
            try:
                buckets.setdefault(key, []).append((float(le), sample.value))
            except ValueError:
                yield f"{written(metric.name, key)} has le={plain(le)!r}"
        elif sample.name == f"{metric.name}_count":
            counts[key] = sample.value
    for key, bounds in buckets.items():
        numbers = [number for _, number in sorted(bounds)]
        if max(bounds)[0] != float("inf"):
            yield f"{written(metric.name, key)} has no +Inf bucket"
        elif numbers != sorted(numbers):
            yield f"{written(metric.name, key)} has buckets that fall"
        elif key in counts and counts[key] != numbers[-1]:
            yield f"{written(metric.name, key)} counts {counts[key]:g}, and {numbers[-1]:g} in its +Inf bucket"


def _cardinality(page: Page, facts: PageFacts) -> Iterator[Finding]:
    if facts.series > MANY_SERIES:
        top = [f"{family.name} ({family.series})" for family in facts.families[:3]]
        yield warning(
            "many-series",
            f"{facts.series} series; most of them: {listed(top)}",
            f"More than {MANY_SERIES} on one page make Prometheus' memory and every query heavy.",
            "Drop what nobody asks for with metric_relabel_configs, or ask for a dialect with fewer labels.",
        )
    many = [f"{label.name} ({label.values})" for label in facts.labels if label.values > MANY_VALUES]
    if many:
        yield warning(
            "many-values",
            f"labels with many values: {listed(many, 3)}",
            f"Above {MANY_VALUES} a label is most likely an id; each new value is new series, for ever.",
            "Turn the identity or label off (metrics.identities, metrics.labels), or limit it with top:N.",
        )
    lost = page.samples.number("tallygate_ledger_overflowed_rows_total")
    if lost:
        yield warning(
            "overflow",
            f"{lost:g} label sets found no room and count under 'other'",
            "Totals stay exact, and what is told by label does not.",
            "Find the label with too many values, below.",
        )


def _slow(facts: PageFacts) -> Iterator[Finding]:
    if facts.seconds > SLOW:
        yield warning(
            "slow",
            f"it took {facts.seconds:.1f} s, for {facts.bytes} bytes",
            "Prometheus gives up after its scrape_timeout, 10 s unless set.",
            "Make the page smaller, raise scrape_timeout, or give the gateway more CPU.",
        )


def _clocks(visit: Visit) -> Iterator[Finding]:
    here = visit.answer.time
    try:
        there = parsedate_to_datetime(visit.answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        there = here
    if abs(there - here) > SKEW:
        yield warning(
            "clock-skew",
            f"its clock is {abs(there - here):.0f} s {'ahead of' if there > here else 'behind'} the one here",
            "Samples get Prometheus' time; exemplars, start times and logs have the gateway's.",
            "Let both machines keep time by NTP.",
        )
    started = visit.page.started
    if started is not None and started > here + SKEW:
        yield warning(
            "start-in-future",
            f"process_start_time_seconds is {started - here:.0f} s from now",
            "Uptimes come out negative, and what compares start times goes wrong.",
            "Let both machines keep time by NTP.",
        )
    late = [float(each.timestamp) for each in visit.page.exemplars if each.timestamp is not None]
    if late and max(late) > here + SKEW:
        yield warning(
            "exemplars-in-future",
            f"an exemplar is {max(late) - here:.0f} s from now",
            "Prometheus refuses exemplars that lie in its future.",
            "Let both machines keep time by NTP.",
        )


def compared(first: Visit, second: Visit) -> Iterator[Finding]:
    """What two pages show, one right after the other."""
    down = sorted(fallen(first.page, second.page), key=lambda each: (each[0], each[1]))
    if not down:
        return
    before, after = first.page.started, second.page.started
    if before is not None and after is not None and after > before:
        yield note(
            "restarted",
            "the program was started anew between two requests",
            "Its counters began at 0, which Prometheus knows how to take.",
            "Nothing, if it was meant to.",
        )
        return
    name, labels, value, now = down[0]
    yield problem(
        "counter-down",
        f"{len(down)} counters went down between two requests: {written(name, labels)}"
        f" from {value:g} to {'nothing' if now is None else f'{now:g}'}",
        "Prometheus takes it for a restart and adds the whole value again: rates are far too high.",
        "Several processes answer at one address, each with numbers of its own: scrape each of them, or let them share"
        " a ledger.",
    )


def written(name: str, labels: Labels) -> str:
    """A series as it stands on a page, cut short."""
    pairs = ",".join(f'{label}="{value}"' for label, value in labels)
    return plain(f"{name}{{{pairs}}}" if pairs else name, 120)
