"""The facts of a request: of its phases, its call, the attempt at the provider, and the request itself."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from tallygate.context import context
from tallygate.errors import ErrorType
from tallygate.facts import GatewayPhase, HTTPInFlight, HTTPRequest, LLMCall
from tallygate.gateway.phases import SMOOTH, record_phases
from tallygate.gateway.trace_context import caller_span
from tallygate.record.measures import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    GATEWAY_OVERHEAD,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    TIME_TO_HEADERS,
)
from tallygate.record.nothing import NO_CALL
from tallygate.record.recorder import MOST_BINDINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallygate.gateway.dimensions import HeaderDimensions
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.failover.deployments import Deployment
    from tallygate.gateway.routes import Route
    from tallygate.ledger.interface import Batch
    from tallygate.record import LLMCallTracker
    from tallygate.tally import Tally
    from tallygate.wire.interface import Head

Labels = tuple[str, str, str, bool]
"""Provider, model, the gateway's path and whether it streams: what a call's rows hang on, unless headers or a context
tell more."""

Batches = tuple["Batch", "Batch"]
"""How such requests are recorded: without a look for contexts and traces, and with one."""

CLIENT_GONE = 499
"""The status by which the field knows a client that left before its answer."""

UNANSWERED = "network_error"
"""Status label of a call to which the provider gave no HTTP status."""

(STARTED, READ, DISPATCHED, HEADERS, REPLIED, ENDED, OVERHEAD) = range(7)
"""What is handed to the batch of a smooth request: clock readings, and seconds not spent waiting; then ..."""
(INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, REASONING, REQUEST_SIZE, RESPONSE_SIZE) = range(7, 14)
"""... tokens, and bytes."""

OF_CALL = (
    (TIME_TO_HEADERS, (DISPATCHED, HEADERS)),
    (GATEWAY_OVERHEAD, OVERHEAD),
    (INPUT_TOKENS, INPUT),
    (OUTPUT_TOKENS, OUTPUT),
    (CACHE_READ_TOKENS, CACHE_READ),
    (CACHE_WRITE_TOKENS, CACHE_WRITE),
    (REASONING_TOKENS, REASONING),
)
OF_PHASES = {
    False: ((STARTED, READ), (READ, DISPATCHED), (DISPATCHED, REPLIED), (REPLIED, ENDED), (STARTED, ENDED)),
    True: ((STARTED, READ), (READ, DISPATCHED), (DISPATCHED, HEADERS), (STARTED, ENDED)),
}
"""Which times the phases of a smooth request took, by whether it was streamed."""
OF_ATTEMPT = ((DISPATCHED, REPLIED), (DISPATCHED, HEADERS))
NOW = 0
"""The only measure of requests in flight."""
OF_REQUEST = ((STARTED, ENDED), REQUEST_SIZE, RESPONSE_SIZE)


class Recording:
    """Records exchanges: their calls as they start, and everything when they have ended.

    Nearly all are smooth: calls that were answered with a 200, to the end and with their usage. Those are recorded in
    one call of the ledger; the facts are the same as those of a rough one.
    """

    __slots__ = (
        "_dimensions",
        "_enabled",
        "_identified",
        "_known",
        "_served",
        "_tally",
        "_told",
        "_traces",
        "in_flight",
    )

    def __init__(self, tally: Tally, dimensions: HeaderDimensions | None = None) -> None:
        """dimensions: read from requests' headers, if any are configured."""
        self._tally, self._dimensions, self._enabled = tally, dimensions, tally.enabled
        self._identified = tally.identities is not None
        self._told = dimensions is not None or self._identified
        """Whether requests may tell dimensions of their calls."""
        self._known: dict[Labels, Batches] = {}
        self._traces = tally.exemplar not in (None, caller_span)
        """Whether requests are in traces of which their callers know nothing."""
        self._served = tally.tables[HTTPInFlight].row() if tally.enabled else None
        self.in_flight: Callable[[int, int], None] = self._served.add if self._served is not None else _nothing
        """Counts the requests being served: ``in_flight(NOW, 1)`` as one begins; ``record`` takes it off."""

    def start_call(self, exchange: Exchange, deployment: Deployment, head: Head) -> LLMCallTracker:
        """Start the clock of the request's call, and count it as going on."""
        if not self._enabled:
            return NO_CALL
        known = deployment.streams if head.stream else deployment.wholes
        batches = known.get(exchange.route.template) or self._learn(exchange.route, deployment, head)
        if batches is None:
            return NO_CALL
        batch = exchange.batch = batches[exchange.traced or context.entered or self._traces]
        if not self._told or not (dimensions := self._dimensions_of(exchange)):
            return batch.start()  # type: ignore[return-value]  # of the kind that its form makes
        wire = exchange.route.wire
        assert wire is not None
        return self._tally.track_llm_call(
            deployment.provider.name,
            deployment.label,
            operation=wire.operation,
            endpoint=exchange.route.endpoint,
            stream=head.stream,
            **dimensions,
        ).start()

    def _dimensions_of(self, exchange: Exchange) -> dict[str, str]:
        """What the request's headers and its caller tell."""
        dimensions = {} if self._dimensions is None else self._dimensions.read(exchange.headers)
        return {**dimensions, **_identities(exchange)} if self._identified else dimensions

    def record(self, exchange: Exchange) -> None:
        """A request has ended just now, and is served no longer."""
        if not self._enabled:
            return
        ended_at, batch, meter = perf_counter(), exchange.batch, exchange.meter
        usage = None if meter is None else meter.usage
        try:
            if batch is None or usage is None or exchange.status != 200 or exchange.outcome != "completed":
                self._record_rough(exchange, ended_at)
            else:
                assert exchange.call is not None
                batch.close(
                    exchange.call,
                    exchange.started_at,
                    exchange.read_at,
                    exchange.dispatched_at,
                    exchange.headers_at,
                    exchange.replied_at,
                    ended_at,
                    ended_at - exchange.started_at - exchange.waited,
                    usage.input_tokens,
                    usage.output_tokens,
                    usage.cache_read_tokens,
                    usage.cache_write_tokens,
                    usage.reasoning_tokens,
                    len(exchange.body),
                    exchange.response_size,
                )
                return
        except Exception as problem:
            self._tally.failed(HTTPRequest, problem)
        self.in_flight(NOW, -1)

    def _learn(self, route: Route, deployment: Deployment, head: Head) -> Batches | None:
        """How such calls start, and how they end when all goes well; None when they cannot be recorded."""
        provider, model, template, stream = labels = (
            deployment.provider.name,
            deployment.label,
            route.template,
            head.stream,
        )
        known = deployment.streams if stream else deployment.wholes
        if labels in self._known:  # of another deployment: those of models that are not configured are made anew
            batches = known[template] = self._known[labels]
            return batches
        tables, in_words = self._tally.tables, "true" if stream else "false"
        assert route.wire is not None
        try:
            nothing_else = (None, None, None, None, None, None)
            binding = self._tally.bind((provider, model, route.wire.operation, route.endpoint, stream, *nothing_else))
            phases = [
                (tables[GatewayPhase].row(template, phase, "success", fixed or in_words), (spent,))
                for (phase, fixed), spent in zip(SMOOTH[stream], OF_PHASES[stream], strict=True)
            ]
            attempt = binding.attempt_row(200, "")
            request = tables[HTTPRequest].row(route.method, template, "200")
            rows = (*phases, (attempt, OF_ATTEMPT), (request, OF_REQUEST))
            plain, linked = [
                form.batch(binding, OF_CALL, rows, self._served) for form in (binding.plain_form(), binding.form)
            ]
        except Exception as problem:
            self._tally.failed(LLMCall, problem)
            return None
        if len(self._known) >= MOST_BINDINGS:
            self._known.clear()
        batches = self._known[labels] = known[template] = (plain, linked)
        return batches

    def _record_rough(self, exchange: Exchange, ended_at: float) -> None:
        """Any other exchange: fact by fact."""
        route, tally = exchange.route, self._tally
        if exchange.call is not None:
            _record_call(exchange, exchange.call, ended_at)
        elif route.wire is not None and exchange.error_type:
            tally.refused_llm_call(
                operation=route.wire.operation,
                endpoint=route.endpoint,
                stream=exchange.stream,
                status_code=str(exchange.status),
                error_type=exchange.error_type,
                **(_identities(exchange) if self._identified else {}),
            )
        if route.wire is not None:
            record_phases(tally, exchange, ended_at)
        tally.http_request(
            method=route.method,
            route=route.template,
            status_code=exchange.status or CLIENT_GONE,
            seconds=ended_at - exchange.started_at,
            request_size=len(exchange.body),
            response_size=exchange.response_size,
        )


def _record_call(exchange: Exchange, call: LLMCallTracker, ended_at: float) -> None:
    status_code = exchange.upstream_status or (CLIENT_GONE if exchange.outcome == "cancelled" else UNANSWERED)
    to_headers = exchange.headers_at - exchange.dispatched_at if exchange.upstream_status else None
    if exchange.error_type == ErrorType.PROVIDER_RATE_LIMIT and exchange.asked_at:
        call.rate_limited()
    if to_headers is not None:
        call.headers(to_headers)
    if exchange.meter is not None and exchange.meter.usage is not None:
        # What the provider reported counts, even when the reply then broke off.
        usage = exchange.meter.usage
        call.usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
        )
    if exchange.asked_at:
        call.attempt(
            status_code=status_code,
            error_type=exchange.error_type,
            seconds=(exchange.replied_at or ended_at) - exchange.asked_at,
            seconds_to_headers=exchange.headers_at - exchange.asked_at if exchange.upstream_status else None,
        )
    call.overhead(ended_at - exchange.started_at - exchange.waited)
    before = 0.0 if exchange.trail is None else exchange.trail.before
    call.finish(outcome=exchange.outcome, status_code=status_code, error_type=exchange.error_type, before=before)


def _nothing(measure: int, value: int) -> None:
    """Nobody counts."""


def _identities(exchange: Exchange) -> dict[str, str]:
    """Whose request it is, by the ids of the key and of its user; what is not turned on is left out of the facts."""
    caller = exchange.caller
    return {} if caller is None else {"user_id": caller.user_id, "api_key_id": caller.key_id}
