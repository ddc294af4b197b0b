"""Who has no key sees nothing; who has one signs in and out."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.conftest import Visits
from tests.browser.looking import SHARED, live, shows
from tests.browser.traffic import MASTER_KEY, Busy

pytestmark = SHARED


async def test_signing_in_by_keyboard_and_out_again(visits: Visits, busy: Busy) -> None:
    page = await visits.open(busy.url)
    assert page.url == f"{busy.url}/dashboard/sign-in"
    await expect(page.get_by_role("heading", name="Tallygate")).to_be_visible()
    await expect(page.get_by_label("Key")).to_be_focused()
    await page.keyboard.type(MASTER_KEY)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{busy.url}/dashboard")
    await live(page)
    await shows(page, "Requests", "8")
    (cookie,) = await page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/dashboard")
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{busy.url}/dashboard/sign-in")
    assert await page.context.cookies() == []
    await page.goto(f"{busy.url}/dashboard")
    assert page.url == f"{busy.url}/dashboard/sign-in"


async def test_a_wrong_key_is_told_and_opens_nothing(visits: Visits, busy: Busy) -> None:
    visits.expected.append("403")
    page = await visits.open(busy.url)
    await page.get_by_label("Key").fill("<b>wrong</b>")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("That key does not open this page.")
    await expect(page.get_by_label("Key")).to_have_value("")
    await expect(page.get_by_label("Key")).to_have_accessible_description(
        "The gateway's master key or admin key. The browser gets a cookie and does not keep the key. "
        "That key does not open this page."
    )
    assert await page.context.cookies() == []
    await page.goto(f"{busy.url}/dashboard")
    assert page.url == f"{busy.url}/dashboard/sign-in"
