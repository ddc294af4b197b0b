"""Objectives of service, and alerts on how fast what they allow is used up.

An objective of 99.5 % allows 0.5 % of bad calls. At a burn rate of 1 a month's allowance lasts a month, at 14.4 two
days. Each alert looks at a long window, so that it means something, and at a short one, so that it ends soon after the
trouble.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tallygate.promql import Query, Recorded
from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group, Recording

FAST = (("1h", "5m", 14.4), ("6h", "30m", 6.0))
SLOW = (("1d", "2h", 3.0), ("3d", "6h", 1.0))
"""Long window, short window, and the burn rate in both of them at which somebody is told."""
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
LEAST = 30
"""Of calls in the long window; fewer say nothing."""


@dataclass(frozen=True)
class Objective:
    """How many percent of calls are to be good.

    alert: what its two alerts are called, without BurnFast and BurnSlow. bad, all: per second, by job, of the latest
    five minutes; ``bad_name`` and ``all_name`` are what they are recorded under.
    """

    alert: str
    percent: float
    bad: Query
    bad_name: str
    all: Query
    all_name: str
    what: str
    """What is wrong with the bad ones: 'LLM calls fail'."""

    @property
    def allowed(self) -> float:
        """The share that may be bad."""
        return round(1 - self.percent / 100, 9)


def burning(given: Given, group: str, objective: Objective) -> Group:
    """What is recorded for an objective, and its two alerts.

    Long windows are means of what was recorded for five minutes: over all series of a large gateway, three days would
    be more samples than Prometheus looks at for one query.
    """
    bad = Recording(f"job:{objective.bad_name}:rate5m", objective.bad)
    all_ = Recording(f"job:{objective.all_name}:rate5m", objective.all)
    shares = {
        window: Recording(
            f"job:{objective.bad_name}:ratio_rate{window}", _share(given, bad.series, all_.series, window)
        )
        for window in WINDOWS
    }

    def fires(pairs: tuple[tuple[str, str, float], ...]) -> Query:
        first, second = (
            shares[long]
            .series.now.above(rate * objective.allowed)
            .and_(shares[short].series.now.above(rate * objective.allowed))
            .and_((all_.series.total(given.span(long), given.span("5m")) * given.seconds("5m")).above(LEAST))
            for long, short, rate in pairs
        )
        return first.or_(second)

    def alerts() -> Iterator[Alert]:
        goal = f"of them, where the objective of {objective.percent:g} % allows {objective.allowed * 100:g} %"
        yield Alert(
            f"{objective.alert}BurnFast",
            fires(FAST),
            "critical",
            f"Many {objective.what}",
            f"{{{{ $value | humanizePercentage }}}} {goal}: a month's allowance is gone in days.",
            wait="2m",
            keep="5m",
        )
        yield Alert(
            f"{objective.alert}BurnSlow",
            fires(SLOW),
            "warning",
            f"More {objective.what} than the objective allows",
            f"{{{{ $value | humanizePercentage }}}} {goal}, for a day or more.",
            wait="15m",
            keep="15m",
        )

    return Group(group, (bad, all_, *shares.values(), *alerts()))


def _share(given: Given, bad: Recorded, all_: Recorded, window: str) -> Query:
    if window == "5m":
        return bad.now / all_.now
    span = given.span(window)
    return bad.average(span) / all_.average(span)
