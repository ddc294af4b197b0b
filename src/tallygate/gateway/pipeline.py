"""The way of one request through the gateway, readable top to bottom."""

from time import perf_counter

from tallygate.errors import ErrorType
from tallygate.gateway.exchange import Exchange
from tallygate.gateway.parts import Parts
from tallygate.gateway.providers import end_to_end
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.relay import relay
from tallygate.gateway.server import BodyTimeout, BodyTooLarge, read_body
from tallygate.gateway.upstream import Reply


async def serve(parts: Parts, exchange: Exchange) -> None:
    """The way of one request. Raises Refusal and BadRequest (answered here), UpstreamError (the provider failed)."""
    await authenticate(parts, exchange)
    await read_request(parts, exchange)
    choose_deployment(parts, exchange)
    if parts.gate is not None:
        await parts.gate.admit(exchange)
    if parts.cache is not None and await parts.cache.answer(parts, exchange):
        return
    reply = await dispatch(parts, exchange)
    try:
        await relay(parts, exchange, reply)
        if parts.cache is not None:
            parts.cache.keep(exchange)
    finally:
        await reply.close()


async def authenticate(parts: Parts, exchange: Exchange) -> None:
    """Only who shows a key gets further: one that the gateway gave out, or the master key, when there is either."""
    if parts.accounts is None:
        parts.access.check(exchange.headers, exchange.scope["query_string"])
    else:
        exchange.caller = await parts.accounts.caller(exchange.headers, exchange.scope["query_string"])


async def read_request(parts: Parts, exchange: Exchange) -> None:
    """The body, within its limits, and what the wire format tells of its head."""
    limits, route = parts.limits, exchange.route
    try:
        exchange.body = await read_body(exchange.scope, exchange.receive, limits.body_bytes, limits.body_seconds)
        if route.wire is not None:
            exchange.head = route.wire.read_head(exchange.body, route.model, route.stream)
    except BodyTooLarge:
        message = (
            f"the request body is larger than {limits.body_bytes} bytes, the limit limits.body_bytes of this gateway"
        )
        raise Refusal(413, ErrorType.CALLER_INVALID_REQUEST, message) from None
    except BodyTimeout:
        message = f"the request body did not arrive within {limits.body_seconds:g} s"
        raise Refusal(408, ErrorType.CALLER_INVALID_REQUEST, message) from None
    exchange.read_at = perf_counter()


def choose_deployment(parts: Parts, exchange: Exchange) -> None:
    """Which provider is asked, for which model."""
    route, head = exchange.route, exchange.head
    if head is not None:
        exchange.deployment = parts.router.choose(head.model, route.kind, route.template)
    else:
        exchange.deployment = parts.router.passthrough(route.kind, route.model, route.template)


async def dispatch(parts: Parts, exchange: Exchange) -> Reply:
    """Ask the provider, and wait for the head of its reply."""
    route, head, deployment = exchange.route, exchange.head, exchange.deployment
    assert deployment is not None
    provider, body = deployment.provider, exchange.body
    if head is not None and route.wire is not None:
        renamed = None if route.model or head.model == deployment.model else deployment.model
        if renamed is not None or exchange.hides_usage:
            body = route.wire.rewrite(body, model=renamed, ask_usage=exchange.hides_usage)
        exchange.call = parts.recording.start_call(exchange, deployment, head)
    headers = provider.headers(
        end_to_end(exchange.scope["headers"], exchange.headers.get(b"connection")),
        # What must be edited must not be compressed; what is only read may be, in a coding that can be read.
        accept_encoding=b"identity"
        if exchange.hides_usage
        else parts.accept_encoding(exchange.headers.get(b"accept-encoding")),
        keep_credentials=parts.forwards_credentials,
    )
    query = exchange.scope["query_string"]
    url = provider.url(route, deployment.model, query, keep_credentials=parts.forwards_credentials)
    exchange.dispatched_at = perf_counter()
    try:
        reply = await parts.upstream.send(route.method, url, headers, body, parts.timeouts)
    finally:
        exchange.headers_at = perf_counter()
        exchange.waited += exchange.headers_at - exchange.dispatched_at
    exchange.upstream_status = reply.status
    return reply
