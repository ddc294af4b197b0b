"""The page's own modules, run in the browser: how numbers are written, and how curves are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import Page

from tests.browser.conftest import Visits
from tests.browser.looking import SHARED
from tests.browser.traffic import Busy

pytestmark = SHARED

WRITTEN: dict[str, list[tuple[float | None, str]]] = {
    "count": [
        (None, "\N{EN DASH}"),
        (0, "0"),
        (999, "999"),
        (1234, "1 234"),
        (9_999_999, "9 999 999"),
        (12_345_678, "12.35 M"),
        (9_876_543_210, "9.877 B"),
    ],
    "rate": [(0, "0/s"), (0.0123, "0.0123/s"), (12.345, "12.3/s"), (1234.5, "1 235/s")],
    "money": [
        (0, "$0"),
        (0.00000123456, "$0.00000123"),
        (0.00084, "$0.00084"),
        (0.7, "$0.70"),
        (0.0456, "$0.0456"),
        (1, "$1.00"),
        (1234.567, "$1 234.57"),
        (12345.67, "$12 346"),
        (12_345_678, "$12.35 M"),
    ],
    "moneyPerHour": [(None, "\N{EN DASH}"), (8.3, "$8.30/h")],
    "seconds": [
        (None, "\N{EN DASH}"),
        (0, "0 ms"),
        (0.00095, "0.95 ms"),
        (0.0075, "7.5 ms"),
        (0.123, "123 ms"),
        (0.9996, "1 s"),
        (1.234, "1.23 s"),
        (12.34, "12.3 s"),
        (125, "2 min 5 s"),
    ],
    "percent": [(None, "\N{EN DASH}"), (0, "0%"), (0.00012, "0.012%"), (0.0123, "1.2%"), (0.5, "50%"), (1, "100%")],
    "lasting": [(-1, "0 s"), (5, "5 s"), (65, "1 min 5 s"), (3700, "1 h 1 min"), (90000, "1 d 1 h")],
}


@pytest_asyncio.fixture(loop_scope="session")
async def page(visits: Visits, busy: Busy) -> AsyncIterator[Page]:
    """A page of the gateway's origin on which its modules can be loaded."""
    page = await visits.open(busy.url, cookie=busy.cookie)
    scripts = await page.locator("script[type=module]").get_attribute("src")
    assert scripts is not None
    folder = scripts.rpartition("/")[0]
    await page.evaluate(f"import('{folder}/format.js').then(loaded => globalThis.format = loaded)")
    await page.evaluate(f"import('{folder}/history.js').then(loaded => globalThis.curves = loaded)")
    yield page


async def test_numbers_are_written_with_the_digits_that_matter(page: Page) -> None:
    for name, cases in WRITTEN.items():
        written = await page.evaluate(f"values => values.map(format.{name})", [value for value, _ in cases])
        assert [text.replace("\u202f", " ") for text in written] == [text for _, text in cases], name


def figures(times: list[int], requests: list[float | None]) -> dict[str, Any]:
    return {"range": "15m", "step": 5, "times": times, "series": {"requests": requests}}


async def kept(page: Page, *updates: tuple[int, float | None], then: dict[str, Any] | None = None) -> dict[str, Any]:
    """A history of three points after these updates, and then perhaps after new figures."""
    script = """([begun, updates, then]) => {
      let history = curves.begin(begun, null);
      for (const [time, requests] of updates) curves.extend(history, { time, values: { requests } });
      if (then) history = curves.begin(then, history);
      const [gaps, drawn] = [curves.gaps(history), curves.drawn(history)];
      return { times: history.times, requests: history.series.requests, gaps, drawn };
    }"""
    told: dict[str, Any] = await page.evaluate(script, [figures([100, 105, 110], [1, None, 2]), updates, then])
    return told


async def test_an_update_replaces_the_last_point_or_comes_after_it(page: Page) -> None:
    assert await kept(page, (110, 3), (115, 4)) == {
        "times": [100, 105, 110, 115],
        "requests": [1, None, 3, 4],
        "gaps": [],
        "drawn": [0, 2, 3],
    }


async def test_steps_that_were_missed_are_unknown_and_old_ones_forgotten(page: Page) -> None:
    assert await kept(page, (130, 4)) == {
        "times": [100, 105, 110, 115, 120, 125, 130],
        "requests": [1, None, 2, None, None, None, 4],
        "gaps": [[115, 130]],
        "drawn": [0, 2, 3, 4, 5, 6],
    }
    told = await kept(page, (1005, 4))
    assert (told["times"][0], len(told["times"]), told["requests"][:2]) == (110, 180, [2, None])
    # A laptop that slept for hours.
    told = await kept(page, (1_000_000, 4))
    assert (told["times"][0], len(told["times"]), told["requests"][-1]) == (999_105, 180, 4)
    # A clock that was set back.
    assert (await kept(page, (90, 4)))["requests"] == [1, None, 2]


async def test_what_a_restarted_gateway_does_not_know_is_kept(page: Page) -> None:
    new = figures([105, 110, 115, 120, 125, 130], [None, None, None, None, None, 7])
    assert await kept(page, then=new) == {
        "times": [105, 110, 115, 120, 125, 130],
        "requests": [None, 2, None, None, None, 7],
        "gaps": [[115, 130]],
        "drawn": [1, 2, 3, 4, 5],
    }
