"""The events of the live page: what is new, to whoever looks, and no more than that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest

from tallygate.gateway.page import events as events_module
from tallygate.gateway.page.app import Page
from tallygate.gateway.page.events import Events
from tallygate.gateway.page.figures import NAMES, STEPS, Figures
from tallygate.gateway.page.opening import _about
from tallygate.gateway.page.source import blank
from tests.gateway.apis import APIS
from tests.gateway.page.looking import PATIENCE, QUICK, Browser, Event, events
from tests.gateway.provided import provided, until
from tests.gateway.running import Gateway, ask

CHAT = APIS[0]


def page_of(running: Gateway) -> Page:
    page = running.app._page
    assert page is not None
    return page


async def call(running: Gateway) -> None:
    assert (await ask(running.url + CHAT.path("gpt-4o", False), CHAT.body("gpt-4o", False))).status == 200


async def test_an_update_tells_of_traffic() -> None:
    async with provided(QUICK) as (running, _):
        async with Browser(running.url).events() as told:
            first = (await anext(told)).figures
            assert (first.totals.requests, first.empty) == (0, True)
            await call(running)
            async for event in told:
                update = event.update
                if update.totals.requests:
                    break
        assert (update.totals.requests, update.empty) == (1, False)
        assert update.time in (first.times[-1], first.times[-1] + STEPS["15m"])
        assert set(update.values) == set(NAMES)
        assert update.values["requests"] is not None
        assert update.values["requests"] > 0
        assert [one.name for one in update.models] == ["gpt-4o"]
        assert (update.providers[0].provider, update.providers[0].requests) == ("openai", 1)


async def test_viewers_leave_and_nothing_stays() -> None:
    async with provided(QUICK) as (running, _):
        page = page_of(running)
        async with AsyncExitStack() as stack:
            for number in range(20):
                told = await stack.enter_async_context(Browser(running.url).events(list(STEPS)[number % 4]))
                await anext(told)
            assert page._events.viewers == 20
            await call(running)
        await until(lambda: page._events.viewers == 0)
        await Browser(running.url).shows(lambda totals: totals["requests"] == 1)
        await until(lambda: page._events.viewers == 0)
        await running.settled()
        counted = running.page("tallygate", "tallygate_http_requests_total")
        left = {"route": "/dashboard/events", "status_code": "200"}
        assert counted.total("tallygate_http_requests_total", **left) == 21


async def test_no_more_viewers_than_allowed() -> None:
    async with provided({"dashboard": {**QUICK["dashboard"], "viewers": 2}}) as (running, _):
        browser = Browser(running.url)
        async with browser.events() as one:
            await anext(one)
            async with browser.events("1h") as two:
                await anext(two)
                refused = await browser.get("/events")
                assert (refused.status, refused.headers["retry-after"]) == (503, "10")
                assert refused.body == b'{"error":"as many pages as dashboard.viewers allows are open already"}'
                assert (await browser.figures()).empty
            await until(lambda: page_of(running)._events.viewers == 1)
            async with browser.events() as three:
                await anext(three)


async def test_a_gateway_that_ends_lets_its_viewers_go(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with provided(QUICK) as (running, _):
        async with Browser(running.url).stream() as pieces:
            await anext(pieces)
            running.server.stop()
            async with asyncio.timeout(PATIENCE):
                rest = [event async for event in events(pieces)]
        # In good order: the pieces ended without an error, and nothing was cut.
        assert all(event.name == "update" for event in rest)
        await running.settled()
    assert "cut off at shutdown" not in caplog.text


async def test_events_end_with_the_session() -> None:
    more = {"server": {"master_key": "m"}, "dashboard": {**QUICK["dashboard"], "session_seconds": 1.2}}
    async with provided(more) as (running, _):
        browser = Browser(running.url)
        await browser.sign_in("m")
        async with asyncio.timeout(PATIENCE), browser.events() as told:
            assert (await anext(told)).figures.open is False
            async for event in told:
                assert event.name == "update"
        assert (await browser.get("/events")).status == 401


class Told:
    """A source of which is known how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def start(self) -> None:
        raise AssertionError

    async def close(self) -> None:
        raise AssertionError

    async def look(self) -> None:
        raise AssertionError

    async def figures(self, range: str) -> Figures:
        self.asked.append(range)
        about = partial(_about, started=0.0, version="1", source="history", tick=5.0, open=True, keys_told=False)
        return about(**blank(range, 1000.0 + len(self.asked)))


class Viewer:
    """Takes what it is sent, one message at a time when ``ready`` says so."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.ready = asyncio.Event()
        self.ready.set()

    async def send(self, message: Any) -> None:
        await self.ready.wait()
        self.got.append(message["body"])

    def names(self) -> list[bytes]:
        return [line for body in self.got for line in body.split(b"\n") if line.startswith(b"event")]


@asynccontextmanager
async def viewing(told: Events, range: str = "15m") -> AsyncIterator[tuple[Viewer, asyncio.Task[int]]]:
    viewer = Viewer()
    task = asyncio.create_task(told.serve(range, viewer.send, None))
    await until(lambda: len(viewer.got) == 1)
    try:
        yield viewer, task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_viewers_of_a_range_share_what_they_are_sent() -> None:
    source = Told()
    told = Events(source, 100)
    async with AsyncExitStack() as stack:
        viewers = [(await stack.enter_async_context(viewing(told)))[0] for _ in range(10)]
        other = (await stack.enter_async_context(viewing(told, "6h")))[0]
        assert source.asked == ["15m", "6h"]
        await told.tick()
        await until(lambda: all(len(viewer.got) == 2 for viewer in (*viewers, other)))
        assert source.asked == ["15m", "6h", "15m", "6h"]
        assert len({id(viewer.got[1]) for viewer in viewers}) == 1
        assert other.got[1] != viewers[0].got[1]
        # A viewer costs nothing while nothing is new, and nothing is asked for ranges at which nobody looks.
        assert [viewer.names() for viewer in viewers] == [[b"event: figures", b"event: update"]] * 10
    await told.tick()
    assert len(source.asked) == 4


async def test_whoever_missed_something_gets_all_of_it() -> None:
    told = Events(Told(), 100)
    async with viewing(told) as (viewer, _):
        viewer.ready.clear()
        await told.tick()
        await asyncio.sleep(0)  # it takes the update, and has it on its way when more comes
        await told.tick()
        await told.tick()
        viewer.ready.set()
        await until(lambda: len(viewer.got) == 3)
        await told.tick()
        await until(lambda: len(viewer.got) == 4)
        assert viewer.names() == [b"event: figures", b"event: update", b"event: figures", b"event: update"]


async def test_whoever_is_too_slow_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "SLOW_SECONDS", 0.05)
    told = Events(Told(), 1)
    async with viewing(told) as (viewer, task):
        assert told.full
        viewer.ready.clear()
        await told.tick()
        await asyncio.wait([task])
        assert isinstance(task.exception(), TimeoutError)
        assert not told.full


async def test_the_first_event_holds_all_figures_and_when_to_come_back() -> None:
    told = Events(Told(), 1)
    async with viewing(told) as (viewer, _):
        retry, _, rest = viewer.got[0].partition(b"\n\n")
        assert retry == b"retry: 2000"
        assert rest.startswith(b"event: figures\ndata: {")
        assert rest.endswith(b"}\n\n")
        event = Event("figures", rest.decode().removeprefix("event: figures\ndata: "))
        assert event.figures == msgspec.json.decode(await told.figures("15m"), type=Figures)
