"""What a gateway does, once, for scripts: lines of fixed columns, or JSON. Each line begins with what it is about."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from tallygate.cli.numbers import UNKNOWN
from tallygate.scraping.address import Address
from tallygate.scraping.figures import Amount, Figures, Line, Percentiles
from tallygate.scraping.plain import plain

HOUR = 3600
AMOUNTS = ("requests", "errors", "input_tokens", "output_tokens", "cached_tokens")
SPREADS = (("latency_s", "latency"), ("ttft_s", "first_token"), ("tokens_per_s", "tokens_per_second"))
ROWS = (
    *("requests", "req_per_s", "errors", "err_per_s", "tokens", "tok_per_s", "cost_usd", "usd_per_h"),
    *("p95_s", "ttft_p95_s", "state"),
)

WORDS = ("per", "dialect", "address", "state", "name")
"""Columns that are no numbers."""


def in_lines(figures: Figures, address: Address) -> str:
    """For people and for scripts that take lines apart; names stand last, as they may have spaces."""
    line = figures.line
    parts = [
        _aligned([("#page", "seconds", "dialect", "address"), _page(figures, address)]),
        _aligned(
            [
                ("#amount", "rate", "per", "total"),
                *((name, _number(one.rate), "s", _number(one.total)) for name, one in _amounts(line)),
                ("cost_usd", _number(_hourly(line.cost)), "h", _number(line.cost.total)),
            ]
        ),
        _aligned(
            [
                ("#percentile", "p50", "p95", "p99"),
                *((name, *_percentiles(getattr(line, field))) for name, field in SPREADS),
            ]
        ),
        _aligned(
            [
                ("#now", "value"),
                ("cache_hit_ratio", _number(figures.cache_hit_ratio)),
                ("in_flight", _number(figures.in_flight)),
            ]
        ),
        _aligned(
            [
                ("#error", "rate", "per", "total", "name"),
                *(
                    ("error", _number(one.rate), "s", _number(one.total), _name(name))
                    for name, one in figures.errors.items()
                ),
            ]
        ),
        _aligned(
            [
                ("#each", *ROWS, "name"),
                *(_row("provider", name, one, figures.states.get(name)) for name, one in figures.providers.items()),
                *(_row("model", name, one, None) for name, one in figures.models.items()),
            ]
        ),
    ]
    return "\n".join(parts)


def in_json(figures: Figures, address: Address) -> str:
    """All there is; null where nothing is known or nothing happened."""
    document = {
        "address": str(address),
        "time": figures.time,
        "seconds": figures.seconds,
        "restarted": figures.restarted,
        "dialects": list(figures.dialects),
        **_line(figures.line),
        "errors_by_type": {name: _amount(one) for name, one in figures.errors.items()},
        "cache_hit_ratio": figures.cache_hit_ratio,
        "in_flight": figures.in_flight,
        "providers": [
            {"name": name, "state": figures.states.get(name), **_line(one)} for name, one in figures.providers.items()
        ],
        "models": [{"name": name, **_line(one)} for name, one in figures.models.items()],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _page(figures: Figures, address: Address) -> tuple[str, ...]:
    seconds = UNKNOWN if figures.seconds is None else f"{figures.seconds:.1f}"
    return ("page", seconds, "+".join(figures.dialects) or UNKNOWN, plain(str(address)))


def _amounts(line: Line) -> Iterable[tuple[str, Amount]]:
    return ((name, getattr(line, name)) for name in AMOUNTS)


def _hourly(amount: Amount) -> float | None:
    return None if amount.rate is None else amount.rate * HOUR


def _row(kind: str, name: str, line: Line, state: str | None) -> tuple[str, ...]:
    numbers = [
        each for one in (line.requests, line.errors, line.tokens) for each in (_number(one.total), _number(one.rate))
    ]
    cost = (_number(line.cost.total), _number(_hourly(line.cost)))
    return (
        kind,
        *numbers,
        *cost,
        _percentiles(line.latency)[1],
        _percentiles(line.first_token)[1],
        state or UNKNOWN,
        _name(name),
    )


def _percentiles(one: Percentiles | None) -> tuple[str, str, str]:
    """``>600`` where it lies above the last bound."""
    if one is None:
        return (UNKNOWN, UNKNOWN, UNKNOWN)
    told = [f">{_number(one.top)}" if math.isinf(each) else _number(each) for each in (one.p50, one.p95, one.p99)]
    return (told[0], told[1], told[2])


def _number(number: float | None) -> str:
    """Never in powers, whole where it is whole."""
    if number is None or not math.isfinite(number):
        return UNKNOWN
    text = f"{number:.6f}" if abs(number) < 0.1 else f"{number:.3f}"
    return text.rstrip("0").rstrip(".") or "0"


def _name(name: str) -> str:
    return plain(name) or UNKNOWN


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Words to the left, numbers to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    words = {0, *(place for place, heading in enumerate(rows[0]) if heading in WORDS)}
    lines = [
        "  ".join(
            cell.ljust(width) if place in words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "".join(f"{line}\n" for line in lines)


def _line(line: Line) -> dict[str, Any]:
    return {
        **{name: _amount(one) for name, one in _amounts(line)},
        "cost_usd": {"total": line.cost.total, "per_hour": _hourly(line.cost)},
        **{name: _spread(getattr(line, field)) for name, field in SPREADS},
    }


def _amount(amount: Amount) -> dict[str, float | None]:
    return {"total": amount.total, "per_second": amount.rate}


def _spread(one: Percentiles | None) -> dict[str, float | None] | None:
    """Above the last bound stands the last bound, as in PromQL."""
    if one is None:
        return None
    told = {"p50": one.p50, "p95": one.p95, "p99": one.p99}
    return {name: _finite(min(value, one.top)) for name, value in told.items()}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
