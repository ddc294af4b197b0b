"""Both implementations keep one contract; what needs several processes needs the compiled core."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tallygate.ledger import Implementation, open_ledger
from tallygate.ledger.interface import Ledger
from tallygate.ledger.schema import TableSchema

from .tables import TABLES

TESTS = Path(__file__).parent.parent

Opener = Callable[..., Ledger]
Driver = Callable[..., Any]


@pytest.fixture(params=["native", "python"])
def implementation(request: pytest.FixtureRequest) -> Implementation:
    name: Implementation = request.param
    return name


@pytest.fixture
def opener(implementation: Implementation) -> Iterator[Opener]:
    """Opens ledgers in memory, and closes them after the test."""
    opened: list[Ledger] = []

    def open_one(tables: Sequence[TableSchema] = TABLES, capacity_bytes: int = 1 << 28) -> Ledger:
        opened.append(open_ledger(tables, implementation=implementation, capacity_bytes=capacity_bytes))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(opener: Opener) -> Ledger:
    return opener()


@pytest.fixture
def drive() -> Driver:
    """Runs a driver in a fresh interpreter, where it may fork and kill; gives what it returned."""

    def run(room: str, name: str, *arguments: object) -> Any:
        command = [sys.executable, "-m", "ledger.drivers", room, name, json.dumps(arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=TESTS, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
