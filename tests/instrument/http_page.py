"""What a page says of the HTTP requests that were served; and servers to serve them."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tallygate.tally import Tally


def samples(tally: Tally, *names: str) -> list[Sample]:
    """The samples of these names."""
    families = text_string_to_metric_families(tally.render().decode())
    return [sample for family in families for sample in family.samples if sample.name in names]


def requests(tally: Tally) -> dict[str, float]:
    """Requests by method, route and status: ``{'GET /users/{id} 200': 2}``."""
    found = samples(tally, "tallygate_http_requests_total")
    return {" ".join([one.labels[name] for name in ("method", "route", "status_code")]): one.value for one in found}


def timed(tally: Tally) -> dict[str, float]:
    """How many durations there are by method and route."""
    found = samples(tally, "tallygate_http_request_duration_seconds_count")
    return {f"{one.labels['method']} {one.labels['route']}": one.value for one in found}


def seconds(tally: Tally) -> float:
    """The sum of all durations."""
    return sum(one.value for one in samples(tally, "tallygate_http_request_duration_seconds_sum"))


def sizes(tally: Tally) -> dict[str, tuple[float, float]]:
    """Bytes of requests and of answers, by route."""
    found: dict[str, dict[str, float]] = {}
    for one in samples(tally, "tallygate_http_request_size_bytes_sum", "tallygate_http_response_size_bytes_sum"):
        found.setdefault(one.labels["route"], {})[one.name] = one.value
    return {
        route: (sums["tallygate_http_request_size_bytes_sum"], sums["tallygate_http_response_size_bytes_sum"])
        for route, sums in found.items()
    }


def in_flight(tally: Tally) -> float:
    """How many are being served."""
    return sum(one.value for one in samples(tally, "tallygate_http_requests_in_flight"))


def dropped(tally: Tally) -> float:
    """Observations that could not be recorded."""
    return sum(one.value for one in samples(tally, "tallygate_dropped_observations_total"))


@contextmanager
def serving_asgi(app: Any, **settings: Any) -> Iterator[str]:
    """The application on uvicorn in a thread; gives its URL. Leaves once every request has ended."""
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(app, port=0, log_config=None, ws="none", lifespan="off", **settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert started.wait(30)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def serving_wsgi(app: Any) -> Iterator[str]:
    """The application on wsgiref's server in a thread; gives its URL."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            return None

        def get_stderr(self) -> Any:
            return io.StringIO()

    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(30)
