"""One Chromium for all tests, visits that are watched, and a gateway with known traffic."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

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
PATIENCE_MS = 10_000
NO_CHARTS = "globalThis.Plotly = { react() {} };"
"""In place of the chart library where a test does not look at charts: it takes a second to load."""


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
    expected: list[str] = field(default_factory=list)
    """Patterns of what the console may say."""

    async def open(
        self, url: str, path: str = "/dashboard", *, charts: bool = False, cookie: str = "", **context: Any
    ) -> Page:
        """A page in a browser of its own; charts: with the real chart library."""
        self.origins.add(url)
        visitor = await self.browser.new_context(**context)
        visitor.set_default_timeout(PATIENCE_MS)
        visitor.on("request", self._asked)
        if not charts:
            await visitor.route(
                "**/plotly.min.js", lambda route: route.fulfill(body=NO_CHARTS, content_type="text/javascript")
            )
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

    def check(self) -> None:
        """Nothing in the console, and no request to anybody but the gateway."""
        assert [said for said in self.said if not any(re.search(known, said) for known in self.expected)] == []
        assert [url for url in self.asked if not url.startswith((*self.origins, "data:"))] == []


@pytest_asyncio.fixture(loop_scope="session")
async def visits(chromium: Browser) -> AsyncIterator[Visits]:
    made = Visits(chromium)
    yield made
    for context in chromium.contexts:
        await context.close()
    made.check()
