"""SIGKILL at any moment: nothing lost, nothing broken, nothing left behind."""

from pathlib import Path

import pytest

from .conftest import Driver

SIGKILL = 9
STEPS = 14


def test_random_kills(drive: Driver, tmp_path: Path) -> None:
    result = drive("kills", "random_kills", str(tmp_path / "ledger"), 300, 1)
    killed = result["killed"]
    assert (killed, result["signals"]) == (303, [SIGKILL])
    count, buckets, tokens = result["totals"][0], sum(result["totals"][2:6]), result["totals"][6]
    assert result["acknowledged"] <= count <= result["acknowledged"] + killed
    assert count - killed <= buckets <= count
    assert 3 * (count - killed) <= tokens <= 3 * count
    assert result["acknowledged"] > 1_000
    assert result["rows"] == result["distinct"]
    assert result["gauges"] == [0, 0, 0, 0]
    assert result["workers"] == 1
    assert (result["overflowed"], result["dropped"]) == (0, 0)
    assert result["exemplars_right"]
    assert result["seconds"] < 2  # the patience of the lock: nobody had to wait for a dead owner


def test_every_step_is_tested(drive: Driver) -> None:
    assert drive("kills", "crash_steps") == STEPS


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_kill_at_every_step_of_creation(drive: Driver, tmp_path: Path, step: int) -> None:
    result = drive("kills", "crash", str(tmp_path / "ledger"), step, 20)
    assert result["signals"] == [SIGKILL]
    assert result["totals"][0] == result["acknowledged"] == sum(result["totals"][2:6])
    assert result["totals"][6] == 3 * result["acknowledged"]
    assert result["rows"] == result["distinct"]
    assert result["gauges"] == [0, 0, 0, 0]
    assert result["workers"] == 1
    assert (result["overflowed"], result["dropped"]) == (0, 0)
    assert result["seconds"] < 2
