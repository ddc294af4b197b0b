"""Every alert fires when it should, says what it should, and is quiet when it almost does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tallygate.rules import RULES, Targets, groups_of, rules_file, written
from tests.rules.case import Case, looks
from tests.rules.cases import calls, objectives, providers
from tests.rules.promtool import promtool, unit_tested

RUNBOOKS = "https://runbooks.example"
ALL = Targets(daily_budget=100, monthly_budget=2000, memory_bytes=2e9, cpus=4)
"""With a number for everything that has alerts only then."""
CASES: Mapping[str, tuple[Case, ...]] = {
    "tallygate": (*objectives.CASES, *providers.CASES, *calls.CASES),
}


@pytest.mark.parametrize("dialect", CASES)
def test_alerts_fire_and_are_quiet(tmp_path: Path, dialect: str) -> None:
    """Each with the group that it stands in, as promtool evaluates all rules that it is given for each case."""
    tests = {
        written([group], runbooks=RUNBOOKS): [
            look
            for case in CASES[dialect]
            if case.alert in {alert.name for alert in group.alerts}
            for look in looks(case, RUNBOOKS)
        ]
        for group in groups_of(dialect, ALL)
    }
    status, said = unit_tested(tmp_path, tests)
    assert status == 0, said
