"""The page moves by itself: more traffic, an empty start, a gateway that goes and comes back."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from tallygate.gateway.page import opening
from tallygate.gateway.page.counted import Counted
from tallygate.simulator import Simulator
from tests.browser.conftest import Visits
from tests.browser.looking import SHARED, cells, live, shows
from tests.browser.traffic import chat, quiet_gateway, session, settings
from tests.gateway.running import Gateway, ask, gateway

pytestmark = SHARED
AWAY = r"net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|CONNECTION_RESET)"
"""What Chromium's console says when a server is away."""
NONE = "\N{EN DASH}"
LATER = 60
"""Seconds that a gateway is away, by the clock of the one that comes after it."""


async def stays(page: Page) -> None:
    """From here on, see whether the page is loaded again."""
    await page.evaluate("globalThis.stayed = true")


async def stayed(page: Page) -> bool:
    return bool(await page.evaluate("globalThis.stayed === true"))


async def test_an_empty_page_says_what_to_do_and_that_works(visits: Visits) -> None:
    async with quiet_gateway() as running:
        page = await visits.open(running.url)
        empty = page.get_by_role("region", name="No call has been counted yet")
        await expect(empty).to_be_visible()
        await shows(page, "Requests", "0")
        await shows(page, "Cost", "$0")
        await shows(page, "Latency p95", NONE)
        await expect(page.locator("#errors")).to_have_text("None in this time.")
        await expect(page.locator("#keys")).to_have_text(
            "Keys are not told apart: metrics.identities.api_key_id does it."
        )
        await expect(empty.locator("#base-url")).to_have_text(f"{running.url}/v1")
        await stays(page)
        assert await run(await empty.locator("#curl").inner_text()) == 200
        await expect(empty).to_be_hidden()
        await shows(page, "Requests", "1")
        assert await stayed(page)


async def run(command: str) -> int:
    """What curl would do with these arguments; the status."""
    name, url, *flags = shlex.split(command.replace("\\\n", " "))
    assert name == "curl"
    sent = dict(zip(flags[::2], flags[1::2], strict=True))
    assert set(sent) == {"-H", "-d"}
    headers = dict(value.split(": ", 1) for flag, value in zip(flags[::2], flags[1::2], strict=True) if flag == "-H")
    assert json.loads(sent["-d"])["messages"]
    return (await ask(url, sent["-d"].encode(), headers)).status


async def test_more_traffic_is_shown_without_a_reload(visits: Visits) -> None:
    async with quiet_gateway() as running:
        page = await visits.open(running.url)
        await live(page)
        await stays(page)
        for calls in range(1, 4):
            assert await chat(running) == 200
            await shows(page, "Requests", str(calls))
            await shows(page, "Tokens", str(calls * 22), f"{calls * 10} in · {calls * 12} out")
        assert await chat(running, query="?simulate=500") == 500
        await shows(page, "Errors", "1", "▲ high · 25% of requests")
        ((_, *told),) = await cells(page, "The newest first")
        assert told == ["provider_server_error 500", "openai gpt-4o", "none told", "1"]
        assert await stayed(page)


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


def port_of(running: Gateway) -> int:
    return int(running.url.rpartition(":")[2])


async def test_a_restart_is_survived_and_its_gap_shown(
    visits: Visits, provider: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits.expected.append(AWAY)
    async with gateway(settings(provider.url)) as first:
        page = await visits.open(first.url)
        await live(page)
        await stays(page)
        for _ in range(3):
            assert await chat(first) == 200
        await shows(page, "Requests", "3")
        await page.get_by_text("Data table of requests per second").click()
        before = await cells(page, "Requests per second")
    await expect(page.locator("#connection-text")).to_have_text(
        re.compile(r"^Reconnecting, figures of \d\d:\d\d:\d\d$")
    )
    await expect(page.locator("#announcer")).to_have_text("Connection lost, trying again.")
    await shows(page, "Requests", "3")
    monkeypatch.setattr(opening, "Counted", partial(Counted, clock=lambda: time.time() + LATER))
    async with gateway(settings(provider.url), port=port_of(first)) as second:
        assert second.url == first.url
        await live(page)
        await expect(page.locator("#announcer")).to_have_text("Connected again.")
        await expect(page.locator("#problem")).to_have_text(
            re.compile(r"^No figures from \d\d:\d\d:\d\d to \d\d:\d\d:\d\d: the gateway was away\.$")
        )
        await expect(page.locator("#covered")).to_have_text(re.compile("^since the gateway's start at "))
        assert await chat(second) == 200
        await shows(page, "Requests", "1")
        after = await cells(page, "Requests per second")
        await expect(page.locator("#empty")).to_be_hidden()
        # What was seen before the restart is still there, though this gateway knows nothing of it.
        assert [row[0] for row in after[-len(before) :]] == [row[0] for row in before]
        assert len(after) > len(before)
        assert await stayed(page)


async def test_a_session_that_has_ended_leads_to_the_sign_in(visits: Visits, provider: Simulator) -> None:
    visits.expected += [AWAY, "401"]
    async with gateway(settings(provider.url, server={"master_key": "the-first-key"})) as first:
        page = await visits.open(first.url, cookie=await session(first, "the-first-key"))
        await live(page)
    async with gateway(settings(provider.url, server={"master_key": "another-key"}), port=port_of(first)):
        await page.wait_for_url("**/dashboard/sign-in")
        await expect(page.get_by_label("Key")).to_be_focused()


async def test_only_what_matters_is_announced(visits: Visits) -> None:
    async with quiet_gateway() as running:
        page = await visits.open(running.url)
        await live(page)
        assert await chat(running) == 200
        await shows(page, "Requests", "1")
        await expect(page.locator("#announcer")).to_have_text("")
        assert await chat(running, query="?simulate=500") == 500
        await expect(page.locator("#announcer")).to_have_text("Provider openai is degraded.")
        assert await page.locator("[aria-live]").count() == 0


async def test_a_connection_that_is_silent_is_given_up(visits: Visits) -> None:
    visits.expected.append("ERR_FAILED")
    async with quiet_gateway() as running:
        page = await visits.open(running.url, "/metrics")
        await page.clock.install()
        asked: list[Route] = []
        # Neither an answer nor an end: as behind a network that is gone.

        async def hang(route: Route) -> None:
            asked.append(route)

        await page.route("**/dashboard/events?*", hang)
        await page.goto(f"{running.url}/dashboard")
        await expect(page.locator("#connection-text")).to_have_text("Connecting")
        assert len(asked) == 1
        await page.unroute("**/dashboard/events?*", hang)
        await page.clock.fast_forward(21_000)
        await live(page)
        await shows(page, "Requests", "0")


async def test_too_many_pages_are_still_shown_figures(visits: Visits) -> None:
    visits.expected.append("503")
    async with quiet_gateway(dashboard={"viewers": 1, "refresh_seconds": 0.2}) as running:
        first = await visits.open(running.url)
        await live(first)
        second = await visits.open(running.url)
        assert await chat(running) == 200
        await shows(second, "Requests", "1")
        await expect(second.locator("#connection-text")).to_have_text(re.compile("^Reconnecting"))
        await first.close()
        await live(second)


async def test_what_is_wrong_with_the_figures_is_told(visits: Visits) -> None:
    away = {"prometheus_url": "http://127.0.0.1:9", "refresh_seconds": 0.2}
    async with quiet_gateway(dashboard=away) as running:
        page = await visits.open(running.url)
        await expect(page.locator("#problem")).to_contain_text(
            "Prometheus cannot be reached: cannot connect to 127.0.0.1:9"
        )
        await expect(page.locator("#problem")).to_be_visible()
        await expect(page.locator("#empty")).to_be_hidden()
