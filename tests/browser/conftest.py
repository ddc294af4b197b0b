"""One Chromium for all tests, visits that are watched, and a gateway with known traffic."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route, async_playwright, expect

from tests.browser.looking import shows
from tests.browser.traffic import Busy, busy_gateway

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 20_000
CHARTS = "**/plotly.min.js"


async def stand_in(route: Route) -> None:
    """In place of the chart library where a test does not look at charts: it takes a second to load."""
    await route.fulfill(body="globalThis.Plotly = { react() {} };", content_type="text/javascript")


async def no_charts(route: Route) -> None:
    await route.abort()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def busy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Busy]:
    """A gateway after the traffic of which every number is known."""
    async with busy_gateway(tmp_path_factory.mktemp("busy")) as gateway:
        yield gateway


@dataclass
class Visits:
    """Opens pages, and notes what a good page never does."""

    browser: Browser
    said: list[str] = field(default_factory=list)
    """Errors and warnings in the console, and exceptions."""
    asked: list[str] = field(default_factory=list)
    """Where requests went."""
    origins: set[str] = field(default_factory=set)
    visitors: list[BrowserContext] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Patterns of what the console may say."""

    async def open(
        self, url: str, path: str = "/dashboard", *, charts: bool | None = False, cookie: str = "", **context: Any
    ) -> Page:
        """A page in a browser of its own; charts: with the real chart library, None: it cannot be loaded."""
        self.origins.add(url)
        visitor = await self.browser.new_context(**context)
        self.visitors.append(visitor)
        visitor.set_default_timeout(PATIENCE_MS)
        visitor.on("request", self._asked)
        if not charts:
            await visitor.route(CHARTS, no_charts if charts is None else stand_in)
        if cookie:
            name, _, value = cookie.partition("=")
            await visitor.add_cookies([{"name": name, "value": value, "url": f"{url}/dashboard"}])
        page = await visitor.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        await page.goto(url + path)
        return page

    def _asked(self, request: Request) -> None:
        self.asked.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(message.text)

    async def end(self) -> None:
        """Close all of it. There was nothing in the console, and no request to anybody but the gateway."""
        for visitor in self.visitors:
            await visitor.close()
        assert [said for said in self.said if not any(re.search(known, said) for known in self.expected)] == []
        assert [url for url in self.asked if not url.startswith((*self.origins, "data:"))] == []


@pytest_asyncio.fixture(loop_scope="session")
async def visits(chromium: Browser) -> AsyncIterator[Visits]:
    made = Visits(chromium)
    yield made
    await made.end()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def seen(chromium: Browser, busy: Busy) -> AsyncIterator[Page]:
    """The page of the busy gateway, for tests that only look."""
    made = Visits(chromium)
    page = await made.open(busy.url, cookie=busy.cookie)
    await shows(page, "Requests", "8")
    yield page
    await made.end()
