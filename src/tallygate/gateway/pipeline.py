"""The way of one request through the gateway, readable top to bottom."""

from time import perf_counter

from tallygate.errors import ErrorType
from tallygate.gateway.asking import ask
from tallygate.gateway.exchange import Exchange
from tallygate.gateway.failover.attempts import Attempts
from tallygate.gateway.parts import Parts
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.relay import relay
from tallygate.gateway.server import BodyTimeout, BodyTooLarge, read_body
from tallygate.gateway.upstream import Reply, UpstreamError
from tallygate.gateway.usage.interface import UsageLedger


async def serve(parts: Parts, exchange: Exchange) -> None:
    """The way of one request. Raises Refusal and BadRequest (answered here), UpstreamError (the provider failed)."""
    await authenticate(parts, exchange)
    await read_request(parts, exchange)
    check_model(exchange)
    choose_deployment(parts, exchange)
    if parts.usage is not None and parts.usage.full:
        raise no_room(parts.usage)
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


def check_model(exchange: Exchange) -> None:
    """A key may be for some models only."""
    caller, head = exchange.caller, exchange.head
    if caller is not None and caller.models is not None and head is not None and head.model not in caller.models:
        message = f"this API key may not ask for the model '{head.model[:200]}'"
        raise Refusal(403, ErrorType.CALLER_PERMISSION, message)


def choose_deployment(parts: Parts, exchange: Exchange) -> None:
    """Which provider is asked, for which model."""
    route, head = exchange.route, exchange.head
    if head is not None:
        target = exchange.target = parts.router.target(head.model, route.kind, route.template)
        exchange.deployment = target.first(parts.failover.clock)
    else:
        exchange.deployment = parts.router.passthrough(route.kind, route.model, route.template)


def no_room(usage: UsageLedger) -> Refusal:
    """What a call used could not be kept: it is not made."""
    message = "the gateway cannot write down what calls use, because its database is away; try again later"
    retry = (b"retry-after", str(usage.retry_after).encode())
    return Refusal(503, ErrorType.GATEWAY_UNAVAILABLE, message, [retry])


async def dispatch(parts: Parts, exchange: Exchange) -> Reply:
    """Ask the provider, and wait for the head of its reply; when it fails, ask others."""
    deployment, target, head = exchange.deployment, exchange.target, exchange.head
    assert deployment is not None
    keep_credentials, timeouts = parts.forwards_credentials, deployment.provider.timeouts
    if target is None or head is None:
        return await ask(parts, exchange, deployment, timeouts, keep_credentials=keep_credentials)
    if deployment.troubled:
        return await Attempts(parts, exchange).begin()
    if parts.gate is not None:
        refusal = await parts.gate.try_provider(exchange, deployment.provider.name)
        if refusal is not None:
            return await Attempts(parts, exchange).refused(refusal)
    exchange.call = parts.recording.start_call(exchange, deployment, head)
    try:
        reply = await ask(parts, exchange, deployment, timeouts, keep_credentials=keep_credentials)
    except UpstreamError as problem:
        return await Attempts(parts, exchange).after(problem)
    if reply.status >= 400 or (target.has_choice and head.stream):
        return await Attempts(parts, exchange).after(reply)
    if target.has_choice:
        parts.failover.tell(exchange, 1)
    return reply
