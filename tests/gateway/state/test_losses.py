"""What is lost on the way to a store is made good: answers, connections, money spent meanwhile, settlements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import lmdb
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from tallygate.gateway.parts import put_together
from tallygate.gateway.settings import Settings
from tallygate.gateway.state import comparing, local
from tallygate.gateway.state.comparing import Comparing
from tallygate.gateway.state.environment import Environment, StateError, Transaction
from tallygate.gateway.state.interface import Asked, Granted, Purse, StateAway
from tallygate.gateway.state.local import LocalStore
from tallygate.gateway.state.redis import StoreRefused
from tallygate.gateway.state.remote import RemoteStore
from tallygate.gateway.tallying import open_tally
from tests.gateway.provided import until
from tests.gateway.state.proxy import Proxy, proxy
from tests.gateway.state.stores import CREDITS, AnyStore, Books, granted, money, place, refused, tokens, window
from tests.services.redis import Redis as Server

pytestmark = pytest.mark.xdist_group("redis")


@pytest_asyncio.fixture
async def between(redis_server: Server, redis_url: str) -> AsyncIterator[Proxy]:
    async with proxy(redis_server.socket) as made:
        yield made


@pytest_asyncio.fixture
async def remote(between: Proxy, books: Books) -> AsyncIterator[RemoteStore]:
    """Over the proxy, and impatient."""
    store = RemoteStore(between.url, 1.0, books, lease=0.4)
    await store.start()
    yield store
    between.answers.set()
    await store.close()


async def until_granted(store: AnyStore) -> None:
    """Until the one place is free."""
    async with asyncio.timeout(20):
        while True:
            try:
                if isinstance(await store.admit(Asked([], [place("c", 1)])), Granted):
                    return
            except StateAway:
                pass
            await asyncio.sleep(0.01)


async def test_an_answer_that_comes_too_late_frees_what_it_took(remote: RemoteStore, between: Proxy) -> None:
    between.answers.clear()
    with pytest.raises(StateAway, match=r"^no answer within 1 s$"):
        await remote.admit(Asked([window("w", 10, 4)], [place("c", 1), money(100, 30)]))
    between.answers.set()
    await until_granted(remote)
    assert (await granted(remote, [window("w", 10, 10)], [money(100, 100)])).remaining[0] == 0


async def test_a_caller_that_leaves_while_it_is_let_in_holds_nothing(remote: RemoteStore, between: Proxy) -> None:
    await granted(remote, [], [money(100, 0)])
    between.answers.clear()
    before = between.asked
    admitted = asyncio.create_task(remote.admit(Asked([], [place("c", 1), money(100, 30)])))
    await until(lambda: between.asked > before)
    admitted.cancel()
    await asyncio.gather(admitted, return_exceptions=True)
    between.answers.set()
    await until_granted(remote)
    await granted(remote, [], [money(100, 100)])


async def test_what_was_taken_when_the_connection_broke_is_free_after_the_lease(
    remote: RemoteStore, between: Proxy
) -> None:
    between.answers.clear()
    before = between.asked
    admitted = asyncio.create_task(remote.admit(Asked([], [place("c", 1)])))
    await until(lambda: between.asked > before)
    await asyncio.sleep(0.05)  # for the server, which nobody can ask meanwhile
    between.drop()
    between.answers.set()
    with pytest.raises(StateAway):
        await admitted
    await until_granted(remote)


async def test_what_calls_hold_that_go_on_is_held_over_the_loss(remote: RemoteStore, between: Proxy) -> None:
    held = await granted(remote, [], [place("c", 1), money(100, 60)])
    between.drop()
    await until(lambda: remote._redis.losses == 1)
    await asyncio.wait_for(remote._redis.wait_connected(), 10)
    await asyncio.sleep(1.0)  # more than the lease: its name is still kept alive
    assert await refused(remote, [], [place("c", 1)]) == (0, 0)
    assert await refused(remote, [], [money(100, 41)]) == (0, 40)
    remote.settle(held, 0, 25)
    await granted(remote, [], [place("c", 1), money(100, 75)])


async def test_money_spent_while_the_server_was_away_is_known_afterwards(
    remote: RemoteStore, between: Proxy, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "LOOK_SECONDS", 0.01)
    held = await granted(remote, [], [money(100, 10)])
    between.drop()
    await until(lambda: remote._redis.losses == 1)
    remote.settle(held, 0, 10)  # is lost
    books.known[CREDITS] = 85  # what the ledger has written
    await asyncio.wait_for(remote._redis.wait_connected(), 10)
    # Of the lost settlement the hold is free after the lease; what was spent, the ledger knew.
    async with asyncio.timeout(10):
        while True:
            answer = await remote.admit(Asked([], [money(100, 16)]))
            if isinstance(answer, Granted):
                remote.settle(answer, 0, 0)
            elif answer.remaining == 15:
                break
            await asyncio.sleep(0.01)
    await granted(remote, [], [money(100, 15)])


async def test_purses_are_compared_at_once_and_once_more(books: Books) -> None:
    raised: list[tuple[Purse, int]] = []

    async def raise_to(purse: Purse, spent: int) -> None:
        raised.append((purse, spent))

    one = Comparing(books, raise_to)
    one.met(CREDITS.key, CREDITS)
    one.met(CREDITS.key, CREDITS)
    await one.look(100.0)
    books.known[CREDITS] = 7
    await one.look(109.9)
    assert raised == [(CREDITS, 0)]
    await one.look(110.0)
    await one.look(1000.0)
    assert raised == [(CREDITS, 0), (CREDITS, 7)]
    one.met(CREDITS.key, CREDITS)
    await one.look(2000.0)
    assert len(raised) == 2
    one.missed()
    one.met(CREDITS.key, CREDITS)
    books.problem = OSError("away")
    with pytest.raises(StateAway):
        await one.look(3000.0)
    books.problem = None
    await one.look(3009.0)
    assert len(raised) == 2
    await one.look(3010.0)
    assert len(raised) == 3


async def test_a_purse_that_many_wait_for_is_asked_for_once(books: Books) -> None:
    raised: list[tuple[Purse, int]] = []
    there = asyncio.Event()

    async def raise_to(purse: Purse, spent: int) -> None:
        await there.wait()
        raised.append((purse, spent))

    one = Comparing(books, raise_to)
    waiting = [asyncio.create_task(one.begin(CREDITS)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # whose client left: the others wait on
    there.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [None] * 19
    assert raised == [(CREDITS, 0)]
    assert books.asked == [CREDITS]
    books.problem = OSError("away")
    with pytest.raises(StateAway):
        await one.begin(CREDITS)
    assert books.asked == [CREDITS, CREDITS]


async def test_a_full_state_lets_nobody_in_and_settles_when_it_can(
    tmp_path: Path, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "LOOK_SECONDS", 0.01)
    environment = Environment(tmp_path / "state")
    store = LocalStore(environment, books)
    await store.start()
    held = await granted(store, [tokens("w", 10)], [place("c", 1), money(100, 40)], 5)
    write = environment.write

    def full() -> Transaction:
        raise StateError("the disk is full")

    environment.write = full
    with capture_logs() as logs:
        with pytest.raises(StateAway, match=r"^the disk is full$"):
            await store.admit(Asked([window("w", 10)], []))
        store.settle(held, 0, 15)
        await until(lambda: len(logs) >= 1)
        environment.write = write
        await until(lambda: not store._owed)
    assert logs[0]["event"] == "limits cannot be settled; tried again every second"
    assert (await granted(store, [window("w", 10)], [place("c", 1)])).remaining[0] == 9
    assert await refused(store, [], [money(100, 86)]) == (0, 85)
    await store.close()


async def test_settling_in_somebody_elses_transaction_is_done_or_undone_with_it(tmp_path: Path, books: Books) -> None:
    environment = Environment(tmp_path / "state")
    spool = environment.database("spool")
    store = LocalStore(Environment(tmp_path / "state"), books)
    await store.start()
    held = await granted(store, [], [place("c", 1), money(100, 40)])

    def settle_and_fail() -> None:
        with environment.write() as transaction:
            transaction.put(b"1", b"entry", db=spool)
            store.settle(held, 0, 15, transaction)
            raise lmdb.MapFullError("full")

    with pytest.raises(lmdb.MapFullError):
        settle_and_fail()
    assert await refused(store, [], [place("c", 1)]) == (0, 0)
    assert await refused(store, [], [money(100, 61)]) == (0, 60)
    with environment.write() as transaction:
        transaction.put(b"1", b"entry", db=spool)
        store.settle(held, 0, 15, transaction)
    await granted(store, [], [place("c", 1), money(100, 85)])
    await store.close()
    environment.close()


async def test_after_a_restart_of_the_machine_nobody_holds_anything(
    tmp_path: Path, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(Environment(tmp_path / "state"), books)
    await store.start()
    held = await granted(store, [window("w", 3, 3)], [place("c", 1), money(100, 40)])
    store.settle(held, 0, 40)
    await store.close()
    boot = tmp_path / "boot"
    boot.write_text("another boot")
    monkeypatch.setattr(local, "THIS_BOOT", boot)
    books.known[CREDITS] = 55
    store = LocalStore(Environment(tmp_path / "state"), books)
    await store.start()
    await granted(store, [window("w", 3, 3)], [place("c", 1)])
    assert await refused(store, [], [money(100, 46)]) == (0, 45)
    await store.close()


async def test_what_is_empty_is_swept(tmp_path: Path, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment(tmp_path / "state")
    store = LocalStore(environment, books)
    await store.start()
    old, new = Purse("key", "k", "2020-01-31"), Purse("key", "k", "2999-01")
    for number in range(600):
        await granted(store, [window(f"old-{number}", 1)], [])
    monkeypatch.setattr(store, "_clock", lambda: 600 * 60_000)
    settled = await granted(store, [window("new", 1)], [place("left", 1), money(9, 1, old), money(9, 1, new)])
    await granted(store, [], [place("held", 1)])
    store.settle(settled, 0, 1)
    await store._sweep()
    with environment.read() as transaction:
        windows = [bytes(key) for key, _ in transaction.cursor(store.windows)]
        holds = [bytes(key) for key, _ in transaction.cursor(store._holds)]
    assert windows == [b"new"]
    assert holds == [b"held", new.key]
    await store.close()


async def test_a_place_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    limits = {"rates": {"models": {"m": {"concurrency": 1}}}, "providers": {"p": {"base_url": "http://127.0.0.1:1"}}}
    settings = Settings.model_validate({**limits, "shared": {"state_directory": str(tmp_path / "file")}})
    parts = put_together(settings, open_tally(settings))
    with pytest.raises(StateError, match=r"file: File exists; set shared.state_directory to a directory"):
        await parts.start()
    await parts.upstream.close()


async def test_a_server_that_refuses_us_ends_the_start(redis_server: Server) -> None:
    limits = {"rates": {"models": {"m": {"concurrency": 1}}}, "providers": {"p": {"base_url": "http://127.0.0.1:1"}}}
    settings = Settings.model_validate({**limits, "shared": {"url": f"{redis_server.url}?db=99"}})
    parts = put_together(settings, open_tally(settings))
    with pytest.raises(
        StoreRefused, match=r"^shared store of limits unix://.*/99 refuses: ERR DB index is out of range"
    ):
        await parts.start()
    await parts.upstream.close()
