"""One request on the wire to a provider."""

from time import perf_counter

from tallygate.gateway.exchange import Exchange
from tallygate.gateway.failover.deployments import Deployment
from tallygate.gateway.parts import Parts
from tallygate.gateway.providers import end_to_end
from tallygate.gateway.upstream import Reply, Timeouts


async def ask(
    parts: Parts, exchange: Exchange, deployment: Deployment, timeouts: Timeouts, *, keep_credentials: bool
) -> Reply:
    """Send the request to a deployment, and wait for the head of its reply. Raises UpstreamError.

    keep_credentials: the caller's own key goes on to a provider for which the gateway has none.
    """
    route, head, provider, body = exchange.route, exchange.head, deployment.provider, exchange.body
    if head is not None and route.wire is not None:
        renamed = None if route.model or head.model == deployment.model else deployment.model
        if renamed is not None or exchange.hides_usage:
            body = route.wire.rewrite(body, model=renamed, ask_usage=exchange.hides_usage)
    headers = provider.headers(
        end_to_end(exchange.scope["headers"], exchange.headers.get(b"connection")),
        # What must be edited must not be compressed; what is only read may be, in a coding that can be read.
        accept_encoding=b"identity"
        if exchange.hides_usage
        else parts.accept_encoding(exchange.headers.get(b"accept-encoding")),
        keep_credentials=keep_credentials,
    )
    url = provider.url(route, deployment.model, exchange.scope["query_string"], keep_credentials=keep_credentials)
    exchange.asked_at = perf_counter()
    if not exchange.dispatched_at:
        exchange.dispatched_at = exchange.asked_at
    try:
        reply = await parts.upstream.send(route.method, url, headers, body, timeouts)
    finally:
        exchange.headers_at = perf_counter()
        exchange.waited += exchange.headers_at - exchange.asked_at
    exchange.upstream_status = reply.status
    return reply
