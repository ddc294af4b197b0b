"""The pictures of docs/images: the live page, `tallygate top` and a dashboard, of a demo's traffic, by Chromium."""

from __future__ import annotations

import argparse
import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import board
from playwright.async_api import Browser, Page, async_playwright
from tests.prometheus.server import Job, Prometheus
from tests.prometheus.server import prometheus as started

from tallygate.cli.top import picture

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
MOST_BYTES = 300_000
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
DESK = {"viewport": {"width": 1440, "height": 1060}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 1.5,
}
PAGES: dict[str, dict[str, Any]] = {
    "live-page": DESK,
    "live-page-dark": {**DESK, "color_scheme": "dark"},
    "live-page-phone": PHONE,
}


@asynccontextmanager
async def demo(rate: float) -> AsyncIterator[str]:
    """A running demo; the address of its gateway."""
    command = [sys.executable, "-m", "tallygate.cli", "demo", "--port", "0", "--rate", str(rate)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().split()[1]
    finally:
        process.terminate()
        await process.communicate()


async def page(browser: Browser, url: str, name: str, **context: Any) -> None:
    """The live page, with its charts."""
    visitor = await browser.new_context(**context)
    shown = await visitor.new_page()
    await shown.goto(f"{url}/dashboard")
    await shown.locator(".plot").last.locator(".js-line").first.wait_for(state="attached")
    # The fonts' and the charts' last frame.
    await shown.wait_for_timeout(1000)
    await save(shown, name)
    await visitor.close()


async def terminal(browser: Browser, url: str) -> None:
    """`tallygate top`, from the drawing that it makes of itself."""
    drawing = await picture(f"{url}/metrics", columns=100, rows=32, pages=3)
    visitor = await browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    shown = await visitor.new_page()
    await shown.set_content(f"<body style='margin:0;width:1200px'>{drawing}")
    await save(shown, "top", await shown.locator("svg").first.bounding_box())
    await visitor.close()


async def dashboard(browser: Browser, prometheus: Prometheus) -> None:
    """A board of Grafana, drawn by Grafana's own components."""
    shown = await board.drawn(browser, prometheus)
    await save(shown, "dashboard")
    await shown.context.close()


async def save(shown: Page, name: str, clip: Any = None) -> None:
    """Write a picture, if it is small enough for a README. Raises ValueError."""
    data = await shown.screenshot(clip=clip, animations="disabled")
    if len(data) > MOST_BYTES:
        raise ValueError(f"{name}.png would have {len(data)} bytes, more than {MOST_BYTES}")
    IMAGES.mkdir(exist_ok=True)
    IMAGES.joinpath(f"{name}.png").write_bytes(data)
    print(f"docs/images/{name}.png  {len(data):,} bytes")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.5, help="how long the demo runs before (%(default)s)")
    parser.add_argument("--rate", type=float, default=6, help="its requests per second (%(default)s)")
    parser.add_argument("--gateway", default="", help="take this running gateway, whose page is open, and no demo")
    parser.add_argument("--prometheus", type=int, default=0, help="port of the Prometheus that scraped it")
    given = parser.parse_args()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if given.gateway:
            await pictures(browser, given.gateway, Prometheus(given.prometheus))
        else:
            async with demo(given.rate) as url, scraping(url) as prometheus:
                print(f"the demo at {url} runs for {given.minutes:g} min ...", flush=True)
                await asyncio.sleep(given.minutes * 60)
                await pictures(browser, url, prometheus)
        await browser.close()


@asynccontextmanager
async def scraping(url: str) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes the gateway."""
    with TemporaryDirectory() as directory:
        async with started(Path(directory), [Job("tallygate", url.removeprefix("http://"))]) as prometheus:
            yield prometheus


async def pictures(browser: Browser, url: str, prometheus: Prometheus) -> None:
    for name, context in PAGES.items():
        await page(browser, url, name, **context)
    await terminal(browser, url)
    await dashboard(browser, prometheus)


asyncio.run(main())
