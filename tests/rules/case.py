"""What a case of an alert is, and how promtool is asked about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.rules.series import Series


@dataclass(frozen=True)
class Case:
    """When an alert fires and what it says then, and when it almost does and must not."""

    alert: str
    firing: Series
    labels: Mapping[str, str]
    """Of the alert, beside its severity."""
    summary: str
    description: str
    quiet: Mapping[str, Series]
    """By what keeps the alert from firing."""
    at: str = "30m"
    """When it is looked at."""
    every: str = "1m"
    """How often rules are evaluated; days of minutes are many."""
    severity: str = "warning"


@dataclass(frozen=True)
class Looked:
    """What promtool is to look at, in one group of series."""

    name: str
    series: Series
    alert: str
    at: str
    every: str
    expected: list[dict[str, Any]] = field(default_factory=list)

    def written(self) -> dict[str, Any]:
        """As promtool's test file has it."""
        return {
            "name": self.name,
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "alert_rule_test": [{"eval_time": self.at, "alertname": self.alert, "exp_alerts": self.expected}],
        }


def looks(case: Case, runbooks: str) -> list[Looked]:
    """One look that must find the alert, and those that must not."""
    fired = {
        "exp_labels": {"severity": case.severity, **case.labels},
        "exp_annotations": {
            "summary": case.summary,
            "description": case.description,
            "runbook_url": f"{runbooks}/{case.alert}.md",
        },
    }
    return [
        Looked(f"{case.alert} fires", case.firing, case.alert, case.at, case.every, [fired]),
        *(
            Looked(f"{case.alert} is quiet: {why}", series, case.alert, case.at, case.every)
            for why, series in case.quiet.items()
        ),
    ]
