"""What a rule file is made of: recording rules and alerts, in groups."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tallygate.promql import Query, Recorded

Severity = Literal["critical", "warning", "info"]
"""critical: somebody has to act now; warning: today; info: to be known when something else is looked into."""

LABEL_IN_TEXT = re.compile(r"\$labels\.(\w+)")


class RuleError(ValueError):
    """A rule, or a number given for one, that cannot be: names the field, its value, what is wrong and the mend."""

    def __init__(self, field: str, value: object, problem: str, mend: str) -> None:
        super().__init__(f"{field}: {value!r} {problem}; {mend}")
        self.field, self.value, self.problem, self.mend = field, value, problem, mend


@dataclass(frozen=True)
class Recording:
    """A query whose answer is kept as a series of its own."""

    name: str
    query: Query

    @property
    def series(self) -> Recorded:
        """What it writes, to be asked by the rules after it."""
        return Recorded(self.name, self.query.labels)


@dataclass(frozen=True)
class Alert:
    """A query that has an answer when something is wrong.

    summary, description: templates of Prometheus, with ``$value`` and the ``$labels`` of the query.
    wait: how long it must hold before it fires. keep: how long it goes on when it holds no longer, so that what comes
    and goes is one alert. Raises RuleError for a text that names a label which the query does not have.
    """

    name: str
    query: Query
    severity: Severity
    summary: str
    description: str
    wait: str = "0s"
    keep: str = "0s"

    def __post_init__(self) -> None:
        for text in (self.summary, self.description):
            for label in LABEL_IN_TEXT.findall(text):
                if label not in self.query.labels:
                    has = ", ".join(sorted(self.query.labels)) or "none"
                    raise RuleError(self.name, text, f"names the label {label!r}", f"the query has {has}")


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated together, in this order. ``interval``: how often; '' leaves it to Prometheus."""

    name: str
    rules: tuple[Recording | Alert, ...]
    interval: str = ""

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Those that alert."""
        return tuple(rule for rule in self.rules if isinstance(rule, Alert))
