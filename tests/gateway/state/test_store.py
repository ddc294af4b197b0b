"""Both stores: a request takes all it asks for or nothing, and gives back what it held."""

from __future__ import annotations

import pytest

from tallygate.gateway.state.interface import Asked, Granted, HoldAsk, Purse, Refused, StateAway
from tests.gateway.state.stores import CREDITS, Another, AnyStore, Books, granted, money, place, refused, tokens, window


async def test_a_window_lets_so_many_pass(store: AnyStore) -> None:
    assert [(await granted(store, [window("w", 3)], [])).remaining[0] for _ in range(3)] == [2, 1, 0]
    answer = await store.admit(Asked([window("w", 3)], []))
    assert isinstance(answer, Refused)
    assert (answer.which, answer.remaining) == (0, 0)
    assert answer.retry is not None
    assert 0 < answer.retry <= 60.1
    assert answer.retry < answer.reset <= 120
    assert (await granted(store, [window("other", 3)], [])).remaining[0] == 2


async def test_a_window_refuses_for_good_what_is_larger_than_its_limit(store: AnyStore) -> None:
    answer = await store.admit(Asked([window("w", 3, 4)], []))
    assert answer == Refused(0, 3, None, 0.0)


async def test_nothing_is_taken_when_one_refuses(store: AnyStore) -> None:
    await granted(store, [window("full", 1)], [place("c", 1)])
    assert await refused(store, [window("a", 10), window("full", 1)], [place("d", 9), money(100, 5)]) == (1, 0)
    assert await refused(store, [window("a", 10)], [place("d", 9), place("c", 1), money(100, 5)]) == (2, 0)
    assert await refused(store, [window("a", 10)], [place("d", 9), money(100, 101)]) == (2, 100)
    answer = await granted(store, [window("a", 10)], [place("d", 9), money(100, 100)])
    assert answer.remaining[0] == 9
    for _ in range(8):
        await granted(store, [], [place("d", 9)])
    assert await refused(store, [], [place("d", 9)]) == (0, 0)


async def test_a_place_is_free_again_when_it_is_settled(store: AnyStore) -> None:
    first = await granted(store, [], [place("c", 2)])
    await granted(store, [], [place("c", 2)])
    assert await refused(store, [], [place("c", 2)]) == (0, 0)
    store.settle(first, 0, 0)
    await granted(store, [], [place("c", 2)])
    assert await refused(store, [], [place("c", 2)]) == (0, 0)


async def test_tokens_are_corrected_to_what_was_used(store: AnyStore) -> None:
    first = await granted(store, [tokens("t", 100)], [], 40)
    second = await granted(store, [tokens("t", 100)], [], 40)
    assert await refused(store, [tokens("t", 100)], [], 40) == (0, 20)
    store.settle(first, 10, 0)
    assert (await granted(store, [tokens("t", 100)], [], 0)).remaining == [50]
    store.settle(second, 100, 0)
    assert await refused(store, [tokens("t", 100)], [], 1) == (0, 0)


async def test_only_tokens_are_corrected_and_each_window_by_what_it_was_asked_for(store: AnyStore) -> None:
    one = await granted(store, [window("w", 10), tokens("a", 50), tokens("b", 90)], [place("c", 1)], 70)
    assert one.remaining == [9, 0, 20], "more than a whole minute's passes when nothing else did"
    assert await refused(store, [tokens("a", 50)], [], 1) == (0, 0)
    store.settle(one, 30, 0)
    left = await granted(store, [window("w", 10), tokens("a", 50), tokens("b", 90)], [place("c", 1)], 0)
    assert left.remaining == [8, 20, 60]


async def test_more_may_be_used_than_the_limit(store: AnyStore) -> None:
    taken = await granted(store, [tokens("t", 100)], [], 1)
    store.settle(taken, 1_000_000, 0)
    answer = await store.admit(Asked([tokens("t", 100)]), 1)
    assert isinstance(answer, Refused)
    assert (answer.which, answer.remaining) == (0, 0)
    assert answer.retry is not None
    assert 60 < answer.retry < 120, "the step is over, and its weight all but nothing"


async def test_a_purse_covers_what_was_spent_and_what_is_held(store: AnyStore, books: Books) -> None:
    books.known[CREDITS] = 700
    first = await granted(store, [], [money(1000, 200)])
    assert books.asked[:1] == [CREDITS]
    assert await refused(store, [], [money(1000, 101)]) == (0, 100)
    second = await granted(store, [], [money(1000, 100)])
    store.settle(first, 0, 150)
    assert await refused(store, [], [money(1000, 51)]) == (0, 50)
    store.settle(second, 0, 0)
    assert await refused(store, [], [money(1000, 151)]) == (0, 150)
    third = await granted(store, [], [money(1000, 150)])
    store.settle(third, 0, 400)
    assert await refused(store, [], [money(1000, 0)]) == (0, 0)
    await granted(store, [], [money(2000, 750)])
    assert await refused(store, [], [money(2000, 1)]) == (0, 0)


async def test_what_costs_nothing_passes_as_long_as_there_is_something(store: AnyStore, books: Books) -> None:
    books.known[CREDITS] = 999
    free = await granted(store, [], [money(1000, 0)])
    store.settle(free, 0, 1)
    assert await refused(store, [], [money(1000, 0)]) == (0, 0)


async def test_purses_are_apart(store: AnyStore, books: Books) -> None:
    day, month = Purse("key", "k1", "2026-11-21"), Purse("key", "k1", "2026-11")
    books.known = {day: 10, month: 60}
    await granted(store, [], [money(100, 40, day), money(100, 40, month)])
    assert sorted(books.asked[:2], key=lambda purse: purse.period) == [month, day]
    assert await refused(store, [], [money(100, 1, day), money(100, 1, month)]) == (1, 0)
    assert await refused(store, [], [money(100, 51, day)]) == (0, 50)


async def test_money_beyond_what_floating_point_can_tell(store: AnyStore, books: Books) -> None:
    limit = 10**17  # a million dollars
    books.known[CREDITS] = limit - 10
    held = await granted(store, [], [money(limit, 4)])
    store.settle(held, 0, 7)
    for _ in range(3):
        one = await granted(store, [], [money(2 * limit, 1)])
        store.settle(one, 0, 1)
    answer = await store.admit(Asked([], [money(limit, limit)]))
    assert isinstance(answer, Refused)
    # On a shared server comparisons of such sums are off by some 10^-10 USD; the sums themselves are not.
    assert abs(answer.remaining) <= 16


async def test_where_nobody_knows_what_was_spent_nothing_is_held(store: AnyStore, books: Books) -> None:
    books.problem = OSError("the database is away")
    with pytest.raises(StateAway, match=r"^what was spent is not known: the database is away$"):
        await store.admit(Asked([window("w", 1)], [money(100, 1)]))
    books.problem = None
    await granted(store, [window("w", 1)], [money(100, 1)])


async def test_one_request_may_ask_for_money_of_its_own(store: AnyStore) -> None:
    asked = Asked([], [HoldAsk(CREDITS.key, 100, None, CREDITS), place("c", 9)])
    first = await store.admit(asked, 0, 60)
    second = await store.admit(asked, 0, 40)
    assert isinstance(first, Granted)
    assert isinstance(second, Granted)
    assert await refused(store, [], [money(100, 1)]) == (0, 0)
    store.settle(first, 0, 10)
    assert await refused(store, [], [money(100, 51)]) == (0, 50)
    store.settle(second, 0, 0)
    assert await refused(store, [], [money(100, 91)]) == (0, 90)


async def test_what_was_asked_for_may_be_paid_from_another_purse(store: AnyStore) -> None:
    today, tomorrow = Purse("key", "k", "2026-11-21"), Purse("key", "k", "2026-11-22")
    await granted(store, [], [money(100, 0, tomorrow)])
    held = await granted(store, [], [money(100, 60, today), money(100, 60)])
    paid = [money(100, 60, today)._replace(purse=None), money(0, 0, tomorrow), money(100, 60)]
    store.settle(held, 0, 25, holds=paid)
    assert await refused(store, [], [money(100, 101, today)]) == (0, 100)
    assert await refused(store, [], [money(100, 101, tomorrow)]) == (0, 75)
    assert await refused(store, [], [money(100, 101)]) == (0, 75)


async def test_what_is_not_held_cannot_be_freed(store: AnyStore) -> None:
    first = await granted(store, [], [place("c", 5)])
    await granted(store, [], [place("c", 5)])
    elsewhere = [HoldAsk(b"nowhere", 0, 1), HoldAsk(b"c", 0, 3), HoldAsk(b"purse:user:x:", 0, 5, Purse("user", "x"))]
    store.settle(first, 0, 5, holds=elsewhere)
    for _ in range(5):
        await granted(store, [], [place("c", 5)])
    assert await refused(store, [], [place("c", 5)]) == (0, 0)


async def test_what_a_worker_holds_is_free_when_it_leaves(another: Another) -> None:
    first, second = await another(), await another()
    mine = await granted(first, [], [place("c", 3), money(10, 4)])
    await granted(second, [], [place("c", 3), money(10, 4)])
    await granted(second, [], [place("c", 3)])
    assert await refused(first, [], [place("c", 3)]) == (0, 0)
    await second.close()
    assert await refused(first, [], [money(10, 7)]) == (0, 6)
    await granted(first, [], [place("c", 3)])
    await granted(first, [], [place("c", 3)])
    assert await refused(first, [], [place("c", 3)]) == (0, 0)
    first.settle(mine, 0, 3)
    await granted(first, [], [place("c", 3), money(10, 7)])


async def test_workers_share_what_they_count(another: Another) -> None:
    stores = [await another() for _ in range(3)]
    for turn in range(9):
        taken = await granted(stores[turn % 3], [window("w", 9)], [place("c", 9), money(90, 10)])
        assert taken.remaining[0] == 8 - turn
    for store in stores:
        assert await refused(store, [window("w", 9)], []) == (0, 0)
        assert await refused(store, [], [place("c", 9)]) == (0, 0)
        assert await refused(store, [], [money(90, 1)]) == (0, 0)
