"""Pages are made in a thread, once for all who wait for them."""

import gzip
import logging
import os
import threading

import pytest

from tallygate.exposition.negotiate import content_format
from tallygate.exposition.page import Ask, Page, Pages
from tests.exposition.sources import Source

TEXT = content_format(None)


def ask(*dialects: str, gzip: bool = False) -> Ask:
    return Ask(dialects or None, frozenset(), TEXT, gzip)


def test_a_page() -> None:
    source = Source()
    pages = Pages(source)
    assert pages.submit(Ask(("aurora",), frozenset({"b", "a"}), TEXT, False)).result() == Page(
        b"# aurora text a,b\n", TEXT.content_type
    )
    assert source.asked == [(("aurora",), "text", frozenset({"a", "b"}))]
    assert threading.current_thread().name not in source.threads
    pages.close()


def test_a_compressed_page() -> None:
    page = Pages(Source(b"tally " * 10_000)).submit(ask(gzip=True)).result()
    assert page.content_encoding == "gzip"
    assert len(page.body) < 1_000
    assert gzip.decompress(page.body) == b"tally " * 10_000


def test_those_who_wait_for_the_same_page_share_it() -> None:
    source = Source()
    source.go_on.clear()
    pages = Pages(source)
    running = pages.submit(ask())
    assert source.entered.acquire(timeout=30)
    waiting = [pages.submit(ask()) for _ in range(10)]
    other = pages.submit(ask("aurora"))
    source.go_on.set()
    assert {future.result().body for future in [running, *waiting]} == {b"# default text \n"}
    assert other.result().body == b"# aurora text \n"
    # The one that had begun when the others came is not theirs: it may lack what was recorded since.
    assert [dialects for dialects, _, _ in source.asked] == [None, None, ("aurora",)]


def test_an_unknown_dialect_lists_the_known_ones() -> None:
    page = Pages(Source()).submit(ask("prometheus")).result()
    assert page == Page(
        b"no dialect is called 'prometheus'; known are aurora, otel, tallygate\n",
        "text/plain; charset=utf-8",
        status=400,
    )


def test_a_defect_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        page = Pages(Source()).submit(ask("otel")).result()
    assert page.status == 500
    assert page.body == b"the metrics could not be rendered; the log says why\n"
    assert "RuntimeError: defect" in caplog.text


def test_after_a_fork() -> None:
    """The thread stays in the parent; the child gets its own."""
    pages = Pages(Source())
    assert pages.submit(ask()).result().status == 200
    child = os.fork()
    if child == 0:
        os._exit(0 if pages.submit(ask()).result(30).body == b"# default text \n" else 1)
    assert os.waitpid(child, 0)[1] == 0
