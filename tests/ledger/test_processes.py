"""Many processes over one segment: exact totals, whatever comes and goes."""

from pathlib import Path

import pytest

from .conftest import Driver

SECOND = 10**7


def recorded(count: int) -> list[int]:
    """The cells of so many records of 0.25 s, 3 tokens, 0.00001 USD."""
    return [count, count * SECOND // 4, 0, count, 0, 0, 3 * count, 10**6 * count]


def plain(count: int) -> list[int]:
    """The cells of so many records of 0.25 s, 3 tokens."""
    return [*recorded(count)[:-1], 0]


def test_four_processes_with_a_million_records_each(drive: Driver, tmp_path: Path) -> None:
    result = drive("processes", "recorders", str(tmp_path / "ledger"), 4, 1, 1_000_000)
    assert result["ended"] == [0, 0, 0, 0]
    assert result["totals"] == recorded(4_000_000)
    assert (result["rows"], result["distinct"], result["dropped"]) == (5, 5, 0)


def test_four_forks_over_anonymous_memory(drive: Driver) -> None:
    result = drive("processes", "recorders", None, 4, 1, 100_000)
    assert result["ended"] == [0, 0, 0, 0]
    assert result["totals"] == recorded(400_000)
    assert (result["rows"], result["distinct"]) == (5, 5)


def test_two_processes_with_four_threads_each(drive: Driver, tmp_path: Path) -> None:
    result = drive("processes", "recorders", str(tmp_path / "ledger"), 2, 4, 200_000)
    assert result["ended"] == [0, 0]
    assert result["totals"] == recorded(400_000)
    assert (result["rows"], result["distinct"]) == (5, 5)


def test_counters_survive_all_their_processes(drive: Driver, tmp_path: Path) -> None:
    path = str(tmp_path / "ledger")
    for round in range(1, 4):
        assert drive("processes", "recorders", path, 2, 1, 500)["totals"] == recorded(1_000 * round)


def test_the_budget_reached_by_four_processes(drive: Driver, tmp_path: Path) -> None:
    result = drive("processes", "budget", str(tmp_path / "ledger"), 4, 300)
    assert result["ended"] == [0, 0, 0, 0]
    assert result["totals"] == [1_200, 4 * sum(range(300))]
    assert (result["rows"], result["distinct"], result["overflowed"]) == (51, 51, 1_000)


def test_all_open_a_new_path_at_once(drive: Driver, tmp_path: Path) -> None:
    for round in range(5):
        result = drive("processes", "opened_at_once", str(tmp_path / f"ledger{round}"), 8)
        assert result["ended"] == [0] * 8
        assert result["totals"] == plain(8)


@pytest.mark.parametrize("from_thread", [False, True])
@pytest.mark.parametrize("anonymous", [False, True])
def test_a_fork_has_gauges_of_its_own(drive: Driver, tmp_path: Path, anonymous: bool, from_thread: bool) -> None:
    result = drive("processes", "fork", None if anonymous else str(tmp_path / "ledger"), from_thread)
    assert result["ended"] == 0
    assert result["with child"] == [4, 10, 4, 4_000]
    assert result["workers with child"] == 2
    assert result["without child"] == [3, 10, 10, 10_000]
    assert result["one less"] == [2, 10, 10, 10_000]
    assert result["rows"] == 3
    # The child finished one activity of its own, the parent one; what the child inherited is not its to record.
    # With the record of the row that the child made these are three.
    assert result["totals"][0] == result["totals"][6] == 3


@pytest.mark.parametrize("anonymous", [False, True])
def test_forks_while_threads_make_rows(drive: Driver, tmp_path: Path, anonymous: bool) -> None:
    result = drive("processes", "fork_while_creating", None if anonymous else str(tmp_path / "ledger"), 60)
    assert result["ended"] == [0] * 60
    assert result["totals"][0] == result["records"]
    assert result["rows"] == result["distinct"]
    assert result["gauges"] == [0, 0, 0, 0]


def test_spawned_processes(drive: Driver, tmp_path: Path) -> None:
    result = drive("processes", "spawn", str(tmp_path / "ledger"), 1_000)
    assert result["ended"] == [0, 0]
    assert result["totals"] == plain(2_000)


def test_a_reader_under_full_load(drive: Driver, tmp_path: Path) -> None:
    result = drive("processes", "consistent", str(tmp_path / "ledger"), 3, 30_000)
    assert result["went_down"] == 0
    assert result["inconsistent"] == 0
    assert result["torn"] == 0
    assert result["grown"]
    assert result["rows"] == result["distinct"]


def test_more_workers_than_slots(drive: Driver, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    result = drive("processes", "too_many_workers", str(path))
    assert result["refused"].startswith(f"cannot open the ledger {path}: every worker slot is taken")
    assert "max_workers" in result["refused"]
    assert result["seen"] == 1
    assert (result["workers"], result["gauges"]) == (1, [0, 0, 0, 0])
