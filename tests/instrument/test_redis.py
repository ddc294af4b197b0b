"""Redis and Valkey as caches, by the clients of both, on a real server."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis
import valkey

from tallygate import instrument
from tallygate.context import context
from tallygate.instrument import NotInstrumentable
from tallygate.tally import Tally
from tests.instrument.db_page import lookups
from tests.instrument.http_page import dropped
from tests.services.redis import Redis

pytestmark = pytest.mark.xdist_group("redis")  # one server for all of them

LIBRARIES = ("redis", "valkey")
CLASSES = {"redis": "Redis", "valkey": "Valkey"}
INSTRUMENT: dict[str, Any] = {"redis": instrument.redis, "valkey": instrument.valkey}


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(library: str, redis_server: Redis) -> Iterator[Any]:
    kind = getattr(importlib.import_module(library), CLASSES[library])
    with kind(unix_socket_path=redis_server.socket) as client:
        client.flushall()
        yield client


@pytest.fixture
async def awaited(library: str, redis_server: Redis) -> AsyncIterator[Any]:
    kind = getattr(importlib.import_module(f"{library}.asyncio"), CLASSES[library])
    async with kind(unix_socket_path=redis_server.socket) as client:
        await client.flushall()
        yield client


def test_every_command_that_looks(library: str, client: Any, tally: Tally) -> None:
    client.mset({"a": "1", "b": "2", "gone": "3"})
    client.hset("h", mapping={"x": "1", "y": "2"})
    found: dict[str, float] = {}

    def looks() -> tuple[float, float]:
        """Hits and misses since this was called last."""
        before = dict(found)
        found.update(lookups(tally))
        hit, miss = f"{library}  hit", f"{library}  miss"
        return found[hit] - before.get(hit, 0), found[miss] - before.get(miss, 0)

    with INSTRUMENT[library](tally=tally):
        assert lookups(tally) == {f"{library}  hit": 0, f"{library}  miss": 0}
        assert (client.get("a"), client.get(b"none"), looks()) == (b"1", None, (1, 1))
        assert (client.mget("a", "none", "b"), looks()) == ([b"1", None, b"2"], (2, 1))
        assert (client.getex("a", ex=60), client.getex("none"), looks()) == (b"1", None, (1, 1))
        assert (client.getdel("gone"), client.getdel("gone"), looks()) == (b"3", None, (1, 1))
        assert (client.hget("h", "x"), client.hget("h", "none"), client.hget("none", "x"), looks()) == (
            b"1", None, None, (1, 2),
        )  # fmt: skip
        assert (client.hmget("h", ["x", "none"]), looks()) == ([b"1", None], (1, 1))
        assert (client.hgetall("h"), client.hgetall("none"), looks()) == ({b"x": b"1", b"y": b"2"}, {}, (1, 1))
        assert (client.execute_command("get", "a"), client.execute_command(b"GET", b"a"), looks()) == (
            b"1",
            b"1",
            (2, 0),
        )
        client.set("a", "4"), client.exists("a"), client.delete("a"), client.ping(), client.keys()
        assert looks() == (0, 0)
    client.get("a")
    assert looks() == (0, 0)
    assert dropped(tally) == 0


def test_pipelines(library: str, client: Any, tally: Tally) -> None:
    client.set("a", "1")
    with INSTRUMENT[library](name="pages", tally=tally):
        for transaction in (True, False):
            with client.pipeline(transaction=transaction) as pipe:
                assert pipe.get("a").set("b", "2").mget("b", "none").get("none").execute() == [
                    b"1", True, [b"2", None], None,
                ]  # fmt: skip
                assert pipe.get("a").execute() == [b"1"]
        assert lookups(tally) == {"pages  hit": 6, "pages  miss": 4}
        with client.pipeline() as pipe:
            pipe.watch("a")
            assert pipe.get("a") == b"1"
            pipe.multi()
            pipe.get("none")
            assert pipe.execute() == [None]
        assert lookups(tally) == {"pages  hit": 7, "pages  miss": 5}
        with client.pipeline(transaction=False) as pipe:
            pipe.get("a").hget("a", "x").get("none")
            first, wrong, last = pipe.execute(raise_on_error=False)
        assert (first, type(wrong).__name__, last) == (b"1", "ResponseError", None)
        assert lookups(tally) == {"pages  hit": 8, "pages  miss": 6}


def test_names_by_what_keys_begin_with(library: str, client: Any, tally: Tally) -> None:
    prefixes = {"user:": "users", "user:admin:": "admins", "7": "numbers"}
    with INSTRUMENT[library](client, prefixes=prefixes, tally=tally):
        client.mget("user:1", b"user:admin:1", "other", memoryview(b"user:2"), 77)
    assert lookups(tally) == {
        "users  hit": 0, "users  miss": 2, "admins  hit": 0, "admins  miss": 1, "numbers  hit": 0, "numbers  miss": 1,
    }  # fmt: skip
    assert "user:1" not in tally.render().decode()


def test_keys_of_no_prefix(library: str, client: Any, tally: Tally) -> None:
    with INSTRUMENT[library](name="rest", prefixes={"user:": "users"}, tally=tally):
        client.mget("user:1", "other")
    assert lookups(tally) == {"users  hit": 0, "users  miss": 1, "rest  hit": 0, "rest  miss": 1}


def test_one_client_with_its_pipelines(library: str, client: Any, redis_server: Redis, tally: Tally) -> None:
    other = type(client)(unix_socket_path=redis_server.socket)
    with INSTRUMENT[library](client, name="mine", tally=tally):
        client.get("a")
        with client.pipeline() as pipe:
            pipe.get("a").execute()
        other.get("a")
        with other.pipeline() as pipe:
            pipe.get("a").execute()
    other.close()
    assert lookups(tally) == {"mine  hit": 0, "mine  miss": 2}


def test_the_latest_of_several_records(library: str, client: Any, tally: Tally) -> None:
    with INSTRUMENT[library](name="first", tally=tally), INSTRUMENT[library](name="second", tally=tally):
        client.get("a")
        with client.pipeline() as pipe:
            pipe.get("a").execute()
    assert lookups(tally) == {"first  hit": 0, "first  miss": 0, "second  hit": 0, "second  miss": 2}


def test_failures_are_no_looks(library: str, client: Any, tally: Tally) -> None:
    client.set("text", "x")
    with INSTRUMENT[library](name="pages", tally=tally):
        with pytest.raises(Exception, match="WRONGTYPE") as raised:
            client.hget("text", "x")
        assert type(raised.value).__name__ == "ResponseError"
        with pytest.raises(IndexError):
            client.execute_command()
    assert lookups(tally) == {"pages  hit": 0, "pages  miss": 0}
    assert dropped(tally) == 0


def test_the_route_is_that_of_the_context(library: str, client: Any, tally: Tally) -> None:
    with INSTRUMENT[library](name="pages", tally=tally), context(route="chat"):
        client.get("a")
    assert lookups(tally)["pages chat miss"] == 1


async def test_async(library: str, awaited: Any, tally: Tally) -> None:
    with INSTRUMENT[library](name="pages", tally=tally):
        await awaited.set("a", "1")
        assert (await awaited.get("a"), await awaited.get("none")) == (b"1", None)
        assert await awaited.mget("a", "none") == [b"1", None]
        assert await asyncio.gather(*[awaited.get("a") for _ in range(5)]) == [b"1"] * 5
        async with awaited.pipeline() as pipe:
            assert await pipe.get("a").get("none").execute() == [b"1", None]
            await pipe.watch("a")
            assert await pipe.get("a") == b"1"
        assert lookups(tally) == {"pages  hit": 9, "pages  miss": 3}
    await awaited.get("a")
    assert lookups(tally) == {"pages  hit": 9, "pages  miss": 3}


async def test_a_cancelled_look_is_none(library: str, awaited: Any, tally: Tally) -> None:
    with INSTRUMENT[library](awaited, name="pages", tally=tally):
        await awaited.client_pause(20_000, all=False)  # what may write waits, as GETDEL does
        task = asyncio.ensure_future(awaited.getdel("a"))
        while not (await awaited.info("clients"))["blocked_clients"]:
            pass
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await awaited.client_unpause()
        assert await awaited.getdel("a") is None
    assert lookups(tally) == {"pages  hit": 0, "pages  miss": 1}


def test_removed_everything_is_as_it_was(library: str, tally: Tally) -> None:
    module = importlib.import_module(f"{library}.client")
    kinds = [getattr(module, CLASSES[library]), module.Pipeline]
    before = [dict(vars(kind)) for kind in kinds]
    handle = INSTRUMENT[library](tally=tally)
    assert [dict(vars(kind)) for kind in kinds] != before
    handle.remove()
    assert [dict(vars(kind)) for kind in kinds] == before


def test_what_is_no_client(library: str, tally: Tally) -> None:
    with pytest.raises(NotInstrumentable, match=rf"a client of {library}, sync or async and no cluster's, not str"):
        INSTRUMENT[library]("localhost", tally=tally)
    for named in ({"name": ""}, {"prefixes": {"a": ""}}):
        with pytest.raises(ValueError, match="is no name of a cache"):
            INSTRUMENT[library](tally=tally, **named)


def test_one_library_leaves_the_other_alone(tally: Tally) -> None:
    ours, theirs = vars(redis.Redis)["execute_command"], vars(valkey.Valkey)["execute_command"]
    with instrument.valkey(tally=tally):
        assert vars(redis.Redis)["execute_command"] is ours
        assert vars(valkey.Valkey)["execute_command"] is not theirs
