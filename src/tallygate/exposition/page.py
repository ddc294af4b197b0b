"""Pages on demand: rendered and compressed in a thread of their own, one run for all who wait for the same page."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Final, NamedTuple, Protocol

from tallygate.dialects import DialectError, UnknownDialect
from tallygate.exposition.negotiate import Format

logger = logging.getLogger(__name__)

GZIP_LEVEL: Final = 1
"""Higher levels cost three times the time for a tenth of the bytes."""
GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
"""Tells zlib to write a gzip header."""
PLAIN: Final = "text/plain; charset=utf-8"


class PageSource(Protocol):
    """What has pages: a tally."""

    def render(self, dialects: tuple[str, ...] | None, format: str, names: frozenset[str], /) -> bytes:
        """The page of these dialects (None for the default ones) in a format of the renderer.

        names: only families that have one of these sample names; all when empty.
        Raises UnknownDialect, or DialectError when the dialects cannot share a page.
        """


class Ask(NamedTuple):
    """What a client asked for."""

    dialects: tuple[str, ...] | None
    names: frozenset[str]
    format: Format
    gzip: bool


class Page(NamedTuple):
    """An answer: a page of metrics, or the reason why there is none."""

    body: bytes
    content_type: str
    content_encoding: str = ""
    status: int = 200


class Pages:
    """Makes pages of one source. Safe to use from several threads and event loops, and after a fork."""

    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = Lock()
        self._waiting: dict[Hashable, Future[Page]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tallygate-page")

    def submit(self, ask: Ask) -> Future[Page]:
        """The page that is asked for, soon; the future never fails.

        Shared with those who wait for the same page, never with a run that already began: who asks after something
        was recorded sees it.
        """
        if os.getpid() != self._pid:  # the thread stayed in the parent
            self._begin()
        with self._lock:
            future = self._waiting.get(ask)
            if future is None:
                future = self._waiting[ask] = self._thread.submit(self._run, ask)
            return future

    def close(self) -> None:
        """Let the thread end; what was submitted is still answered."""
        self._thread.shutdown(wait=False)

    def _run(self, ask: Ask) -> Page:
        with self._lock:
            del self._waiting[ask]
        try:
            body = self._source.render(ask.dialects, ask.format.name, ask.names)
        except (UnknownDialect, DialectError) as error:
            return Page(f"{error}\n".encode(), PLAIN, status=400)
        except Exception:
            logger.exception("the metrics could not be rendered")
            return Page(b"the metrics could not be rendered; the log says why\n", PLAIN, status=500)
        if ask.gzip:
            return Page(zlib.compress(body, GZIP_LEVEL, GZIP_WINDOW), ask.format.content_type, "gzip")
        return Page(body, ask.format.content_type)
