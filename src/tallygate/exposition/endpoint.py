"""The manners of a metrics endpoint, whatever server it is on: methods, tokens, query, headers of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from tallygate.exposition.negotiate import accepts_gzip, content_format
from tallygate.exposition.page import PLAIN, Ask, Page, Pages, PageSource

Authorize = Callable[[str | None], bool]
"""Whether an Authorization header, as it was sent, may read the metrics."""

METHODS: Final = ("GET", "HEAD")
FIELDS: Final = 256
"""Parameters that a query may have."""
JSON: Final = "application/json"
NO_BEARER: Final = b'{"error": "Unauthorized: Bearer token required"}'
WRONG_BEARER: Final = b'{"error": "Unauthorized: Invalid token"}'


class Answer(NamedTuple):
    """A whole HTTP answer; HEAD leaves the body out, and nothing else."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Endpoint:
    """Answers requests for the pages of one source."""

    def __init__(self, source: PageSource, authorize: Authorize | None = None) -> None:
        self._pages, self._authorize = Pages(source), authorize

    def ask(self, method: str, query: str, headers: Mapping[str, str]) -> Answer | Future[Page]:
        """An answer that needs no page, or the page to be waited for and given to ``answer``.

        ``headers`` have lower-case names.
        """
        if self._authorize is not None:
            authorization = headers.get("authorization")
            if not self._authorize(authorization):
                return _unauthorized(authorization)
        if method not in METHODS:
            return _answer(405, PLAIN, b"metrics are read with GET\n", ("Allow", ", ".join(METHODS)))
        try:
            dialects, names = _query(query)
        except ValueError:
            return _answer(400, PLAIN, b"the query has too many parameters\n")
        gzip = accepts_gzip(headers.get("accept-encoding"))
        return self._pages.submit(Ask(dialects, names, content_format(headers.get("accept")), gzip))

    def close(self) -> None:
        self._pages.close()


def answer(page: Page) -> Answer:
    """The HTTP answer that carries a page."""
    vary = (("Vary", "Accept, Accept-Encoding"),)
    encoding = (("Content-Encoding", page.content_encoding),) if page.content_encoding else ()
    return _answer(page.status, page.content_type, page.body, *encoding, *vary)


def _answer(status: int, content_type: str, body: bytes, *headers: tuple[str, str]) -> Answer:
    return Answer(status, (("Content-Type", content_type), ("Content-Length", str(len(body))), *headers), body)


def _unauthorized(authorization: str | None) -> Answer:
    is_bearer = (authorization or "").partition(" ")[0].lower() == "bearer"
    return _answer(401, JSON, WRONG_BEARER if is_bearer else NO_BEARER, ("WWW-Authenticate", "Bearer"))


def _query(query: str) -> tuple[tuple[str, ...] | None, frozenset[str]]:
    """``?dialect=a,b&dialect=c&name[]=family``; other parameters are none of ours. ValueError: too many."""
    dialects: dict[str, None] = {}
    names = set()
    for name, value in parse_qsl(query, errors="replace", max_num_fields=FIELDS):
        if name == "dialect":
            dialects |= dict.fromkeys(filter(None, map(str.strip, value.split(","))))
        elif name == "name[]":
            names.add(value)
    return tuple(dialects) or None, frozenset(names)
