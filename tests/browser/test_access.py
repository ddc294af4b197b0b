"""The page without a mouse, without eyes, in little light: keyboard, accessibility tree, contrast."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Visits
from tests.browser.looking import SHARED, cells, live, shows
from tests.browser.traffic import Busy

pytestmark = SHARED

CHARTS = (
    "Requests per second",
    "Cost per hour",
    "Latency",
    "Time to first token",
    "Tokens per second",
    "Output speed",
    "Cache hit rate",
    "Active requests",
)


async def test_a_walk_by_keyboard(visits: Visits, busy: Busy) -> None:
    page = await visits.open(busy.url, cookie=busy.cookie)
    await live(page)
    assert await step(page) == "Skip to the figures"
    assert await step(page) == "15 min"
    for label in ("1 h", "6 h", "24 h", "15 min"):
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("radio", name=label, exact=True)).to_be_checked()
        await expect(page.locator("#announcer")).to_have_text(SAID[label])
    await live(page)
    stops = ["Dark mode", "Sign out", *[f"Data table of {chart.lower()}" for chart in CHARTS], "Recent errors"]
    assert [await step(page) for _ in stops] == stops


SAID = {
    "15 min": "Showing the last 15 minutes.",
    "1 h": "Showing the last hour.",
    "6 h": "Showing the last 6 hours.",
    "24 h": "Showing the last 24 hours.",
}

FOCUSED = """() => {
  const one = document.activeElement;
  // What is drawn around a radio button is around the text beside it.
  const seen = getComputedStyle(one.type === "radio" ? one.nextElementSibling : one);
  const name = one.labels?.[0]?.innerText ?? document.getElementById(one.getAttribute("aria-labelledby"))?.innerText;
  return { name: (name ?? one.textContent).trim(), outline: `${seen.outlineStyle} ${seen.outlineWidth}` };
}"""


async def step(page: Page) -> str:
    """Press Tab; the name of what has the focus then, which is to be seen."""
    await page.keyboard.press("Tab")
    focused = await page.evaluate(FOCUSED)
    assert focused["outline"] == "solid 2px", focused
    return str(focused["name"])


async def test_the_skip_link_leads_to_the_figures(visits: Visits, busy: Busy) -> None:
    page = await visits.open(busy.url, cookie=busy.cookie)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the figures")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    assert await step(page) == f"Data table of {CHARTS[0].lower()}"


async def test_landmarks_headings_and_names(seen: Page) -> None:
    await shows(seen, "Requests", "8")
    await expect(seen.get_by_role("banner")).to_match_aria_snapshot("""
        - banner:
          - heading "Tallygate" [level=1]
          - paragraph: Live
          - group "Time range":
            - radio "15 min" [checked]
            - radio "1 h"
            - radio "6 h"
            - radio "24 h"
          - button "Dark mode"
          - button "Sign out"
    """)
    await expect(seen.get_by_role("main")).to_match_aria_snapshot("""
        - main:
          - region "At a glance":
            - heading "At a glance" [level=2]
            - term: Cost
            - definition: $0.00084
          - region "Over time":
            - heading "Over time" [level=2]
            - figure "Requests per second":
              - heading "Requests per second" [level=3]
              - group: Data table of requests per second
          - region "Providers":
            - heading "Providers" [level=2]
            - table "Health of the providers":
              - rowgroup:
                - row:
                  - columnheader "Provider"
                  - columnheader "State"
              - rowgroup:
                - row:
                  - rowheader "openai"
                  - cell "● Up"
          - region "Recent errors":
            - group "Recent errors":
              - table "The newest first"
          - region "Top spenders":
            - table "Top models"
            - table "Top routes"
            - table "Top keys"
    """)
    await expect(seen.get_by_role("contentinfo")).to_contain_text("One point is 5 s, updated every 1 s")
    assert await seen.get_by_role("figure").count() == len(CHARTS)


async def test_a_chart_in_words_and_as_a_table(seen: Page) -> None:
    chart = seen.get_by_role("figure", name="Active requests")
    await expect(chart.locator("figcaption")).to_have_text(
        re.compile(r"^In the last 15 minutes\. At once: now 0, at most \d at \d\d:\d\d:\d\d\.$")
    )
    await chart.locator("summary").focus()
    await seen.keyboard.press("Enter")
    rows = await cells(seen, "Active requests")
    times = [time for time, _ in rows]
    assert times == sorted(times, reverse=True)
    assert {value for _, value in rows} <= {"0", "1"}
    await seen.keyboard.press("Enter")
    await expect(chart.get_by_role("table")).to_have_count(0)


FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour, under) => {
    canvas.fillStyle = `rgb(${under})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const ground = (node) => {
    const own = getComputedStyle(node).backgroundColor;
    return rgb(own, node.parentElement ? ground(node.parentElement) : [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest("svg")) continue;
    const under = ground(node);
    const [a, b] = [light(rgb(getComputedStyle(node).color, under)), light(under)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([walker.currentNode.data.trim().slice(0, 40), contrast]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_text_can_be_read(seen: Page, scheme: Literal["light", "dark"]) -> None:
    """A contrast of 4.5 at least, as WCAG asks at level AA."""
    await shows(seen, "Requests", "8")
    await seen.emulate_media(color_scheme=scheme)
    contrasts = await seen.evaluate(FAINT)
    assert len(contrasts) > 100
    assert [(text, contrast) for text, contrast in contrasts if contrast < 4.5] == []
