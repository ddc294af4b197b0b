"""The provider's reply to the client: bytes pass through, usage and the first token are read on the side."""

from time import perf_counter

from tallygate.errors import ErrorType, error_type_of_status
from tallygate.facts import LLMCall
from tallygate.gateway.concealing import Concealed
from tallygate.gateway.exchange import Exchange
from tallygate.gateway.parts import Parts
from tallygate.gateway.settling import settle, settles
from tallygate.gateway.upstream import Headers, Reply, UpstreamError

WHOLE = 256 * 1024
"""Replies that are not streams are passed on in one piece up to this many bytes."""


async def relay(parts: Parts, exchange: Exchange, reply: Reply) -> None:
    """Pass the reply on as it arrives. Raises UpstreamError when the provider breaks off."""
    stream = exchange.stream and reply.status < 400
    if reply.status >= 400 and exchange.deployment is not None:
        reply = Concealed(reply, exchange.deployment.provider.conceal)
    length, encoding = _framing(reply.headers)
    headers = reply.headers
    if exchange.route.wire is not None:
        hides_usage = stream and exchange.hides_usage
        exchange.meter = exchange.route.wire.meter(
            stream=stream, status=reply.status, content_encoding=encoding, hide_usage=hides_usage
        )
        if hides_usage:
            headers = [header for header in headers if header[0] != b"content-length"]
    try:
        if not stream and length <= WHOLE:
            await _pass_whole(parts, exchange, reply, headers)
        else:
            await _pass_pieces(parts, exchange, reply, headers, stream)
    finally:
        exchange.replied_at = perf_counter()
    if not exchange.settled:
        _judge(exchange, reply, stream)


async def _pass_whole(parts: Parts, exchange: Exchange, reply: Reply, headers: Headers) -> None:
    """A small reply: read all of it, then send it with its head in one go."""
    pieces = [data async for data in reply.body()]
    exchange.waited += perf_counter() - exchange.headers_at
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if exchange.meter is not None:
        try:
            exchange.meter.feed(body)
            exchange.meter.close()
        except Exception as problem:
            _read_no_further(parts, exchange, problem)
    if settles(parts, exchange):
        exchange.received = len(body)
        await _settle(parts, exchange, reply, stream=False)
    await exchange.begin(reply.status, headers)
    await exchange.write(body, more=False)


async def _pass_pieces(parts: Parts, exchange: Exchange, reply: Reply, headers: Headers, stream: bool) -> None:
    """A stream, or a reply too large to hold: every piece goes out as it comes in.

    Where calls are accounted for, one is settled before its client has the end of the answer: before the closing event
    goes out, or, where only the end of the body tells, before the last piece, which waits for it.
    """
    await exchange.begin(reply.status, headers)
    call, meter, seen = exchange.call, exchange.meter, 0
    accounted, held = settles(parts, exchange), b""
    asked_at = perf_counter()
    try:
        async for data in reply.body():
            exchange.waited += perf_counter() - asked_at
            if accounted:
                exchange.received += len(data)
            if meter is not None:
                try:
                    data = meter.feed(data)
                except Exception as problem:
                    _read_no_further(parts, exchange, problem)
                    meter = None
                else:
                    if call is not None and meter.contents != seen:
                        call.content(meter.contents - seen)
                        seen = meter.contents
                    if accounted:
                        if meter.ends_with_body:
                            data, held = held, data
                        elif meter.complete:
                            await _settle(parts, exchange, reply, stream)
            if data:
                await exchange.write(data, more=True)
            asked_at = perf_counter()
    except UpstreamError as problem:
        # What was held back is the client's all the same.
        rest = held + _close(parts, exchange)
        if accounted:
            exchange.fail(problem.error_type)
            settle(parts, exchange)
            await _written(parts)
        await exchange.write(rest, more=True)
        raise
    exchange.waited += perf_counter() - asked_at
    rest = held + _close(parts, exchange)
    if accounted:
        await _settle(parts, exchange, reply, stream)
    await exchange.write(rest, more=False)


async def _settle(parts: Parts, exchange: Exchange, reply: Reply, stream: bool) -> None:
    """The end of the reply was seen; returns when its account can no longer be lost."""
    if not exchange.settled:
        _judge(exchange, reply, stream)
        settle(parts, exchange)
        await _written(parts)


async def _written(parts: Parts) -> None:
    if parts.usage is not None:
        await parts.usage.written()


def _close(parts: Parts, exchange: Exchange) -> bytes:
    """Let the meter read what is left; returns what it held back."""
    if exchange.meter is None:
        return b""
    try:
        return exchange.meter.close()
    except Exception as problem:
        _read_no_further(parts, exchange, problem)
        return b""


def _read_no_further(parts: Parts, exchange: Exchange, problem: Exception) -> None:
    """A meter failed, which is a defect of ours: the reply goes on unread, and the call counts as unmetered."""
    exchange.meter = None
    parts.tally.failed(LLMCall, problem)


def _framing(headers: Headers) -> tuple[int, str]:
    """The announced length of the body (more than can be held, when there is none) and its content coding."""
    length, encoding = WHOLE + 1, ""
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"content-encoding":
            encoding = value.decode("latin-1").lower()
    return length, encoding


def _judge(exchange: Exchange, reply: Reply, stream: bool) -> None:
    """Whether what arrived was a success."""
    meter = exchange.meter
    if meter is not None and meter.failure is not None:
        exchange.fail(meter.failure.error_type)
    elif reply.status >= 400:
        exchange.fail(error_type_of_status(reply.status))
    elif meter is not None and not meter.complete:
        exchange.fail(ErrorType.PROVIDER_STREAM_CUT if stream else ErrorType.PROVIDER_INVALID_RESPONSE)
