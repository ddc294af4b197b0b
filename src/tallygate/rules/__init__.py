"""Alerts and recording rules for Prometheus, written over the families of a dialect.

::

    print(rules_file("tallygate", Targets(availability_objective=99.9, daily_budget=200)))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tallygate.dialects import DIALECTS
from tallygate.promql import Vocabulary
from tallygate.rules import aurora, calls, gatewayz, hyperagent, money, objectives, providers, upkeep, work
from tallygate.rules.given import Given, scaled
from tallygate.rules.model import Alert, Group, Recording, RuleError, Severity
from tallygate.rules.targets import Targets
from tallygate.rules.writing import MADE_BY, RUNBOOKS, written

__all__ = [
    "MADE_BY",
    "RULES",
    "RUNBOOKS",
    "Alert",
    "Given",
    "Group",
    "Recording",
    "RuleError",
    "Severity",
    "Targets",
    "groups_of",
    "rules_file",
    "written",
]

Theme = Callable[[Given], tuple[Group, ...]]

RULES: Mapping[str, tuple[Theme, ...]] = {
    "tallygate": (
        objectives.groups,
        providers.groups,
        calls.groups,
        money.groups,
        work.groups,
        upkeep.groups,
    ),
    "aurora": (aurora.groups,),
    "gatewayz": (gatewayz.groups,),
    "hyperagent": (hyperagent.groups,),
}
"""The dialects that have rules, and what these are about."""


def groups_of(dialect: str, targets: Targets | None = None, *, scale: float = 1) -> tuple[Group, ...]:
    """The rules of a dialect. ``scale``: what all of their durations are multiplied with, for tests that cannot wait.

    Raises RuleError for a dialect without rules, and for a scale that is none.
    """
    if dialect not in RULES:
        raise RuleError("dialect", dialect, "has no rules", f"take one of {', '.join(RULES)}")
    if not 0 < scale < float("inf"):
        raise RuleError("scale", scale, "is not above 0", "give a number that is, such as 1/60")
    families = Vocabulary(DIALECTS[dialect], window=scaled("5m", scale))
    given = Given(families, targets or Targets(), scale)
    return tuple(group for theme in RULES[dialect] for group in theme(given))


def rules_file(dialect: str, targets: Targets | None = None, *, runbooks: str = RUNBOOKS, scale: float = 1) -> str:
    """The rule file of a dialect, in YAML. ``runbooks``: address of the folder in which each alert has its page."""
    return MADE_BY + written(groups_of(dialect, targets, scale=scale), runbooks=runbooks, scale=scale)
