"""Debian's promtool, asked about rule files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.rules.case import Looked

SECONDS = 120


def promtool(*arguments: str | Path) -> tuple[int, str]:
    """Exit status, and all that it says."""
    memory = {"TMPDIR": "/dev/shm"} if Path("/dev/shm").is_dir() else {}  # it has a database for each case
    done = subprocess.run(
        ["promtool", *map(str, arguments)],
        env={**os.environ, **memory},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def unit_tested(directory: Path, tests: Sequence[tuple[str, str, Sequence[Looked]]]) -> tuple[int, str]:
    """``promtool test rules``: exit status, and all that it says.

    tests: rule files as text, how often they are evaluated, and what is looked at.
    """
    files = []
    for number, (rules, every, looks) in enumerate(tests):
        (directory / f"rules-{number}.yml").write_text(rules)
        document = {
            "rule_files": [f"rules-{number}.yml"],
            "evaluation_interval": every,
            "tests": [look.written() for look in looks],
        }
        files.append(directory / f"tests-{number}.yml")
        files[-1].write_text(yaml.safe_dump(document, sort_keys=False, width=1000))
    return promtool("test", "rules", *files)
