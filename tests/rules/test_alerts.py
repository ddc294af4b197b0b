"""Every alert fires when it should, says what it should, and is quiet when it almost does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tallygate.rules import Group, Recording, Targets, groups_of, written
from tests.rules.case import Case, looks
from tests.rules.cases import aurora, calls, gatewayz, hyperagent, money, objectives, providers, upkeep, work
from tests.rules.promtool import unit_tested

RUNBOOKS = "https://runbooks.example"
ALL = Targets(daily_budget=100, monthly_budget=2000, memory_bytes=2e9, cpus=4)
"""With a number for everything that has alerts only then."""
CASES: Mapping[str, tuple[Case, ...]] = {
    "tallygate": (
        *objectives.CASES,
        *providers.CASES,
        *calls.CASES,
        *money.CASES,
        *work.CASES,
        *upkeep.CASES,
    ),
    "aurora": aurora.CASES,
    "gatewayz": gatewayz.CASES,
    "hyperagent": hyperagent.CASES,
}


@pytest.mark.parametrize("dialect", CASES)
def test_alerts_fire_and_are_quiet(tmp_path: Path, dialect: str) -> None:
    """Each with what its group records, and no more: promtool evaluates all rules that it has for each case."""
    tests = []
    for group in groups_of(dialect, ALL):
        recordings = [rule for rule in group.rules if isinstance(rule, Recording)]
        for alert in group.alerts:
            rules = written([Group(group.name, (*recordings, alert))], runbooks=RUNBOOKS)
            cases = [case for case in CASES[dialect] if case.alert == alert.name]
            tests += [(rules, case.every, looks(case, RUNBOOKS)) for case in cases]
    status, said = unit_tested(tmp_path, tests)
    assert status == 0, said
