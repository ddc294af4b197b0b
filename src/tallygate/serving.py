"""The metrics of the program's tally over HTTP: mounted in its own web application, or on a port of their own.

All of them may be set up before ``init``: whose page it is, is looked up when it is asked for. Until then a page is
answered with 500, and the log says what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallygate.default import render

if TYPE_CHECKING:
    from tallygate.exposition.asgi import MetricsApp
    from tallygate.exposition.endpoint import Authorize
    from tallygate.exposition.listener import MetricsServer
    from tallygate.exposition.wsgi import MetricsWSGIApp

# The imports are inside the functions so that ``import tallygate`` does not pay for servers that nobody starts.


class _ProgramsTally:
    """Pages of whichever tally is the program's."""

    def render(self, dialects: tuple[str, ...] | None, format: str, names: frozenset[str], /) -> bytes:
        return render(dialects, format, names)


def asgi_app(*, authorize: Authorize | None = None) -> MetricsApp:
    """The metrics as an ASGI application, to be mounted: ``app.add_route("/metrics", tallygate.asgi_app())``.

    authorize: given the Authorization header, or None, says whether it may read.
    """
    from tallygate.exposition.asgi import MetricsApp

    return MetricsApp(_ProgramsTally(), authorize=authorize)


def wsgi_app(*, authorize: Authorize | None = None) -> MetricsWSGIApp:
    """The metrics as a WSGI application, to be mounted; ``authorize`` as for ``asgi_app``."""
    from tallygate.exposition.wsgi import MetricsWSGIApp

    return MetricsWSGIApp(_ProgramsTally(), authorize=authorize)


def start_metrics_server(
    host: str = "127.0.0.1", port: int = 3131, *, path: str = "/metrics", authorize: Authorize | None = None
) -> MetricsServer:
    """Serve the metrics in a thread of their own, for a program without a web server; port 0 takes any free one.

    ``authorize`` as for ``asgi_app``. Raises ListenerError.
    """
    from tallygate.exposition.listener import start_metrics_server as start

    return start(_ProgramsTally(), host, port, path=path, authorize=authorize)
