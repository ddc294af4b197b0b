"""What somebody sees on the page."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, Page, expect

SHARED = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("chromium")]
"""Marks of all tests here: they share one browser."""


def tile(page: Page, title: str) -> Locator:
    """A figure of the top line."""
    return page.locator(".tile", has=page.get_by_role("term").filter(has_text=re.compile(f"^{title}$")))


async def shows(page: Page, title: str, value: str, detail: str | None = None) -> None:
    """Wait until a figure is this."""
    await expect(tile(page, title).locator(".value")).to_have_text(value)
    if detail is not None:
        await expect(tile(page, title).locator(".detail")).to_have_text(detail)


async def cells(page: Page, table: str) -> list[list[str]]:
    """The body of a table, text by text."""
    rows = page.get_by_role("table", name=table).locator("tbody tr")
    await rows.first.wait_for()
    told: list[list[str]] = await rows.evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.replace(/\\s+/g, ' ').trim()))"
    )
    return told


async def live(page: Page) -> None:
    """Wait until the gateway is heard."""
    await expect(page.locator("#connection-text")).to_have_text("Live")
