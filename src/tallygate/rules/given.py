"""What rules are written with, and the shapes of expression that many of them have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tallygate.promql import Query, Recorded, Selector, Vocabulary
from tallygate.rules.targets import Targets

DURATION = re.compile(r"(\d+)([smhd])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Given:
    """The families of a dialect, the numbers that people set, and how fast time goes.

    scale: what every duration is multiplied with; a test that cannot wait for hours takes a smaller one than 1.
    """

    families: Vocabulary
    targets: Targets
    scale: float = 1

    def __call__(self, family: str) -> Selector:
        """The series of this family. Raises QueryError when the dialect does not have it."""
        return self.families(family)

    def seconds(self, duration: str) -> float:
        """Of a duration as the rules write it, on this scale."""
        return seconds_of(duration) * self.scale

    def span(self, duration: str) -> str:
        """The duration on this scale, as PromQL has it."""
        return scaled(duration, self.scale)

    def share_above(
        self, limit: float, part: Selector, whole: Selector, *by: str, window: str = "5m", least: float = 20
    ) -> Query:
        """Where more than this share of a counter counts under another one too, and there is enough to tell.

        Less than ``least`` in the window says nothing: one call that fails alone is a share of 1.
        """
        window = self.span(window)
        share = part.rate(window).sum(*by) / whole.rate(window).sum(*by)
        return share.above(limit).and_(whole.increase(window).sum(*by).above(least))

    def spike(self, factor: float, rate: Recorded, *, window: str, least: float) -> Query:
        """Where a recorded rate is more than so many times its mean of the day before.

        Silent until it has a day of history, and where less than ``least`` was counted in the window.
        """
        window_, day = self.span(window), self.span("1d")
        now, usual = rate.average(window_), rate.ago(window_).average(day)
        enough = (now * self.seconds(window)).above(least)
        return (now / usual).above(factor).and_(enough).and_(rate.ago(day).now)


def seconds_of(duration: str) -> float:
    """Of ``5m`` and the like."""
    found = DURATION.fullmatch(duration)
    assert found, duration
    return int(found[1]) * UNITS[found[2]]


def scaled(duration: str, scale: float) -> str:
    """The duration multiplied with this, as Prometheus has it."""
    return duration if scale == 1 else f"{max(1, round(seconds_of(duration) * scale * 1000))}ms"
