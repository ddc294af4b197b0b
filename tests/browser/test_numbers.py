"""The page shows the numbers of known traffic."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.looking import SHARED, cells, live, shows, tile
from tests.browser.traffic import MARKUP, Busy

pytestmark = SHARED


async def test_the_top_line(seen: Page) -> None:
    await shows(seen, "Requests", "8")
    await shows(seen, "Errors", "1", "▲ high · 12.5% of requests")
    await shows(seen, "Cost", "$0.00084")
    await shows(seen, "Tokens", "154", "70 in · 84 out")
    await shows(seen, "Cache hits", "50%", "1 of 2")
    await shows(seen, "Active requests", "0", "right now")
    for title in ("Latency p95", "First token p95"):
        await expect(tile(seen, title).locator(".value")).to_have_text(measured())
    await expect(tile(seen, "Output speed").locator(".value")).to_have_text(measured("/s"))
    assert await tile(seen, "Errors").get_attribute("class") == "tile bad"


def measured(unit: str = " m?s") -> re.Pattern[str]:
    return re.compile(rf"^[\d\s.]+{unit}$")


async def test_providers_and_their_health(seen: Page) -> None:
    rows = await cells(seen, "Health of the providers")
    assert [row[:4] + row[-1:] for row in rows] == [
        ["openai", "● Up", "5", "0", "$0.0007"],
        ["anthropic", "▲ Degraded", "3", "1 (33.3%)", "$0.00014"],
        ["gemini", "○ Idle", "0", "0", "$0"],
    ]


async def test_what_is_used_most(seen: Page, busy: Busy) -> None:
    assert await named(seen, "Top models") == [
        ["gpt-4o", "$0.0007", "5", "0", "110"],
        ["claude-haiku-4-5", "$0.00014", "3", "1", "44"],
    ]
    assert await named(seen, "Top keys") == [
        [f"key ({busy.ann.key_id})", "$0.0007", "5", "0", "110"],
        [f"key ({busy.bob.key_id})", "$0.00014", "3", "1", "44"],
    ]


async def named(page: Page, table: str) -> list[list[str]]:
    """Name, cost, requests, errors and tokens; the last column is a time."""
    return [row[:5] for row in await cells(page, table)]


async def test_a_name_with_markup_is_text(seen: Page) -> None:
    assert await named(seen, "Top routes") == [
        ["/checkout", "$0.00056", "4", "0", "88"],
        ["none told", "$0.00014", "2", "1", "22"],
        [MARKUP, "$0.00014", "2", "0", "44"],
    ]
    assert await seen.locator("main img").count() == 0


async def test_recent_errors(seen: Page) -> None:
    ((_, *told),) = await cells(seen, "The newest first")
    assert told == ["provider_rate_limit 429", "anthropic claude-haiku-4-5", "none told", "1"]


async def test_other_ranges_show_the_same_traffic(visits: Visits, busy: Busy) -> None:
    page = await visits.open(busy.url, cookie=busy.cookie)
    await live(page)
    for label in ("1 h", "6 h", "24 h"):
        choice = page.get_by_role("radio", name=label, exact=True)
        async with page.expect_request(lambda request: "/events?range=" in request.url) as asked:
            await choice.check(force=True)
        assert (await asked.value).url.endswith(f"/dashboard/events?range={label.replace(' ', '')}")
        await live(page)
        await shows(page, "Requests", "8")
        await shows(page, "Tokens", "154")
    await page.reload()
    await expect(choice).to_be_checked()
    await shows(page, "Requests", "8")
