"""On one machine, what is asked in one turn of the event loop is answered in one transaction."""

from __future__ import annotations

import asyncio
from pathlib import Path

import lmdb
import pytest

from tallygate.gateway.state.environment import Environment, Transaction
from tallygate.gateway.state.interface import Asked, Granted, Refused, StateAway
from tallygate.gateway.state.local import LocalStore
from tests.gateway.state.stores import Books, granted, money, place, refused, stop_the_minute, tokens, window


async def opened(directory: Path, books: Books) -> tuple[LocalStore, list[Transaction]]:
    """A store, and the transactions that it begins from now on."""
    environment = Environment(directory / "state")
    store = LocalStore(environment, books)
    await store.start()
    await granted(store, [], [money(100, 0)])
    write, begun = environment.write, list[Transaction]()

    def noted() -> Transaction:
        begun.append(write())
        return begun[-1]

    environment.write = noted
    return store, begun


async def test_those_who_ask_together_are_let_in_one_after_the_other(
    tmp_path: Path, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_minute(monkeypatch)
    store, begun = await opened(tmp_path, books)
    asked = Asked([window("w", 15), tokens("t", 100)], [place("c", 9), money(100, 5)])
    answers = await asyncio.gather(*(store.admit(asked, 10) for _ in range(20)))
    assert [answer.remaining if isinstance(answer, Granted) else answer.which for answer in answers] == [
        *([14 - turn, 90 - 10 * turn] for turn in range(9)),
        *([2] * 11),
    ], "the tenth finds no place, and has taken nothing of the windows"
    assert len(begun) == 1
    assert (await granted(store, [window("w", 15)], [money(100, 55)])).remaining == [5]
    assert await refused(store, [], [money(100, 1)]) == (0, 0)
    await store.close()


async def test_one_that_leaves_in_the_turn_of_its_answer_holds_nothing(tmp_path: Path, books: Books) -> None:
    store, _ = await opened(tmp_path, books)
    asked = Asked([], [place("c", 3), money(100, 30)])
    before, just_now, stays = [asyncio.create_task(store.admit(asked)) for _ in range(3)]
    await asyncio.sleep(0)
    before.cancel()
    store._answer()
    just_now.cancel()
    results = await asyncio.gather(before, just_now, stays, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, asyncio.CancelledError, Granted]
    await granted(store, [], [place("c", 3), money(100, 70)])
    await granted(store, [], [place("c", 3)])
    assert await refused(store, [], [place("c", 3)]) == (0, 0)
    assert await refused(store, [], [money(100, 1)]) == (0, 0)
    await store.close()


async def test_what_cannot_be_written_lets_none_of_them_in(
    tmp_path: Path, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = await opened(tmp_path, books)
    admit, left = store._admit, [2]

    def until_full(*asked: object) -> Granted | Refused | list[object]:
        left[0] -= 1
        if left[0] < 0:
            raise lmdb.MapFullError("the map is full")
        return admit(*asked)  # type: ignore[arg-type,return-value]  # as it was called

    monkeypatch.setattr(store, "_admit", until_full)
    asked = Asked([window("w", 9)], [place("c", 9)])
    results = await asyncio.gather(*(store.admit(asked) for _ in range(3)), return_exceptions=True)
    assert [(type(result), str(result)) for result in results] == [(StateAway, "the map is full")] * 3
    left[0] = 9
    assert (await granted(store, [window("w", 9)], [place("c", 1)])).remaining == [8]
    await store.close()
