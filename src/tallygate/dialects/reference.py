"""Writes docs/metrics.md from the facts and the dialects.

``python -m tallygate.dialects.reference > docs/metrics.md``
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from tallygate import declare
from tallygate.declare import Condition, CustomLabels, Fact, Label, Measure
from tallygate.dialects import DIALECTS
from tallygate.dialects.families import Computed, Dialect, Family, Histogram, Info, Part, Split, Summary
from tallygate.dialects.reader import plain
from tallygate.facts import FACTS

HEAD = """\
# Metrics

<!-- Made by `python -m tallygate.dialects.reference` from src/tallygate/facts/ and src/tallygate/dialects/. -->

Tallygate records *facts* (an LLM call ended, a cache was looked into) and reads them in *dialects*: vocabularies of
metric families. `/metrics` shows the configured dialects, `/metrics?dialect=NAME` any other, of the same numbers.

- A label printed as `label*` shows its known values at 0 before they happen; `...` stands for your custom labels.
- Numbers are exact: tokens are counted whole, durations in units of 100 ns, money in units of 10^-11 USD.
- A label set beyond a fact's budget of rows goes to one overflow row, whose labels are all `other`: totals stay exact.
  What is not known of its records (whether they failed, for instance) is not guessed: they are in no family that asks.
"""

OWN = """
## Your own dialect

A dialect is a list of declarations; it is checked when it is made, and an error says what to mend.

```python
from tallygate.dialects.families import Counter, Dialect, Gauge, Histogram, Summary, split
from tallygate.facts import LLMCall, LLMInFlight

team = (LLMCall.agent_name.named("team"), LLMCall.model)

HOUSE = Dialect(
    "house",
    Counter("house_ai_requests_total", LLMCall.count, by=(*team, LLMCall.outcome.from_zero())),
    Counter("house_ai_tokens_total", split("kind", read=LLMCall.input_tokens, written=LLMCall.output_tokens), by=team),
    Counter("house_ai_cents_total", LLMCall.cost * 100, by=team),
    Counter(
        "house_ai_timeouts_total",
        LLMCall.count.where(LLMCall.error_type.among("provider_timeout")),
        by=team,
        help="Calls that took the provider too long",
    ),
    Histogram("house_ai_wait_ms", LLMCall.duration * 1000, by=team, buckets=(100, 500, 1000, 5000, 30000)),
    Summary("house_ai_seconds", LLMCall.duration, by=team, quantiles=(0.5, 0.99), within=(0.01, 600)),
    Gauge("house_ai_waiting", LLMInFlight.now, by=(LLMInFlight.model,)),
)
```
"""


def reference() -> str:
    """The whole page, Markdown."""
    lines = [HEAD, "## Dialects", ""]
    lines += [f"- [`{dialect.name}`](#dialect-{dialect.name}): {dialect.help}" for dialect in DIALECTS.values()]
    for dialect in DIALECTS.values():
        lines += ["", *_dialect(dialect)]
    lines += [OWN.rstrip(), "", "## Facts", "", "What is recorded, whatever the dialect."]
    for fact in FACTS:
        lines += ["", *_fact(fact)]
    return "\n".join(lines) + "\n"


def _dialect(dialect: Dialect) -> Iterator[str]:
    yield f"### Dialect `{dialect.name}`"
    yield ""
    module = sys.modules[f"tallygate.dialects.{dialect.name}"]
    paragraphs = (inspect.getdoc(module) or "").replace("``", "`").split("\n\n")
    yield "\n\n".join(paragraphs)
    yield ""
    yield from _table(
        ("family", "type", "labels", "what"),
        ((f"`{family.name}`", family.kind, _labels(family), _what(family)) for family in dialect),
    )
    buckets = _buckets(dialect)
    if buckets:
        yield ""
        yield from _table(("buckets", "of"), buckets)
    quantiles = _quantiles(dialect)
    if quantiles:
        yield ""
        yield from _table(("summary", "quantiles", "less than 5 % off from"), quantiles)


def _buckets(dialect: Dialect) -> list[tuple[str, str]]:
    """Which bounds each histogram has; those alike together."""
    families: dict[str, list[str]] = {}
    for family in dialect:
        if isinstance(family, Histogram):
            bounds = ", ".join(plain(bound) for bound in family.bounds)
            families.setdefault(bounds, []).append(f"`{family.name}`")
    return [(bounds, ", ".join(names)) for bounds, names in families.items()]


def _quantiles(dialect: Dialect) -> list[tuple[str, str, str]]:
    """Which quantiles each summary has, and between which values they are told."""
    return [
        (
            f"`{family.name}`",
            ", ".join(plain(share) for share in family.shares),
            " to ".join(plain(Decimal(str(end))) for end in family.within),
        )
        for family in dialect
        if isinstance(family, Summary) and family.quantiles
    ]


def _labels(family: Family) -> str:
    shown = []
    for item in family.labels:
        if isinstance(item, CustomLabels):
            shown.append("...")
        elif isinstance(item, Label):
            shown.append(f"`{item.name}`" + ("*" if item.zero else ""))
        else:
            shown.append(f"`{item.name}`")
    if isinstance(family.value, Split):
        shown.append(f"`{family.value.label}` = {' '.join(word for word, _ in family.value.parts)}")
    return ", ".join(shown)


def _what(family: Family) -> str:
    help = family.shown_help.rstrip(".")
    match family.value:
        case Computed(key=key):
            return f"{help} (the ledger's `{key}`)"
        case _ if isinstance(family, Info):
            return f"{help} (`{family.measures[0]!r}`)"
        case _:
            return f"{help} ({'; '.join(_part(part) for part in family.parts)}){_zeros(family)}"


def _zeros(family: Family) -> str:
    shown = [" ".join(f'{name}="{value}"' for name, value in zero.items()) for zero in family.zeros if zero]
    return f"; at 0 before it happens: `{'`, `'.join(shown)}`" if shown else ""


def _part(part: Part) -> str:
    terms = [
        f"`{measure!r}`" + (f" x {plain(factor)}" if factor != 1 else "") for measure, factor in part.expression.terms
    ]
    return " + ".join(terms) + _where(part.expression.condition)


def _where(condition: Condition) -> str:
    clauses = [
        f"`{dimension.name}` {'is' if wanted else 'is not'} {' or '.join(repr(value) for value in sorted(values))}"
        for dimension, values, wanted in condition.clauses
    ]
    return f" where {' and '.join(clauses)}" if clauses else ""


def _fact(fact: type[Fact]) -> Iterator[str]:
    yield f"### {fact.__name__}"
    yield ""
    yield inspect.getdoc(fact) or ""
    custom = " The custom labels of the configuration are further dimensions." if fact.takes_custom_labels else ""
    yield f"At most {fact.budget:,} rows.{custom}"
    if fact.dimensions:
        yield ""
        rows = [
            (f"`{dimension.name}`", dimension.help, ", ".join(repr(value) for value in dimension.values))
            for dimension in fact.dimensions
        ]
        yield from _table(("dimension", "what", "values"), rows)
    yield ""
    yield from _table(
        ("measure", "kind", "unit", "counted in", "what"),
        (
            (f"`{measure.name}`", _kind(measure), measure.unit, _resolution(measure), measure.help + _only(measure))
            for measure in (fact.count, *fact.measures)
        ),
    )


def _kind(measure: Measure) -> str:
    combine = f" ({measure.combine} over workers)" if isinstance(measure, declare.Gauge) else ""
    return type(measure).__name__.lower() + combine


def _resolution(measure: Measure) -> str:
    return "1" if measure.exponent == 0 else f"10^{measure.exponent}"


def _only(measure: Measure) -> str:
    return f"; only{_where(measure.only)}" if measure.only.clauses else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
