"""The queue of calls: numbers that only grow, nothing lost, nothing there twice."""

from __future__ import annotations

import time
from pathlib import Path

import lmdb
import pytest

from tallygate.gateway.state.environment import Environment
from tallygate.gateway.usage import spool as module
from tallygate.gateway.usage.spool import Spool


def append(environment: Environment, spool: Spool, *entries: bytes) -> list[int]:
    with environment.write() as transaction:
        return [spool.append(transaction, entry) for entry in entries]


class Clock:
    """Shows what it is set to."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def test_entries_come_back_in_their_order(environment: Environment, spool: Spool) -> None:
    numbers = append(environment, spool, b"one", b"two", b"three")
    assert spool.read(0, 10) == list(zip(numbers, [b"one", b"two", b"three"], strict=True))
    assert spool.read(numbers[0], 1) == [(numbers[1], b"two")]
    assert spool.read(numbers[2], 10) == []
    assert (spool.waiting, spool.first, spool.newest, spool.last) == (3, numbers[0], numbers[2], 0)


def test_numbers_follow_the_clock_and_never_stand_still(environment: Environment) -> None:
    clock = Clock(1000)
    spool = Spool(environment, clock)
    assert append(environment, spool, b"a", b"b") == [1000, 1001]
    clock.now = 5000
    assert append(environment, spool, b"c") == [5000]
    clock.now = 10
    assert append(environment, spool, b"d") == [5001]


def test_a_clock_that_was_put_back_over_an_empty_queue_brings_no_number_again(environment: Environment) -> None:
    clock = Clock(1000)
    spool = Spool(environment, clock)
    append(environment, spool, b"a")
    assert spool.forget(1000, 10) == 1
    assert spool.waiting == 0
    clock.now = 10
    assert append(environment, spool, b"b") == [1001]


def test_entries_are_taken_away_up_to_a_number_and_so_many_at_once(environment: Environment, spool: Spool) -> None:
    numbers = append(environment, spool, *[b"%d" % index for index in range(10)])
    assert spool.forget(numbers[6], 4) == 4
    assert spool.last == numbers[3]
    assert spool.forget(numbers[6], 4) == 3
    assert spool.forget(numbers[6], 4) == 0
    assert spool.last == numbers[6]
    assert [entry for _, entry in spool.read(0, 10)] == [b"7", b"8", b"9"]


def test_what_waits_is_told_only_while_all_of_it_is_there(environment: Environment, spool: Spool) -> None:
    numbers = append(environment, spool, b"a", b"b", b"c")
    assert spool.read_all(0) == [b"a", b"b", b"c"]
    assert spool.read_all(numbers[1]) == [b"c"]
    spool.forget(numbers[1], 10)
    assert spool.read_all(numbers[0]) is None
    assert spool.read_all(numbers[1]) == [b"c"]


def test_an_entry_is_set_aside(environment: Environment, spool: Spool) -> None:
    numbers = append(environment, spool, b"bad", b"good")
    spool.set_aside(numbers[0])
    assert [entry for _, entry in spool.read(0, 10)] == [b"good"]
    aside = environment.database(module.ASIDE)
    with environment.read() as transaction:
        assert list(transaction.cursor(db=aside)) == [(module.pack(numbers[0]), b"bad")]


def test_a_transaction_that_fails_leaves_no_entry(environment: Environment, spool: Spool) -> None:
    def fail() -> None:
        with environment.write() as transaction:
            spool.append(transaction, b"never")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert spool.waiting == 0


def test_the_name_stays_until_it_is_changed(environment: Environment, spool: Spool) -> None:
    name = spool.source
    assert len(name) == 32
    assert Spool(environment).source == name
    spool.rename()
    assert spool.source != name
    assert Spool(environment).source == spool.source


def test_a_new_state_has_another_name_and_later_numbers(tmp_path: Path, environment: Environment, spool: Spool) -> None:
    (number,) = append(environment, spool, b"a")
    other = Environment(tmp_path / "new")
    new = Spool(other)
    assert new.source != spool.source
    assert append(other, new, b"a")[0] > number
    other.close()


def test_a_state_without_room_says_so(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "small", size=256 * 1024)
    spool = Spool(environment)

    def fill() -> None:
        for _ in range(10_000):
            append(environment, spool, b"x" * 200)

    with pytest.raises(lmdb.MapFullError):
        fill()
    assert 0 < spool.waiting < 2000
    environment.close()


def test_numbers_are_times(environment: Environment, spool: Spool) -> None:
    before = time.time_ns()
    (number,) = append(environment, spool, b"a")
    assert before <= number <= time.time_ns()
