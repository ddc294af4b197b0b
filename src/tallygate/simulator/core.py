"""What happens to each request: the simulator's own pages, a plan, and the plan's performance or instant reply."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from tallygate.simulator.apis.api import encode
from tallygate.simulator.connection import Connection
from tallygate.simulator.frames import head
from tallygate.simulator.models import models_reply
from tallygate.simulator.pace import Pace
from tallygate.simulator.performance import Performance
from tallygate.simulator.plan import Plan, plan_of
from tallygate.simulator.records import LARGEST_REPLY, Records, Reply, Request
from tallygate.simulator.routes import Route, route_of
from tallygate.simulator.served import Served
from tallygate.simulator.settings import Settings

JSON_TYPE = b"application/json"
_LARGEST_CACHED = 1_000_000
_MOST_CACHED_BYTES = 16_000_000
_MOST_CACHED = 1024
_MOST_OCCURRENCES = 100_000
LONGEST_SETTLE = 60.0


class Core:
    """The state that all connections share. Everything runs on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.served = Served()
        self.records = Records()
        self.connections: set[Connection] = set()
        self.closing = False
        self._plans: dict[tuple[bytes, bytes], Plan] = {}
        self._cached_bytes = 0
        self._routes: dict[bytes, Route | None] = {}
        self._by_model: dict[str, int] = {}
        self._occurrences: dict[str, int] = {}

    def handle(self, connection: Connection, request: Request) -> None:
        """Answer one request, at once or in a task."""
        route = self._route(request.target)
        if route is None or request.method != "POST":
            self._other(connection, request, route)
            return
        self.records.requests[route.api.name] = request
        plan = self._plan(route, request)
        instant = plan.instant
        if instant is not None and request.keep_alive and request.chunked:
            connection.transport.write(instant.data)
            self.served.add(instant.kind, instant.sent)
            if len(instant.body) <= LARGEST_REPLY:
                self.records.keep(instant.kind.api, instant.kind.model, Reply(instant.kind.status, instant.body))
            return
        self._perform(connection, request, plan)

    def _perform(self, connection: Connection, request: Request, plan: Plan) -> None:
        name, model = plan.api.name, plan.answer.ask.model
        pace = Pace(self.settings, plan.answer, self._occurrence(plan.answer.digest))
        performance = Performance(
            connection, request, plan, pace, keep=lambda reply: self.records.keep(name, model, reply)
        )
        self.served.begin()
        task = asyncio.get_running_loop().create_task(performance.run())
        # Counted in a callback: a task that is cancelled before its first step runs none of its own code.
        task.add_done_callback(lambda ended: self._performed(ended, performance))
        connection.start(task)

    def _performed(self, task: asyncio.Task[None], performance: Performance) -> None:
        outcome = performance.outcome
        if task.cancelled():
            outcome = "cut" if self.closing else "client_gone"
        self.served.add(performance.plan.kind(outcome, performance.status), performance.sent)
        self.served.end()
        if not task.cancelled() and task.exception() is not None:
            # A defect of ours: the client sees a broken connection, the event loop reports the exception.
            performance.connection.transport.abort()
            task.result()

    def _route(self, target: bytes) -> Route | None:
        try:
            return self._routes[target]
        except KeyError:
            if len(self._routes) >= _MOST_CACHED:
                self._routes.clear()
            route = self._routes[target] = route_of(target.decode("latin-1"))
            return route

    def _plan(self, route: Route, request: Request) -> Plan:
        key = (request.target, request.body)
        plan = self._plans.get(key)
        if plan is None:
            plan = plan_of(route, request.target, request.body, self.settings, True)
            self._cache(key, plan)
        marks = plan.answer.marks
        if "first" in marks:
            model = plan.answer.ask.model
            before = self._by_model.get(model, 0)
            self._by_model[model] = before + 1
            if before >= marks.number("first", 1):
                return plan_of(route, request.target, request.body, self.settings, False)
        return plan

    def _cache(self, key: tuple[bytes, bytes], plan: Plan) -> None:
        size = len(key[1]) + (0 if plan.instant is None else len(plan.instant.data))
        if size > _LARGEST_CACHED:
            return
        self._cached_bytes += size
        if len(self._plans) >= _MOST_CACHED or self._cached_bytes > _MOST_CACHED_BYTES:
            self._plans.clear()
            self._cached_bytes = size
        self._plans[key] = plan

    def _occurrence(self, digest: str) -> int:
        """How many requests equal to this one came before."""
        if len(self._occurrences) >= _MOST_OCCURRENCES:
            self._occurrences.clear()
        before = self._occurrences.get(digest, 0)
        self._occurrences[digest] = before + 1
        return before

    # The simulator's own pages

    def _other(self, connection: Connection, request: Request, route: Route | None) -> None:
        path, _, query = request.target.decode("latin-1").partition("?")
        options = dict(parse_qsl(query))
        if path == "/served" and request.method == "GET" and "settle" in options:
            connection.start(asyncio.get_running_loop().create_task(self._settled(connection, request, options)))
            return
        if path == "/served" and request.method == "DELETE":
            self.reset()
            status, document = 200, self.served.document()
        elif request.method != "GET":
            status, document = (404 if route is None else 405), _error(f"{request.method} {path}: no such endpoint")
        else:
            status, document = self._page(path, options, request)
        self._answer(connection, request, status, document)

    def _page(self, path: str, options: dict[str, str], request: Request) -> tuple[int, dict[str, Any]]:
        if path == "/served":
            return 200, self.served.document()
        if path == "/health":
            return 200, {"status": "ok"}
        if path == "/requests/last":
            last = self.records.requests.get(options.get("api", ""))
            return (404, _error("api: no request of this API yet")) if last is None else (200, last.document())
        if path == "/replies/last":
            reply = self.records.reply(options.get("api", ""), options.get("model", ""))
            return (404, _error("model: no reply of this model kept")) if reply is None else (200, reply)
        found = models_reply(request.target.decode("latin-1"), request.headers)
        return (404, _error(f"GET {path}: no such endpoint")) if found is None else found

    def _answer(self, connection: Connection, request: Request, status: int, document: dict[str, Any]) -> None:
        body = encode(document)
        connection.transport.write(head(status, JSON_TYPE, (), len(body), request.keep_alive) + body)
        connection.answered(request.keep_alive)

    async def _settled(self, connection: Connection, request: Request, options: dict[str, str]) -> None:
        """``GET /served?settle=SECONDS``: answer when nothing is in progress, or after that time."""
        try:
            seconds = min(max(float(options["settle"]), 0.0), LONGEST_SETTLE)
        except ValueError:
            self._answer(connection, request, 400, _error("settle: must be a number of seconds"))
            return
        await self.until(lambda served: served.in_progress == 0, seconds)
        self._answer(connection, request, 200, self.served.document())

    async def until(self, condition: Callable[[Served], bool], seconds: float) -> bool:
        """Wait for a condition on what was served; False when it did not come true in time."""
        changed = asyncio.Event()
        self.served.watch(changed.set)
        deadline = time.monotonic() + seconds
        try:
            while not condition(self.served):
                changed.clear()
                try:
                    await asyncio.wait_for(changed.wait(), max(0.0, deadline - time.monotonic()))
                except TimeoutError:
                    return condition(self.served)
        finally:
            self.served.unwatch(changed.set)
        return True

    def reset(self) -> None:
        """Forget what was served and recorded; ``+first:N`` starts anew."""
        self.served.reset()
        self.records.reset()
        self._by_model.clear()
        self._occurrences.clear()


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
