"""Ask for a page and read it, or say in a line why there is none."""

from __future__ import annotations

import time

from tallygate.scraping.address import Address
from tallygate.scraping.fetching import Client, FetchError
from tallygate.scraping.figures import NAMES, Scraped
from tallygate.scraping.parsing import PageError, format_of, parse
from tallygate.scraping.plain import plain

FAILURES = {
    "name": "the name is not known",
    "connection": "no connection",
    "tls": "TLS",
    "time": "too slow",
    "protocol": "no good answer",
    "size": "too large",
}
"""What failed at each stage, in a word or two."""
REFUSALS = {
    401: "401: a key is needed, or this one is wrong; see --key-file",
    403: "403: this key may not read the metrics",
    404: "404: no metrics here",
}


class ScrapeError(Exception):
    """No page was had; says why in a line."""


def scrape(client: Client, address: Address) -> Scraped:
    """A page, and what of it figures are made of. Raises ScrapeError."""
    try:
        answer = client.get(address)
    except FetchError as problem:
        raise ScrapeError(f"{FAILURES[problem.stage]}: {plain(problem.reason)}") from problem
    if answer.status != 200:
        raise ScrapeError(REFUSALS.get(answer.status, f"it answered with status {answer.status}"))
    format = format_of(answer.content_type)
    if format is None:
        raise ScrapeError(f"this is no metrics page but {plain(answer.content_type) or 'without a Content-Type'}")
    try:
        page = parse(answer.body, format, only=NAMES)
    except PageError as problem:
        raise ScrapeError(plain(str(problem))) from problem
    return Scraped(page, answer.time, time.monotonic())
