"""`tallygate top`: what a gateway does at a glance, in a terminal, once, or as a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import sleep

from tallygate.cli.commands import FAILED, MISTAKEN, complain
from tallygate.cli.once import in_json, in_lines
from tallygate.cli.targets import Target
from tallygate.cli.watching import Top
from tallygate.scraping.address import address
from tallygate.scraping.fetching import TEXT, Client
from tallygate.scraping.figures import Scraped, figures
from tallygate.scraping.plain import plain
from tallygate.scraping.scrape import ScrapeError, scrape

AGENT = "tallygate-top"


def watch(target: Target, interval: float) -> None:
    """Show it until q is pressed; ends with status 2 where there is no terminal."""
    if not sys.stdout.isatty():
        complain("this is no terminal; --once prints a table, --json all there is", MISTAKEN)
    Top(_scraper(target), str(target.address), interval).run(mouse=False)  # so that text can be marked and copied


def once(target: Target, interval: float, *, as_json: bool) -> str:
    """What to print, of two pages an interval apart; ends with status 1 when there is no page.

    With an interval of 0, or of a gateway younger than the interval, one page: all since it started.
    """
    ask = _scraper(target)
    try:
        before, after = None, ask()
        if interval and not (after.age is not None and after.age <= interval):
            before = after
            sleep(interval)
            after = ask()
    except ScrapeError as problem:
        complain(f"{plain(target.hidden(str(target.address)))}: {problem}", FAILED)
    told = figures(before, after)
    if not told.dialects:
        foreign = "this page has no metrics of a gateway, in none of the dialects; `tallygate doctor` says more"
        complain(f"{target.address}: {foreign}", FAILED)
    return in_json(told, target.address) if as_json else in_lines(told, target.address)


async def picture(
    url: str, *, key: str | None = None, interval: float = 2.0, columns: int = 100, rows: int = 32, pages: int = 2
) -> str:
    """The screen as an SVG, after so many pages. Raises ScrapeError when the last of them was not had."""
    target = Target(address(url), Client(key))
    top = Top(_scraper(target), str(target.address), interval)
    async with top.run_test(size=(columns, rows)) as pilot:
        async with top.asked:
            await top.asked.wait_for(lambda: top.answers >= pages)
        await pilot.pause()
        if top.shown.problem:
            raise ScrapeError(top.shown.problem)
        return top.export_screenshot(title="tallygate top")


def _scraper(target: Target) -> Callable[[], Scraped]:
    """Asks for text, which is read faster, and by name."""
    client = Client(target.client.key, target.client.tls, target.client.timeout, TEXT, AGENT)

    def ask() -> Scraped:
        try:
            return scrape(client, target.address)
        except ScrapeError as problem:
            raise ScrapeError(target.hidden(str(problem))) from problem

    return ask
