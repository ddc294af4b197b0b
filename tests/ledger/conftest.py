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

    def open_one(tables: Sequence[TableSchema] = TABLES, **options: int) -> Ledger:
        opened.append(open_ledger(tables, implementation=implementation, **options))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(opener: Opener) -> Ledger:
    return opener()


@pytest.fixture
def drive() -> Driver:
    """Runs a function of drivers.py in a fresh interpreter, where it may fork and kill; gives what it returned."""

    def run(name: str, *arguments: object, timeout: float = 120) -> Any:
        command = [sys.executable, "-m", "ledger.drivers", name, json.dumps(arguments)]
        here = Path(__file__).parent
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=here.parent, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
