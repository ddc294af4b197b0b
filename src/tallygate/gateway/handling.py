"""From a request that an API route matched to its facts: every way out of the pipeline ends here, once."""

import asyncio

import structlog

from tallygate.errors import ErrorType
from tallygate.gateway.exchange import Exchange
from tallygate.gateway.parts import Parts
from tallygate.gateway.pipeline import serve
from tallygate.gateway.recording import NOW
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.server import ClientGone, CutConnection
from tallygate.gateway.settling import settle, settles
from tallygate.gateway.trace_context import note_caller_span
from tallygate.gateway.upstream import UpstreamError
from tallygate.wire import BadRequest

log = structlog.get_logger("tallygate.gateway")


async def handle(parts: Parts, exchange: Exchange) -> None:
    """Serve a request and record it. Raises CutConnection when its answer has begun and cannot be finished."""
    parts.recording.in_flight(NOW, 1)
    if b"traceparent" in exchange.headers:
        exchange.traced = True
        note_caller_span(exchange.headers[b"traceparent"])
    try:
        await serve(parts, exchange)
    except Refusal as refusal:
        await exchange.refuse(refusal)
    except BadRequest as problem:
        await exchange.refuse(_unreadable(exchange, problem))
    except UpstreamError as problem:
        await _answer_upstream_error(exchange, problem)
    except (asyncio.CancelledError, ClientGone):
        if not exchange.settled:
            exchange.outcome = "cancelled"
        raise
    except Exception:
        log.exception("request failed", route=exchange.route.template)
        exchange.fail(ErrorType.GATEWAY_INTERNAL)
        if exchange.status:
            raise CutConnection from None
        await exchange.answer_error(500, ErrorType.GATEWAY_INTERNAL, "the gateway failed to serve this request")
    finally:
        if settles(parts, exchange):
            settle(parts, exchange)
        parts.failover.conclude(exchange)
        parts.recording.record(exchange)


def _unreadable(exchange: Exchange, problem: BadRequest) -> Refusal:
    """What is wrong with a body that could not be read: its coding, when it has one."""
    coding = exchange.headers.get(b"content-encoding", b"identity").strip().lower()
    if coding in (b"", b"identity"):
        return Refusal(400, ErrorType.CALLER_INVALID_REQUEST, str(problem))
    message = f"the request body is coded as '{coding[:50].decode('latin-1')}'; send it without a content-encoding"
    return Refusal(415, ErrorType.CALLER_INVALID_REQUEST, message, [(b"accept-encoding", b"identity")])


async def _answer_upstream_error(exchange: Exchange, problem: UpstreamError) -> None:
    exchange.fail(problem.error_type)
    provider = exchange.deployment.provider.name if exchange.deployment is not None else ""
    log.warning("provider failed", provider=provider, error_type=problem.error_type.value, problem=str(problem))
    if exchange.status:
        raise CutConnection from problem
    status = 504 if problem.error_type is ErrorType.PROVIDER_TIMEOUT else 502
    await exchange.answer_error(status, problem.error_type, str(problem))
