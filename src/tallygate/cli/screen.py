"""What `tallygate top` shows: figures laid out for a terminal of some size. Nothing here knows of keys or of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from rich.cells import set_cell_size
from rich.text import Text

from tallygate.cli.numbers import UNKNOWN, at, count, percent, seconds, speed, usd
from tallygate.scraping.figures import Amount, Figures, Line
from tallygate.scraping.plain import plain

HOUR: Final = 3600
SORTS: Final = ("requests", "errors", "tokens", "cost", "p95", "ttft", "name")
WIDE: Final = 104
"""Columns from which on tables also show totals."""
LEFT: Final = 37
"""Columns of the left half of the summary."""
MARK: Final = "\N{DOWNWARDS ARROW}"
"""Beside the column that tables are sorted by."""
STYLES: Final = {"LIVE": "bold green", "PAUSED": "bold yellow", "NO ANSWER": "bold white on red", "WAITING": "bold"}
STATES: Final = {"up": "green", "down": "bold white on red", "breaker": "bold yellow"}
"""How a provider's state is coloured; its word says the same."""

Sort = Literal["requests", "errors", "tokens", "cost", "p95", "ttft", "name"]


@dataclass(frozen=True)
class Shown:
    """What there is to show."""

    address: str
    interval: float
    figures: Figures | None = None
    problem: str = ""
    """Why the latest request had no page."""
    silent: float = 0.0
    """Seconds since the last page, while there is a problem."""
    paused: bool = False
    sort: Sort = "requests"
    note: str = ""
    """Something that is to be known, such as a restart."""


@dataclass(frozen=True)
class Column:
    """A column of a table of providers or models."""

    title: str
    sort: Sort | None
    width: int
    cell: Callable[[Line], str]


COLUMNS: Final = (
    Column("req/s", "requests", 8, lambda line: count(line.requests.rate)),
    Column("err/s", "errors", 8, lambda line: count(line.errors.rate)),
    Column("tok/s", "tokens", 8, lambda line: count(line.tokens.rate)),
    Column("$/hour", "cost", 9, lambda line: usd(hourly(line.cost))),
    Column("p95", "p95", 9, lambda line: seconds(*at(line.latency, "p95"))),
    Column("ttft p95", "ttft", 9, lambda line: seconds(*at(line.first_token, "p95"))),
)
TOTALS: Final = (
    Column("requests", None, 9, lambda line: count(line.requests.total)),
    Column("cost", None, 9, lambda line: usd(line.cost.total)),
)


def screen(shown: Shown, width: int, height: int) -> Text:
    """The lines of the screen, none wider than it, and no more than fit."""
    lines = [_head(shown, width), _state(shown)]
    figures = shown.figures
    if figures is None:
        lines += [Text(), *_waiting(shown)]
    elif not figures.dialects:
        lines += [Text(), *_foreign(shown.address)]
    else:
        lines += [*_summary(figures), _errors(figures), Text()]
        lines += _tables(figures, shown.sort, width, height - len(lines))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines[:height])


def hourly(amount: Amount) -> float | None:
    """Per hour."""
    return None if amount.rate is None else amount.rate * HOUR


def _head(shown: Shown, width: int) -> Text:
    dialects = "+".join(shown.figures.dialects) if shown.figures else ""
    end = f" {dialects or UNKNOWN}"
    start = set_cell_size(f"tallygate top  {plain(shown.address)}", max(0, width - len(end)))
    return Text(start + end, style="bold reverse")


def _state(shown: Shown) -> Text:
    """How fresh the figures are, in words as well as in colour."""
    figures = shown.figures
    if shown.problem:
        word, told = "NO ANSWER", f"for {seconds(round(shown.silent))}: {plain(shown.problem)}"
    elif shown.paused:
        word, told = "PAUSED", "p goes on"
    elif figures is None:
        word, told = "WAITING", "for the first page"
    elif figures.seconds is None:
        word, told = "LIVE", f"totals only; rates come with the next page, in {shown.interval:g} s"
    else:
        word, told = "LIVE", f"rates and percentiles of the last {seconds(figures.seconds)}, every {shown.interval:g} s"
    return Text.assemble((f" {word} ", STYLES[word]), f" {told}", (f"  {shown.note}" if shown.note else "", "bold"))


def _waiting(shown: Shown) -> list[Text]:
    if not shown.problem:
        return []
    return [Text("  It is asked again and again."), Text(f"  tallygate doctor {plain(shown.address)}  says more.")]


def _foreign(address: str) -> list[Text]:
    return [
        Text("  This page has no metrics of a gateway, in none of the dialects."),
        Text(f"  tallygate doctor {plain(address)}  says more."),
    ]


def _summary(figures: Figures) -> list[Text]:
    """Amounts on the left, percentiles on the right."""
    line = figures.line
    left = [
        _amount("requests", line.requests),
        _amount("errors", line.errors, "bold red" if line.errors.rate else ""),
        _amount("input tok", line.input_tokens),
        _amount("output tok", line.output_tokens),
        _amount("cached tok", line.cached_tokens),
        _pair("cost", f"{usd(hourly(line.cost))}/h" if line.cost.rate is not None else UNKNOWN, usd(line.cost.total)),
    ]
    right = [
        Text(f"{'':<12}{'p50':>10}{'p95':>10}{'p99':>10}", style="bold"),
        _spread("latency", [seconds(*at(line.latency, share)) for share in ("p50", "p95", "p99")]),
        _spread("first token", [seconds(*at(line.first_token, share)) for share in ("p50", "p95", "p99")]),
        _spread("tok/s, call", [speed(*at(line.tokens_per_second, share)) for share in ("p50", "p95", "p99")]),
        _spread("cache hits", [percent(figures.cache_hit_ratio)]),
        _spread("in flight", [count(figures.in_flight)]),
    ]
    return [Text.assemble(one, other) for one, other in zip(left, right, strict=True)]


def _amount(name: str, amount: Amount, style: str = "") -> Text:
    rate = UNKNOWN if amount.rate is None else f"{count(amount.rate)}/s"
    return _pair(name, rate, count(amount.total), style)


def _pair(name: str, rate: str, total: str, style: str = "") -> Text:
    return Text.assemble(
        (f"{name:<11}", "bold"), (f"{rate:>10}", style), f"{total:>9} total"[: LEFT - 21].ljust(LEFT - 21)
    )


def _spread(name: str, cells: list[str]) -> Text:
    return Text.assemble((f"{name:<12}", "bold"), "".join(f"{cell:>10}" for cell in cells))


def _errors(figures: Figures) -> Text:
    """What failed, most of it first."""
    if figures.line.errors.total is None:
        return Text()
    if not figures.errors:
        return Text("no errors" if not figures.line.errors.total else "errors: of no told type")
    told = [
        f"{plain(name) or UNKNOWN} {count(one.rate)}/s ({count(one.total)})" for name, one in figures.errors.items()
    ]
    return Text.assemble(("errors by type: ", "bold"), "  ".join(told))


def _tables(figures: Figures, sort: Sort, width: int, height: int) -> list[Text]:
    """Providers get what they need, up to half of the room; models the rest."""
    providers = min(len(figures.providers), max(1, (height - 3) // 2))
    lines = _table("PROVIDER", figures.providers, figures.states, sort, width, providers)
    room = height - len(lines) - 2
    return [*lines, Text(), *_table("MODEL", figures.models, None, sort, width, max(1, room))]


def _table(
    title: str, rows: Mapping[str, Line], states: Mapping[str, str] | None, sort: Sort, width: int, room: int
) -> list[Text]:
    """A heading and at most so many rows; the last tells how many more there are."""
    columns = (*COLUMNS, *(TOTALS if width >= WIDE else ()))
    name_width = width - sum(column.width for column in columns) - 8
    heading = Text(set_cell_size(title + (MARK if sort == "name" else ""), name_width), style="bold underline")
    for column in columns:
        heading.append((column.title + (MARK if column.sort == sort else "")).rjust(column.width))
    heading.append("state".rjust(8) if states is not None else " " * 8)
    if not rows:
        return [heading, Text(f"  this dialect tells of no {title.lower()}s, or none was called", style="italic")]
    ordered = sorted(rows, key=lambda name: _key(rows[name], name, sort))
    shown = ordered if len(ordered) <= room else ordered[: max(0, room - 1)]
    lines = [heading, *(_row(name, rows[name], states, columns, name_width) for name in shown)]
    if len(shown) < len(ordered):
        lines.append(Text(f"  and {len(ordered) - len(shown)} more", style="italic"))
    return lines


def _row(name: str, line: Line, states: Mapping[str, str] | None, columns: tuple[Column, ...], name_width: int) -> Text:
    row = Text(plain(name) or UNKNOWN)
    row.truncate(name_width - 1, overflow="ellipsis", pad=True)
    row.append(" ")
    for column in columns:
        row.append(
            column.cell(line).rjust(column.width), "bold red" if column.sort == "errors" and line.errors.rate else ""
        )
    if states is not None:
        state = states.get(name, UNKNOWN)
        row.append(" " * (8 - len(state)))
        row.append(state, STATES.get(state, ""))
    return row


def _key(line: Line, name: str, sort: Sort) -> tuple[float, float, str]:
    """The most first; what is not known last."""
    amounts = {"requests": line.requests, "errors": line.errors, "tokens": line.tokens, "cost": line.cost}
    if sort == "name":
        return (0, 0, name)
    if sort in amounts:
        amount = amounts[sort]
        return (_down(amount.rate), _down(amount.total), name)
    value, _ = at(line.latency if sort == "p95" else line.first_token, "p95")
    return (_down(value), 0, name)


def _down(number: float | None) -> float:
    return math.inf if number is None else -number
