"""The metrics as a WSGI application, on its own or mounted in another: ``MetricsWSGIApp(tally)``."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from tallygate.exposition.endpoint import Answer, Authorize, Endpoint, answer
from tallygate.exposition.page import PageSource

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class MetricsWSGIApp:
    """Answers GET and HEAD with a page of metrics, whatever the path; the twin of ``exposition.asgi.MetricsApp``.

    ``?dialect=NAME`` chooses vocabularies, ``?name[]=FAMILY`` families; both may be repeated. ``authorize`` is given
    the Authorization header, or None, and says whether it may read; without it everybody may.
    """

    def __init__(self, source: PageSource, *, authorize: Authorize | None = None) -> None:
        self._endpoint = Endpoint(source, authorize)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = {
            name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        method = environ["REQUEST_METHOD"]
        asked = self._endpoint.ask(method, environ.get("QUERY_STRING", ""), headers)
        whole = asked if isinstance(asked, Answer) else answer(asked.result())
        start_response(f"{whole.status} {HTTPStatus(whole.status).phrase}", list(whole.headers))
        return [] if method == "HEAD" else [whole.body]

    def close(self) -> None:
        """Let the thread that makes the pages end."""
        self._endpoint.close()
