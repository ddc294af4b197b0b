"""From a request that an API route matched to its facts: every way out of the pipeline ends here, once."""

import asyncio
from time import perf_counter

import structlog

from tallygate.errors import ErrorType
from tallygate.gateway.exchange import Exchange
from tallygate.gateway.parts import Parts
from tallygate.gateway.pipeline import serve
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.server import ClientGone, CutConnection
from tallygate.gateway.trace_context import note_caller_span
from tallygate.gateway.upstream import UpstreamError
from tallygate.wire import BadRequest

log = structlog.get_logger("tallygate.gateway")

CLIENT_GONE = 499
"""The status by which the field knows a client that left before its answer."""

UNANSWERED = "network_error"
"""Status label of a call to which the provider gave no HTTP status."""


async def handle(parts: Parts, exchange: Exchange) -> None:
    """Serve a request and record it. Raises CutConnection when its answer has begun and cannot be finished."""
    in_flight = parts.tally.http_in_flight()
    if b"traceparent" in exchange.headers:
        note_caller_span(exchange.headers[b"traceparent"])
    try:
        await serve(parts, exchange)
    except Refusal as refusal:
        await exchange.refuse(refusal)
    except BadRequest as problem:
        await exchange.refuse(Refusal(400, ErrorType.CALLER_INVALID_REQUEST, str(problem)))
    except UpstreamError as problem:
        await _answer_upstream_error(exchange, problem)
    except (asyncio.CancelledError, ClientGone):
        exchange.outcome = "cancelled"
        raise
    except Exception:
        log.exception("request failed", route=exchange.route.template)
        exchange.fail(ErrorType.GATEWAY_INTERNAL)
        if exchange.status:
            raise CutConnection from None
        await exchange.answer_error(500, ErrorType.GATEWAY_INTERNAL, "the gateway failed to serve this request")
    finally:
        _record(parts, exchange)
        in_flight.finish()


async def _answer_upstream_error(exchange: Exchange, problem: UpstreamError) -> None:
    exchange.fail(problem.error_type)
    provider = exchange.deployment.provider.name if exchange.deployment is not None else ""
    log.warning("provider failed", provider=provider, error_type=problem.error_type.value, problem=str(problem))
    if exchange.status:
        raise CutConnection from problem
    status = 504 if problem.error_type is ErrorType.PROVIDER_TIMEOUT else 502
    await exchange.answer_error(status, problem.error_type, str(problem))


def _record(parts: Parts, exchange: Exchange) -> None:
    """The facts of a request that has ended."""
    ended_at = perf_counter()
    if exchange.call is not None:
        _record_call(exchange, ended_at)
    elif exchange.route.wire is not None and exchange.error_type:
        parts.tally.refused_llm_call(
            operation=exchange.route.wire.operation,
            endpoint=exchange.route.endpoint,
            stream=exchange.stream,
            status_code=str(exchange.status),
            error_type=exchange.error_type,
        )
    if exchange.route.wire is not None:
        parts.phases.record(exchange, ended_at)
    parts.tally.http_request(
        method=exchange.route.method,
        route=exchange.route.template,
        status_code=exchange.status or CLIENT_GONE,
        seconds=ended_at - exchange.started_at,
        request_size=len(exchange.body),
        response_size=exchange.response_size,
    )


def _record_call(exchange: Exchange, ended_at: float) -> None:
    call = exchange.call
    assert call is not None
    status_code = exchange.upstream_status or (CLIENT_GONE if exchange.outcome == "cancelled" else UNANSWERED)
    if exchange.error_type == ErrorType.PROVIDER_RATE_LIMIT:
        call.rate_limited()
    call.attempt(
        status_code=status_code,
        error_type=exchange.error_type,
        seconds=(exchange.replied_at or ended_at) - exchange.dispatched_at,
        seconds_to_headers=exchange.headers_at - exchange.dispatched_at if exchange.upstream_status else None,
    )
    call.overhead(ended_at - exchange.started_at - exchange.waited)
    call.finish(outcome=exchange.outcome, status_code=status_code, error_type=exchange.error_type)
