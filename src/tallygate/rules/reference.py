"""The tables of docs/alerts.md: ``python -m tallygate.rules.reference``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tallygate.rules import RULES, Targets, groups_of
from tallygate.rules.model import Alert

LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
EVERY = Targets(daily_budget=100, monthly_budget=2000, memory_bytes=2**31, cpus=4)
"""Those that are only there when a number is told have one here."""


def reference() -> str:
    """A heading and a table for each dialect."""
    return "\n".join(line for dialect in RULES for line in _table(dialect))


def _table(dialect: str) -> Iterator[str]:
    yield f"### {dialect}\n"
    yield "| alert | severity | what it says | after |"
    yield "| --- | --- | --- | --- |"
    for group in groups_of(dialect, EVERY):
        for alert in group.alerts:
            link = f"[{alert.name}](runbooks/{alert.name}.md)"
            yield f"| {link} | {alert.severity} | {_said(alert)} | {'' if alert.wait == '0s' else alert.wait} |"
    yield ""


def _said(alert: Alert) -> str:
    return LABEL.sub(r"`\1`", alert.summary)


if __name__ == "__main__":
    print(reference(), end="")
