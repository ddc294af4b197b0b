"""Small screens, dark ones, and the charts themselves."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.looking import SHARED, live, shows, tile
from tests.browser.traffic import Busy, chat, quiet_gateway

pytestmark = SHARED

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
LIGHT, DARK = "rgb(244, 246, 248)", "rgb(13, 18, 23)"


async def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth && innerWidth <= 360"))


async def test_a_phone_shows_all_of_it_without_scrolling_sideways(visits: Visits, busy: Busy) -> None:
    page = await visits.open(busy.url, cookie=busy.cookie, charts=True, **PHONE)
    await shows(page, "Requests", "8")
    await expect(page.locator(".plot .main-svg").first).to_be_visible()
    assert await fits(page)
    for title in ("Cost", "Requests", "Errors", "Latency p95", "Tokens", "Cache hits"):
        await expect(tile(page, title)).to_be_visible()
    table = page.get_by_role("table", name="Top models")
    await expect(table.get_by_role("columnheader", name="Cost")).to_be_visible()
    await expect(table.get_by_text("Tokens")).to_be_hidden()
    await page.get_by_text("Data table of latency").tap()
    await expect(page.get_by_role("table", name="Latency")).to_be_visible()
    assert await fits(page)


async def test_a_phone_shows_the_forms_too(visits: Visits, busy: Busy) -> None:
    page = await visits.open(busy.url, **PHONE)
    await expect(page.get_by_label("Key")).to_be_visible()
    assert await fits(page)
    async with quiet_gateway() as running:
        page = await visits.open(running.url, **PHONE)
        await expect(page.get_by_role("region", name="No call has been counted yet")).to_be_visible()
        assert await fits(page)
        await page.close()


async def ground(page: Page) -> str:
    return str(await page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


async def test_dark_is_the_systems_choice_until_somebody_chooses(visits: Visits, busy: Busy) -> None:
    page = await visits.open(busy.url, cookie=busy.cookie, color_scheme="dark")
    switch = page.get_by_role("button", name="Dark mode")
    await live(page)
    assert await ground(page) == DARK
    await expect(switch).to_have_attribute("aria-pressed", "true")
    await page.emulate_media(color_scheme="light")
    assert await ground(page) == LIGHT
    await expect(switch).to_have_attribute("aria-pressed", "false")
    await switch.press("Space")
    assert await ground(page) == DARK
    await expect(switch).to_have_attribute("aria-pressed", "true")
    await page.reload()
    assert await ground(page) == DARK
    await switch.press("Enter")
    assert await ground(page) == LIGHT


STROKES = "lines => lines.map(line => getComputedStyle(line).stroke)"


async def test_charts_are_drawn_in_the_colours_of_the_page_and_go_on(visits: Visits) -> None:
    async with quiet_gateway() as running:
        page = await visits.open(running.url, charts=True, color_scheme="light")
        lines = page.get_by_role("figure", name="Requests per second").locator(".scatterlayer .js-line")
        await expect(lines).to_have_count(2)
        # The library was asked for after the figures, and of the gateway itself.
        (library,) = [number for number, url in enumerate(visits.asked) if url.endswith("/plotly.min.js")]
        assert visits.asked[library].startswith(f"{running.url}/dashboard/assets/")
        assert library > visits.asked.index(f"{running.url}/dashboard/events?range=15m")
        assert await lines.evaluate_all(STROKES) == ["rgb(29, 78, 216)", "rgb(185, 28, 28)"]
        plot = page.get_by_role("figure", name="Requests per second").locator(".main-svg").first
        box = await plot.bounding_box()
        assert box is not None
        assert box["height"] == 132
        ticks = plot.locator(".ytick")
        await expect(ticks).to_have_text(["0/s", "1/s"])
        for _ in range(20):
            assert await chat(running) == 200
        await expect(ticks).not_to_have_text(["0/s", "1/s"])
        await page.emulate_media(color_scheme="dark")
        await expect(lines.first).to_have_css("stroke", "rgb(110, 168, 254)")
        await page.close()


async def test_the_page_works_without_its_charts(visits: Visits, busy: Busy) -> None:
    visits.expected.append("ERR_FAILED")
    page = await visits.open(busy.url, cookie=busy.cookie, charts=None)
    await shows(page, "Requests", "8")
    await expect(page.locator("#no-charts")).to_contain_text("no charts: ")


@pytest.mark.parametrize(("motion", "animated"), [("reduce", "none"), ("no-preference", "wait")])
async def test_nothing_moves_for_those_who_want_that(visits: Visits, busy: Busy, motion: str, animated: str) -> None:
    page = await visits.open(busy.url, cookie=busy.cookie, reduced_motion=motion)
    await live(page)
    await page.evaluate("document.getElementById('connection').dataset.state = 'connecting'")
    await expect(page.locator(".dot")).to_have_css("animation-name", animated)
