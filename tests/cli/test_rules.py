"""`tallygate rules export`: where it writes, and what it says of numbers that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallygate.rules import Targets, rules_file
from tests.cli.running import tallygate


def test_to_the_screen(tmp_path: Path) -> None:
    ended = tallygate(tmp_path, "rules", "export")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == rules_file("tallygate")
    assert list(tmp_path.iterdir()) == []


def test_several_dialects_on_the_screen_are_one_file(tmp_path: Path) -> None:
    ended = tallygate(tmp_path, "rules", "export", "--dialect", "aurora", "--dialect", "hyperagent")
    aurora, hyperagent = rules_file("aurora"), rules_file("hyperagent")
    assert ended.out == aurora + hyperagent.partition("groups:\n")[2]


def test_into_a_directory_that_is_made(tmp_path: Path) -> None:
    arguments = ["--dialect", "gatewayz", "--dialect", "tallygate", "--dialect", "gatewayz"]
    ended = tallygate(tmp_path, "rules", "export", "to/rules", *arguments)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "to/rules/gatewayz.rules.yml\nto/rules/tallygate.rules.yml\n"
    assert (tmp_path / "to/rules/gatewayz.rules.yml").read_text() == rules_file("gatewayz")


def test_every_number_arrives(tmp_path: Path) -> None:
    told = {
        "availability_objective": 99.9,
        "latency_objective": 96.0,
        "latency_seconds": 60.0,
        "first_token_objective": 97.0,
        "first_token_seconds": 5.0,
        "spend_per_hour": 12.5,
        "daily_budget": 100.0,
        "monthly_budget": 2000.0,
        "memory_bytes": 2e9,
        "cpus": 4.0,
    }
    options = [part for name, value in told.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    where = "https://wiki.example/alerts"
    for dialect in ("tallygate", "gatewayz"):
        ended = tallygate(tmp_path, "rules", "export", *options, "--runbooks", f"{where}/", "--dialect", dialect)
        assert ended.out == rules_file(dialect, Targets(**told), runbooks=where)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--latency-seconds", "15"),
            "--latency-seconds: 15.0 is no bucket of tallygate_llm_call_duration_seconds; take one of 0.05, 0.1, 0.25,"
            " 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600\n",
        ),
        (
            ("--availability-objective", "99.999"),
            "--availability-objective: 99.999 is no objective that can be alerted on; give a percentage from 94 to"
            " 99.99\n",
        ),
        (("--daily-budget", "-1"), "--daily-budget: -1.0 is not above 0; give a number that is\n"),
        (
            ("--dialect", "erato"),
            "--dialect: 'erato' has no rules; take one of tallygate, aurora, gatewayz, hyperagent\n",
        ),
        (
            ("--runbooks", "wiki"),
            "--runbooks: 'wiki' is no address; give one that begins with https:// or http://\n",
        ),
    ],
)
def test_what_cannot_be(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = tallygate(tmp_path, "rules", "export", "rules", *arguments)
    assert (ended.status, ended.out, ended.err) == (2, "", said)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("a file")
    ended = tallygate(tmp_path, "rules", "export", "rules")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "rules: cannot be written: File exists\n"
