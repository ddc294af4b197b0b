"""Gauges and activities of one process."""

import gc
import threading

import pytest

from tallygate.ledger.interface import ELAPSED, MARKED, Ledger

from .conftest import Opener
from .tables import cells, gauges


def test_gauges_are_columns_of_all_rows(ledger: Ledger) -> None:
    row = ledger.tables[1].row("a")
    row.add(0, 3)
    row.add(0, -1)
    row.set(2, -5)
    row.set(3, 7)
    row.set(4, 0.25)
    ledger.tables[1].row("b").set(0, 9)
    assert gauges(ledger) == {("other",): [0, 0, 0, 0], ("a",): [2, -5, 7, 250], ("b",): [9, 0, 0, 0]}
    assert ledger.tables[1].gauges().format == "q"
    assert cells(ledger, 1, ledger.tables[1].rows()[1]) == [0, 0]


def test_gauges_are_a_private_copy(ledger: Ledger) -> None:
    row = ledger.tables[1].row("a")
    row.set(0, 1)
    copy = ledger.tables[1].gauges()
    row.set(0, 2)
    assert list(copy) == [0, 0, 0, 0, 1, 0, 0, 0]


def test_a_table_without_gauges_has_none(ledger: Ledger) -> None:
    assert list(ledger.tables[0].gauges()) == []


def test_gauges_of_many_rows(ledger: Ledger) -> None:
    for n in range(300):
        ledger.tables[1].row(str(n)).set(0, n)
    assert gauges(ledger) == {("other",): [0, 0, 0, 0]} | {(str(n),): [n, 0, 0, 0] for n in range(300)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "5", 10**40, 1e19])
def test_what_a_gauge_does_not_take(ledger: Ledger, value: float) -> None:
    row = ledger.tables[1].row("a")
    row.set(0, value)
    row.add(0, value)
    assert gauges(ledger)[("a",)] == [0, 0, 0, 0]
    assert ledger.statistics().dropped == 2


def test_a_gauge_does_not_wrap(ledger: Ledger) -> None:
    row = ledger.tables[1].row("a")
    row.set(0, 2**63 - 1)
    row.add(0, 1)
    assert gauges(ledger)[("a",)][0] == 2**63 - 1
    assert ledger.statistics().dropped == 1


def test_an_activity_counts_while_it_goes_on(ledger: Ledger) -> None:
    row = ledger.tables[1].row("a")
    first, second = row.begin(), row.begin()
    assert gauges(ledger)[("a",)][0] == 2
    assert first.finish()
    assert not first.finish()
    assert gauges(ledger)[("a",)][0] == 1
    assert second.finish(row, 5)
    assert gauges(ledger)[("a",)][0] == 0
    assert cells(ledger, 1, ledger.tables[1].rows()[1]) == [1, 5]


def test_an_activity_measures(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    activity = ledger.tables[1].row("a").begin()
    assert activity.marked is None
    now = activity.mark()
    marked = activity.marked
    assert marked == now
    assert activity.mark() >= now
    assert activity.marked == marked
    assert activity.finish(row, ELAPSED, 1)
    elapsed = activity.elapsed
    assert activity.elapsed == elapsed >= now
    assert activity.mark() == elapsed
    kept = cells(ledger, 0, ledger.tables[0].rows()[1])
    assert kept[:2] == [1, round(elapsed * 1e7 + 1e-9)]
    assert kept[6] == 1


def test_the_mark_is_recorded(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    activity = row.begin()
    activity.mark()
    activity.finish(row, MARKED)
    assert cells(ledger, 0, ledger.tables[0].rows()[1])[1] == pytest.approx((activity.marked or -1) * 1e7, abs=1)


def test_never_marked_is_unset(ledger: Ledger) -> None:
    row = ledger.tables[0].row("m", "r")
    activity = row.begin()
    activity.finish(row, MARKED, 1)
    assert cells(ledger, 0, ledger.tables[0].rows()[1]) == [1, 0, 0, 0, 0, 0, 1, 0]
    assert ledger.statistics().dropped == 0
    activity.mark()
    assert activity.marked is None


def test_an_activity_that_is_forgotten_gives_its_gauge_back(ledger: Ledger) -> None:
    row = ledger.tables[1].row("a")
    activity = row.begin()
    assert gauges(ledger)[("a",)][0] == 1
    del activity
    gc.collect()
    assert gauges(ledger)[("a",)][0] == 0
    assert cells(ledger, 1, ledger.tables[1].rows()[1]) == [0, 0]


def test_finish_wants_a_row(ledger: Ledger) -> None:
    activity = ledger.tables[1].row("a").begin()
    with pytest.raises(TypeError, match="row"):
        activity.finish("no row")  # type: ignore[arg-type]  # the point of the test
    assert gauges(ledger)[("a",)][0] == 1
    assert activity.finish()


def test_threads_finish_an_activity_once(ledger: Ledger) -> None:
    row = ledger.tables[1].row("a")
    activities = [row.begin() for _ in range(2_000)]
    finished: list[int] = []

    def work() -> None:
        finished.append(sum(activity.finish(row, 1) for activity in activities))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(finished) == 2_000
    assert gauges(ledger)[("a",)][0] == 0
    assert cells(ledger, 1, ledger.tables[1].rows()[1]) == [2_000, 2_000]


def test_after_close_nothing_happens(opener: Opener) -> None:
    ledger = opener()
    calls, workers = ledger.tables[0].row("m", "r"), ledger.tables[1].row("a")
    activity = workers.begin()
    workers.set(2, 5)
    calls.record(0.25, 1)
    before = cells(ledger, 0, ledger.tables[0].rows()[1])
    ledger.close()
    ledger.close()
    calls.record(0.25, 1)
    calls.add(1, 5)
    calls.exemplify("ab" * 16, "cd" * 8, 0.25)
    workers.set(0, 5)
    workers.add(0, 5)
    assert activity.finish(calls, ELAPSED)
    workers.begin().finish(calls, ELAPSED)
    assert cells(ledger, 0, ledger.tables[0].rows()[1]) == before
    assert gauges(ledger)[("a",)] == [0, 0, 0, 0]
    assert ledger.statistics().dropped == 0
    assert ledger.statistics().workers == 0
    assert list(ledger.exemplars()) == []
