"""Rules as the file that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from tallygate.rules.given import scaled
from tallygate.rules.model import Alert, Group, Recording, RuleError

RUNBOOKS = "https://github.com/tallygate/tallygate/blob/main/docs/runbooks"
"""Where the pages about the alerts are."""
MADE_BY = "# Made by `tallygate rules export`. Change its options, not this file.\n"
WIDTH = 120


def written(groups: Iterable[Group], *, runbooks: str = RUNBOOKS, scale: float = 1) -> str:
    """YAML, the same for the same rules. ``runbooks`` and ``scale`` as for ``rules_file``.

    Raises RuleError for an address of runbooks that cannot be followed.
    """
    if not runbooks.startswith(("https://", "http://")):
        raise RuleError("runbooks", runbooks, "is no address", "give one that begins with https:// or http://")
    document = {"groups": [_group(group, runbooks.rstrip("/"), scale) for group in groups]}
    return yaml.safe_dump(document, sort_keys=False, width=WIDTH, allow_unicode=True)


def _group(group: Group, runbooks: str, scale: float) -> dict[str, object]:
    interval = {"interval": scaled(group.interval, scale)} if group.interval else {}
    return {"name": group.name, **interval, "rules": [_rule(rule, runbooks, scale) for rule in group.rules]}


def _rule(rule: Recording | Alert, runbooks: str, scale: float) -> dict[str, object]:
    if isinstance(rule, Recording):
        return {"record": rule.name, "expr": str(rule.query)}
    lasting = {"for": rule.wait, "keep_firing_for": rule.keep}
    return {
        "alert": rule.name,
        "expr": str(rule.query),
        **{name: scaled(duration, scale) for name, duration in lasting.items() if duration != "0s"},
        "labels": {"severity": rule.severity},
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": f"{runbooks}/{rule.name}.md",
        },
    }
